/*
 * Walks over a LiME v1 stream wherever it stands, in a file as it is or inside of
 * compressed frames, and gives its memory as a decoder's pieces. What formats that hold
 * LiME share; see decoder.h for the two passes and for salvage.
 *
 * Salvage: behind a header that is none, and inside a range that claims more bytes than
 * there are, the next header is searched for. Memory may hold LiME headers of its own, so
 * one counts only when its range ends at the stream's end or at another header.
 */
#ifndef FVOL_LIMEWALK_H
#define FVOL_LIMEWALK_H

#include "toolkit/lib/decoder.h"

/* Bytes of the stream that stand together. */
struct limewalk_plain {
	const unsigned char *data; /* NULL when lost */
	size_t len_bytes;
	uint64_t off;	 /* in the file, of what holds them */
	const char *why; /* when lost: a static text */
};

struct limewalk {
	/* Gives 1 to max bytes at off, which is below plain_bytes; mostly forward. Lost
	 * bytes are no error. Returns 0 or -1. */
	int (*plain)(struct decoder *decoder, uint64_t off, size_t max,
		     struct limewalk_plain *plain, struct err *err);
	uint64_t plain_bytes; /* of the whole stream */

	uint64_t off;	     /* of the next byte */
	uint64_t header_off; /* in the file, of what holds the last header */
	uint64_t left_bytes;
	struct range range; /* that left_bytes are the end of */
	bool begins, any;
	uint64_t last_end;
	unsigned int candidates; /* headers that were looked at in a search */
};

/* Goes to the beginning; plain and plain_bytes stay. */
void limewalk_begin(struct limewalk *walk);

/* As decoder_ops.back. */
void limewalk_back(struct limewalk *walk, uint64_t len_bytes);

/* As decoder_ops.next. */
int limewalk_next(struct decoder *decoder, struct limewalk *walk,
		  struct decoder_piece *piece, struct err *err);

#endif
