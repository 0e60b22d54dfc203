/*
 * Is a volume what its MANIFEST says, and its MANIFEST what a trusted key has signed?
 * Every file of the MANIFEST is read and hashed unless the caller has done that, nothing
 * else may stand outside /evidence and /lost+found, and what describes the files must be
 * whole.
 */
#ifndef FVOL_IMAGE_VERIFY_H
#define FVOL_IMAGE_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "image/ext4.h"
#include "image/manifest.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/trust.h"

struct verify_request {
	const char *path;		/* file or block device */
	const uint8_t *manifest_sha256; /* of MANIFEST itself, or NULL: not known */
	const struct trust *trust;	/* who must have signed it, or NULL: anybody */
	FILE *report;			/* of findings, one line each; may be NULL */
	/*
	 * NULL, or says of a file of the MANIFEST, whose written extents are at spans,
	 * that the bytes in these blocks have been read already, and what their digest
	 * is.
	 */
	bool (*was_read)(const void *arg, const struct manifest_line *line,
			 const struct ext4_span *spans, size_t count,
			 uint8_t digest[SHA256_LEN]);
	const void *arg;
};

struct verify_result {
	size_t files;	     /* of the MANIFEST that are present and equal */
	size_t findings;     /* printed to report */
	uint64_t bytes;	     /* hashed */
	bool needs_recovery; /* the volume was not unmounted: newest changes may be unseen
			      */
	uint8_t manifest_sha256[SHA256_LEN];
	bool is_signed;		    /* trust was asked for, and the signature is good */
	uint8_t key_id[SHA256_LEN]; /* of the key that signed */
};

/*
 * Returns 0 when all is as it must be; -1 with ERR_NO when something differs or is not
 * there, also the end of a volume that was cut off; ERR_FAILED when reading failed.
 */
int verify_volume(const struct verify_request *request, struct verify_result *result,
		  struct err *err);

/*
 * Reads the MANIFEST of a volume, which must have the hash `expected` unless that is
 * NULL; digest, which may be NULL, receives its hash. ERR_NO when it cannot be right.
 * *manifest is to be freed in any case.
 */
int verify_manifest(struct ext4_volume *volume, const uint8_t *expected, uint8_t *digest,
		    struct manifest *manifest, struct err *err);

/*
 * Reads a small regular file whole, ended by a NUL that is not counted; a hole in it is
 * zeros. The caller frees it. NULL on failure, ERR_NO when there is no such file or it
 * has more than max_bytes.
 */
char *verify_read(struct ext4_volume *volume, const char *path, size_t max_bytes,
		  size_t *len_bytes, struct err *err);

#endif
