/*
 * Signatures made on the build machine and the workstation: keys, who signs (a key file
 * or a program that stands before an HSM or AWS KMS), and the directory of trusted keys.
 */
#ifndef FVOL_IMAGE_SIGN_H
#define FVOL_IMAGE_SIGN_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/signature.h"

/*
 * Who signs: the private key of key_path; or the program command, which gets the digest
 * as 32 bytes on standard input and prints the signature in DER, and is believed only
 * when the public key of public_path says so.
 */
struct signer {
	const char *key_path; /* NULL: command and public_path */
	const char *command;
	const char *public_path;
};

/*
 * Signs a digest. The signature was verified; *id, which may be NULL, receives the id of
 * the key. The private key is in memory for this call only. ERR_NO when the command's
 * signature is not one of the public key.
 */
int signer_sign(const struct signer *signer, const uint8_t digest[SHA256_LEN],
		uint8_t der[SIGNATURE_MAX], size_t *len_bytes, uint8_t id[SHA256_LEN],
		struct err *err);

/* Makes a key: key_path (a new file, mode 0600) and public_path (a new file, too). */
int sign_keygen(const char *key_path, const char *public_path, FILE *out,
		struct err *err);

/* Signs each file into FILE.sig, which is replaced, and says so on out. */
int sign_files(const struct signer *signer, char **files, size_t count, FILE *out,
	       struct err *err);

/*
 * Checks the signature sig (NULL: FILE.sig) of file by the key of public_path or, when
 * that is NULL, by the trusted keys in keys_path.
 */
int sign_verify(const char *public_path, const char *keys_path, const char *file,
		const char *sig, FILE *out, struct err *err);

/* Adds a public key to a directory of trusted keys, under its id. */
int sign_trust(const char *keys_path, const char *public_path, FILE *out,
	       struct err *err);

/*
 * Adds the key with this id (hex) to the list of revoked keys, and signs the list anew;
 * the signer must be trusted and not revoked himself.
 */
int sign_revoke(const struct signer *signer, const char *keys_path, const char *id_hex,
		const char *reason, FILE *out, struct err *err);

#endif
