/*
 * `kmods boot-test`: loads each module of a catalogue in a guest that runs that very
 * kernel, takes a dump, and says in the catalogue which modules passed.
 */
#ifndef FVOL_KMODS_BOOTTEST_H
#define FVOL_KMODS_BOOTTEST_H

#include <stddef.h>

#include "toolkit/lib/err.h"

struct boottest_options {
	const char *catalogue; /* the directory: catalogue.json and the modules */
	const char *lock;      /* names each kernel's image package */
	const char *packages;  /* where they are */
	const char *guest;     /* ARCH/init, the guests' program */
	const char *scratch; /* for kernels; consoles stay there, ARCH/RELEASE.boot.log */
	const char *store;   /* remembers what passed; NULL: SCRATCH/store */
	const char *tools;   /* search path of the emulators */
	unsigned jobs;	     /* guests at a time */
	unsigned timeout_s;  /* for one guest */
	char *const *wanted; /* RELEASE or ARCH/RELEASE; none: the whole catalogue */
	size_t wanted_count;
};

/*
 * A module that passed is marked tested at once; what passed before, the same module on
 * the same kernel with the same guest program, is not booted again. One that failed or
 * never finished is reported and loses its mark. Returns 0 when all passed, or -1: ERR_NO
 * when some did not.
 */
int boottest(const struct boottest_options *options, struct err *err);

#endif
