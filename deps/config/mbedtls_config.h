/*
 * What of mbedTLS is built. Anything not named is absent, so the binaries stay small and
 * the attack surface is what is listed here.
 */
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_HAVE_ASM

/* Hashes. */
#define MBEDTLS_SHA256_C
#define MBEDTLS_MD_C

/* ECDSA on P-256, deterministic (RFC 6979). */
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ECDSA_DETERMINISTIC
#define MBEDTLS_HMAC_DRBG_C
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C

/* Keys in PEM: PKCS#8, SEC1 and SubjectPublicKeyInfo, unencrypted. */
#define MBEDTLS_OID_C
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_PK_WRITE_C
#define MBEDTLS_BASE64_C
#define MBEDTLS_PEM_PARSE_C
#define MBEDTLS_PEM_WRITE_C
