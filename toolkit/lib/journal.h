/*
 * A list of lines that survives a crash: what an interrupted upload has done. Written
 * past the page cache in whole blocks, the last one padded with newlines, each line
 * durable before the next; read as plain text.
 */
#ifndef FVOL_JOURNAL_H
#define FVOL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

#define JOURNAL_LINE_MAX 4000
#define JOURNAL_MAX_BYTES (32 * 1024 * 1024)

struct journal {
	int fd;
	uint64_t block_off; /* of the block that is not full */
	size_t fill_bytes;  /* in it */
	unsigned char *block;
};

/*
 * Opens the file, or makes it (mode 0600). *text, which the caller frees, is what was in
 * it, ended by a NUL: whole lines, but the last may be torn; NULL when the file is new.
 * Returns 0, or -1 with err and nothing left open. Two users at once are refused.
 */
int journal_open(struct journal *journal, const char *path, char **text, struct err *err);

/* Adds one line (a newline is added) and makes it durable. Returns 0 or -1 with err. */
int journal_add(struct journal *journal, const char *line, struct err *err);

/* Closes it. Does nothing when it is not open (fd -1). */
void journal_close(struct journal *journal);

#endif
