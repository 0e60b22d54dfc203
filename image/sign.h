/*
 * Signatures made on the build machine and the workstation, as commands: keys, files that
 * are signed by one (signer.h), and the directory of trusted keys.
 */
#ifndef FVOL_IMAGE_SIGN_H
#define FVOL_IMAGE_SIGN_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/signature.h"
#include "toolkit/lib/signer.h"
#include "toolkit/lib/trust.h"

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

/* Who is trusted: the key of public_path or, when that is NULL, those of keys_path. */
int sign_load_trust(const char *public_path, const char *keys_path, struct trust *trust,
		    struct err *err);

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
