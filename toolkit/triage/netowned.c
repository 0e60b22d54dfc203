/*
 * Sockets that no descriptor of any process leads to. The kernel has some of its own
 * (NFS, tunnels); another may be somebody's whom nobody sees. The census was taken before
 * the sockets were read: who opened one in between is looked for before anything is said.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/procfile.h"
#include "toolkit/triage/network.h"

struct again {
	struct network *n;
	size_t first;
	enum net_protocol protocol;
};

static int see_again(void *context, const struct net_socket *socket)
{
	struct again *again = context;
	struct network *n = again->n;

	for (size_t i = again->first; i < n->unowned_count; i++)
		if (n->unowned[i].inode == socket->inode &&
		    n->unowned[i].protocol == again->protocol)
			n->unowned[i].still_there = true;
	return 0;
}

int network_unowned_again(struct network *n, size_t first)
{
	struct timespec pause = { .tv_nsec = 2000000 };
	size_t kept = first;
	unsigned protocols = 0;

	if (first == n->unowned_count)
		return 0;
	nanosleep(&pause, NULL);
	for (size_t i = first; i < n->unowned_count; i++)
		protocols |= 1u << n->unowned[i].protocol;
	for (int p = 0; p < NET_PROTOCOLS; p++) {
		struct again again = { n, first, (enum net_protocol)p };
		struct netwalk walk = { .each = see_again, .context = &again };

		if (!(protocols >> p & 1))
			continue;
		if (n->view->sockets[p] >= 0)
			(void)netview_table(n->view, (enum net_protocol)p, &walk);
		if (n->view->diag >= 0 && n->modules->there[p])
			(void)netview_dump(n->view, (enum net_protocol)p, &walk);
	}
	for (size_t i = first; i < n->unowned_count; i++)
		if (n->unowned[i].still_there)
			n->unowned[kept++] = n->unowned[i];
	n->unowned_count = kept;
	return 0;
}

static void take(struct network *n, const char *link)
{
	uint64_t inode = strncmp(link, "socket:", 7) == 0 ? procfile_inode_of(link) : 0;

	if (!inode)
		return;
	for (size_t i = 0; i < n->unowned_count; i++)
		if (n->unowned[i].inode == inode)
			n->unowned[i].owned = true;
}

/* False when it cannot be listed. */
static bool descriptors_at(struct network *n, const char *path)
{
	int fd = openat(n->t->procfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((entry = readdir(dir))) {
		char link[64];
		ssize_t len = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);

		if (len <= 0)
			continue;
		link[len] = '\0';
		take(n, link);
	}
	closedir(dir);
	return true;
}

/* A thread may have descriptors of its own, which PID/fd does not show. */
static void descriptors_of_threads(struct network *n, int pid)
{
	char path[64];
	struct dirent *entry;
	int fd;
	DIR *dir;

	snprintf(path, sizeof(path), "%d/task", pid);
	fd = openat(n->t->procfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		int tid = atoi(entry->d_name);

		if (tid <= 0 || tid == pid ||
		    syscall(SYS_kcmp, pid, tid, KCMP_FILES, 0, 0) <= 0)
			continue;
		snprintf(path, sizeof(path), "%d/task/%d/fd", pid, tid);
		(void)descriptors_at(n, path);
	}
	closedir(dir);
}

/* All processes that there are by now. */
static void descriptors(struct network *n)
{
	int fd = openat(n->t->procfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		int pid = atoi(entry->d_name);
		char path[32];

		if (pid <= 0)
			continue;
		snprintf(path, sizeof(path), "%d/fd", pid);
		if (descriptors_at(n, path) && n->t->live)
			descriptors_of_threads(n, pid);
	}
	closedir(dir);
}

static int emit_unowned(struct network *n, const struct unowned *u)
{
	struct json_node *subject, *evidence;
	struct json *doc;
	char text[400];

	snprintf(
		text, sizeof(text),
		"No descriptor of any process leads to the socket %s: it belongs to the "
		"kernel (NFS, RPC, an SMB server, a tunnel, network block devices), it is "
		"on its way from one process to another, or who holds it is hidden.",
		u->text);
	doc = triage_finding(n->t, "unowned_socket",
			     u->kernel_likely ? SEVERITY_LOW : SEVERITY_MEDIUM, text,
			     &subject, &evidence, n->err);
	if (doc) {
		json_add_u64(doc, subject, "netns", u->netns);
		json_add_u64(doc, subject, "inode", u->inode);
		json_add_str(doc, evidence, "socket", u->text);
		json_add_str(doc, evidence, "descriptors", "none leads to it");
		if (u->kernel_likely)
			json_add_str(doc, evidence, "interfaces",
				     "a tunnel of this namespace has such a socket");
		json_add_u64(doc, json_root(doc), "rechecked", 1);
	}
	return triage_emit(n->t, doc, n->err);
}

int network_unowned_end(struct network *n)
{
	if (!n->unowned_count)
		return 0;
	descriptors(n);
	for (size_t i = 0; i < n->unowned_count; i++)
		if (!n->unowned[i].owned && emit_unowned(n, &n->unowned[i]) < 0)
			return -1;
	return 0;
}
