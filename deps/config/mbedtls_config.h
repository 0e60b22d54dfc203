/*
 * What of mbedTLS is built. Anything not named is absent, so the binaries stay small and
 * the attack surface is what is listed here.
 */
#define MBEDTLS_SHA256_C
#define MBEDTLS_PLATFORM_C
