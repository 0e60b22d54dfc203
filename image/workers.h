/*
 * Work on many files at once. Reading, hashing and writing one file after the other
 * leaves the disk idle while the processor works, and all but one processor always.
 */
#ifndef FVOL_IMAGE_WORKERS_H
#define FVOL_IMAGE_WORKERS_H

#include <stddef.h>

#include "toolkit/lib/err.h"

#define WORKERS_BUFFER (2 * 1024 * 1024)

/*
 * Calls fn for each number below count, several at once, each call with a buffer of
 * WORKERS_BUFFER bytes of its own, aligned for O_DIRECT. When a call returns less than 0
 * no further ones begin; err is that of the smallest number that failed. Returns 0 or -1.
 */
int workers_run(size_t count,
		int (*fn)(void *arg, size_t number, unsigned char *buffer,
			  struct err *err),
		void *arg, struct err *err);

#endif
