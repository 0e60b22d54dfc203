/*
 * Pieces of work side by side, each in a process of its own: what hangs, crashes or eats
 * memory in one is that one's failure, and nothing of it stays.
 */
#ifndef FVOL_KMODS_JOBS_H
#define FVOL_KMODS_JOBS_H

#include <stdbool.h>
#include <stddef.h>

#include "toolkit/lib/err.h"

/* A result must fit into an empty pipe: it is waited for first and read then. */
#define JOBS_RESULT_MAX 16384
#define JOBS_MAX 256 /* at a time */

struct jobs {
	void *arg;
	size_t count;
	unsigned limit;	    /* processes at a time */
	size_t result_size; /* bytes */
	const char *what;   /* "build": of what is said when one was killed */

	/* Is there anything to do for piece i? Asked just before it is begun. */
	bool (*due)(const void *arg, size_t i);
	/* Does it, in the child, and fills result, which is zero at first. */
	void (*work)(void *arg, size_t i, void *result);
	/* In the parent: what came of it, and the seconds it took; result is NULL where
	 * there is none, and why then says the reason. */
	void (*ended)(void *arg, size_t i, void *result, double seconds,
		      const struct err *why);
};

/* Returns 0 when every piece that was due has ended, in whatever way, or -1. */
int jobs_run(const struct jobs *jobs, struct err *err);

#endif
