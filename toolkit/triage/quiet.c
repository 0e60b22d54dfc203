#include "toolkit/triage/quiet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "toolkit/lib/clock.h"
#include "toolkit/lib/io.h"
#include "toolkit/triage/mountkind.h"
#include "toolkit/triage/watch.h"

/* As many symbolic links as the kernel follows (MAXSYMLINKS). */
#define LINKS_MAX 40
#define DAY_S (24 * 60 * 60)
#define MARGIN_S 60 /* of doubt in it */

#ifndef STATX_ATTR_AUTOMOUNT /* musl */
#define STATX_ATTR_AUTOMOUNT 0x1000
#endif

/* Not all of them stand in every linux/magic.h. */
#define MAGIC_NFS 0x6969
#define MAGIC_SMB 0x517b
#define MAGIC_CIFS 0xff534d42
#define MAGIC_SMB2 0xfe534d42
#define MAGIC_AFS 0x5346414f
#define MAGIC_KAFS 0x6b414653
#define MAGIC_CODA 0x73757245
#define MAGIC_CEPH 0x00c36400
#define MAGIC_9P 0x01021997
#define MAGIC_FUSE 0x65735546
#define MAGIC_LUSTRE 0x0bd00bd0
#define MAGIC_GPFS 0x47504653

static bool asks_others(uint32_t type)
{
	static const uint32_t types[] = {
		MAGIC_NFS,  MAGIC_SMB,	MAGIC_CIFS, MAGIC_SMB2, MAGIC_AFS,    MAGIC_KAFS,
		MAGIC_CODA, MAGIC_CEPH, MAGIC_9P,   MAGIC_FUSE, MAGIC_LUSTRE, MAGIC_GPFS,
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i] == type)
			return true;
	return false;
}

/* What is known of it here: no server is asked whether that still holds. */
static int known_of(int fd, struct statx *st)
{
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
		     STATX_BASIC_STATS | STATX_BTIME, st);
}

/* Where the table of mounts does not tell: sub-volumes have devices of their own, and so
 * have the mounts of others. -1 with errno. */
static int kind_by_magic(int fd, const struct statx *st, enum mount_kind *kind)
{
	struct statfs fs;

	*kind = MOUNT_LOCAL;
	if (st->stx_dev_major)
		return 0;
	if (fstatfs(fd, &fs) < 0)
		return -1;
	if ((uint32_t)fs.f_type == AUTOFS_SUPER_MAGIC)
		*kind = MOUNT_AUTOFS;
	else if (asks_others((uint32_t)fs.f_type))
		*kind = MOUNT_OTHERS;
	return 0;
}

/*
 * May what is below this file or directory be looked up and read? fd is of O_PATH, which
 * mounts nothing on a directory that waits for it (open(2)). 0 with *st filled, or -1
 * with errno.
 */
static int check_place(const struct triage *t, int fd, struct statx *st,
		       enum triage_reason *reason)
{
	enum mount_kind kind;
	struct statx root;
	bool waits;

	watch_alive();
	if (known_of(fd, st) < 0)
		return -1;
	kind = mount_kind_of(t, st->stx_dev_major, st->stx_dev_minor);
	if (kind == MOUNT_UNKNOWN && kind_by_magic(fd, st, &kind) < 0)
		return -1;
	waits = kind == MOUNT_AUTOFS || st->stx_attributes & STATX_ATTR_AUTOMOUNT;
	if (kind == MOUNT_LOCAL && !waits)
		return 0;
	/* A hypervisor shares the very root (virtiofs, 9p): the host's disk. */
	if (!waits && known_of(t->rootfd, &root) == 0 &&
	    root.stx_dev_major == st->stx_dev_major &&
	    root.stx_dev_minor == st->stx_dev_minor)
		return 0;
	*reason = REASON_WOULD_CHANGE_HOST;
	errno = EREMOTE;
	return -1;
}

static bool is_root(const struct triage *t, int fd)
{
	struct statx here, root;

	return known_of(fd, &here) == 0 && known_of(t->rootfd, &root) == 0 &&
	       here.stx_ino == root.stx_ino && here.stx_dev_major == root.stx_dev_major &&
	       here.stx_dev_minor == root.stx_dev_minor;
}

static bool before_or_same(const struct statx_timestamp *a,
			   const struct statx_timestamp *b)
{
	return a->tv_sec < b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec <= b->tv_nsec);
}

/*
 * Does reading leave the access time alone, because of how this is mounted? With relatime
 * it does when the time is younger than a day and than the last change (fs/inode.c,
 * relatime_need_update()).
 */
static bool keeps_time(int fd, const struct statx *st)
{
	unsigned long none = ST_NOATIME | ST_RDONLY;
	struct statfs fs;
	unsigned long mount;

	if (S_ISDIR(st->stx_mode))
		none |= ST_NODIRATIME;
	if (fstatfs(fd, &fs) < 0)
		return false;
	mount = (unsigned long)fs.f_flags;
	if (mount & none)
		return true;
	return mount & ST_RELATIME && !before_or_same(&st->stx_atime, &st->stx_mtime) &&
	       !before_or_same(&st->stx_atime, &st->stx_ctime) &&
	       clock_ns(CLOCK_REALTIME) / 1000000000 - st->stx_atime.tv_sec <
		       DAY_S - MARGIN_S;
}

struct walk {
	const struct triage *t;
	int fd; /* the directory come to; to be closed when it is not the first */
	bool own;
	unsigned links;
	char rest[2 * PATH_MAX]; /* what is still to be walked */
	char *at;
};

static void step_to(struct walk *walk, int fd, bool own)
{
	if (walk->own)
		close(walk->fd);
	walk->fd = fd;
	walk->own = own;
}

/* readlink(2) moves the access time of the link; there is no O_NOATIME for it. */
static ssize_t read_link(struct walk *walk, const char *name, char *target, size_t size,
			 enum triage_reason *reason)
{
	int fd = openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), saved;
	struct statx st;
	ssize_t len = -1;

	if (fd < 0)
		return -1;
	if (known_of(fd, &st) == 0) {
		if (!S_ISLNK(st.stx_mode)) {
			errno = ENOTDIR;
		} else if (!keeps_time(fd, &st)) {
			*reason = REASON_WOULD_CHANGE_HOST;
			errno = EPERM;
		} else {
			len = readlinkat(fd, "", target, size);
		}
	}
	saved = errno;
	close(fd);
	errno = saved;
	return len;
}

/* Puts a link's target in front of what follows it. */
static int follow(struct walk *walk, const char *name, const char *after,
		  enum triage_reason *reason)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t len = read_link(walk, name, target, sizeof(target) - 1, reason);

	if (len < 0)
		return -1;
	target[len] = '\0';
	if (++walk->links > LINKS_MAX) {
		errno = ELOOP;
		return -1;
	}
	if (strlen(after) >= sizeof(rest)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(rest, after);
	snprintf(walk->rest, sizeof(walk->rest), "%s%s%s", target, *rest ? "/" : "",
		 rest);
	walk->at = walk->rest;
	return 0;
}

/*
 * Walks to the directory that holds the last component and leaves that in walk->at ("."
 * when there is none). 0, or -1 with errno.
 */
static int walk_to_last(struct walk *walk, enum triage_reason *reason)
{
	struct statx here;

	for (;;) {
		char *name, *after;
		int fd;

		if (*walk->at == '/')
			step_to(walk, walk->t->rootfd, false);
		walk->at += strspn(walk->at, "/");
		name = walk->at;
		after = name + strcspn(name, "/");
		if (!after[strspn(after, "/")]) {
			*after = '\0';
			if (!*name || strcmp(name, "..") == 0)
				break;
			return 0;
		}
		*after++ = '\0';
		after += strspn(after, "/");
		walk->at = after;
		if (strcmp(name, "..") == 0 && is_root(walk->t, walk->fd))
			continue;
		fd = openat(walk->fd, name,
			    O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && errno == ENOTDIR && follow(walk, name, after, reason) == 0)
			continue;
		if (fd < 0)
			return -1;
		step_to(walk, fd, true);
		if (check_place(walk->t, fd, &here, reason) < 0)
			return -1;
	}
	if (*walk->at && !is_root(walk->t, walk->fd)) {
		int fd = openat(walk->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			return -1;
		step_to(walk, fd, true);
	}
	strcpy(walk->rest, ".");
	walk->at = walk->rest;
	return 0;
}

static bool is_still(const struct statx *before, const struct stat *after)
{
	return before->stx_ino == after->st_ino &&
	       before->stx_dev_major == major(after->st_dev) &&
	       before->stx_dev_minor == minor(after->st_dev);
}

/*
 * Opens what pathfd, of O_PATH, is already: by the same name, and it must be the same
 * file still; a directory by ".", which nothing can be mounted on in between.
 */
static int open_same(const struct triage *t, int pathfd, int dirfd, const char *name,
		     unsigned flags, struct stat *st, enum triage_reason *reason)
{
	int how = O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, fd;
	struct statx before;
	struct stat after;

	if (check_place(t, pathfd, &before, reason) < 0)
		return -1;
	if (flags & QUIET_DIRECTORY ? !S_ISDIR(before.stx_mode)
				    : !S_ISREG(before.stx_mode)) {
		errno = S_ISDIR(before.stx_mode)   ? EISDIR
			: S_ISLNK(before.stx_mode) ? ELOOP
			: flags & QUIET_DIRECTORY  ? ENOTDIR
						   : EINVAL;
		return -1;
	}
	if (flags & QUIET_DIRECTORY) {
		how |= O_DIRECTORY;
		dirfd = pathfd;
		name = ".";
	} else if (!(flags & QUIET_MAGIC)) {
		how |= O_NOFOLLOW;
	}
	fd = openat(dirfd, name, how | O_NOATIME);
	if (fd < 0 && errno == EPERM) {
		if (!keeps_time(pathfd, &before)) {
			*reason = REASON_WOULD_CHANGE_HOST;
			errno = EPERM;
			return -1;
		}
		fd = openat(dirfd, name, how);
	}
	if (fd < 0)
		return -1;
	if (fstat(fd, &after) < 0 || !is_still(&before, &after)) {
		close(fd);
		errno = ESTALE;
		return -1;
	}
	if (st)
		*st = after;
	return fd;
}

/* The last component by O_PATH, through symbolic links where that is wanted. */
static int find_last(struct walk *walk, unsigned flags, enum triage_reason *reason)
{
	for (;;) {
		struct statx link;
		int fd;

		if (walk_to_last(walk, reason) < 0)
			return -1;
		fd = openat(walk->fd, walk->at, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || !(flags & QUIET_FOLLOW) || known_of(fd, &link) < 0 ||
		    !S_ISLNK(link.stx_mode))
			return fd;
		close(fd);
		if (follow(walk, walk->at, "", reason) < 0)
			return -1;
	}
}

static int begin_walk(struct walk *walk, const struct triage *t, int dirfd,
		      const char *path)
{
	walk->t = t;
	walk->fd = dirfd;
	walk->own = false;
	walk->links = 0;
	walk->at = walk->rest;
	if (strlen(path) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(walk->rest, path);
	return 0;
}

static void close_keeping_errno(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
}

static void end_walk(struct walk *walk)
{
	close_keeping_errno(walk->own ? walk->fd : -1);
}

int triage_open_quiet(const struct triage *t, int dirfd, const char *path, unsigned flags,
		      struct stat *st, enum triage_reason *reason)
{
	enum triage_reason why = REASON_COUNT;
	int fd = -1, pathfd = -1;
	struct walk walk;

	if (flags & QUIET_MAGIC) {
		pathfd = openat(dirfd, path, O_PATH | O_CLOEXEC);
		if (pathfd >= 0)
			fd = open_same(t, pathfd, dirfd, path, flags, st, &why);
	} else if (begin_walk(&walk, t, dirfd, path) == 0) {
		pathfd = find_last(&walk, flags, &why);
		if (pathfd >= 0)
			fd = open_same(t, pathfd, walk.fd, walk.at, flags, st, &why);
		end_walk(&walk);
	}
	close_keeping_errno(pathfd);
	watch_alive();
	if (fd < 0)
		*reason = why != REASON_COUNT ? why : triage_reason_of(t, errno);
	return fd;
}

int triage_stat_quiet(const struct triage *t, int dirfd, const char *path, unsigned flags,
		      struct statx *st, enum triage_reason *reason)
{
	enum triage_reason why = REASON_COUNT;
	struct walk walk;
	int fd = -1, rc = -1;

	if (begin_walk(&walk, t, dirfd, path) == 0) {
		fd = find_last(&walk, flags, &why);
		rc = fd < 0 ? -1 : known_of(fd, st);
		close_keeping_errno(fd);
		end_walk(&walk);
	}
	watch_alive();
	if (rc < 0)
		*reason = why != REASON_COUNT ? why : triage_reason_of(t, errno);
	return rc;
}

ssize_t triage_read_quiet(const struct triage *t, int dirfd, const char *path,
			  unsigned flags, char *buf, size_t size, struct stat *st,
			  enum triage_reason *reason)
{
	int fd = triage_open_quiet(t, dirfd, path, flags, st, reason), saved;
	size_t len = 0;
	ssize_t n;
	char more;

	if (fd < 0)
		return -1;
	do {
		n = len < size - 1 ? read(fd, buf + len, size - 1 - len)
				   : read(fd, &more, 1);
		if (n > 0 && len == size - 1) {
			n = -1;
			errno = EFBIG;
		} else if (n > 0) {
			len += (size_t)n;
		}
	} while (n > 0 || (n < 0 && errno == EINTR));
	buf[len] = '\0';
	saved = errno;
	io_close(&fd);
	errno = saved;
	if (n < 0) {
		*reason = triage_reason_of(t, errno);
		return -1;
	}
	return (ssize_t)len;
}
