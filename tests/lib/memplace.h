/* A place of triage's that keeps its files in memory. */
#ifndef FVOL_TESTS_MEMPLACE_H
#define FVOL_TESTS_MEMPLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "toolkit/triage/out.h"

#define MEMPLACE_FILES 16

struct out_file {
	char name[64];
	char *data; /* ended by a NUL */
	size_t len, room;
	bool open, whole, abandoned;
	struct memplace *place;
};

struct memplace {
	struct out_file files[MEMPLACE_FILES];
	size_t count;
	bool finished, freed;
	/* A write after so many bytes fails; 0: none does. */
	size_t full_at, written;
};

extern const struct place_ops memplace_ops;

/* Its bytes; "" when there is no such file. */
const char *memplace_text(const struct memplace *place, const char *name);
/* To be called after out_free(), which the files outlive. */
void memplace_clear(struct memplace *place);

#endif
