/*
 * The lock file: which packages, to the byte, each kernel's module is built from. One
 * line a package:
 *   role arch release package version sha256 size origin [successor]
 * The last word marks a package that stands in for a pinned one which has vanished.
 *
 * Roles by kind of kernel:
 *   Debian   headers, common, kbuild (programs that run here), image
 *   Ubuntu   headers (with the programs), common, image; for aarch64 kbuild: the same
 *            headers for amd64, for their programs
 *   Red Hat  headers (kernel-devel: usr/src/kernels/RELEASE), image (kernel,
 * kernel-core); for aarch64 kbuild: the same kernel-devel for x86_64, for its programs
 *   SUSE     headers (kernel-FLAVOUR-devel: usr/src/linux-V-obj/ARCH/FLAVOUR), common
 *            (kernel-devel: usr/src/linux-V), image; kbuild as above
 *   tree     tree alone: a directory /lib/modules/X/build as it stands on this machine.
 *            Origin is its path, sha256 what tree_digest() makes of it (repo_tree.h)
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

#define LOCK_ORIGIN_SIZE 512

enum lock_role { LOCK_HEADERS, LOCK_COMMON, LOCK_KBUILD, LOCK_IMAGE, LOCK_TREE };

struct lock_package {
	enum lock_role role;
	const struct arch *arch;
	char release[MODULE_RELEASE_SIZE];
	struct package package;
	uint64_t size_bytes;
	/*
	 * Where it is to be had: an address, an absolute path, or a path below the
	 * archives of the machine's apt.
	 */
	char origin[LOCK_ORIGIN_SIZE];
	char file[128]; /* the last component of the origin */
	bool successor;
};

struct lock {
	struct lock_package *packages; /* sorted by architecture, release, role, name */
	size_t count;
};

/* Whose way to lay out a kernel's packages it is. */
enum kernel_kind {
	KERNEL_DEBIAN,
	KERNEL_UBUNTU,
	KERNEL_REDHAT,
	KERNEL_SUSE,
	KERNEL_TREE
};

/* What a module of one kernel is built from; the packages belong to the lock. */
struct kernel {
	const struct arch *arch;
	const char *release;
	const struct lock_package *packages[MODULE_PACKAGES_MAX]; /* no images */
	size_t package_count;
	bool locked; /* none of them is a successor */
	enum kernel_kind kind;
	const struct lock_package *image; /* the kernel itself; NULL when not listed */
};

/* Reads and checks a lock file; lock_free() afterwards, also on failure. */
int lock_read(const char *path, struct lock *lock, struct err *err);
void lock_free(struct lock *lock);

/*
 * Adds a copy of one package; lock_sort() when all are there. Returns 0 or -1.
 */
int lock_add(struct lock *lock, const struct lock_package *package, struct err *err);
/* By architecture, release, role and name; what stands twice is left once. */
void lock_sort(struct lock *lock);

/*
 * Writes path at once or not at all, head (comment lines, or NULL) before the packages. A
 * file that has these bytes already is left alone, with its time; *changed tells, when
 * not NULL. Returns 0 or -1.
 */
int lock_write(const char *path, const char *head, const struct lock *lock, bool *changed,
	       struct err *err);

/*
 * The comment lines that a lock file begins with, as memory that the caller frees; NULL
 * when there is no file.
 */
char *lock_head(const char *path);

/* Whether two packages are of the same kernel. */
bool lock_same_kernel(const struct lock_package *a, const struct lock_package *b);

/* Whether a word may stand in a lock file, as the name of a file too. */
bool lock_plain(const char *word);

/*
 * The kernels of a lock, in its order, as an array that the caller frees. A kernel
 * without exactly one headers package (or one tree and nothing else) is an error. Images
 * alone are no kernel. Returns 0 or -1.
 */
int lock_kernels(const struct lock *lock, struct kernel **kernels, size_t *count,
		 struct err *err);

/* The package that has this file name, or NULL. */
const struct lock_package *lock_find(const struct lock *lock, const char *file);

#endif
