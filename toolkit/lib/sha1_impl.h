/*
 * The ways to compress blocks of SHA-1 that this machine may have, as sha256_impl.h has
 * them of SHA-256. Images are built on x86_64: there is none for aarch64.
 */
#ifndef FVOL_SHA1_IMPL_H
#define FVOL_SHA1_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/sha1.h"
#include "toolkit/lib/sha256_impl.h"

#define SHA1_BLOCK 64

struct sha1_impl {
	bool (*usable)(void); /* does this processor have the instructions? */
	/* Takes whole blocks into the five words of the state (FIPS 180-4, 6.1.2). */
	void (*blocks)(uint32_t state[5], const unsigned char *data, size_t blocks);
	/*
	 * The same blocks into a state of SHA-256, too, by the instructions of `beside`:
	 * each of the two runs while the other waits for its results. NULL: nothing is
	 * gained.
	 */
	void (*both)(uint32_t state[5], uint32_t sha256_state[8],
		     const unsigned char *data, size_t blocks);
	const struct sha256_impl *beside;
};

/* sha1_init() with one that the caller chose; it must be usable. */
void sha1_init_with(struct sha1 *ctx, const struct sha1_impl *impl);

/* In sha1_x86.c, only where it can be compiled, and in crypto_mbedtls.c. */
extern const struct sha1_impl sha1_x86, sha1_portable;

#endif
