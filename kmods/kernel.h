/*
 * One module for one kernel: unpack its packages, run the kernel's own makefiles on the
 * LiME source, strip, and read back what came out.
 */
#ifndef FVOL_KMODS_KERNEL_H
#define FVOL_KMODS_KERNEL_H

#include <stddef.h>

#include "kmods/catalogue.h"
#include "kmods/lime.h"
#include "kmods/lock.h"
#include "toolkit/lib/err.h"

/* No package is larger: linux-image with all its modules has about 70 MiB. */
#define PACKAGE_BYTES_MAX (256u << 20)

struct recipe {
	const struct lime *lime;
	const char *packages; /* directory of the packages */
	const char *tools;    /* search path of make, compilers and binutils */
	const char
		*scratch; /* absolute, without links, of characters make leaves alone */
	unsigned make_jobs;
};

/*
 * Fills in what is known before the build: everything but hash, size and what the module
 * says of itself. Asks the compiler for its version, so a missing one is found here.
 */
int kernel_describe(const struct recipe *recipe, const struct kernel *kernel,
		    struct module *module, struct err *err);

/*
 * Builds in SCRATCH/ARCH/RELEASE (what was there is removed) with a log beside it,
 * SCRATCH/ARCH/RELEASE.log, and fills in the rest of module. The result is
 * SCRATCH/ARCH/RELEASE/lime/lime.ko. On failure the directory stays to be looked at.
 */
int kernel_build(const struct recipe *recipe, const struct kernel *kernel, int scratchfd,
		 struct module *module, struct err *err);

/*
 * Reads a package into memory that the caller frees. With sha256 (and size_bytes, when
 * not 0) it must be that one: ERR_NO when it is not.
 */
int package_read(const char *path, const char *sha256, uint64_t size_bytes, char **data,
		 size_t *len_bytes, struct err *err);

#endif
