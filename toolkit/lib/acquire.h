/*
 * Acquisition: the exact RAM ranges, read from a source and written as a LiME image in
 * one pass. What cannot be read is zero in the image and recorded as a gap; it is never
 * silently zero.
 */
#ifndef FVOL_ACQUIRE_H
#define FVOL_ACQUIRE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/kcore.h"
#include "toolkit/lib/progress.h"
#include "toolkit/lib/ranges.h"
#include "toolkit/lib/sink.h"

enum gap_kind {
	GAP_UNREADABLE, /* the source refused: errnum says how */
	GAP_UNMAPPED,	/* the source has no place for it */
};

struct gap {
	struct range range;
	enum gap_kind kind;
	int errnum; /* 0 for GAP_UNMAPPED, and for a read that gave nothing */
};

/* Neighbouring gaps of one kind are one; what does not fit is still counted in bytes. */
#define GAPS_MAX 4096

struct gaps {
	size_t count;
	uint64_t bytes;
	uint64_t unlisted; /* gaps beyond GAPS_MAX */
	struct gap at[GAPS_MAX];
};

/*
 * Writes the image of ranges into sink, which the caller opened and finishes. Stops with
 * ERR_FAILED when *interrupted becomes set. Gaps are not an error here: look at gaps.
 */
int acquire(const struct kcore *source, const struct ranges *ranges, struct sink *sink,
	    struct gaps *gaps, struct progress *progress,
	    const volatile sig_atomic_t *interrupted, struct err *err);

#endif
