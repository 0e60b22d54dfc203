/*
 * How far a file system can be made to grow, and by which steps: the decisions alone, so
 * that they can be tried without a kernel that refuses.
 */
#ifndef FVOL_GROWTH_H
#define FVOL_GROWTH_H

#include <stdint.h>

#include "toolkit/lib/err.h"

/* Where the file system stands. All in blocks but block_bytes. */
struct growth {
	uint32_t block_bytes;
	uint32_t group; /* blocks in a block group */
	uint64_t now;	/* blocks of the file system */
	uint64_t disk;	/* whole blocks of the disk */
	uint64_t want;	/* no more than so many are needed; 0: as many as there can be */
};

/* Who does it. Both return 0 or an errno. */
struct growth_kernel {
	void *arg;
	int (*resize)(void *arg, uint64_t blocks);
	int (*look)(void *arg, uint64_t *blocks);
};

/*
 * What to want so that need blocks are free when free_blocks are now, with a margin for
 * the bookkeeping of the new groups. growth->now when there is room already.
 */
uint64_t growth_want(const struct growth *growth, uint64_t free_blocks, uint64_t need);

/*
 * The size to grow to: what is wanted, in whole groups, and at most the disk, without a
 * last group too small to hold its own bookkeeping (resize2fs leaves such a one out,
 * too). Never less than now.
 */
uint64_t growth_target(const struct growth *growth);

/*
 * Grows to growth_target(), in smaller steps where the kernel refuses a large one; less
 * than a group may remain when it refuses the last one. growth->now is what came of it,
 * also on failure. Returns 0 when grown, or when there was nothing to grow; -1 with
 * ERR_REFUSED (not permitted, mounted read-only) or ERR_FAILED.
 */
int growth_run(struct growth *growth, const struct growth_kernel *kernel,
	       struct err *err);

#endif
