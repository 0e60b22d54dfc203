/* The lines of /proc/PID/maps (Linux Documentation/filesystems/proc.rst). */
#ifndef FVOL_PROCMAPS_H
#define FVOL_PROCMAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct procmap {
	uint64_t start, end, off_bytes, inode;
	char perms[5]; /* "r-xp" */
	uint32_t major, minor;
	const char *path; /* in the text; newlines in it are "\012" there */
	size_t path_len;  /* 0: anonymous */
};

/*
 * Takes the line at *at, which moves behind it. Returns 1, 0 at the end of the text, or
 * -1 for a line that the kernel would not write (*at is behind it as well).
 */
int procmaps_next(const char **at, const char *end, struct procmap *map);

#endif
