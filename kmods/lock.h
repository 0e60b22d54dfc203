/*
 * The lock file: which packages, to the byte, each kernel's module is built from. One
 * line a package:
 *   role arch release package version sha256 size origin [successor]
 * The last word marks a package that stands in for a pinned one which has vanished.
 */
#ifndef FVOL_KMODS_LOCK_H
#define FVOL_KMODS_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kmods/catalogue.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define LOCK_PACKAGES_MAX 4096

enum lock_role { LOCK_HEADERS, LOCK_COMMON, LOCK_KBUILD, LOCK_IMAGE };

struct lock_package {
	enum lock_role role;
	const struct arch *arch;
	char release[MODULE_RELEASE_SIZE];
	struct package package;
	uint64_t size_bytes;
	char file[128]; /* the last component of the origin */
	bool successor;
};

struct lock {
	struct lock_package *packages; /* sorted by architecture, release, role, name */
	size_t count;
};

/* What a module of one kernel is built from; the packages belong to the lock. */
struct kernel {
	const struct arch *arch;
	const char *release;
	const struct lock_package *packages[MODULE_PACKAGES_MAX]; /* no images */
	size_t package_count;
	bool locked;			  /* none of them is a successor */
	const struct lock_package *image; /* the kernel itself; NULL when not listed */
};

/* Reads and checks a lock file; lock_free() afterwards, also on failure. */
int lock_read(const char *path, struct lock *lock, struct err *err);
void lock_free(struct lock *lock);

/*
 * The kernels of a lock, in its order, as an array that the caller frees. A kernel
 * without exactly one headers package is an error. Returns 0 or -1.
 */
int lock_kernels(const struct lock *lock, struct kernel **kernels, size_t *count,
		 struct err *err);

/* The package that has this file name, or NULL. */
const struct lock_package *lock_find(const struct lock *lock, const char *file);

#endif
