/*
 * What the kernel's table of mounts says of the volume's mount point, read by ourselves:
 * the host's mount program may have said anything. A mount over the volume, or over a
 * directory of it, would put other files where the checked ones were.
 */
#ifndef FVOL_MOUNTINFO_H
#define FVOL_MOUNTINFO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "toolkit/lib/err.h"

/* A line of the table. */
struct mountinfo_line {
	uint64_t id, parent;
	unsigned major, minor;
	char *root, *point, *options, *type;
	char *source, *super_options; /* "" when they are missing */
};

/*
 * Splits a line without its newline in place: the texts lie in it, the paths and the
 * source with their octals turned back into bytes. Returns false when it is none. Linux
 * Documentation/filesystems/proc.rst 3.5.
 */
bool mountinfo_split(char *line, struct mountinfo_line *out);

/*
 * Reads fd (/proc/self/mountinfo, from its beginning) and checks that exactly one mount
 * stands on point, an absolute path without symbolic links: an ext4 of the disk dev,
 * whole (not a bind mount of a directory in it), with nosuid, nodev and noatime; and that
 * none stands below point. Returns 0, or -1 with ERR_FAILED. Linux
 * Documentation/filesystems/proc.rst 3.5.
 */
int mountinfo_check(int fd, const char *point, dev_t dev, struct err *err);

#endif
