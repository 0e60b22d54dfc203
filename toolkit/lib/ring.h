/*
 * The chunks that a pipeline's stages hand to one another: a ring of slots that a reader
 * fills in order, workers work on side by side, and a writer empties in order. Chunks are
 * hashed in order as well, one after the other, by whoever has nothing better to do: a
 * worker without work, or the writer when it would wait for the hash. Each stage is told
 * what it waits for and nothing else, so that few threads are woken in vain. No memory is
 * taken: the ring is the caller's, and so are the buffers.
 */
#ifndef FVOL_RING_H
#define FVOL_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/ranges.h"
#include "toolkit/lib/sha256.h"

#define RING_SLOTS_MAX 8

/* What is still to be done with a chunk before it is written; in any order. */
enum { RING_WORK = 1, RING_HASH = 2 };

struct chunk {
	/* The stages': guarded by the ring's lock. */
	bool filled; /* and not yet written */
	bool taken;  /* by a worker */
	unsigned todo;
	uint64_t number;

	/* The reader's, until the chunk is filled; then nobody writes them. */
	const struct range *range; /* that it stands in */
	bool first;		   /* of its range */
	uint64_t phys;
	size_t len_bytes;
	int64_t time_ns;
	unsigned char *buf; /* IO_BLOCK before, IO_BLOCK behind */
	unsigned char *data;
	/* The worker's. */
	bool zero;
	unsigned char *packed;
	size_t packed_len;
	uint8_t sha256[SHA256_LEN];
};

struct ring {
	pthread_mutex_t lock;
	/* Told to the reader; to workers; to the writer. */
	pthread_cond_t freed, filled, done;
	struct chunk slot[RING_SLOTS_MAX];
	size_t slots;	   /* 1 to RING_SLOTS_MAX, set by the caller */
	unsigned todo;	   /* of each chunk: RING_WORK, RING_HASH; set by the caller */
	bool writer_works; /* instead of waiting; set by the caller */
	uint64_t n_read;   /* chunks */
	uint64_t n_hashed;
	bool hashing; /* somebody is at chunk n_hashed */
	bool read_all, stop;
	struct err err; /* the first one */
};

/* To be called with everything else zero or set by the caller; once for a run. */
void ring_start(struct ring *ring);

/* Stops every stage: all waits end. The first err is kept. */
void ring_fail(struct ring *ring, const struct err *err);

/* Reader: waits for the slot of the next chunk. NULL when the run stops. */
struct chunk *ring_free(struct ring *ring);
/* Reader: that chunk is filled. */
void ring_filled(struct ring *ring, struct chunk *chunk);
/* Reader: there will be no more. */
void ring_read_all(struct ring *ring);

/*
 * Worker: the first chunk that no worker has yet or, without one, the next to be hashed.
 * *todo says which it is. NULL when there will be none.
 */
struct chunk *ring_work(struct ring *ring, unsigned *todo);
/* Worker and writer: so much is done with it. */
void ring_did(struct ring *ring, struct chunk *chunk, unsigned todo);

/*
 * Writer: waits until chunk n has nothing to be done but what *todo says: RING_HASH when
 * the writer is to hash it, or 0. RING_WORK: this is another chunk, to work on instead of
 * waiting. NULL when there is no chunk n.
 */
struct chunk *ring_done(struct ring *ring, uint64_t n, unsigned *todo);
/* Writer: it is written, its slot is free. */
void ring_written(struct ring *ring, struct chunk *chunk);

#endif
