/*
 * Takes a few files out of a Debian or RPM package into memory. Nothing is unpacked to a
 * disk, names are compared and not believed, sizes are bounded. The archive library is
 * included by package.c and by two programs' own rooms.
 */
#ifndef FVOL_PACKAGE_H
#define FVOL_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "toolkit/lib/err.h"

/* A file that is wanted, and what became of it. */
struct package_file {
	/* Patterns of fnmatch(3) with FNM_PATHNAME, without "/" or "./" in front; ended
	 * by NULL. Until the reading ends, a hit by an earlier one replaces one by a
	 * later one. */
	const char *const *patterns;
	size_t max_bytes; /* a larger one is ERR_FAILED */

	unsigned char *data; /* NULL: not found. Freed by the caller, also after errors */
	size_t len;
	size_t pattern; /* which one hit */
	char path[256];
};

/*
 * Reads the package that fd (a regular file, borrowed) begins with from front to end, or
 * until each of the files is found. Returns 0 (see ->data for what
 * was found), or -1 when it is damaged or none of either kind.
 */
int package_read(int fd, struct package_file *files, size_t count, struct err *err);

#endif
