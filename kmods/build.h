/*
 * `kmods build`: a module for each kernel of a lock file, and their catalogue.
 */
#ifndef FVOL_KMODS_BUILD_H
#define FVOL_KMODS_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

struct build_options {
	const char *lock;
	const char *packages;
	const char *lime;
	const char *lime_version;
	/* For kernels that the first does not compile for; NULL: none. */
	const char *fallback;
	const char *fallback_version;
	const char *scratch;
	const char *store; /* of results (store.h); NULL: SCRATCH/store */
	const char *out;
	const char *tools;
	bool symbols; /* make symbol files, too; the packages then have the images */
	/* The source of the module that gives the types of kernels without BTF; NULL. */
	const char *types;
	unsigned jobs;
	uint64_t catalogue_version; /* of the catalogue that is written */
};

/*
 * Builds what the store does not have yet, places what it has into out, and leaves alone
 * what is there already. A kernel
 * that fails is reported on stderr and does not stop the others; the error then names all
 * that failed, and the catalogue has the others. Killed at any moment, the catalogue that
 * stays lists only modules that are there, whole. Returns 0 or -1:
 * ERR_GAPS when all modules are there and symbol files are missing. The process must have
 * one thread, and has a mount namespace of its own afterwards (trees.h).
 */
int build_modules(const struct build_options *options, struct err *err);

#endif
