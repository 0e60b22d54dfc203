/* What transfer.c (stream and threads) and transfer_end.c (completing) share. */
#ifndef FVOL_TRANSFER_PARTS_H
#define FVOL_TRANSFER_PARTS_H

#include <pthread.h>

#include "toolkit/lib/transfer.h"
#include "toolkit/lib/transfer_log.h"

/* A piece of the arena: free, being filled by the stream, waiting, or being sent. */
struct transfer_slot {
	enum { SLOT_FREE, SLOT_FILLING, SLOT_READY, SLOT_SENDING } state;
	unsigned char *data;
	size_t fill_bytes;
	struct sha256 hash; /* of them */
	uint32_t number;
};

struct transfer {
	struct transfer_config config;
	unsigned char *arena;
	size_t arena_bytes;
	struct transfer_slot slots[TRANSFER_PARALLEL_MAX];
	struct transfer_slot *current; /* what is filled, or NULL */
	uint32_t next_number;
	uint64_t len_bytes; /* taken so far */
	struct sha256 hash;
	struct s3 *s3; /* of the stream's thread */
	char id[S3_ID_SIZE], upload_id[S3_UPLOAD_ID_SIZE];
	bool uploading; /* there are parts, and threads that send them */
	bool finished;

	pthread_mutex_t lock; /* guards slots' state and all below */
	pthread_cond_t changed;
	pthread_t threads[TRANSFER_PARALLEL_MAX];
	unsigned n_threads, n_prepared; /* running; those with a client */
	struct s3 *clients[TRANSFER_PARALLEL_MAX];
	bool stop, failed;
	struct err err; /* of the first thread that failed */
	uint64_t sent_bytes, failures;
	uint32_t n_kept;
	struct s3_part *parts; /* S3_PARTS_MAX: what was sent, at number - 1 */
	struct s3_part *known; /* the same: what the server had before */
	struct transfer_log log;
};

/* Finds out what an interrupted upload left. */
int transfer_resume(struct transfer *transfer, struct err *err);

/* Refuses where the object is there already, as far as the role may see it. */
int transfer_vacant(struct transfer *transfer, struct err *err);

/* Completes or stores, checks, and fills the result. All parts are there. */
int transfer_end(struct transfer *transfer, struct transfer_result *result,
		 struct err *err);

#endif
