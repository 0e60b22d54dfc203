/*
 * A file system for a guest's memory: the kernel's "newc" cpio archive, uncompressed
 * (Documentation/driver-api/early-userspace/buffer-format.rst).
 */
#ifndef FVOL_KMODS_CPIO_H
#define FVOL_KMODS_CPIO_H

#include <stddef.h>
#include <sys/types.h>

#include "toolkit/lib/err.h"

struct cpio {
	char *data; /* the caller frees it */
	size_t len_bytes, size_bytes;
	unsigned count;
};

/* Adds a regular file of root; the same calls give the same bytes. Returns 0 or -1. */
int cpio_add(struct cpio *cpio, const char *name, mode_t mode, const void *data,
	     size_t len_bytes, struct err *err);

/* Ends the archive. */
int cpio_end(struct cpio *cpio, struct err *err);

#endif
