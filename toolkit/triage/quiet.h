/*
 * Opening files of the host so that nothing of it changes by that: no access time moves,
 * nothing is mounted by an automounter on the way, no device or FIFO is opened, and no
 * server or daemon behind a file system is asked.
 */
#ifndef FVOL_TRIAGE_QUIET_H
#define FVOL_TRIAGE_QUIET_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "toolkit/triage/triage.h"

enum {
	QUIET_DIRECTORY = 1, /* a directory, to be listed; a regular file otherwise */
	QUIET_FOLLOW = 2,    /* the last component may be a symbolic link */
	/* path is one of the links of /proc/PID (exe, cwd, fd/3, map_files/…): no name is
	 * looked up behind it, so that deleted files and those of other mount namespaces
	 * open as well. */
	QUIET_MAGIC = 4,
};

/*
 * Opens for reading below dirfd; a path that begins with a slash, or a link that does, is
 * below t->rootfd. Symbolic links before the last component are followed, by us: on each
 * directory it is checked that stepping into it mounts nothing.
 *
 * O_NOATIME is refused to who neither owns the file nor has CAP_FOWNER, and there is none
 * for symbolic links; then a file is read only where its mount keeps no access times, or
 * where with relatime this one would not move. Files of NFS and its like, and of FUSE,
 * are not opened (the server keeps the access time, the daemon may be anybody's) unless /
 * itself is on that very device.
 *
 * Returns a descriptor (O_CLOEXEC, O_NONBLOCK) and fills *st unless that is NULL; or -1
 * with errno and *reason: REASON_WOULD_CHANGE_HOST where the above forbids it.
 */
int triage_open_quiet(const struct triage *t, int dirfd, const char *path, unsigned flags,
		      struct stat *st, enum triage_reason *reason);

/*
 * What statx(2) tells of path, looked up as above (QUIET_FOLLOW is honoured), without any
 * server being asked. 0; or -1 with errno and *reason.
 */
int triage_stat_quiet(const struct triage *t, int dirfd, const char *path, unsigned flags,
		      struct statx *st, enum triage_reason *reason);

/*
 * Reads a regular file so opened. At most size - 1 bytes, and a NUL that is not counted
 * after them; more is EFBIG with buf filled as far as it goes. Returns the count, or -1
 * with errno and *reason as above; st as above.
 */
ssize_t triage_read_quiet(const struct triage *t, int dirfd, const char *path,
			  unsigned flags, char *buf, size_t size, struct stat *st,
			  enum triage_reason *reason);

#endif
