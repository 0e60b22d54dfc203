/*
 * Which processor a thread runs on. What touches memory from one processor touches less
 * of it: each processor has its own queue to the disk, its own lists of free pages and
 * its own half-filled slabs. In a guest of 1 GiB with two of them: reader and writer on
 * one 460 pages changed and 14.0 s; the writer alone kept on one, 536 pages and 7.4 s,
 * which is what capture does, for time changes memory, too.
 */
#ifndef FVOL_PROCESSOR_H
#define FVOL_PROCESSOR_H

#include <sched.h>
#include <stdbool.h>

/* Those that a thread may run on. */
struct processors {
	cpu_set_t set;
	bool known;
};

/*
 * Keeps the calling thread, and those that it starts, on the processor that it is on.
 * *before is where it could run before. A kernel that refuses changes nothing: it is a
 * kindness to the evidence, and nothing depends on it.
 */
void processor_stay(struct processors *before);

/* Lets the calling thread run wherever *before says; nothing when that is NULL. */
void processor_spread(const struct processors *before);

#endif
