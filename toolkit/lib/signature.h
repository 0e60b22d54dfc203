/*
 * Signatures of evidence and releases: ECDSA on P-256 over SHA-256, in DER, as stock
 * `openssl dgst -sha256 -sign/-verify` and AWS KMS (ECDSA_SHA_256) make and check them.
 * Those of a local key are deterministic (RFC 6979): the same file gives the same bytes.
 *
 * A key's id is the SHA-256 of its SubjectPublicKeyInfo in DER, which
 * `openssl pkey -pubin -outform DER | sha256sum` shows.
 */
#ifndef FVOL_SIGNATURE_H
#define FVOL_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define SIGNATURE_MAX 72  /* bytes of DER: two integers of 33 bytes at most */
#define KEY_PEM_MAX 512	  /* what is written, with its NUL */
#define KEY_FILE_MAX 8192 /* what is read */
#define KEY_POINT_LEN 65  /* 4, X, Y */

struct public_key {
	uint8_t point[KEY_POINT_LEN];
	uint8_t id[SHA256_LEN];
};

/* Secret: the caller wipes it by private_key_wipe(), whatever happened. */
struct private_key {
	uint8_t scalar[32];
	struct public_key public;
};

/*
 * Reads a key from PEM text (len bytes, ended by a NUL that is not counted): public as
 * SubjectPublicKeyInfo, private as PKCS#8 or SEC 1, not encrypted. ERR_FAILED for
 * anything that is not one key on P-256.
 */
int public_key_parse(const char *pem, size_t len_bytes, struct public_key *key,
		     struct err *err);
int private_key_parse(const char *pem, size_t len_bytes, struct private_key *key,
		      struct err *err);

/* Makes a key from the kernel's random numbers. */
int private_key_make(struct private_key *key, struct err *err);

void private_key_wipe(struct private_key *key);

/* PEM, ended by a newline and a NUL: SubjectPublicKeyInfo, PKCS#8. The private text is as
 * secret as the key: the caller wipes it. */
int public_key_pem(const struct public_key *key, char pem[KEY_PEM_MAX], struct err *err);
int private_key_pem(const struct private_key *key, char pem[KEY_PEM_MAX],
		    struct err *err);

/* Signs a digest; der receives *len_bytes bytes. The signature was verified. */
int signature_make(const struct private_key *key, const uint8_t digest[SHA256_LEN],
		   uint8_t der[SIGNATURE_MAX], size_t *len_bytes, struct err *err);

/*
 * Checks a signature of a digest. ERR_NO when it is not one of this key, or not in DER:
 * minimal, positive, nothing behind it, so that no two byte strings are the same
 * signature. Large and small s are both accepted, as openssl does: KMS makes both.
 */
int signature_check(const struct public_key *key, const uint8_t digest[SHA256_LEN],
		    const uint8_t *der, size_t len_bytes, struct err *err);

/* Is it a DER SEQUENCE of two INTEGERs that P-256 could give? Whether of a key is not
 * looked at. */
bool signature_is_der(const uint8_t *der, size_t len_bytes);

/* The same from files. Relative to dirfd; a private key that others than its owner can
 * read is refused (ERR_REFUSED). */
int public_key_load(int dirfd, const char *path, struct public_key *key, struct err *err);
int private_key_load(int dirfd, const char *path, struct private_key *key,
		     struct err *err);
int signature_load(int dirfd, const char *path, uint8_t der[SIGNATURE_MAX],
		   size_t *len_bytes, struct err *err);

/* The primitives, in crypto_mbedtls.c. They return false on failure. */
bool crypto_public_parse(const char *pem, size_t len_bytes, uint8_t point[KEY_POINT_LEN]);
bool crypto_private_parse(const char *pem, size_t len_bytes, uint8_t scalar[32],
			  uint8_t point[KEY_POINT_LEN]);
bool crypto_private_make(uint8_t scalar[32], uint8_t point[KEY_POINT_LEN]);
bool crypto_pem(const char *label, const uint8_t *der, size_t len_bytes,
		char pem[KEY_PEM_MAX]);
bool crypto_sign(const uint8_t scalar[32], const uint8_t digest[SHA256_LEN],
		 uint8_t der[SIGNATURE_MAX], size_t *len_bytes);
bool crypto_verify(const uint8_t point[KEY_POINT_LEN], const uint8_t digest[SHA256_LEN],
		   const uint8_t *der, size_t len_bytes);

#endif
