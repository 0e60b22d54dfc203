/*
 * A part of a run that somebody watches: what it asks of the kernel may never be answered
 * (a server that is gone, a lock that somebody else holds for ever). Then its thread is
 * left where it is, the record says so, and triage goes on without the rest of the part.
 * Processes have watchers of their own, who know what to leave out: see collect.c.
 */
#ifndef FVOL_TRIAGE_WATCH_H
#define FVOL_TRIAGE_WATCH_H

#include "toolkit/triage/triage.h"

/* Inner to a part: returns 0, or -1 with err. Its argument is freed by itself. */
typedef int watched_run(struct triage *t, void *arg, struct err *err);

/*
 * Runs it in a thread and waits until it has ended, or has not got on for WATCH_SILENCE_S
 * seconds: that is a record `unread` of `what` (copied), reason `blocked`, with
 * timed_out, and the return value 0. Otherwise returns what it returned. t must outlive
 * the process's other threads.
 */
#define WATCH_SILENCE_S 15
int watch_run(struct triage *t, const char *what, watched_run *run, void *arg,
	      struct err *err);

/*
 * The part has got on. Who was left behind does not come back from here, for what it
 * would write to may be gone. Nothing for threads that are no part's.
 */
void watch_alive(void);

/* What is in between is not watched, and nobody is left in it: a slow reader of our
 * output keeps us waiting as long as it likes. Locks t->emitting, which must not be held.
 */
void watch_out_begin(struct triage *t);
void watch_out_end(struct triage *t);

/* The file that the part writes, or NULL: given up when the part is left behind. Between
 * watch_out_begin() and watch_out_end(). */
void watch_writes(struct out_file *file);

#endif
