/*
 * How a piece of memory becomes bytes of an image file. The pipeline cuts each range into
 * chunks; workers encode chunks side by side; one thread writes the results in order.
 */
#ifndef FVOL_ENCODER_H
#define FVOL_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/ranges.h"

/* Where encoded bytes go, in order. Returns 0, or -1 with err filled. */
struct encoder_out {
	int (*put)(void *arg, const void *data, size_t len_bytes, struct err *err);
	/* Overwrites bytes that were put before (a header whose end is known later); only
	 * outputs that can seek have it, NULL otherwise. */
	int (*patch)(void *arg, uint64_t off, const void *data, size_t len_bytes,
		     struct err *err);
	/* Beside patch(): what was put before this moment will not be changed. */
	void (*mark)(void *arg);
	void *arg;
};

/* State that lasts over an image, in the caller's memory. */
#define ENCODER_STATE_BYTES 65536
struct encoder_state {
	_Alignas(64) unsigned char opaque[ENCODER_STATE_BYTES];
};

struct encoder_ops {
	const char *suffix; /* of the file: "lime", "avml", "raw", "lime.zst" */
	/* Upper bound of pack()'s output for len input bytes; 0: chunks are not packed.
	 */
	size_t (*packed_bound)(size_t len_bytes);
	/* Bytes of scratch memory that pack() needs for each worker. */
	size_t (*scratch_bytes)(size_t chunk_bytes);
	/* Parallel, no state: packs one chunk. Returns the packed length. */
	size_t (*pack)(const void *data, size_t len_bytes, void *out, void *scratch);
	/* In order, by one thread. begin: once. range: before the first chunk of each
	 * range. chunk: data is the plain bytes, packed what pack() made of them (NULL
	 * and 0 when not packed); zero: all bytes are zero. end: once, writes what is
	 * pending. */
	int (*begin)(struct encoder_state *state, const struct ranges *ranges,
		     const struct encoder_out *out, struct err *err);
	int (*range)(struct encoder_state *state, const struct range *range,
		     struct err *err);
	int (*chunk)(struct encoder_state *state, uint64_t phys, const void *data,
		     size_t len_bytes, const void *packed, size_t packed_len, bool zero,
		     struct err *err);
	int (*end)(struct encoder_state *state, struct err *err);
};

extern const struct encoder_ops encoder_avml;
extern const struct encoder_ops encoder_zst;
/* lime and raw need no packing: the pipeline writes them straight from the arena. */

#endif
