/*
 * Unpacked packages that several kernels are built from: each is unpacked once, by
 * whoever comes first, and only read from then on. Most of a build's time went into
 * making the ten thousand files of the common headers, once for each kernel; here it is a
 * third of them, once for all, in memory where the system allows it.
 */
#ifndef FVOL_KMODS_TREES_H
#define FVOL_KMODS_TREES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "kmods/lock.h"
#include "toolkit/lib/err.h"

/* No package is larger: linux-image with all its modules has about 110 MiB. */
#define PACKAGE_BYTES_MAX (256u << 20)

struct trees {
	int fd;		     /* -1: not open */
	char path[PATH_MAX]; /* absolute, without links */
	bool memory; /* of this process and its children alone, and gone with them */
};

/*
 * Opens SCRATCH/trees, empty. With a gibibyte to spare it becomes a file system in
 * memory, in a mount namespace of this process: nothing is left of it, however the
 * process ends. Where the system refuses that it stays a directory. The process must have
 * one thread.
 */
int trees_open(struct trees *trees, int scratchfd, const char *scratch, struct err *err);

/* Empties it, unless it goes by itself, and closes it. */
void trees_close(struct trees *trees);

/* Packages that are unpacked into one directory. */
struct tree_set {
	const struct lock_package *packages[MODULE_PACKAGES_MAX];
	size_t count;
	char name[SHA256_HEX_SIZE]; /* below trees->path: a hash over theirs */
};

/* All packages of a kernel but its own headers, which no other kernel has. */
void tree_set_of(const struct kernel *kernel, struct tree_set *set);

/*
 * Opens the directory of an unpacked set. The first call unpacks what building a module
 * needs of it, verified, and calls finish() on the directory; others wait meanwhile, also
 * in other processes. Returns the descriptor or -1.
 */
int trees_get(const struct trees *trees, const char *packages, const struct tree_set *set,
	      int (*finish)(int dirfd, struct err *err), struct err *err);

/* Removes it when it is there. Nobody may be using it. */
int trees_drop(const struct trees *trees, const struct tree_set *set, struct err *err);

/* Unpacks what building a module needs of one verified package. */
int trees_unpack(const char *packages, const struct lock_package *package, int dirfd,
		 struct err *err);

/*
 * Reads a package into memory that the caller frees. With sha256 (and size_bytes, when
 * not 0) it must be that one: ERR_NO when it is not.
 */
int package_load(const char *path, const char *sha256, uint64_t size_bytes, char **data,
		 size_t *len_bytes, struct err *err);

/* The same for a package of a lock file that stands in the directory packages. */
int package_load_locked(const char *packages, const struct lock_package *package,
			char **data, size_t *len_bytes, struct err *err);

/* Is this file of a kernel's packages needed to build a module? See unpack_select(). */
bool trees_want(const char *path, uint64_t size_bytes);

#endif
