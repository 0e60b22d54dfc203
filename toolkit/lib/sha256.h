/*
 * SHA-256 (FIPS 180-4), streaming, the context in the caller's memory. The processor's
 * own instructions do the work where it has them (sha256_impl.h), the TLS library's
 * portable code elsewhere; the choice is made at run time.
 */
#ifndef FVOL_SHA256_H
#define FVOL_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32
#define SHA256_HEX_SIZE 65 /* 64 lower-case digits and a NUL */

struct sha256 {
	_Alignas(16) unsigned char opaque[128];
};

void sha256_init(struct sha256 *ctx);
void sha256_update(struct sha256 *ctx, const void *data, size_t len_bytes);
/*
 * Bytes into one hash and bytes into another, for little more than the price of the
 * longer where the processor has instructions for SHA-256; for the price of both
 * elsewhere. The same bytes into two hashes are cheapest when both have taken the same
 * number of bytes modulo 64.
 */
void sha256_update_two(struct sha256 *first, const void *data, size_t len_bytes,
		       struct sha256 *second, const void *other, size_t other_bytes);
/* Is that cheaper than one after the other on this processor? */
bool sha256_two_are_cheap(void);
/* Writes the digest; the context must be initialised again before another use. */
void sha256_final(struct sha256 *ctx, uint8_t digest[SHA256_LEN]);

/* One-shot form. */
void sha256(const void *data, size_t len_bytes, uint8_t digest[SHA256_LEN]);

/* Writes 64 lower-case digits and a NUL. */
void sha256_to_hex(const uint8_t digest[SHA256_LEN], char hex[SHA256_HEX_SIZE]);

/*
 * Reads exactly 64 hex digits of either case; what follows them is the caller's affair.
 * Returns false, digest unspecified, when one of them is not a hex digit.
 */
bool sha256_from_hex(const char *hex, uint8_t digest[SHA256_LEN]);

#endif
