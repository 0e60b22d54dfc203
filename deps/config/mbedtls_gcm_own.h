/*
 * mbedTLS's own GCM under names that do not collide with mbedtls_gcm.c's. Tests call it
 * too: it is the code that runs where the processor lacks AES-NI.
 */
#ifndef MBEDTLS_GCM_OWN_H
#define MBEDTLS_GCM_OWN_H

#include <stddef.h>

/* Its context fits; asserted where it is known. */
#define GCM_ALT_OWN_BYTES 1024

/* mbedTLS's own code; ctx has GCM_ALT_OWN_BYTES, aligned to 16. As the functions without
 * _own. */
void mbedtls_gcm_own_init(void *ctx);
void mbedtls_gcm_own_free(void *ctx);
int mbedtls_gcm_own_setkey(void *ctx, int cipher, const unsigned char *key,
			   unsigned int keybits);
int mbedtls_gcm_own_starts(void *ctx, int mode, const unsigned char *iv, size_t iv_len);
int mbedtls_gcm_own_update_ad(void *ctx, const unsigned char *add, size_t add_len);
int mbedtls_gcm_own_update(void *ctx, const unsigned char *input, size_t input_length,
			   unsigned char *output, size_t output_size,
			   size_t *output_length);
int mbedtls_gcm_own_finish(void *ctx, unsigned char *output, size_t output_size,
			   size_t *output_length, unsigned char *tag, size_t tag_len);
int mbedtls_gcm_own_crypt_and_tag(void *ctx, int mode, size_t length,
				  const unsigned char *iv, size_t iv_len,
				  const unsigned char *add, size_t add_len,
				  const unsigned char *input, unsigned char *output,
				  size_t tag_len, unsigned char *tag);

#endif
