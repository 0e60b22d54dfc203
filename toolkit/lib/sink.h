/*
 * Sequential output: a file written with O_DIRECT, or a stream that takes bytes in order
 * and cannot go back. Whole blocks go out from where they stand, the rest waits in a
 * small arena. A file's name is NAME.partial until everything is on the disk.
 */
#ifndef FVOL_SINK_H
#define FVOL_SINK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/ranges.h"
#include "toolkit/lib/sha256.h"

/* Where a stream's bytes go. Each call returns 0, or -1 with err filled. */
struct sink_stream {
	int (*write)(void *arg, const void *data, size_t len_bytes, struct err *err);
	/* All was written: make it whole, durable, visible. The last call when it returns
	 * 0. */
	int (*finish)(void *arg, struct err *err);
	/* It will not be whole: leave nothing that looks so. The last call. */
	void (*abort)(void *arg);
	void *arg;
};

struct sink {
	struct sink_stream stream; /* where a stream goes, or a file, too */
	bool has_file, has_stream;
	bool mirror_failed; /* the stream that a file went to, too, did; and why */
	struct err mirror_err;
	int dirfd; /* borrowed */
	int fd;
	char name[NAME_MAX + 1];
	unsigned char *arena; /* borrowed, aligned to IO_BLOCK */
	size_t arena_bytes;   /* a multiple of IO_BLOCK */
	size_t fill_bytes;
	uint64_t written_bytes; /* flushed, a multiple of IO_BLOCK until the end */
	bool direct;		/* false: this file system has no O_DIRECT */
	bool deferred;		/* set by the caller: see sink_finish() */
	bool hashing;
	struct sha256 hash;	   /* of everything that was put, when hashing */
	struct sha256 marked_hash; /* of what was put before marked_off */
	uint64_t marked_off;
};

/*
 * Creates NAME.partial (an old one is replaced; an existing NAME is an error) and
 * reserves reserve_bytes on the disk, so that a volume which is too small is refused
 * before the first byte: ERR_FAILED, with both figures in the sentence. 0 reserves
 * nothing. What is reserved and not written is given back by sink_finish().
 */
int sink_open(struct sink *sink, int dirfd, const char *name, unsigned char *arena,
	      size_t arena_bytes, uint64_t reserve_bytes, bool hashing, struct err *err);

/*
 * Begins a stream; name is for errors. stream may be NULL when sink_mirror() follows.
 * sink_patch() and sink_truncate() will fail.
 */
int sink_open_stream(struct sink *sink, const char *name,
		     const struct sink_stream *stream, unsigned char *arena,
		     size_t arena_bytes, bool hashing, struct err *err);

/*
 * Before the first byte: everything goes into the stream, too. When that fails, a file is
 * finished without it: look at ->mirror_failed after sink_finish().
 */
void sink_mirror(struct sink *sink, const struct sink_stream *stream);

/* Can the sink go back? Streams cannot, nor can a file that goes into one. */
bool sink_can_patch(const struct sink *sink);
/*
 * Reserves, in a sink that nothing was put into, the blocks of a file that holds each
 * range at its own address (its holes take none). ERR_FAILED when the volume is too
 * small, with both figures; the sink stays open and some of it may then be reserved.
 */
int sink_reserve_ranges(struct sink *sink, const struct ranges *ranges, struct err *err);

/* Bytes put so far: where the next one will stand. */
uint64_t sink_position(const struct sink *sink);

/* Copies data in: for headers and small output. */
int sink_put(struct sink *sink, const void *data, size_t len_bytes, struct err *err);

/*
 * The same for a caller who, when ->hashing, took the bytes into ->hash: with something
 * else that was to be hashed, by sha256_update_two().
 */
int sink_put_hashed(struct sink *sink, const void *data, size_t len_bytes,
		    struct err *err);

/*
 * Writes bulk data from where it stands, without copying it. data modulo IO_BLOCK must
 * be the position modulo IO_BLOCK, and the bytes from data back to the beginning of its
 * block must be writable (they are overwritten); otherwise it is copied.
 */
int sink_put_in_place(struct sink *sink, unsigned char *data, size_t len_bytes,
		      struct err *err);

/* Moves the position forward over bytes that read as zero, without writing them. */
int sink_skip(struct sink *sink, uint64_t len_bytes, struct err *err);

/*
 * What was put before this moment will not be patched any more. It makes a patch cheap
 * where the file is hashed: what was put since is then hashed again, off the disk.
 */
void sink_mark(struct sink *sink);

/* Overwrites bytes that were put before: since sink_mark() when hashing. Not in a stream.
 */
int sink_patch(struct sink *sink, uint64_t off, const void *data, size_t len_bytes,
	       struct err *err);

/* Makes what was flushed of a file durable: all but the last few bytes that were put. */
int sink_sync(struct sink *sink, struct err *err);

/*
 * Writes the rest, makes it durable and gives the file its name. digest, which may be
 * NULL, receives the SHA-256 of the file when hashing. With ->deferred the caller makes
 * it durable, by syncfs() after several files: each commit of the journal costs memory.
 */
int sink_finish(struct sink *sink, uint8_t digest[SHA256_LEN], struct err *err);

/*
 * Cuts the file at len_bytes, which must have been put, and makes that durable; it keeps
 * the name NAME.partial.
 */
int sink_truncate(struct sink *sink, uint64_t len_bytes, struct err *err);

/* Closes what is open; NAME.partial stays. Does nothing after sink_finish(). */
void sink_abandon(struct sink *sink);

/* Closes and removes NAME.partial. */
void sink_remove(struct sink *sink);

/* A small file in one call: written as above, mode 0600, and durable when it returns. An
 * existing one is an error. */
int sink_write_path(const char *path, const void *data, size_t len_bytes,
		    struct err *err);

#endif
