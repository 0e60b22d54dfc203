/*
 * What changed from one release to the next: files, modes, the file system, and the
 * kernels that there are modules for.
 */
#ifndef FVOL_IMAGE_DIFF_H
#define FVOL_IMAGE_DIFF_H

#include <stdbool.h>
#include <stdio.h>

#include "toolkit/lib/err.h"

/*
 * Verifies both images, as parent_open() does, and prints how the second differs from the
 * first: lines for people, or one JSON document. Returns 0 when they are the same, -1
 * with ERR_NO when not, another kind when one of them could not be read.
 */
int diff_images(const char *first, const char *second, bool json, FILE *out,
		struct err *err);

#endif
