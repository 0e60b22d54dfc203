/*
 * `kmods build`: a module for each kernel of a lock file, and their catalogue.
 */
#ifndef FVOL_KMODS_BUILD_H
#define FVOL_KMODS_BUILD_H

#include <stdint.h>

#include "toolkit/lib/err.h"

struct build_options {
	const char *lock;
	const char *packages;
	const char *lime;
	const char *lime_version;
	const char *scratch;
	const char *out;
	const char *tools;
	unsigned jobs;
	uint64_t catalogue_version; /* of the catalogue that is written */
};

/*
 * Builds what is missing or was made from something else; leaves the rest alone. A kernel
 * that fails is reported on stderr and does not stop the others; the error then names all
 * that failed, and the catalogue has the others. Killed at any moment, the catalogue that
 * stays lists only modules that are there, whole. Returns 0 or -1.
 */
int build_modules(const struct build_options *options, struct err *err);

#endif
