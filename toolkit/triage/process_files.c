/* The files of a process: what it runs, what it has open, what is mapped. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/procmaps.h"
#include "toolkit/triage/process.h"
#include "toolkit/triage/quiet.h"

#define LISTED_FDS_MAX 16384
#define LISTED_MAPS_MAX 1024
#define LISTED_EXEC_MAX 64
#define MAPS_MAX (32u << 20)
#define HASH_BYTES (256 * 1024)
/* A program that is a hole of terabytes would be hashed for hours. */
#define HASH_MAX (UINT64_C(2) << 30)

/* No cache is asked to be renewed over a network, and no automount is set off. */
#define STAT_FLAGS (AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT)

static bool is_memfd(const char *path, uint32_t nlink)
{
	return nlink == 0 && strncmp(path, "/memfd:", 7) == 0;
}

/*
 * Is the file behind a link unlinked? Its count of links tells, where it has others the
 * kernel's word does, unless a file is really called so.
 */
static bool is_deleted(struct process_job *job, const char *path, size_t *len,
		       const struct statx *st)
{
	enum triage_reason reason;
	struct stat other;
	size_t bare = *len;
	int rootfd, fd = -1;
	bool same;

	if (!process_strip_deleted(path, &bare))
		return st->stx_nlink == 0;
	if (st->stx_nlink == 0) {
		*len = bare;
		return true;
	}
	rootfd = openat(job->dirfd, "root", O_PATH | O_CLOEXEC);
	if (rootfd >= 0 && path[0] == '/')
		fd = triage_open_quiet(job->t, rootfd, path + 1, 0, &other, &reason);
	same = fd >= 0 && other.st_ino == st->stx_ino &&
	       other.st_dev == makedev(st->stx_dev_major, st->stx_dev_minor);
	io_close(&fd);
	io_close(&rootfd);
	if (!same)
		*len = bare;
	return !same;
}

static struct known_file *remember(struct process_job *job, const struct statx *st,
				   const char *path, size_t len, uint8_t role,
				   const char *via)
{
	char *copy = strndup(path, len);
	struct known_file *file = NULL;

	if (copy)
		file = census_add_file(&job->part, st->stx_dev_major, st->stx_dev_minor,
				       st->stx_ino, copy, role, job->pid);
	free(copy);
	if (file && !file->via[0])
		snprintf(file->via, sizeof(file->via), "%d/%s", job->pid, via);
	return file;
}

static bool hash_fd(struct process_job *job, int fd, uint8_t digest[SHA256_LEN])
{
	unsigned char *buf = malloc(HASH_BYTES);
	struct sha256 hash;
	uint64_t total = 0;
	ssize_t n = -1;

	sha256_init(&hash);
	while (buf && total <= HASH_MAX) {
		process_begin_step(job, STEP_HASH);
		n = read(fd, buf, HASH_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		sha256_update(&hash, buf, (size_t)n);
		total += (uint64_t)n;
	}
	process_begin_step(job, STEP_NONE);
	free(buf);
	if (total > HASH_MAX)
		errno = EFBIG;
	sha256_final(&hash, digest);
	return n == 0;
}

/* The hash of a file that another process had, too. */
static bool known_hash(struct process_job *job, const struct statx *st,
		       uint8_t digest[SHA256_LEN])
{
	const struct known_file *file;
	bool known = false;

	pthread_mutex_lock(job->lock);
	file = census_file(&job->t->census, st->stx_dev_major, st->stx_dev_minor,
			   st->stx_ino);
	if (file && file->hashed) {
		known = true;
		memcpy(digest, file->sha256, SHA256_LEN);
	}
	pthread_mutex_unlock(job->lock);
	return known;
}

static void add_hash(struct process_job *job, struct json_node *node,
		     const struct statx *st, struct known_file *file)
{
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];
	enum triage_reason reason;
	int fd;

	if (job->t->opt->no_hash || !S_ISREG(st->stx_mode) ||
	    process_skips(job, STEP_HASH))
		return;
	if (st->stx_size > HASH_MAX) {
		process_unread_for(job, "sha256", REASON_TOO_LARGE, 0);
		return;
	}
	if (!known_hash(job, st, digest)) {
		process_begin_step(job, STEP_HASH);
		fd = triage_open_quiet(job->t, job->dirfd, "exe", QUIET_MAGIC, NULL,
				       &reason);
		if (fd < 0 || !hash_fd(job, fd, digest)) {
			int why = errno;

			process_begin_step(job, STEP_NONE);
			if (fd < 0)
				process_unread_for(job, "sha256", reason, why);
			else
				process_unread(job, "sha256", why);
			io_close(&fd);
			return;
		}
		io_close(&fd);
	}
	process_begin_step(job, STEP_NONE);
	sha256_to_hex(digest, hex);
	json_add_str(job->doc, node, "sha256", hex);
	if (file) {
		file->hashed = true;
		memcpy(file->sha256, digest, SHA256_LEN);
	}
}

/* Keeps a file open that has no name any more. */
static void keep(struct process_job *job, const char *via, const char *what,
		 const struct statx *st, const char *path, size_t len)
{
	enum triage_reason reason;
	int fd;

	if (job->t->opt->no_recover || !out_keeps_files(job->t->out) ||
	    !S_ISREG(st->stx_mode))
		return;
	/* Whoever has thousands of them does not use up the descriptors of all. */
	if (job->lost_count == PROCESS_LOST_MAX) {
		job->lost_more = true;
		return;
	}
	fd = triage_open_quiet(job->t, job->dirfd, via, QUIET_MAGIC, NULL, &reason);
	if (fd >= 0)
		process_lose(job, fd, what, st->stx_dev_major, st->stx_dev_minor,
			     st->stx_ino, path, len);
	else
		process_unread_for(job, via, reason, errno);
}

static void judge_exe(struct process_job *job, const struct statx *st, const char *path,
		      size_t len, bool deleted)
{
	static const char *const temporary[] = { "/tmp/", "/var/tmp/", "/dev/shm/",
						 "/run/user/" };
	bool memfd = is_memfd(path, st->stx_nlink);
	char shown[200];

	triage_shown(path, len, shown, sizeof(shown));
	if (memfd)
		process_find(job, "memfd_executable", SEVERITY_HIGH, "exe", shown,
			     "process %d runs from memory alone: %s", job->pid, shown);
	else if (deleted)
		process_find(job, "deleted_executable", SEVERITY_MEDIUM, "exe", shown,
			     "process %d runs a file that was deleted or replaced: %s",
			     job->pid, shown);
	for (size_t i = 0; i < sizeof(temporary) / sizeof(temporary[0]); i++)
		if (strncmp(path, temporary[i], strlen(temporary[i])) == 0)
			process_find(job, "executable_in_temporary_directory",
				     SEVERITY_MEDIUM, "exe", shown,
				     "process %d runs a program from a directory "
				     "for temporary files: %s",
				     job->pid, shown);
	if (memfd || deleted)
		keep(job, "exe", memfd ? "memfd" : "exe", st, path, len);
}

static void add_file(struct process_job *job, struct json_node *node,
		     const struct statx *st)
{
	char mode[12];

	triage_add_dev(job->doc, node, "dev", st->stx_dev_major, st->stx_dev_minor);
	json_add_u64(job->doc, node, "inode", st->stx_ino);
	json_add_u64(job->doc, node, "nlink", st->stx_nlink);
	snprintf(mode, sizeof(mode), "%07o", st->stx_mode);
	json_add_str(job->doc, node, "mode", mode);
	json_add_u64(job->doc, node, "uid", st->stx_uid);
	json_add_u64(job->doc, node, "gid", st->stx_gid);
	json_add_u64(job->doc, node, "size", st->stx_size);
}

void process_read_exe(struct process_job *job)
{
	struct json_node *node;
	struct statx st = { 0 };
	struct known_file *file;
	bool deleted, stated;
	size_t len;
	int rc;

	if (process_skips(job, STEP_EXE))
		return;
	process_begin_step(job, STEP_EXE);
	rc = procfile_link(job->dirfd, "exe", &job->link);
	if (rc) {
		process_begin_step(job, STEP_NONE);
		/* A zombie has none any more. */
		if (rc != ENOENT || job->stat.state != 'Z')
			process_unread(job, "exe", rc);
		return;
	}
	stated = statx(job->dirfd, "exe", STAT_FLAGS, STATX_BASIC_STATS, &st) == 0;
	process_begin_step(job, STEP_NONE);
	len = job->link.len_bytes;
	node = json_add_object(job->doc, job->root, "exe");
	if (!stated) {
		triage_add_text(job->doc, node, "path", job->link.data, len);
		return;
	}
	deleted = is_deleted(job, job->link.data, &len, &st);
	triage_add_text(job->doc, node, "path", job->link.data, len);
	json_add_bool(job->doc, node, "deleted", deleted);
	json_add_bool(job->doc, node, "memfd", is_memfd(job->link.data, st.stx_nlink));
	add_file(job, node, &st);
	file = remember(job, &st, job->link.data, len, FILE_ROLE_EXE, "exe");
	if (file)
		file->deleted = deleted;
	add_hash(job, node, &st, file);
	job->exe_inode = st.stx_ino;
	judge_exe(job, &st, job->link.data, len, deleted);
}

static const char *kind_of(const char *target, const struct statx *st, bool stated)
{
	if (strncmp(target, "socket:[", 8) == 0)
		return "socket";
	if (strncmp(target, "pipe:[", 6) == 0)
		return "pipe";
	if (strncmp(target, "anon_inode:", 11) == 0)
		return "anon";
	if (!stated)
		return target[0] == '/' ? "file" : "anon";
	if (is_memfd(target, st->stx_nlink))
		return "memfd";
	return S_ISREG(st->stx_mode)				? "file"
	       : S_ISDIR(st->stx_mode)				? "directory"
	       : S_ISFIFO(st->stx_mode)				? "pipe"
	       : S_ISSOCK(st->stx_mode)				? "socket"
	       : S_ISCHR(st->stx_mode) || S_ISBLK(st->stx_mode) ? "device"
								: "anon";
}

/* flags and pos of fdinfo. */
static void add_fdinfo(struct process_job *job, struct json_node *node, const char *name)
{
	char path[32], flags[16];
	const char *at;

	snprintf(path, sizeof(path), "fdinfo/%s", name);
	if (procfile_read_single(job->dirfd, path, 4096, &job->text) != 0)
		return;
	at = strstr(job->text.data, "flags:\t");
	if (at) {
		snprintf(flags, sizeof(flags), "%.*s", (int)strspn(at + 7, "01234567"),
			 at + 7);
		json_add_str(job->doc, node, "flags", flags);
	}
	at = strstr(job->text.data, "pos:\t");
	if (at)
		json_add_u64(job->doc, node, "offset", strtoull(at + 5, NULL, 10));
}

static void add_fd_file(struct process_job *job, struct json_node *node, const char *via,
			const struct statx *st)
{
	const char *path = job->link.data;
	size_t len = job->link.len_bytes;
	bool deleted = is_deleted(job, path, &len, st);
	struct known_file *file;

	triage_add_dev(job->doc, node, "dev", st->stx_dev_major, st->stx_dev_minor);
	if (deleted)
		json_add_bool(job->doc, node, "deleted", true);
	if (!S_ISREG(st->stx_mode))
		return;
	file = remember(job, st, path, len, FILE_ROLE_FD, via);
	if (file)
		file->deleted = deleted;
	if (is_memfd(path, st->stx_nlink))
		keep(job, via, "memfd", st, path, len);
}

static void read_fd(struct process_job *job, struct json_node *list, const char *name)
{
	struct statx st = { 0 };
	struct json_node *node;
	bool stated = false;
	const char *kind;
	uint64_t inode;
	char via[32];

	snprintf(via, sizeof(via), "fd/%s", name);
	if (procfile_link(job->dirfd, via, &job->link) != 0)
		return;
	inode = procfile_inode_of(job->link.data);
	if (strncmp(job->link.data, "socket:[", 8) == 0) {
		census_add_owner(&job->part, inode, job->pid, (int32_t)atoi(name));
	} else if (strncmp(job->link.data, "net:[", 5) == 0) {
		/* Nobody may live in it: collect_network() looks into it through this. */
		if (statx(job->dirfd, via, STAT_FLAGS, STATX_BASIC_STATS, &st) == 0)
			(void)remember(job, &st, job->link.data, job->link.len_bytes,
				       FILE_ROLE_FD, via);
	} else if (job->link.data[0] == '/') {
		stated = statx(job->dirfd, via, STAT_FLAGS, STATX_BASIC_STATS, &st) == 0;
	}
	/* All sockets are known; the list in the record ends somewhere. */
	if (!list)
		return;
	kind = kind_of(job->link.data, &st, stated);
	node = json_add_object(job->doc, list, NULL);
	json_add_u64(job->doc, node, "fd", strtoul(name, NULL, 10));
	triage_add_text(job->doc, node, "target", job->link.data, job->link.len_bytes);
	json_add_str(job->doc, node, "kind", kind);
	if (stated)
		inode = st.stx_ino;
	if (inode)
		json_add_u64(job->doc, node, "inode", inode);
	if (stated)
		add_fd_file(job, node, via, &st);
	add_fdinfo(job, node, name);
}

static void add_sockets(struct process_job *job)
{
	struct json_node *list;

	if (!job->part.owner_count)
		return;
	list = json_add_array(job->doc, job->root, "sockets");
	for (size_t i = 0; i < job->part.owner_count && i < LISTED_FDS_MAX; i++)
		json_add_u64(job->doc, list, NULL, job->part.owners[i].inode);
}

void process_read_fds(struct process_job *job)
{
	struct json_node *list;
	struct dirent *entry;
	size_t count = 0;
	DIR *dir = NULL;
	int fd;

	if (process_skips(job, STEP_FDS))
		return;
	process_begin_step(job, STEP_FDS);
	fd = openat(job->dirfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		dir = fdopendir(fd);
	if (!dir) {
		process_unread(job, "fd", errno);
		io_close(&fd);
		process_begin_step(job, STEP_NONE);
		return;
	}
	list = json_add_array(job->doc, job->root, "fds");
	while (errno = 0, (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		process_begin_step(job, STEP_FDS);
		read_fd(job, count++ < LISTED_FDS_MAX ? list : NULL, entry->d_name);
	}
	/* Who may not look gets an empty list, and one who dies no further names. */
	if (errno)
		process_unread(job, "fd", errno);
	else
		job->person.fds_read = true;
	process_begin_step(job, STEP_NONE);
	closedir(dir);
	if (count > LISTED_FDS_MAX)
		json_add_bool(job->doc, job->root, "fds_truncated", true);
	add_sockets(job);
}

/* One mapped file of the process: several lines of maps. */
struct mapped {
	struct procmap first;
	uint64_t bytes;
	bool exec;
};

static void add_mapped(struct process_job *job, struct json_node *list,
		       const struct mapped *mapped)
{
	const struct procmap *map = &mapped->first;
	struct json_node *node = json_add_object(job->doc, list, NULL);
	struct known_file *file;
	struct statx st = { 0 };
	size_t len = map->path_len;
	bool marked = process_strip_deleted(map->path, &len);
	bool library = mapped->exec && map->inode != job->exe_inode;
	char via[48], shown[160];

	triage_add_text(job->doc, node, "path", map->path, len);
	triage_add_dev(job->doc, node, "dev", map->major, map->minor);
	json_add_u64(job->doc, node, "inode", map->inode);
	json_add_bool(job->doc, node, "exec", mapped->exec);
	json_add_u64(job->doc, node, "bytes", mapped->bytes);
	if (marked)
		json_add_bool(job->doc, node, "deleted", true);
	if (marked && strncmp(map->path, "/memfd:", 7) == 0)
		json_add_bool(job->doc, node, "memfd", true);
	if (!library)
		return;
	snprintf(via, sizeof(via), "map_files/%" PRIx64 "-%" PRIx64, map->start,
		 map->end);
	/* The line says which file it is. */
	st.stx_dev_major = map->major;
	st.stx_dev_minor = map->minor;
	st.stx_ino = map->inode;
	file = remember(job, &st, map->path, len, FILE_ROLE_LIBRARY, via);
	if (file)
		file->deleted = marked;
	if (!marked)
		return;
	triage_shown(map->path, len, shown, sizeof(shown));
	process_find(job, "deleted_library", SEVERITY_MEDIUM, "maps", shown,
		     "process %d runs code of a file that was deleted or replaced: %s",
		     job->pid, shown);
	if (statx(job->dirfd, via, STAT_FLAGS, STATX_BASIC_STATS, &st) == 0)
		keep(job, via, "library", &st, map->path, len);
	else
		process_unread(job, "map_files", errno);
}

struct mapping {
	struct mapped *files;
	size_t count, last;
	uint64_t lines, bytes;
	bool truncated;
	struct procmap anonymous_exec[LISTED_EXEC_MAX];
	uint64_t anonymous_exec_count;
};

static void take_file(struct mapping *all, const struct procmap *map)
{
	struct mapped *file = all->count ? &all->files[all->last] : NULL;

	if (!file || file->first.inode != map->inode || file->first.major != map->major ||
	    file->first.minor != map->minor) {
		for (all->last = 0; all->last < all->count; all->last++) {
			file = &all->files[all->last];
			if (file->first.inode == map->inode &&
			    file->first.major == map->major &&
			    file->first.minor == map->minor)
				break;
		}
		if (all->last == all->count) {
			if (all->count == LISTED_MAPS_MAX) {
				all->last = 0;
				all->truncated = true;
				return;
			}
			file = &all->files[all->count++];
			*file = (struct mapped){ .first = *map };
		}
	}
	file->bytes += map->end - map->start;
	file->exec = file->exec || map->perms[2] == 'x';
}

/* Memory that runs and that no file stands behind: compilers at run time make it, and
 * those who inject code. */
static void take_anonymous(struct mapping *all, const struct procmap *map)
{
	static const char *const known[] = { "[heap]", "[stack", "[anon" };
	bool special = map->path_len && map->path[0] == '[';

	/* [vdso] and the like are the kernel's. */
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (map->path_len >= strlen(known[i]) &&
		    memcmp(map->path, known[i], strlen(known[i])) == 0)
			special = false;
	if (map->perms[2] != 'x' || special)
		return;
	if (all->anonymous_exec_count < LISTED_EXEC_MAX)
		all->anonymous_exec[all->anonymous_exec_count] = *map;
	all->anonymous_exec_count++;
}

static void add_anonymous(struct process_job *job, struct json_node *in,
			  const struct mapping *all)
{
	struct json_node *list = json_add_array(job->doc, in, "anonymous_exec");

	for (size_t i = 0; i < all->anonymous_exec_count && i < LISTED_EXEC_MAX; i++) {
		const struct procmap *map = &all->anonymous_exec[i];
		struct json_node *node = json_add_object(job->doc, list, NULL);

		triage_add_hex(job->doc, node, "start", map->start);
		triage_add_hex(job->doc, node, "end", map->end);
		json_add_str(job->doc, node, "perms", map->perms);
	}
	json_add_u64(job->doc, in, "anonymous_exec_count", all->anonymous_exec_count);
	process_find(job, "anonymous_executable_memory", SEVERITY_LOW, NULL, NULL,
		     "process %d has %" PRIu64
		     " areas of executable memory that no file stands behind",
		     job->pid, all->anonymous_exec_count);
}

static void add_maps(struct process_job *job, struct mapping *all)
{
	struct json_node *node = json_add_object(job->doc, job->root, "maps"), *list;

	json_add_u64(job->doc, node, "count", all->lines);
	json_add_u64(job->doc, node, "bytes", all->bytes);
	list = json_add_array(job->doc, node, "files");
	for (size_t i = 0; i < all->count; i++)
		add_mapped(job, list, &all->files[i]);
	if (all->truncated || job->text.truncated)
		json_add_bool(job->doc, node, "truncated", true);
	if (all->anonymous_exec_count)
		add_anonymous(job, node, all);
}

void process_read_maps(struct process_job *job)
{
	struct mapping all = { 0 };
	struct procmap map;
	const char *at, *end;
	int rc, more;

	if (process_skips(job, STEP_MAPS))
		return;
	process_begin_step(job, STEP_MAPS);
	rc = procfile_read(job->dirfd, "maps", MAPS_MAX, &job->text);
	if (rc) {
		process_begin_step(job, STEP_NONE);
		process_unread(job, "maps", rc);
		return;
	}
	if (!job->mapped)
		job->mapped = malloc(LISTED_MAPS_MAX * sizeof(*job->mapped));
	all.files = job->mapped;
	at = job->text.data;
	end = at + job->text.len_bytes;
	while (all.files && (more = procmaps_next(&at, end, &map)) != 0) {
		if (more < 0)
			continue;
		all.lines++;
		all.bytes += map.end - map.start;
		if (map.inode)
			take_file(&all, &map);
		else
			take_anonymous(&all, &map);
	}
	add_maps(job, &all);
	process_begin_step(job, STEP_NONE);
}
