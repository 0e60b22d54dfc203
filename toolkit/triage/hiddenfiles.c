#include "toolkit/triage/hiddenfiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/triage/quiet.h"

#define WANTED_MAX ((size_t)1 << 16)
#define DIRECTORIES_MAX 256
#define ENTRIES_MAX 200000
#define RECHECKS 3
#define PAUSE_NS 2000000
#define FINDINGS_MAX 64

#define EXT_TYPE 0xef53
#define XFS_TYPE 0x58465342
#define TMPFS_TYPE 0x01021994

struct wanted {
	const char *path, *name; /* name lies in path */
	uint64_t inode;		 /* 0: whatever is there */
	uint32_t major, minor;
	bool listed;
};

struct hidden_files {
	struct wanted *wanted;
	size_t count, room;
	unsigned findings;
	bool failed; /* there were more than are kept */
};

struct hidden_files *hidden_files_new(struct err *err)
{
	struct hidden_files *files = calloc(1, sizeof(*files));

	if (!files)
		err_sys(err, ENOMEM, "looking for hidden files");
	return files;
}

void hidden_files_free(struct hidden_files *files)
{
	if (files)
		free(files->wanted);
	free(files);
}

static void add(struct hidden_files *files, const char *path, uint64_t inode,
		uint32_t major, uint32_t minor)
{
	if (files->count == files->room) {
		size_t room = files->room ? files->room * 2 : 256;
		struct wanted *more =
			room > WANTED_MAX ? NULL
					  : realloc(files->wanted, room * sizeof(*more));

		if (!more) {
			files->failed = true;
			return;
		}
		files->wanted = more;
		files->room = room;
	}
	files->wanted[files->count++] = (struct wanted){ path,	strrchr(path, '/') + 1,
							 inode, major,
							 minor, false };
}

void hidden_files_add(struct hidden_files *files, const char *path,
		      const struct statx *st)
{
	/* Their directories are made up as they are read. */
	static const char *const others[] = { "/proc/", "/sys/", "/dev/", "/memfd:" };

	if (path[0] != '/' || !S_ISREG(st->stx_mode))
		return;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strncmp(path, others[i], strlen(others[i])) == 0 &&
		    strncmp(path, "/dev/shm/", 9) != 0)
			return;
	add(files, path, st->stx_ino, st->stx_dev_major, st->stx_dev_minor);
}

static size_t dir_len(const struct wanted *one)
{
	return (size_t)(one->name - one->path);
}

/* By directory, and in that by name. */
static int by_place(const void *a, const void *b)
{
	const struct wanted *one = a, *two = b;
	size_t len = dir_len(one), other = dir_len(two);
	int order;

	if (len != other)
		return len < other ? -1 : 1;
	order = memcmp(one->path, two->path, len);
	return order ? order : strcmp(one->name, two->name);
}

/* Marks those of a directory's files that it lists. false: it could not be read whole. */
static bool mark_listed(int fd, struct wanted *group, size_t count)
{
	/* A descriptor of its own, for the list is read more than once. */
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	const struct dirent *entry;
	size_t entries = 0;

	if (!dir) {
		if (own >= 0)
			close(own);
		return false;
	}
	errno = 0;
	while (entries < ENTRIES_MAX && (entry = readdir(dir))) {
		size_t low = 0, high = count;

		entries++;
		while (low < high) {
			size_t middle = low + (high - low) / 2;
			int order = strcmp(entry->d_name, group[middle].name);

			if (order == 0) {
				group[middle].listed = true;
				break;
			}
			if (order < 0)
				high = middle;
			else
				low = middle + 1;
		}
	}
	closedir(dir);
	return entries < ENTRIES_MAX && !errno;
}

/* Is it there by that name, and the very file? */
static bool can_be_found(int dirfd, const struct wanted *one)
{
	struct statx st;

	if (statx(dirfd, one->name,
		  AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		  STATX_BASIC_STATS, &st) < 0)
		return false;
	return !one->inode ||
	       (one->inode == st.stx_ino && one->major == st.stx_dev_major &&
		one->minor == st.stx_dev_minor);
}

static void pause_for(const struct triage *t)
{
	if (t->live)
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
}

static int hidden_finding(struct triage *t, struct hidden_files *files,
			  const struct wanted *one, struct err *err)
{
	struct json_node *subject, *evidence;
	char shown[512], text[640];
	struct json *doc;

	if (files->findings++ >= FINDINGS_MAX)
		return 0;
	triage_shown(one->path, strlen(one->path), shown, sizeof(shown));
	snprintf(text, sizeof(text),
		 "The file %s is there, but its directory does not "
		 "list it.",
		 shown);
	doc = triage_finding(t, "hidden_file", SEVERITY_HIGH, text, &subject, &evidence,
			     err);
	if (!doc)
		return -1;
	triage_add_text(doc, subject, "path", one->path, strlen(one->path));
	json_add_str(doc, evidence, "lookup", "present");
	json_add_str(doc, evidence, "readdir", "absent");
	json_add_u64(doc, json_root(doc), "rechecked", RECHECKS);
	return triage_emit(t, doc, err);
}

/* Those of a group that are hidden still after they were looked for several times. */
static int look_in(struct triage *t, struct hidden_files *files, int dirfd,
		   struct wanted *group, size_t count, struct err *err)
{
	for (unsigned round = 0; round <= RECHECKS; round++) {
		size_t missing = 0;

		if (round)
			pause_for(t);
		if (!mark_listed(dirfd, group, count))
			return 0;
		for (size_t i = 0; i < count; i++) {
			if (!group[i].listed && !can_be_found(dirfd, &group[i]))
				group[i].listed = true; /* gone, or not this one */
			missing += !group[i].listed;
		}
		if (!missing)
			return 0;
	}
	for (size_t i = 0; i < count; i++)
		if (!group[i].listed && hidden_finding(t, files, &group[i], err) < 0)
			return -1;
	return 0;
}

static int look_for_wanted(struct triage *t, struct hidden_files *files, struct err *err)
{
	size_t directories = 0;

	qsort(files->wanted, files->count, sizeof(*files->wanted), by_place);
	for (size_t i = 0, next; i < files->count; i = next) {
		struct wanted *group = &files->wanted[i];
		size_t len = dir_len(group), kept = 0;
		enum triage_reason reason;
		char path[4096];
		int fd, rc;

		for (next = i;
		     next < files->count && dir_len(&files->wanted[next]) == len &&
		     memcmp(files->wanted[next].path, group->path, len) == 0;
		     next++)
			/* Of one name only the first: hard to say which is the file. */
			if (!kept ||
			    strcmp(group[kept - 1].name, files->wanted[next].name) != 0)
				group[kept++] = files->wanted[next];
		if (len >= sizeof(path))
			continue;
		if (++directories > DIRECTORIES_MAX) {
			files->failed = true;
			return 0;
		}
		memcpy(path, group->path, len);
		path[len] = '\0';
		fd = triage_open_quiet(t, t->rootfd, path, QUIET_DIRECTORY, NULL,
				       &reason);
		if (fd < 0)
			continue; /* of another mount namespace, most of all */
		rc = look_in(t, files, fd, group, kept, err);
		close(fd);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* Subdirectories that are listed; -1 when the list could not be read. */
static int64_t listed_directories(int fd)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	const struct dirent *entry;
	int64_t count = 0, entries = 0;

	if (!dir) {
		if (own >= 0)
			close(own);
		return -1;
	}
	while (entries++ < ENTRIES_MAX && (entry = readdir(dir))) {
		/* A file system without types of entries. */
		if (entry->d_type == DT_UNKNOWN) {
			entries = ENTRIES_MAX + 1;
			break;
		}
		count += entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
			 strcmp(entry->d_name, "..") != 0;
	}
	closedir(dir);
	return entries > ENTRIES_MAX ? -1 : count;
}

static int count_finding(struct triage *t, const char *path, uint64_t counted,
			 uint64_t listed, struct err *err)
{
	struct json_node *subject, *evidence;
	char text[320];
	struct json *doc;

	snprintf(text, sizeof(text),
		 "%.200s counts %llu subdirectories, but lists %llu of them.", path,
		 (unsigned long long)counted, (unsigned long long)listed);
	doc = triage_finding(t, "hidden_file", SEVERITY_HIGH, text, &subject, &evidence,
			     err);
	if (!doc)
		return -1;
	json_add_str(doc, subject, "path", path);
	json_add_u64(doc, evidence, "link_count", counted);
	json_add_u64(doc, evidence, "readdir", listed);
	json_add_u64(doc, json_root(doc), "rechecked", RECHECKS);
	return triage_emit(t, doc, err);
}

/*
 * ext4, XFS and tmpfs count a link for each subdirectory, its "..". One link stands for
 * more than ext4 can count.
 */
static int count_in(struct triage *t, const char *path, struct err *err)
{
	enum triage_reason reason;
	int fd = triage_open_quiet(t, t->rootfd, path, QUIET_DIRECTORY, NULL, &reason);
	int64_t listed = 0;
	struct stat st = { 0 };
	struct statfs fs;
	unsigned round;

	if (fd < 0)
		return 0;
	if (fstatfs(fd, &fs) < 0 ||
	    ((uint32_t)fs.f_type != EXT_TYPE && (uint32_t)fs.f_type != XFS_TYPE &&
	     (uint32_t)fs.f_type != TMPFS_TYPE)) {
		close(fd);
		return 0;
	}
	for (round = 0; round <= RECHECKS; round++) {
		if (round)
			pause_for(t);
		listed = listed_directories(fd);
		if (listed < 0 || fstat(fd, &st) < 0 || st.st_nlink < 2 ||
		    (int64_t)st.st_nlink - 2 <= listed)
			break;
	}
	close(fd);
	return round <= RECHECKS
		       ? 0
		       : count_finding(t, path, st.st_nlink - 2, (uint64_t)listed, err);
}

int hidden_files_look(struct triage *t, struct hidden_files *files, struct err *err)
{
	static const char *const counted[] = {
		"/",	      "/etc",	    "/tmp", "/var",	"/var/tmp", "/dev/shm",
		"/root",      "/home",	    "/opt", "/usr",	"/usr/bin", "/usr/lib",
		"/usr/local", "/usr/share", "/run", "/var/lib", "/srv"
	};
	char modules[128];
	struct utsname uts;

	/* What makes every program load a library is what is hidden first. */
	add(files, "/etc/ld.so.preload", 0, 0, 0);
	if (look_for_wanted(t, files, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		if (count_in(t, counted[i], err) < 0)
			return -1;
	if (t->live && uname(&uts) == 0) {
		snprintf(modules, sizeof(modules), "/usr/lib/modules/%s", uts.release);
		if (count_in(t, modules, err) < 0)
			return -1;
	}
	return files->failed ? triage_unread(t, "hidden files", REASON_TOO_LARGE, 0, err)
			     : 0;
}
