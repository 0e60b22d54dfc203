/*
 * One stream of bytes into one S3 object: cut into parts that several threads send from a
 * fixed arena, hashed whole and by part on the way, journalled so that an upload which
 * was cut off goes on with the parts that are missing, completed, and compared with what
 * the server then says. An input that fits into one part is stored in one call.
 *
 * An upload ends only by transfer_finish(): a stream that stops otherwise never becomes
 * an object.
 */
#ifndef FVOL_TRANSFER_H
#define FVOL_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/s3.h"
#include "toolkit/lib/sha256.h"

#define TRANSFER_PARALLEL 4
#define TRANSFER_PARALLEL_MAX 64
#define TRANSFER_UNKNOWN UINT64_MAX

/* Presigned URLs of the parts, so that no key is needed. */
struct transfer_urls {
	/* Writes the URL of a part, 1 to n_parts. Returns 0 or -1 with err. */
	int (*url)(void *arg, uint32_t number, char url[S3_URL_SIZE], struct err *err);
	void *arg;
	uint32_t n_parts;
};

struct transfer_config {
	const struct s3_config *s3; /* outlives the transfer */
	const char *key;
	/* NULL, or: parts go there, and finish completes nothing. */
	const struct transfer_urls *urls;
	/* What will come, TRANSFER_UNKNOWN where nobody knows. */
	uint64_t size_bytes;
	bool size_exact;     /* another size is an error, not a bad guess */
	uint64_t part_bytes; /* 0: transfer_part_bytes() */
	unsigned parallel;   /* parts in memory; 0: TRANSFER_PARALLEL */
	const char *sha256;  /* hex that the whole must have, or NULL */
	const char *journal; /* path, or NULL: a failure aborts the upload */
	bool companion;	     /* store KEY.sha256 beside a multipart object */
	bool verify;	     /* read the object back */
	/* Told now and then, by the thread that writes. May be NULL. */
	void (*progress)(void *arg, uint64_t sent_bytes, uint64_t failures);
	void *progress_arg;
};

enum transfer_head { TRANSFER_HEAD_NONE, TRANSFER_HEAD_EQUAL, TRANSFER_HEAD_REFUSED };

struct transfer_result {
	uint64_t len_bytes;
	uint8_t sha256[SHA256_LEN];
	uint32_t n_parts; /* 0: stored in one call */
	uint32_t n_kept;  /* of those, on the server from an earlier run */
	uint64_t retries; /* attempts after the first of all calls */
	struct s3_object object;
	enum transfer_head head;
	bool read_back;	   /* and its SHA-256 was the same */
	bool was_complete; /* by the journal; nothing was sent */
};

struct transfer;

/* A part size for what will come: 8 MiB and more so that 10,000 parts hold it. */
uint64_t transfer_part_bytes(uint64_t size_bytes);

/*
 * Begins. parallel times part_bytes of memory are reserved, and taken as they are filled.
 * With a journal that names an upload, asks the server what it has of it. NULL with err.
 */
struct transfer *transfer_open(const struct transfer_config *config, struct err *err);

/* Takes bytes, in order; waits while the arena is full. Returns 0 or -1 with err. */
int transfer_write(struct transfer *transfer, const void *data, size_t len_bytes,
		   struct err *err);

/*
 * The same without a copy: *room_bytes are free at the address returned (aligned to
 * 4096 while whole blocks are committed); transfer_filled() says how many were filled.
 * NULL with err.
 */
void *transfer_room(struct transfer *transfer, size_t *room_bytes, struct err *err);
int transfer_filled(struct transfer *transfer, size_t len_bytes, struct err *err);

/*
 * The end of the stream: sends the rest, completes, checks. Returns 0 with the result, or
 * -1 with err; ERR_NO: the bytes are not those that the caller or the server says.
 */
int transfer_finish(struct transfer *transfer, struct transfer_result *result,
		    struct err *err);

/* The parts of a finished transfer, in order; they belong to it. */
const struct s3_part *transfer_parts(const struct transfer *transfer, size_t *n_parts);

/*
 * Ends it, finished or not, and frees it. Unfinished, without a journal: the upload is
 * aborted at the server. NULL is nothing.
 */
void transfer_close(struct transfer *transfer);

#endif
