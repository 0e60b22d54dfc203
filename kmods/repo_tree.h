/*
 * A kernel build tree, /lib/modules/X/build: headers as they stand on this machine, not
 * in a package.
 */
#ifndef FVOL_KMODS_REPO_TREE_H
#define FVOL_KMODS_REPO_TREE_H

#include <stdint.h>

#include "kmods/catalogue.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

/*
 * The SHA-256 of a directory: over a line for each file below it (its mode's x, name and
 * SHA-256) and each symbolic link (its text, which is not followed), sorted by name. The
 * directory itself may be a link. size_bytes receives the sum of the files. Whoever
 * builds from a tree compares this with the lock line. Returns 0 or -1.
 */
int tree_digest(const char *path, char sha256[SHA256_HEX_SIZE], uint64_t *size_bytes,
		struct err *err);

#endif
