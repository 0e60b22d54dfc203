/*
 * The ways to compress blocks of SHA-256 that this machine may have: the instructions of
 * the processor where it has them, the TLS library's portable code everywhere. sha256.c
 * chooses when a context is initialised; tests choose for themselves.
 */
#ifndef FVOL_SHA256_IMPL_H
#define FVOL_SHA256_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/sha256.h"

#define SHA256_BLOCK 64

/* Takes whole blocks into the eight words of the state (FIPS 180-4, 6.2.2). */
typedef void sha256_blocks_fn(uint32_t state[8], const unsigned char *data,
			      size_t blocks);

/*
 * Blocks into two states: one state's rounds run while those of the other wait for their
 * results. data and other may be the same: one schedule then serves both.
 */
typedef void sha256_pair_fn(uint32_t first[8], const unsigned char *data,
			    uint32_t second[8], const unsigned char *other,
			    size_t blocks);

struct sha256_impl {
	const char *name;     /* of the instructions, for people */
	bool (*usable)(void); /* does this processor have them? */
	sha256_blocks_fn *blocks;
	sha256_pair_fn *pair; /* NULL: nothing is gained */
};

/* What stands in a struct sha256. */
struct sha256_running {
	uint32_t state[8];
	uint64_t len_bytes;
	const struct sha256_impl *impl;
	unsigned char rest[SHA256_BLOCK]; /* of a block that is not whole yet */
};

/* FIPS 180-4, 4.2.2; aligned so that four of them are one load. */
extern const uint32_t sha256_k[64];

/* In order of preference, ended by NULL; the last one is usable everywhere. */
extern const struct sha256_impl *const sha256_impls[];

/* The first usable one. */
const struct sha256_impl *sha256_chosen(void);

/* sha256_init() with one that the caller chose; it must be usable. */
void sha256_init_with(struct sha256 *ctx, const struct sha256_impl *impl);

/* In sha256_x86.c, sha256_arm.c and crypto_mbedtls.c; the first two only where they can
 * be compiled. */
extern const struct sha256_impl sha256_x86, sha256_arm, sha256_portable;

#endif
