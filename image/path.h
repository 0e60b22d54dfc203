/*
 * Which paths may stand on the volume. The same rule holds for the plan that a build
 * reads and for a volume that comes back from a hostile host: a name that breaks the
 * MANIFEST's lines, a terminal or an analyst's directory is refused in both.
 */
#ifndef FVOL_IMAGE_PATH_H
#define FVOL_IMAGE_PATH_H

#include <stddef.h>

#define PATH_NAME_MAX 255 /* ext4's limit for one name, bytes */
#define PATH_LEN_MAX 1024 /* of a whole path below the root, bytes */
#define PATH_DEPTH_MAX 32 /* names in a path */

/*
 * What is wrong with one name of len bytes, which need not end in a NUL: a phrase such
 * as "is empty", or NULL when the name is good.
 */
const char *path_name_fault(const char *name, size_t len);

/* The same for a path of names with single slashes between, none in front. */
const char *path_fault(const char *path);

#endif
