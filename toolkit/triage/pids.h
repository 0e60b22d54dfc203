/*
 * The views of which processes there are: the listing of /proc, that of a procfs of our
 * own, signals, and the members of cgroups. A rootkit that filters one of them is seen
 * by what the others say.
 */
#ifndef FVOL_TRIAGE_PIDS_H
#define FVOL_TRIAGE_PIDS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

/* One bit a pid. */
struct pidset {
	uint64_t *words;
	int32_t end; /* the first pid that does not fit */
};

bool pidset_has(const struct pidset *set, int32_t pid);

/* How a pid is asked for: what a filter of system calls leaves. */
enum pids_probe {
	PROBE_SCHEDULE, /* sched_getscheduler(2): the cheapest */
	PROBE_GROUP,	/* getpgid(2) */
	PROBE_SIGNAL,	/* kill(2) with signal 0, which is none */
	PROBE_NONE,
};

struct pids {
	int32_t max;		/* pid_max: no pid is as high */
	struct pidset listed;	/* by /proc, at any time */
	struct pidset detached; /* by a procfs of our own */
	struct pidset taken;	/* were read, or tried */
	struct pidset alive;	/* answered to a signal: threads, too */
	enum pids_probe probe;
	bool no_pidfd;	   /* pidfd_open(2) is refused whomever it is asked for */
	int32_t sweep_end; /* the first pid that is not asked */
	bool swept;
	pthread_t sweeper;
	bool sweeping;
};

struct triage;

/* Begins to ask every pid there can be, beside everything else. 0, or -1 with err. */
int pids_begin(struct triage *t, struct err *err);

/*
 * Lists those that are there and were not listed before; the caller frees *list. SIZE_MAX
 * with err when /proc cannot be listed.
 */
size_t pids_list(struct triage *t, int32_t **list, struct err *err);

/* Lists the directory of a procfs into set. 0, or -1 with errno. */
int pids_list_into(int procfd, struct pidset *set);

/* Waits for the end of the asking. */
void pids_join(struct triage *t);

/*
 * Does a process of this pid answer? 1 a process, 0 none, 2 a thread of another process,
 * -1 it answers and nobody tells which of the two it is.
 */
int pids_ask(const struct triage *t, int32_t pid);

/* Adds the members of all cgroups to set. Returns how many there were. */
size_t pids_of_cgroups(const struct triage *t, struct pidset *set);

bool pidset_make(struct pidset *set, int32_t end);
void pidset_free(struct pidset *set);
void pids_free(struct pids *pids);

#endif
