/*
 * Signs a catalogue, and verifies one anywhere: its signature, its number, every file
 * that it lists, and that there is nothing else.
 */
#ifndef FVOL_KMODS_VERIFY_H
#define FVOL_KMODS_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kmods/catalogue.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/signer.h"

/*
 * Signs DIR/catalogue.json into catalogue.json.sig: ECDSA P-256 over SHA-256, in DER, as
 * `openssl dgst -sha256 -verify` takes it. id receives the key's. The catalogue must be
 * one. Returns 0 or -1.
 */
int catalogue_sign(const char *dir, const struct signer *signer, uint8_t id[SHA256_LEN],
		   struct err *err);

struct verify_options {
	const char *dir;
	const char *key;  /* public key in PEM, or NULL */
	const char *keys; /* directory of trusted keys, or NULL */
	uint64_t min_version;
	bool tested; /* an untested module is a finding */
};

struct verify_result {
	uint64_t version;
	size_t modules, tested, symbols;
	bool has_signature;
	bool signature_checked; /* by a key that was given, and good */
	size_t findings;
};

/* Called for each thing that is wrong; what is one sentence. */
typedef void verify_finding(void *arg, const char *what);

/*
 * Returns 0 when nothing is wrong, -1 with ERR_NO when there are findings, all of which
 * were told, or ERR_FAILED when the catalogue cannot be read at all. Without a key the
 * signature is not looked at: result says so.
 */
int catalogue_verify(const struct verify_options *options, verify_finding *finding,
		     void *arg, struct verify_result *result, struct err *err);

/*
 * Opens a catalogue's directory and reads its catalogue, which must be there and hold
 * nothing that this program would not have written. Returns the descriptor or -1;
 * catalogue_free() afterwards, also on failure.
 */
int catalogue_open(const char *dir, struct catalogue *cat, struct err *err);

#endif
