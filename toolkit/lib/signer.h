/*
 * Who signs a release, on the build machine or a workstation and never on the instance: a
 * key file, or a program that stands before an HSM or AWS KMS.
 */
#ifndef FVOL_SIGNER_H
#define FVOL_SIGNER_H

#include <stddef.h>
#include <stdint.h>

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

#endif
