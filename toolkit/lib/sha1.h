/*
 * SHA-1 (FIPS 180-4), streaming: SPDX 2.3 (8.4) wants it of every file beside whatever
 * proves anything. Nothing of ours is decided by it. By the processor's own instructions
 * where it has them (sha1_impl.h): the TLS library's portable code took longer for the
 * files of an image than everything else that its build does.
 */
#ifndef FVOL_SHA1_H
#define FVOL_SHA1_H

#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/sha256.h"

#define SHA1_LEN 20
#define SHA1_HEX_SIZE 41 /* 40 lower-case digits and a NUL */

struct sha1 {
	_Alignas(8) unsigned char opaque[104];
};

void sha1_init(struct sha1 *ctx);
void sha1_update(struct sha1 *ctx, const void *data, size_t len_bytes);
/*
 * The same bytes into both, for little more than the price of one where the processor has
 * instructions for them and both have taken the same number of bytes modulo 64.
 */
void sha1_update_both(struct sha1 *sha1, struct sha256 *sha256, const void *data,
		      size_t len_bytes);
/* Writes the digest; the context must be initialised again before another use. */
void sha1_final(struct sha1 *ctx, uint8_t digest[SHA1_LEN]);

/* Writes 40 lower-case digits and a NUL. */
void sha1_to_hex(const uint8_t digest[SHA1_LEN], char hex[SHA1_HEX_SIZE]);

#endif
