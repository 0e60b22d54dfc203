/* Which network namespaces there are: of processes, of mounts, of descriptors. */
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/mountinfo.h"
#include "toolkit/lib/procfile.h"
#include "toolkit/triage/network.h"

/* More than any host has; a process and a mount of it that is not looked at is said. */
#define SPACES_MAX ((size_t)1 << 17)

static struct netns *add(struct netns_list *list, uint64_t inode)
{
	if (list->count == list->room) {
		size_t more = list->room ? list->room * 2 : 16;
		struct netns *larger =
			more > SPACES_MAX ? NULL
					  : realloc(list->items, more * sizeof(*larger));

		if (!larger) {
			list->failed = true;
			return NULL;
		}
		list->items = larger;
		list->room = more;
	}
	list->items[list->count] = (struct netns){ .inode = inode, .fds_read = true };
	return &list->items[list->count++];
}

static struct netns *known(struct netns_list *list, size_t count, uint64_t inode)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (list->items[middle].inode == inode)
			return &list->items[middle];
		if (list->items[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static int by_inode(const void *a, const void *b)
{
	const struct netns *one = a, *two = b;

	return (one->inode > two->inode) - (one->inode < two->inode);
}

/* A namespace and one who lives in it. */
struct pair {
	uint64_t inode;
	int32_t pid;
};

static int by_space(const void *a, const void *b)
{
	const struct pair *one = a, *two = b;

	if (one->inode != two->inode)
		return one->inode > two->inode ? 1 : -1;
	return (one->pid > two->pid) - (one->pid < two->pid);
}

/* Every namespace of a kind (where it stands in struct person) once, in order; NULL when
 * there is no memory. The caller frees it. */
static struct pair *distinct(const struct census *census, size_t member, size_t *count)
{
	struct pair *all = malloc((census->person_count + 1) * sizeof(*all));
	size_t kept = 0;

	*count = 0;
	if (!all)
		return NULL;
	for (size_t i = 0; i < census->person_count; i++) {
		const struct person *person = &census->persons[i];

		memcpy(&all[i].inode, (const char *)person + member,
		       sizeof(all[i].inode));
		all[i].pid = person->pid;
	}
	qsort(all, census->person_count, sizeof(*all), by_space);
	for (size_t i = 0; i < census->person_count; i++)
		if (all[i].inode && (!kept || all[kept - 1].inode != all[i].inode))
			all[kept++] = all[i];
	*count = kept;
	return all;
}

static void of_processes(const struct triage *t, struct netns_list *list)
{
	bool everywhere = false;
	size_t count;
	struct pair *spaces =
		distinct(&t->census, offsetof(struct person, netns), &count);

	list->failed |= !spaces;
	for (size_t i = 0; i < count; i++)
		add(list, spaces[i].inode);
	free(spaces);
	/* Who may live anywhere may hold a socket of any. */
	for (size_t i = 0; i < t->census.person_count; i++) {
		const struct person *person = &t->census.persons[i];

		everywhere |=
			!person->netns && !person->fds_read && !person->kernel_thread;
	}
	for (size_t i = 0; i < list->count && everywhere; i++)
		list->items[i].fds_read = false;
	for (size_t i = 0; i < t->census.person_count; i++) {
		const struct person *person = &t->census.persons[i];
		struct netns *ns = known(list, list->count, person->netns);
		size_t slot = 0;

		if (!ns)
			continue;
		ns->processes++;
		if (!person->fds_read && !person->kernel_thread)
			ns->fds_read = false;
		while (slot < 4 && ns->pids[slot])
			slot++;
		/* The last place is the youngest's: the old ones may have ended. */
		ns->pids[slot < 4 ? slot : 3] = person->pid;
	}
}

static void of_self(const struct triage *t, struct netns_list *list)
{
	uint64_t inode = procfile_namespace(t->procfd, "self/ns/net");
	struct netns *ns = known(list, list->count, inode);

	if (!inode)
		return;
	if (!ns) {
		ns = add(list, inode);
		/* Nothing is known of who else lives in it. */
		if (ns)
			ns->fds_read = false;
	}
	if (ns)
		ns->own = true;
}

struct mounts {
	struct netns_list *list;
	size_t sorted; /* how many of the list are in order */
	int32_t pid;   /* whose mounts they are; 0: our own */
};

static bool listed(const struct mounts *m, uint64_t inode)
{
	if (known(m->list, m->sorted, inode))
		return true;
	for (size_t i = m->sorted; i < m->list->count; i++)
		if (m->list->items[i].inode == inode)
			return true;
	return false;
}

/* Adds one that nobody lives in, by a path below procfd or, when pid is 0, rootfd. */
static void add_path(struct mounts *m, uint64_t inode, const char *path)
{
	struct netns *ns = add(m->list, inode);

	if (!ns)
		return;
	ns->below_proc = m->pid != 0;
	if (m->pid ? asprintf(&ns->path, "%d/%s", m->pid, path) < 0
		   : !(ns->path = strdup(path))) {
		ns->path = NULL;
		m->list->failed = true;
	}
}

/* A namespace is mounted by its name for a root, "net:[INODE]". */
static int mount_line(void *context, const char *text, size_t len)
{
	/* root/ and a path */
	char line[4200], path[4200];
	struct mounts *m = context;
	struct mountinfo_line mount;
	uint64_t inode;

	if (len >= sizeof(line) || !memmem(text, len, " net:[", 6))
		return 0;
	memcpy(line, text, len);
	line[len] = '\0';
	if (!mountinfo_split(line, &mount) || strncmp(mount.root, "net:[", 5) != 0 ||
	    mount.point[0] != '/' || !mount.point[1])
		return 0;
	inode = procfile_inode_of(mount.root);
	if (!inode || listed(m, inode))
		return 0;
	snprintf(path, sizeof(path), "%s%s", m->pid ? "root/" : "", mount.point + 1);
	add_path(m, inode, path);
	return 0;
}

static void of_mounts(const struct triage *t, struct mounts *m)
{
	char name[32] = "self/mountinfo";
	int fd;

	if (m->pid)
		snprintf(name, sizeof(name), "%d/mountinfo", m->pid);
	fd = openat(t->procfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	/* What cannot be read to its end is said by those who collect mounts. */
	(void)netview_lines(fd, false, mount_line, m);
	io_close(&fd);
}

/* One process of every other mount namespace is asked. */
static void of_other_mounts(const struct triage *t, struct mounts *m)
{
	uint64_t own = procfile_namespace(t->procfd, "self/ns/mnt");
	size_t count;
	struct pair *spaces =
		distinct(&t->census, offsetof(struct person, mntns), &count);

	m->list->failed |= !spaces;
	for (size_t i = 0; i < count; i++) {
		m->pid = spaces[i].pid;
		if (spaces[i].inode != own)
			of_mounts(t, m);
	}
	free(spaces);
}

/* Is it a network namespace? Some are shown by the path that they were opened by. */
static bool is_netns(const struct triage *t, const struct known_file *file)
{
	struct stat st;
	bool is = false;
	int fd;

	if (!strncmp(file->path, "net:[", 5))
		return true;
	if (fstatat(t->procfd, "self/ns/net", &st, 0) < 0 ||
	    major(st.st_dev) != file->major || minor(st.st_dev) != file->minor)
		return false;
	fd = openat(t->procfd, file->via, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0)
		is = ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
	io_close(&fd);
	return is;
}

/* Namespaces that somebody holds a descriptor of. */
static void of_descriptors(const struct triage *t, struct mounts *m)
{
	for (size_t i = 0; i < t->census.file_count && t->live; i++) {
		const struct known_file *file = &t->census.files[i];
		const char *below = strchr(file->via, '/');

		m->pid = (int32_t)strtol(file->via, NULL, 10);
		/* What is no disk's has no major number. */
		if (!file->major && m->pid > 0 && below && !listed(m, file->inode) &&
		    is_netns(t, file))
			add_path(m, file->inode, below + 1);
	}
}

void netns_find(const struct triage *t, struct netns_list *list)
{
	struct mounts m = { .list = list };

	*list = (struct netns_list){ 0 };
	of_processes(t, list);
	of_self(t, list);
	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), by_inode);
	m.sorted = list->count;
	of_mounts(t, &m);
	of_other_mounts(t, &m);
	of_descriptors(t, &m);
}

void netns_free(struct netns_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].path);
	free(list->items);
	*list = (struct netns_list){ 0 };
}
