/* Reads pieces of memory for the pipeline and keeps the account of what is missing. */
#ifndef FVOL_READER_H
#define FVOL_READER_H

#include "toolkit/lib/pipeline.h"

/*
 * Fills buf with len bytes from phys on. Asks for all of it; what the kernel refuses is
 * halved down to the page, asked of the second source, and at last zeroed and entered in
 * gaps.
 */
void reader_fill(struct source *source, struct source *second, uint64_t phys,
		 unsigned char *buf, size_t len, struct gaps *gaps);

#endif
