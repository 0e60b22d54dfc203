/*
 * The size of what a volume is read from, before anything of it is believed.
 */
#ifndef FVOL_IMAGE_DEVICE_H
#define FVOL_IMAGE_DEVICE_H

#include <stdint.h>

#include "toolkit/lib/err.h"

/*
 * Sets *size_bytes for a regular file or a block device. Anything else is refused, a pipe
 * among them, whose opening by libext2fs would block.
 */
int device_size(const char *path, uint64_t *size_bytes, struct err *err);

#endif
