/*
 * Where the files of one piece of evidence go: into a directory of the volume, to a
 * remote place, or to both at once, each byte handed to both while it is written. What
 * was written is hashed on the way and remembered for SHA256SUMS: nothing is read back.
 *
 * With both, the directory is the one that must not fail. What the remote place refuses
 * is kept in ->remote_err, nothing more is sent there, and the caller says so at the end.
 */
#ifndef FVOL_STORE_H
#define FVOL_STORE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/sink.h"

#define STORE_FILES_MAX 24
#define STORE_NAME_MAX (NAME_MAX + 1)

/* Begins the object NAME; size_bytes is what it may become at most. 0, or -1 with err. */
struct store_remote {
	int (*open)(void *arg, const char *name, uint64_t size_bytes,
		    struct sink_stream *stream, struct err *err);
	void *arg;
};

struct store {
	int dirfd;			   /* borrowed; -1: no directory */
	const struct store_remote *remote; /* borrowed; NULL: nothing remote */
	bool hashing;
	unsigned char
		*arena; /* borrowed: what store_put() writes through; see sink_open() */
	size_t arena_bytes;
	bool remote_failed;
	struct err remote_err;
	size_t count;
	struct store_file {
		char name[STORE_NAME_MAX];
		uint8_t sha256[SHA256_LEN];
	} files[STORE_FILES_MAX]; /* in the order in which they were finished */
};

/* Is there still anywhere to send things to besides the directory? */
bool store_has_remote(const struct store *store);

/*
 * Adds the remote place to a file that sink_open() has just opened, or opens the sink as
 * a stream there when the store has no directory. hashing: see sink_open().
 */
int store_send_too(struct store *store, struct sink *sink, uint64_t size_bytes,
		   struct err *err);

/*
 * Opens NAME, which may have one directory before it that the caller has made. The file
 * is deferred (see sink_finish()). size_bytes as for the remote place.
 */
int store_open(struct store *store, struct sink *sink, const char *name,
	       unsigned char *arena, size_t arena_bytes, uint64_t size_bytes,
	       struct err *err);

/* Finishes what store_open() opened, and notes its hash. */
int store_finish(struct store *store, struct sink *sink, struct err *err);

/* Takes over from a finished sink what the remote place said. */
void store_take_remote_err(struct store *store, const struct sink *sink);

/* A small file in one call. data must not lie in the arena. */
int store_put(struct store *store, const char *name, const void *data, size_t len_bytes,
	      struct err *err);

/* Sends what the directory has, or what is only in memory, to the remote place alone. */
int store_send_only(struct store *store, const char *name, const void *data,
		    size_t len_bytes, struct err *err);

#endif
