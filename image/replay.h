/*
 * The journal of a volume that was pulled before it was unmounted: names and sizes of the
 * newest evidence may stand in it alone. It is not played back into the volume, which is
 * only read: blocks that it holds newer versions of are read from the journal instead.
 *
 * The format is jbd2's (include/linux/jbd2.h of the kernel; "Journal (jbd2)" in its
 * documentation of ext4). The journal is as hostile as the volume: everything is bounded
 * by its length. Checksums are not looked at: a transaction counts when its commit block
 * is there, which the kernel writes after all the rest.
 */
#ifndef FVOL_IMAGE_REPLAY_H
#define FVOL_IMAGE_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

#define REPLAY_BLOCK 4096

struct replay_log {
	uint32_t blocks;
	/* Reads block `number` of the journal. Returns 0 or -1. */
	int (*read)(void *arg, uint32_t number, unsigned char *block, struct err *err);
	void *arg;
};

struct replay_entry {
	uint64_t block;	 /* of the volume */
	uint32_t number; /* of the journal's block that replaces it */
	uint32_t transaction;
	bool escaped; /* its first four bytes are the journal's magic number */
};

struct replay {
	struct replay_entry *entries; /* ascending by block, each block once */
	size_t count;
};

/*
 * Reads what the journal has committed. ERR_NO when it is not one that we can read;
 * *replay is to be freed in any case.
 */
int replay_read(const struct replay_log *log, struct replay *replay, struct err *err);

/* The entry of a block, or NULL. */
const struct replay_entry *replay_find(const struct replay *replay, uint64_t block);

/* Puts back what an escaped block begins with. */
void replay_restore(const struct replay_entry *entry, unsigned char *block);

void replay_free(struct replay *replay);

#endif
