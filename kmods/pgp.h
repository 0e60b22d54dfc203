/*
 * Signatures of repositories, checked by gpgv with the one key file that the caller names
 * and no other. Key files may be keyrings or armored (.asc), as repositories offer both.
 */
#ifndef FVOL_KMODS_PGP_H
#define FVOL_KMODS_PGP_H

#include <stddef.h>

#include "kmods/transport.h"
#include "toolkit/lib/err.h"

/*
 * Reads a clear-signed text: what was signed, and only that, becomes *text, which the
 * caller frees (a NUL behind it). At least one good signature by the key's file and no
 * bad one: else ERR_NO. Returns 0, or -1 with *text NULL.
 */
int pgp_clear_signed(const struct transport *transport, const char *key, const void *data,
		     size_t len_bytes, char **text, size_t *text_len, struct err *err);

/* Checks a detached signature, armored or not, in the same way. Returns 0 or -1. */
int pgp_detached(const struct transport *transport, const char *key, const void *data,
		 size_t len_bytes, const void *signature, size_t signature_len,
		 struct err *err);

/*
 * Replaces armored blocks by their bytes, in place; what is not armored stays. Returns
 * the new length, or -1 when a block is broken.
 */
long pgp_dearmor(char *data, size_t len_bytes, struct err *err);

#endif
