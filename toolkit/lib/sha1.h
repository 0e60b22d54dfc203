/*
 * SHA-1, of the TLS library: SPDX 2.3 (8.4) wants it of every file beside whatever proves
 * anything. Nothing of ours is decided by it.
 */
#ifndef FVOL_SHA1_H
#define FVOL_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_LEN 20
#define SHA1_HEX_SIZE 41 /* 40 lower-case digits and a NUL */

struct sha1 {
	_Alignas(8) unsigned char opaque[96];
};

void sha1_init(struct sha1 *ctx);
void sha1_update(struct sha1 *ctx, const void *data, size_t len_bytes);
/* Writes the digest; the context must be initialised again before another use. */
void sha1_final(struct sha1 *ctx, uint8_t digest[SHA1_LEN]);

/* Writes 40 lower-case digits and a NUL. */
void sha1_to_hex(const uint8_t digest[SHA1_LEN], char hex[SHA1_HEX_SIZE]);

#endif
