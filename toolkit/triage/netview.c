/* Opening a namespace, and reading its sockets from what was opened. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/procfile.h"
#include "toolkit/triage/network.h"
#include "toolkit/triage/watch.h"

#define TABLE_BYTES_MAX ((uint64_t)64 << 20)
#define NSFS_MAGIC 0x6e736673

static void open_tables(struct netview *view, int dirfd)
{
	static const char *const others[TABLE_COUNT] = {
		"dev", "if_inet6", "route", "ipv6_route", "arp", "protocols",
	};
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;

	for (int i = 0; i < NET_PROTOCOLS; i++)
		view->sockets[i] =
			openat(dirfd, net_protocol_name((enum net_protocol)i), flags);
	for (int i = 0; i < TABLE_COUNT; i++)
		view->tables[i] = openat(dirfd, others[i], flags);
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static void open_netlink(struct netview *view)
{
	view->diag = netdiag_open(NETLINK_SOCK_DIAG);
	view->route = netdiag_open(NETLINK_ROUTE);
	if (view->diag < 0 || view->route < 0)
		view->netlink_errno = errno;
	view->own_inode[0] = inode_of(view->diag);
	view->own_inode[1] = inode_of(view->route);
}

/* What is done in another namespace, by a thread that ends there. */
struct visit {
	const struct triage *t;
	struct netview *view;
	int nsfd;
	bool tables; /* /proc shows them to none of its processes: there are none */
	int errnum;
};

static void *visit(void *argument)
{
	struct visit *v = argument;
	int dirfd;

	if (setns(v->nsfd, CLONE_NEWNET) < 0) {
		v->errnum = errno;
		return NULL;
	}
	open_netlink(v->view);
	if (!v->tables)
		return NULL;
	dirfd = openat(v->t->procfd, "thread-self/net", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd >= 0) {
		open_tables(v->view, dirfd);
		close(dirfd);
	}
	return NULL;
}

static int send_visitor(struct visit *v)
{
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, visit, v);

	if (!rc)
		rc = pthread_join(thread, NULL);
	return rc ? rc : v->errnum;
}

/* Through one of its processes; false when that is gone, or lives elsewhere now. */
static bool open_by_pid(const struct triage *t, const struct netns *ns, const char *name,
			struct netview *view)
{
	int dirfd = openat(t->procfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int netfd = -1, nsfd = -1;
	bool there = false;

	if (dirfd < 0)
		return false;
	if (procfile_namespace(dirfd, "ns/net") != ns->inode)
		goto out;
	netfd = openat(dirfd, "net", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (netfd < 0)
		goto out;
	open_tables(view, netfd);
	if (t->live && !ns->own) {
		nsfd = openat(dirfd, "ns/net", O_RDONLY | O_CLOEXEC);
		if (nsfd < 0)
			view->netlink_errno = errno;
	}
	there = procfile_namespace(dirfd, "ns/net") == ns->inode &&
		(nsfd < 0 || inode_of(nsfd) == ns->inode);
	if (there && t->live && ns->own) {
		open_netlink(view);
	} else if (there && nsfd >= 0) {
		struct visit v = { .t = t, .view = view, .nsfd = nsfd };

		view->netlink_errno = send_visitor(&v);
	}
	if (!there)
		netview_close(view);
out:
	io_close(&nsfd);
	io_close(&netfd);
	io_close(&dirfd);
	return there;
}

/* Where nobody lives in it: a mount, or a descriptor of somebody's. */
static int open_by_file(const struct triage *t, const struct netns *ns,
			struct netview *view)
{
	struct visit v = { .t = t, .view = view, .tables = true, .nsfd = -1 };
	char path[40];
	struct statfs fs;
	int fd, errnum = ESRCH;

	/* Looked at before it is opened: by now anything may be there. */
	fd = openat(ns->below_proc ? t->procfd : t->rootfd, ns->path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstatfs(fd, &fs) == 0 && (uint64_t)fs.f_type == NSFS_MAGIC &&
	    inode_of(fd) == ns->inode) {
		snprintf(path, sizeof(path), "self/fd/%d", fd);
		v.nsfd = openat(t->procfd, path, O_RDONLY | O_CLOEXEC);
		errnum = v.nsfd < 0 ? errno : send_visitor(&v);
	}
	io_close(&v.nsfd);
	close(fd);
	errno = errnum;
	return errnum ? -1 : 0;
}

int netview_open(const struct triage *t, const struct netns *ns, unsigned char *buf,
		 struct netview *view)
{
	*view = (struct netview){ .diag = -1, .route = -1, .buf = buf };
	memset(view->sockets, -1, sizeof(view->sockets));
	memset(view->tables, -1, sizeof(view->tables));
	if (ns->own && t->live && open_by_pid(t, ns, "self", view)) {
		view->pid = ns->pids[0];
		return 0;
	}
	for (size_t i = 0; i < sizeof(ns->pids) / sizeof(ns->pids[0]); i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", ns->pids[i]);
		if (ns->pids[i] && open_by_pid(t, ns, name, view)) {
			view->pid = ns->pids[i];
			return 0;
		}
	}
	if (t->live && ns->path)
		return open_by_file(t, ns, view);
	errno = ESRCH;
	return -1;
}

void netview_close(struct netview *view)
{
	for (int i = 0; i < NET_PROTOCOLS; i++)
		io_close(&view->sockets[i]);
	for (int i = 0; i < TABLE_COUNT; i++)
		io_close(&view->tables[i]);
	io_close(&view->diag);
	io_close(&view->route);
}

/* Hands on what ends with a newline; returns how much of buf that was, or -1. */
static ssize_t hand_on(const char *buf, size_t have, bool last,
		       int (*line)(void *, const char *, size_t), void *context, int *rc)
{
	size_t at = 0;

	while (at < have) {
		const char *end = memchr(buf + at, '\n', have - at);
		size_t len = end ? (size_t)(end - buf) - at : have - at;

		if (!end && !last)
			break;
		*rc = line(context, buf + at, len);
		if (*rc)
			return -1;
		at += len + (end != NULL);
	}
	return (ssize_t)at;
}

/* Longer than any line that a table may have. */
#define LINE_BYTES 512

/* Whether the kernel had no more to say than n bytes for so much room. */
static bool was_last(size_t n, size_t room)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return n == 0 || n + LINE_BYTES < (page < room ? page : room);
}

int netview_lines(int fd, bool brief, int (*line)(void *, const char *, size_t),
		  void *context)
{
	char buf[32 * 1024];
	size_t have = 0;
	uint64_t all = 0;
	bool last = false;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	while (!last) {
		ssize_t n = read(fd, buf + have, sizeof(buf) - have), used;
		int rc = 0;

		watch_alive();
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		last = brief ? was_last((size_t)n, sizeof(buf) - have) : n == 0;
		have += (size_t)n;
		all += (uint64_t)n;
		/* No line is as long as the room: this one is taken in pieces, each of
		 * which is refused. */
		used = hand_on(buf, have, last || have == sizeof(buf), line, context,
			       &rc);
		if (used < 0)
			return rc;
		if (all > TABLE_BYTES_MAX) {
			errno = EFBIG;
			return -1;
		}
		have -= (size_t)used;
		memmove(buf, buf + used, have);
	}
	return 0;
}

/* One of the two that this view is read with. */
static bool own_socket(const struct netview *view, const struct net_socket *socket)
{
	return socket->inode && (socket->inode == view->own_inode[0] ||
				 socket->inode == view->own_inode[1]);
}

struct table {
	const struct netview *view;
	enum net_protocol protocol;
	struct netwalk *walk;
};

static int table_line(void *context, const char *text, size_t len)
{
	struct table *table = context;
	struct net_socket socket;

	if (nettable_socket(table->protocol, text, len, &socket) == 0) {
		if (own_socket(table->view, &socket))
			return 0;
		table->walk->shown += socket.state != NET_TIME_WAIT;
		return table->walk->each(table->walk->context, &socket);
	}
	if (!nettable_heading(text, len))
		table->walk->refused++;
	return 0;
}

int netview_table(struct netview *view, enum net_protocol protocol, struct netwalk *walk)
{
	struct table table = { view, protocol, walk };

	return netview_lines(view->sockets[protocol], protocol <= NET_TCP6, table_line,
			     &table);
}

struct dump {
	const struct netview *view;
	struct netwalk *walk;
};

static int dump_item(void *context, const struct netdiag_item *item)
{
	struct dump *dump = context;

	if (own_socket(dump->view, &item->u.socket))
		return 0;
	return dump->walk->each(dump->walk->context, &item->u.socket);
}

int netview_dump(struct netview *view, enum net_protocol protocol, struct netwalk *walk)
{
	struct netdiag_state state = { .kind = NETDIAG_SOCKET,
				       .protocol = protocol,
				       .sequence = view->sequence };
	struct dump dump = { view, walk };
	int rc = netdiag_dump(view->diag, &state, view->buf, dump_item, &dump);

	view->sequence = state.sequence;
	walk->refused += state.refused;
	return rc;
}
