/*
 * One module for one kernel: unpack its packages, run the kernel's own makefiles on the
 * LiME source, strip, read back what came out and hold it against the kernel's packages.
 */
#ifndef FVOL_KMODS_KERNEL_H
#define FVOL_KMODS_KERNEL_H

#include <stddef.h>

#include "kmods/catalogue.h"
#include "kmods/lime.h"
#include "kmods/lock.h"
#include "kmods/trees.h"
#include "toolkit/lib/err.h"

#define LIMES_MAX 2
#define ARCHS_MAX 2

struct recipe {
	const struct lime *limes[LIMES_MAX]; /* the best one first */
	size_t lime_count;
	const struct lime *types; /* see kernel_types(); NULL: there is none */
	const char *packages;	  /* directory of the packages */
	const char *tools;	  /* search path of make, compilers and binutils */
	const char *scratch;	  /* absolute, of characters that make leaves alone */
	int scratchfd;		  /* the same; logs are written there */
	int storefd;		  /* results go there */
	const struct trees *trees;
	char program[SHA256_HEX_SIZE]; /* the SHA-256 of this program */
	char pahole[128]; /* what it says of its version; empty: there is none */
	unsigned make_jobs;
	/* What kernel_describe() was told by the tools of an architecture; empty: ask. */
	struct {
		char compiler[128], binutils[128];
	} versions[ARCHS_MAX];
};

/*
 * Fills in what is known before the build: everything but hash, size and what the module
 * says of itself; inputs is its key in the store. Asks the compiler for its version, so a
 * missing one is found here.
 */
int kernel_describe(struct recipe *recipe, const struct kernel *kernel,
		    struct module *module, struct err *err);

/*
 * Builds the module and puts it into the store, with a log SCRATCH/ARCH/RELEASE.log, and
 * fills in the rest of module. When LiME's first version does not compile for this kernel
 * the next one is taken, which module then says. Nothing but the log stays behind.
 */
int kernel_build(const struct recipe *recipe, const struct kernel *kernel,
		 struct module *module, struct err *err);

/*
 * Fills in recipe->pahole. Only kernels without BTF need it: kernel_types() says when it
 * is missing.
 */
void kernel_ask_pahole(struct recipe *recipe);

/* The module of recipe->types. */
#define TYPES_MODULE "fvol_types"

/*
 * Builds that module below the same headers with debugging information, and has the
 * program pahole make BTF of it: the kernel's types, as far as the module names them. The
 * log is SCRATCH/ARCH/RELEASE.types.log; nothing else stays behind. Returns 0 with memory
 * that the caller frees, or -1.
 */
int kernel_types(const struct recipe *recipe, const struct kernel *kernel, char **btf,
		 size_t *len_bytes, struct err *err);

#endif
