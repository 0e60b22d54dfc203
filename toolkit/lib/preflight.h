/*
 * Which sources of physical memory this machine has, and why not the others: asked before
 * anything is opened, loaded or written.
 */
#ifndef FVOL_PREFLIGHT_H
#define FVOL_PREFLIGHT_H

#include <stdbool.h>
#include <stddef.h>

#include "toolkit/lib/ranges.h"
#include "toolkit/lib/source.h"

#define PREFLIGHT_SOURCES 4

struct preflight {
	struct {
		const struct source_ops *ops;
		bool asked; /* false: verdict says no more than that */
		struct source_verdict verdict;
	} at[PREFLIGHT_SOURCES];
};

/*
 * Asks each source, in the order in which they are to be preferred: kcore, bpf, crash,
 * lime, so what loads code comes last. Nothing is changed. With every unset none is asked
 * behind the first usable one: each file of /proc and /sys that is looked at for the
 * first time takes pages of the machine, a catalogue of modules many. Returns the index
 * of the first usable one, -1 when there is none; list is filled either way.
 */
int preflight(const struct source_env *env, const struct ranges *ranges, bool every,
	      struct preflight *list);

/* The source of that name (--source), or NULL. */
const struct source_ops *source_find(const char *name);

#endif
