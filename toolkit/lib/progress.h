/*
 * One line on a terminal: what is done, the rate, what it was packed to, the time left.
 * Silent when standard error is not a terminal.
 */
#ifndef FVOL_PROGRESS_H
#define FVOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what; /* borrowed */
	uint64_t total_bytes;
	uint64_t done_bytes;
	uint64_t packed_bytes; /* that what is done became; shown unless 0 */
	uint64_t failures;     /* shown when there are any */
	int64_t start_ns;
	int64_t shown_ns;
	bool terminal;
};

void progress_start(struct progress *progress, const char *what, uint64_t total_bytes);
void progress_add(struct progress *progress, uint64_t bytes);
/* Ends the line, so that what is printed next stands on one of its own. */
void progress_end(struct progress *progress);

#endif
