/*
 * The other outputs, made again of the records of an earlier run. The records come from a
 * file that may be anybody's by now: read line by line with bounds, a line that is no
 * record is said and passed over.
 */
#ifndef FVOL_TRIAGE_FROM_H
#define FVOL_TRIAGE_FROM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/triage/out.h"

/* The longest line that is read; a process with 2 MiB of arguments fits. */
#define FROM_LINE_MAX (size_t)(16 * 1024 * 1024)

/* Bad lines that are told of one by one. */
#define FROM_BAD_SAID 20

struct from {
	/* Called for the first FROM_BAD_SAID bad lines; why is one sentence, without
	 * names of the file's. May be NULL. */
	void (*bad_line)(void *context, uint64_t number, const char *why);
	void *context;

	/* What was found. */
	uint64_t records, bad;
	bool header; /* the first record was one, of a schema that we know */
	bool ended;  /* the last record was `end`: the stream was not cut short */
};

/*
 * Hands every record that is read from fd on to out. 0: the file was read to its end,
 * and *from says what was wrong with it; -1 with err when it could not be read, its
 * schema is not ours, or an output could not be written.
 */
int from_read(int fd, struct out *out, struct from *from, struct err *err);

/*
 * One sentence about what is wrong with the whole, for the end: "3 lines are no records;
 * there is no record `end`: it was cut short"; "" when there is nothing. Returns buf.
 */
const char *from_wrong(const struct from *from, char *buf, size_t size);

#endif
