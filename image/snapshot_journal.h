/*
 * What an interrupted publish has done, so that the next run sends only what is missing.
 * Lines of text, each ended by a blank and the CRC-32C of what stands before it in 8
 * digits:
 *
 *	fvol-publish 1 TOKEN LINEAR COUNT	64 hex digits each, blocks to send
 *	snapshot snap-0123456789abcdef0
 *	put INDEX				the service has acknowledged the block
 *
 * The token is made of the image's hash and every parameter of the snapshot, so a journal
 * of anything else is recognised. A torn last line is what a crash leaves, and dropped;
 * any other fault is damage, and an error.
 */
#ifndef FVOL_IMAGE_SNAPSHOT_JOURNAL_H
#define FVOL_IMAGE_SNAPSHOT_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/blocks.h"
#include "toolkit/lib/err.h"

/* Zero-initialised; freed by snapshot_progress_free(). */
struct snapshot_progress {
	char token[SHA256_HEX_SIZE];
	char linear[SHA256_HEX_SIZE];
	uint64_t count;
	char snapshot[SNAPSHOT_ID_SIZE]; /* "": not begun */
	uint32_t *put;			 /* in no order; one may come twice */
	size_t n_put, room;
	size_t good_bytes; /* of whole lines */
};

void snapshot_progress_free(struct snapshot_progress *progress);

/* Reads a journal's text. Returns 0, or -1 with the number of the line that is damaged.
 */
int snapshot_journal_parse(const char *text, size_t len_bytes,
			   struct snapshot_progress *progress, struct err *err);

struct snapshot_journal {
	int fd; /* -1: none */
	unsigned unsynced;
};

/*
 * Opens or makes the journal at path for this token, checksum and count; *progress is
 * what is in it. ERR_FAILED when it is of something else, damaged, or in use. Two runs at
 * once are refused.
 */
int snapshot_journal_open(struct snapshot_journal *journal, const char *path,
			  const char *token, const char *linear, uint64_t count,
			  struct snapshot_progress *progress, struct err *err);

/* The two lines; the first is durable when it returns. Not for several threads at once.
 */
int snapshot_journal_started(struct snapshot_journal *journal, const char *snapshot,
			     struct err *err);
int snapshot_journal_put(struct snapshot_journal *journal, uint32_t index,
			 struct err *err);

void snapshot_journal_close(struct snapshot_journal *journal);

#endif
