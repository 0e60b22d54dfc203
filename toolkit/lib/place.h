/* Where evidence goes on this machine: a directory of its own, or standard output. */
#ifndef FVOL_PLACE_H
#define FVOL_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sink.h"

/* Letters, digits, '-', '_' and '.', not at the start: the id becomes a directory. */
bool place_good_instance(const char *id);

/* "INSTANCE/TIME", TIME in UTC. */
void place_name(const char *instance, time_t when, char *path, size_t size);

/*
 * Makes EVIDENCE/INSTANCE/TIME/ and returns its descriptor, path being INSTANCE/TIME; -1
 * with err. A directory that is there already belongs to another run of the same second:
 * the next is tried.
 */
int place_make(const char *evidence, const char *instance, char *path, size_t size,
	       struct err *err);

/* Standard output as a stream. */
extern const struct sink_stream place_stdout;

#endif
