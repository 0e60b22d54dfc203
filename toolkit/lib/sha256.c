#include "toolkit/lib/sha256.h"

#include <string.h>

#include <mbedtls/sha256.h>

_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof(struct sha256),
	       "struct sha256 must hold the library's context");

/* The library's calls fail only for a bad pointer or an accelerator that is not built. */
static mbedtls_sha256_context *inner(struct sha256 *ctx)
{
	return (mbedtls_sha256_context *)ctx->opaque;
}

void sha256_init(struct sha256 *ctx)
{
	mbedtls_sha256_init(inner(ctx));
	mbedtls_sha256_starts(inner(ctx), 0);
}

void sha256_update(struct sha256 *ctx, const void *data, size_t len_bytes)
{
	mbedtls_sha256_update(inner(ctx), data, len_bytes);
}

void sha256_final(struct sha256 *ctx, uint8_t digest[SHA256_LEN])
{
	mbedtls_sha256_finish(inner(ctx), digest);
	mbedtls_sha256_free(inner(ctx));
}

void sha256(const void *data, size_t len_bytes, uint8_t digest[SHA256_LEN])
{
	struct sha256 ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, data, len_bytes);
	sha256_final(&ctx, digest);
}

void sha256_to_hex(const uint8_t digest[SHA256_LEN], char hex[SHA256_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA256_LEN; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * SHA256_LEN] = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool sha256_from_hex(const char *hex, uint8_t digest[SHA256_LEN])
{
	for (size_t i = 0; i < SHA256_LEN; i++) {
		int high = nibble(hex[2 * i]);
		int low = high < 0 ? -1 : nibble(hex[2 * i + 1]);

		if (low < 0)
			return false;
		digest[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}
