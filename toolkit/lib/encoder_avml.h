/*
 * The AVML v2 container behind encoder.h: blocks of at most 16 MiB, each a 32-byte header
 * (magic u32, version u32, start u64, end u64 INCLUSIVE, 0 u64), a snappy frame stream
 * and the u64 length of that stream. Zero chunks are left out, as AVML leaves them out.
 *
 * Volatility 3 (2.11, layers/avml.py) takes at most end - start bytes of stream from a
 * block and loops for ever when there are more. So a block is kept open until its stream
 * is shorter than that:
 * - A chunk that fits by itself is a block of its own. A chunk that does not is added to
 *   the block before it while that one has room to spare, or takes up to 64 KiB of the
 *   zeros left out right before it, or is merged with what follows.
 * - An output with patch() gets the header first and its end when the block ends. Without
 *   patch() a block that needs what follows claims all of it at once, up to 16 MiB or the
 *   range's end. Chunks of one range must then have one length, but for the last.
 * - What does not fit then either is ERR_FAILED, "incompressible at 0x...".
 */
#ifndef FVOL_ENCODER_AVML_H
#define FVOL_ENCODER_AVML_H

#include <stdbool.h>
#include <stdint.h>

#include "toolkit/lib/encoder.h"

#define AVML_MAGIC 0x4c4d5641u
#define AVML_VERSION 2u
#define AVML_BLOCK_MAX (16u << 20)

/* Did range(), chunk() or end() fail because a block did not fit? Then a file can be had
 * as lime instead; *phys, when not NULL, is where the block begins. */
bool encoder_avml_did_not_fit(const struct encoder_state *state, uint64_t *phys);

/* How many bytes, from the first that was put, are complete blocks. A file cut there
 * opens in Volatility; one that ends inside a block sends it into an endless loop. */
uint64_t encoder_avml_complete_bytes(const struct encoder_state *state);

#endif
