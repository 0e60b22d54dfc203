/*
 * Brings the packages of a lock file here. One that is gone from every archive is
 * replaced, with all others of its kernel, by the newest kernel of the same line: loudly,
 * and marked in the lock lines that are to be built from.
 */
#ifndef FVOL_KMODS_FETCH_H
#define FVOL_KMODS_FETCH_H

#include <stdbool.h>

#include "kmods/resolve.h"
#include "kmods/transport.h"
#include "toolkit/lib/err.h"

struct fetch_options {
	const char *lock;     /* the pinned packages */
	const char *list;     /* where successors come from; NULL: none is looked for */
	const char *packages; /* the directory that receives them */
	const char *used;     /* receives the lock lines to build from; NULL: none */
	const char *offline;  /* NULL, or a directory that is looked into first */
	bool images;	      /* the kernels themselves too */
	bool locked;	      /* a package that is gone is an error */
	const struct transport *transport;
	resolve_say *say;
};

/*
 * A kernel that cannot be had is told and does not keep the others from being fetched,
 * but used is written only when there is a package for each line of it. Returns 0 or -1.
 */
int fetch_lock(const struct fetch_options *options, struct err *err);

#endif
