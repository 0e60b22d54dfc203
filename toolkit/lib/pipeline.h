/*
 * Acquisition: RAM ranges from a source into an image file, in one pass. A reader fills
 * chunks of a fixed arena, workers pack and hash them, the caller's thread writes them in
 * order and hashes what is not hashed yet; all run side by side. Memory is bounded by the
 * arena and nothing is allocated once it has begun.
 *
 * What cannot be read is zero in the image and recorded as a gap; it is never silently
 * zero.
 */
#ifndef FVOL_PIPELINE_H
#define FVOL_PIPELINE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/encoder.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/processor.h"
#include "toolkit/lib/progress.h"
#include "toolkit/lib/ranges.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/sink.h"
#include "toolkit/lib/source.h"

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
	uint64_t unlisted;     /* gaps beyond GAPS_MAX */
	uint64_t second_bytes; /* what the second source gave in the first one's stead */
	struct gap at[GAPS_MAX];
};

#define PIPELINE_SLOTS 4
#define PIPELINE_WORKERS_MAX 16
#define PIPELINE_ARENA_MIN (128 * 1024)
/*
 * Unless told otherwise the arena is 1/16384 of the memory, in these bounds: on a machine
 * of a few GiB each page of it is one of the evidence's, on a large one time is what
 * changes memory. In a guest of 1 GiB 256 KiB, 512 KiB and 1 MiB changed 839, 931 and
 * 1,045 pages and took 8.7, 6.8 and 5.2 s.
 */
#define PIPELINE_ARENA_LEAST (256 * 1024)
#define PIPELINE_ARENA_MOST (1024 * 1024)
#define PIPELINE_ARENA_SHARE 16384
/* The longest line of the log. */
#define PIPELINE_LOG_LINE 128

enum pipeline_layout {
	LAYOUT_LIME,	/* LiME v1, written straight from the arena */
	LAYOUT_RAW,	/* byte N of the file is byte N of memory; holes are sparse */
	LAYOUT_ENCODER, /* what the encoder makes of it */
};

struct pipeline {
	/* Set by the caller. */
	struct source *source;
	struct source *second; /* for what source cannot give, or NULL */
	const struct ranges *ranges;
	enum pipeline_layout layout;
	const struct encoder_ops *encoder; /* for LAYOUT_ENCODER */
	struct sink *sink;		   /* opened, and finished, by the caller */
	struct sink *log;		   /* a line a chunk; NULL: none */
	size_t arena_bytes;
	unsigned workers; /* 1 to PIPELINE_WORKERS_MAX */
	/* The last worker is the caller's thread, when it has nothing to write: no more
	 * threads than processors, where those are what the run waits for. */
	bool writer_works;
	bool hash; /* SHA-256 of each chunk and of the LiME stream */
	struct progress *progress;
	const volatile sig_atomic_t *interrupted;
	/* Where the threads that read, hash and pack may run, when the caller, who
	 * writes, stays on one processor. NULL: wherever it runs. */
	const struct processors *spread;

	/* Set by pipeline_arena_take(). */
	unsigned char *map;
	size_t map_bytes;
	size_t chunk_bytes;

	/* Results. */
	uint64_t chunks;		   /* written */
	uint64_t captured_bytes;	   /* of memory, written */
	uint8_t stream_sha256[SHA256_LEN]; /* of the LiME v1 stream, whatever the layout
					    */
	bool did_not_fit; /* AVML cannot hold this memory: take another format */
	bool truncated;	  /* the image was cut to a valid, shorter one after a failure */
	struct gaps gaps; /* last: long, and mostly never touched */
};

/* The arena that is right for a machine of so much memory. */
size_t pipeline_arena_for(uint64_t memory_bytes);

/*
 * Takes the room that a run needs: arena_bytes, and what each worker packs in. To be
 * called when the fields above are set. Its pages come, and are locked where the host
 * allows it, when the run begins; between runs and until pipeline_arena_release() it is
 * the caller's to use, so that nothing else need be taken from a machine whose free pages
 * are evidence.
 */
int pipeline_arena_take(struct pipeline *pipeline, struct err *err);
void pipeline_arena_release(struct pipeline *pipeline);

/*
 * After the last run: gives all of the arena but PIPELINE_ARENA_MIN back (->map_bytes
 * tells). What is done next takes these pages of the machine again, and no other ones.
 */
void pipeline_arena_shrink(struct pipeline *pipeline);

/* The most that the log can become; after pipeline_arena_take(). */
uint64_t pipeline_log_bytes(const struct pipeline *pipeline);

/*
 * Writes the image. On failure what was written is made a valid, shorter image where
 * that is possible (->truncated; it keeps the name NAME.partial) and -1 is returned:
 * ERR_FAILED when *interrupted became set, the disk filled up or failed. Gaps are not an
 * error here: look at ->gaps.
 */
int pipeline_run(struct pipeline *pipeline, struct err *err);

#endif
