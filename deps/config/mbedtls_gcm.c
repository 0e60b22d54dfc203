/*
 * Whole messages by BearSSL's kernels, the rest by mbedTLS's own code: see mbedtls_gcm.h.
 * NIST SP 800-38D; the names H, J0 and S are its own.
 */
#include <string.h>

#include <bearssl_block.h>
#include <bearssl_hash.h>

#include "common.h"

#include "mbedtls/constant_time.h"
#include "mbedtls/gcm.h"
#include "mbedtls/platform_util.h"

/* Both passes over a piece of this size find it in the processor's first cache. */
#define PIECE_BYTES 8192

_Static_assert(sizeof(br_aes_x86ni_ctr_keys) <= GCM_ALT_AES_BYTES,
	       "GCM_ALT_AES_BYTES must hold BearSSL's key schedule");

static br_aes_x86ni_ctr_keys *aes(mbedtls_gcm_context *ctx)
{
	return (br_aes_x86ni_ctr_keys *)ctx->aes;
}

void mbedtls_gcm_init(mbedtls_gcm_context *ctx)
{
	memset(ctx, 0, sizeof(*ctx));
	mbedtls_gcm_own_init(ctx->own);
}

void mbedtls_gcm_free(mbedtls_gcm_context *ctx)
{
	if (ctx == NULL)
		return;
	mbedtls_gcm_own_free(ctx->own);
	mbedtls_platform_zeroize(ctx, sizeof(*ctx));
}

int mbedtls_gcm_setkey(mbedtls_gcm_context *ctx, mbedtls_cipher_id_t cipher,
		       const unsigned char *key, unsigned int keybits)
{
	static const unsigned char zeroes[12];
	int ret = mbedtls_gcm_own_setkey(ctx->own, (int)cipher, key, keybits);

	ctx->fast = 0;
	if (ret != 0 || cipher != MBEDTLS_CIPHER_ID_AES ||
	    br_aes_x86ni_ctr_get_vtable() == NULL || br_ghash_pclmul_get() == 0)
		return ret;
	br_aes_x86ni_ctr_init(aes(ctx), key, keybits / 8);
	/* H is the cipher of the zero block: the key stream of nonce 0, counter 0. */
	memset(ctx->h, 0, sizeof(ctx->h));
	br_aes_x86ni_ctr_run(aes(ctx), zeroes, 0, ctx->h, sizeof(ctx->h));
	ctx->fast = 1;
	return 0;
}

int mbedtls_gcm_starts(mbedtls_gcm_context *ctx, int mode, const unsigned char *iv,
		       size_t iv_len)
{
	return mbedtls_gcm_own_starts(ctx->own, mode, iv, iv_len);
}

int mbedtls_gcm_update_ad(mbedtls_gcm_context *ctx, const unsigned char *add,
			  size_t add_len)
{
	return mbedtls_gcm_own_update_ad(ctx->own, add, add_len);
}

int mbedtls_gcm_update(mbedtls_gcm_context *ctx, const unsigned char *input,
		       size_t input_length, unsigned char *output, size_t output_size,
		       size_t *output_length)
{
	return mbedtls_gcm_own_update(ctx->own, input, input_length, output, output_size,
				      output_length);
}

int mbedtls_gcm_finish(mbedtls_gcm_context *ctx, unsigned char *output,
		       size_t output_size, size_t *output_length, unsigned char *tag,
		       size_t tag_len)
{
	return mbedtls_gcm_own_finish(ctx->own, output, output_size, output_length, tag,
				      tag_len);
}

int mbedtls_gcm_crypt_and_tag(mbedtls_gcm_context *ctx, int mode, size_t length,
			      const unsigned char *iv, size_t iv_len,
			      const unsigned char *add, size_t add_len,
			      const unsigned char *input, unsigned char *output,
			      size_t tag_len, unsigned char *tag)
{
	unsigned char s[16] = { 0 }, lengths[16], mask[16] = { 0 };
	uint32_t counter = 2; /* J0 has 1 */

	/* Other nonces, bad arguments and their answers are the original's. */
	if (!ctx->fast || iv_len != 12 || tag_len < 4 || tag_len > 16 ||
	    (uint64_t)length > 0xFFFFFFFE0ull || (uint64_t)add_len >> 61 != 0 ||
	    (output > input && (size_t)(output - input) < length))
		return mbedtls_gcm_own_crypt_and_tag(ctx->own, mode, length, iv, iv_len,
						     add, add_len, input, output, tag_len,
						     tag);
	if (add_len > 0)
		br_ghash_pclmul(s, ctx->h, add, add_len);
	for (size_t done = 0; done < length;) {
		size_t n = length - done < PIECE_BYTES ? length - done : PIECE_BYTES;

		if (mode == MBEDTLS_GCM_DECRYPT)
			br_ghash_pclmul(s, ctx->h, input + done, n);
		if (output != input)
			memmove(output + done, input + done, n);
		counter = br_aes_x86ni_ctr_run(aes(ctx), iv, counter, output + done, n);
		if (mode != MBEDTLS_GCM_DECRYPT)
			br_ghash_pclmul(s, ctx->h, output + done, n);
		done += n;
	}
	MBEDTLS_PUT_UINT64_BE((uint64_t)add_len * 8, lengths, 0);
	MBEDTLS_PUT_UINT64_BE((uint64_t)length * 8, lengths, 8);
	br_ghash_pclmul(s, ctx->h, lengths, sizeof(lengths));
	br_aes_x86ni_ctr_run(aes(ctx), iv, 1, mask, sizeof(mask));
	for (size_t i = 0; i < tag_len; i++)
		tag[i] = s[i] ^ mask[i];
	mbedtls_platform_zeroize(mask, sizeof(mask));
	return 0;
}

int mbedtls_gcm_auth_decrypt(mbedtls_gcm_context *ctx, size_t length,
			     const unsigned char *iv, size_t iv_len,
			     const unsigned char *add, size_t add_len,
			     const unsigned char *tag, size_t tag_len,
			     const unsigned char *input, unsigned char *output)
{
	unsigned char check[16];
	int ret = mbedtls_gcm_crypt_and_tag(ctx, MBEDTLS_GCM_DECRYPT, length, iv, iv_len,
					    add, add_len, input, output, tag_len, check);

	if (ret != 0)
		return ret;
	if (mbedtls_ct_memcmp(tag, check, tag_len) != 0) {
		mbedtls_platform_zeroize(output, length);
		return MBEDTLS_ERR_GCM_AUTH_FAILED;
	}
	return 0;
}
