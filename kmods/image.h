/* The kernel itself, out of its image package. */
#ifndef FVOL_KMODS_IMAGE_H
#define FVOL_KMODS_IMAGE_H

#include "kmods/lock.h"
#include "kmods/tree.h"
#include "toolkit/lib/err.h"

/*
 * Unpacks what a machine boots (vmlinuz) of kernel's verified image package below dirfd,
 * and nothing else of its thousands of files; its name there is copied to name.
 */
int image_unpack(const struct kernel *kernel, const char *packages, int dirfd,
		 char name[TREE_PATH_SIZE], struct err *err);

#endif
