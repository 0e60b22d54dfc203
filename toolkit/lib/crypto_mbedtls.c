/* The room of mbedTLS's cryptography: the portable SHA-256. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS /* to the state of a running hash */
#include <mbedtls/sha256.h>

#include <string.h>

#include "toolkit/lib/sha256_impl.h"

static bool always(void)
{
	return true;
}

static void portable_blocks(uint32_t state[8], const unsigned char *data, size_t blocks)
{
	mbedtls_sha256_context ctx;

	mbedtls_sha256_init(&ctx);
	memcpy(ctx.state, state, sizeof(ctx.state));
	/* Fails only for an accelerator that is not built. */
	for (; blocks; blocks--, data += SHA256_BLOCK)
		mbedtls_internal_sha256_process(&ctx, data);
	memcpy(state, ctx.state, sizeof(ctx.state));
}

const struct sha256_impl sha256_portable = { "portable", always, portable_blocks };
