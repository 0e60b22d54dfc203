/* The kernel itself, out of its image package. */
#ifndef FVOL_KMODS_IMAGE_H
#define FVOL_KMODS_IMAGE_H

#include <stddef.h>

#include "kmods/lock.h"
#include "toolkit/lib/err.h"

/*
 * Reads what a machine boots (vmlinuz) out of kernel's verified image package into memory
 * that the caller frees. The package is read no further than that: most of it are
 * modules.
 */
int image_read(const struct kernel *kernel, const char *packages, unsigned char **data,
	       size_t *len_bytes, struct err *err);

/*
 * The same for the System.map beside it; *text is NULL when the package has none. It may
 * be a packager's note that it is elsewhere (Debian).
 */
int image_read_map(const struct kernel *kernel, const char *packages, char **text,
		   size_t *len_bytes, struct err *err);

#endif
