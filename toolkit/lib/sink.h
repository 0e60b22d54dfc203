/*
 * A sequential output file written through a fixed arena with O_DIRECT. The producer
 * fills the arena in place, so bytes are never copied; the last, unaligned part is
 * written padded and the file is cut to its true length. The name is NAME.partial until
 * everything is on the disk.
 */
#ifndef FVOL_SINK_H
#define FVOL_SINK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

struct sink {
	int dirfd; /* borrowed */
	int fd;
	char name[NAME_MAX + 1];
	unsigned char *arena; /* borrowed, aligned to IO_BLOCK */
	size_t arena_bytes;   /* a multiple of IO_BLOCK */
	size_t fill_bytes;
	uint64_t written_bytes; /* flushed; the file's length is this plus fill_bytes */
	bool direct;		/* false: this file system has no O_DIRECT */
	bool hashing;
	struct sha256 hash; /* of everything flushed, when hashing */
};

/*
 * Creates NAME.partial (an old one is replaced; an existing NAME is an error) and
 * reserves expected_bytes on the disk, so that a volume which is too small is refused
 * before the first byte: ERR_FAILED, with both figures in the sentence. 0 reserves
 * nothing.
 */
int sink_open(struct sink *sink, int dirfd, const char *name, unsigned char *arena,
	      size_t arena_bytes, uint64_t expected_bytes, bool hashing, struct err *err);

/* The free part of the arena: never empty after a successful commit. */
unsigned char *sink_space(struct sink *sink, size_t *room_bytes);

/* Takes len bytes that were put into sink_space(); writes the arena when it is full. */
int sink_commit(struct sink *sink, size_t len_bytes, struct err *err);

/* Copies data in: for headers, not for bulk. */
int sink_put(struct sink *sink, const void *data, size_t len_bytes, struct err *err);

/*
 * Writes the rest, makes it durable and gives the file its name. digest, which may be
 * NULL, receives the SHA-256 of the file when hashing.
 */
int sink_finish(struct sink *sink, uint8_t digest[SHA256_LEN], struct err *err);

/* Closes what is open; NAME.partial stays. Does nothing after sink_finish(). */
void sink_abandon(struct sink *sink);

/* A small file in one call: written as above, mode 0600. An existing NAME is an error. */
int sink_write_file(int dirfd, const char *name, const void *data, size_t len_bytes,
		    struct err *err);

#endif
