/* What the sources share: verdicts, and where in the ranges an address stands. */
#ifndef FVOL_SOURCEUTIL_H
#define FVOL_SOURCEUTIL_H

#include <stdbool.h>
#include <stdint.h>

#include "toolkit/lib/ranges.h"
#include "toolkit/lib/source.h"

/* Sets both; a reason that is too long is cut. */
void verdict_set(struct source_verdict *verdict, bool usable, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* How many bytes from phys on stand inside one range (0: phys does not), at most len. */
uint64_t source_room(const struct ranges *ranges, uint64_t phys, uint64_t len);

/* How many bytes from phys on are outside of all ranges (0: phys is not), at most len. */
uint64_t source_hole(const struct ranges *ranges, uint64_t phys, uint64_t len);

/*
 * A source that asks the running kernel itself must not be opened beside a fake /proc: it
 * would read this machine in the place of the one that the tree pretends to be. Returns 0
 * when env's /proc is the kernel's own, else -1 (ERR_REFUSED).
 */
int source_need_real_proc(const struct source_env *env, struct err *err);

#endif
