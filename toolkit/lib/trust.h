/*
 * Which keys are trusted: a directory, of the image (/keys) or of the workstation, with
 *   ID.pem        a public key; ID is its id in 64 lower-case hex digits
 *   revoked       lines "ID DATE REASON" of keys that no signature counts of any more
 *   revoked.sig   signature over that list by a key of the directory that it does not
 * name A new key is added before the old one is revoked, which is all that rotation
 * takes. A revoked key's signatures are refused whatever their date: who has the key can
 * write any date. Other names in the directory are left alone.
 *
 * The directory must come from where it cannot be changed: on the image /keys is under
 * MANIFEST; on a workstation it is the responder's own copy.
 */
#ifndef FVOL_TRUST_H
#define FVOL_TRUST_H

#include <stdbool.h>
#include <stddef.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/signature.h"

#define TRUST_KEYS_MAX 64
#define TRUST_REVOKED "revoked"
#define TRUST_REVOKED_SIG "revoked.sig"

struct trust {
	size_t count;
	struct {
		struct public_key key;
		bool revoked;
	} at[TRUST_KEYS_MAX];
};

/*
 * Reads a directory of keys. ERR_NO when the list of revoked keys is not signed as it
 * must be, or a key has the name of another; ERR_FAILED when there is no key, or a file
 * cannot be read. A directory that is not right is not half trusted.
 */
int trust_load(int dirfd, struct trust *trust, struct err *err);

/* One key alone. */
void trust_only(const struct public_key *key, struct trust *trust);

/*
 * Checks a signature of a digest by any key that is trusted; *by is the key's place.
 * ERR_NO when none made it, or one that is revoked, which the sentence says.
 */
int trust_check(const struct trust *trust, const uint8_t digest[SHA256_LEN],
		const uint8_t *der, size_t len_bytes, size_t *by, struct err *err);

/*
 * Takes the next id of a list of revoked keys at *pos. Returns 1, 0 at the end, or -1 and
 * ERR_FAILED, with the number of the line, for anything of another form.
 */
int trust_next_revoked(const char *text, size_t len_bytes, size_t *pos,
		       uint8_t id[SHA256_LEN], struct err *err);

#endif
