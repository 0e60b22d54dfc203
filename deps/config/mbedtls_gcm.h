/*
 * AES-GCM for mbedTLS on x86_64, six to eight times faster than its own: whole messages
 * (a TLS record is one) go to BearSSL's AES-NI and PCLMUL kernels where the processor has
 * them. Everything else, the streaming calls, other processors, odd nonces, goes to
 * mbedTLS's own code, which is compiled a second time under other names
 * (mbedtls_gcm_own.c). Stands in for mbedtls/gcm.h's context (MBEDTLS_GCM_ALT).
 */
#ifndef MBEDTLS_GCM_ALT_H
#define MBEDTLS_GCM_ALT_H

#include "mbedtls/gcm_own.h"

/* BearSSL's key schedule fits; asserted where it is known. */
#define GCM_ALT_AES_BYTES 272

typedef struct mbedtls_gcm_context {
	int fast; /* both kernels are there and the key is an AES key */
	_Alignas(16) unsigned char h[16];
	_Alignas(16) unsigned char aes[GCM_ALT_AES_BYTES];
	_Alignas(16) unsigned char own[GCM_ALT_OWN_BYTES];
} mbedtls_gcm_context;

#endif
