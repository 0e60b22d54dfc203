/*
 * Several files hashed at once, their results in the order in which they were given, in
 * bounded memory: open files wait in a ring, threads take them, and whoever adds one more
 * than fits waits for the oldest.
 */
#ifndef FVOL_HASH_POOL_H
#define FVOL_HASH_POOL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define POOL_THREADS_MAX 16

struct pool_file {
	char name[PATH_MAX];
	int fd;			      /* -1: it could not be opened, err says why */
	uint8_t expected[SHA256_LEN]; /* the caller's */
	uint8_t digest[SHA256_LEN];
	bool failed; /* err says why; the name is not in it */
	struct err err;
};

/* Called for each file, in order, by the thread that calls pool_...(). */
typedef void pool_done(void *arg, const struct pool_file *file);

/* Starts. One pool at a time in a process. threads 1, or no thread to be had: the
 * caller's own does the work. */
void pool_start(unsigned threads, pool_done *done, void *arg);

/* The place for the next file, to be filled (name, fd, err, expected) and then given. */
struct pool_file *pool_next(void);
void pool_give(void);

/* Waits for all files; the pool is over. */
void pool_finish(void);

#endif
