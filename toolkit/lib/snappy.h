/*
 * Snappy's block format ("Snappy compressed format description", 2011-10-05) for pieces
 * of at most 64 KiB, which is what snappy's framing format holds in a chunk: the encoder
 * is snappy.c, the decoder snappy_decode.c.
 */
#ifndef FVOL_SNAPPY_H
#define FVOL_SNAPPY_H

#include <stddef.h>
#include <stdint.h>

#define SNAPPY_BLOCK_BYTES 65536u

/* Working memory of one encoder; need not be initialised. */
struct snappy_table {
	uint16_t at[1 << 14];
};

/*
 * Compresses 1 to SNAPPY_BLOCK_BYTES bytes into out. Returns the compressed length, or 0
 * when it would come within 4 bytes of out_max: incompressible data needs no larger
 * buffer than itself, and a caller who gets 0 stores it as it is. What out then holds is
 * undefined.
 */
size_t snappy_encode(const void *data, size_t len_bytes, void *out, size_t out_max,
		     struct snappy_table *table);

/*
 * Writes the block that stands for len zero bytes, 1 to SNAPPY_BLOCK_BYTES. Returns its
 * length, at most SNAPPY_ZEROS_MAX.
 */
#define SNAPPY_ZEROS_MAX (3 + 2 + 3 * (SNAPPY_BLOCK_BYTES / 64 + 1))
size_t snappy_zeros(size_t len_bytes, unsigned char out[SNAPPY_ZEROS_MAX]);

/*
 * The plain length that a block claims, without decoding it. Returns 0 when the block
 * claims none, or more than SNAPPY_BLOCK_BYTES.
 */
size_t snappy_plain_bytes(const void *block, size_t len_bytes);

/*
 * Decodes a block of hostile bytes: nothing is read beyond len_bytes or written beyond
 * out_max. Returns the plain length, at least 1, or 0 when the block is damaged or does
 * not fit; what out then holds is undefined.
 */
size_t snappy_decode(const void *block, size_t len_bytes, void *out, size_t out_max);

#endif
