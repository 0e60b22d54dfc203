/*
 * mbedTLS's own gcm.c, once more, under names that mbedtls_gcm.c can call. Built in
 * mbedTLS's library directory; see mbedtls_gcm.h.
 */
#include "mbedtls/build_info.h"

/* The original sees itself as if there were no alternative. */
#undef MBEDTLS_GCM_ALT
#define mbedtls_gcm_context gcm_own_context
#define mbedtls_gcm_init gcm_own_init
#define mbedtls_gcm_free gcm_own_free
#define mbedtls_gcm_setkey gcm_own_setkey
#define mbedtls_gcm_starts gcm_own_starts
#define mbedtls_gcm_update_ad gcm_own_update_ad
#define mbedtls_gcm_update gcm_own_update
#define mbedtls_gcm_finish gcm_own_finish
#define mbedtls_gcm_crypt_and_tag gcm_own_crypt_and_tag
#define mbedtls_gcm_auth_decrypt gcm_own_auth_decrypt
#include "gcm.c"

#include "mbedtls/gcm_own.h"

_Static_assert(sizeof(gcm_own_context) <= GCM_ALT_OWN_BYTES,
	       "GCM_ALT_OWN_BYTES must hold mbedTLS's context");

void mbedtls_gcm_own_init(void *ctx)
{
	gcm_own_init(ctx);
}

void mbedtls_gcm_own_free(void *ctx)
{
	gcm_own_free(ctx);
}

int mbedtls_gcm_own_setkey(void *ctx, int cipher, const unsigned char *key,
			   unsigned int keybits)
{
	return gcm_own_setkey(ctx, (mbedtls_cipher_id_t)cipher, key, keybits);
}

int mbedtls_gcm_own_starts(void *ctx, int mode, const unsigned char *iv, size_t iv_len)
{
	return gcm_own_starts(ctx, mode, iv, iv_len);
}

int mbedtls_gcm_own_update_ad(void *ctx, const unsigned char *add, size_t add_len)
{
	return gcm_own_update_ad(ctx, add, add_len);
}

int mbedtls_gcm_own_update(void *ctx, const unsigned char *input, size_t input_length,
			   unsigned char *output, size_t output_size,
			   size_t *output_length)
{
	return gcm_own_update(ctx, input, input_length, output, output_size,
			      output_length);
}

int mbedtls_gcm_own_finish(void *ctx, unsigned char *output, size_t output_size,
			   size_t *output_length, unsigned char *tag, size_t tag_len)
{
	return gcm_own_finish(ctx, output, output_size, output_length, tag, tag_len);
}

int mbedtls_gcm_own_crypt_and_tag(void *ctx, int mode, size_t length,
				  const unsigned char *iv, size_t iv_len,
				  const unsigned char *add, size_t add_len,
				  const unsigned char *input, unsigned char *output,
				  size_t tag_len, unsigned char *tag)
{
	return gcm_own_crypt_and_tag(ctx, mode, length, iv, iv_len, add, add_len, input,
				     output, tag_len, tag);
}
