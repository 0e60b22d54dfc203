/*
 * Is a volume what its MANIFEST says? Every file of the MANIFEST is read and hashed, and
 * nothing else may stand outside /evidence and /lost+found.
 */
#ifndef FVOL_IMAGE_VERIFY_H
#define FVOL_IMAGE_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

struct verify_result {
	size_t files;	     /* of the MANIFEST that are present and equal */
	size_t findings;     /* printed to report, one line each */
	uint64_t bytes;	     /* hashed */
	bool needs_recovery; /* the volume was not unmounted: newest changes may be unseen
			      */
};

/*
 * Verifies the file or block device at path. manifest_sha256, NULL when not known, is
 * what the MANIFEST itself must hash to. report may be NULL. Returns 0 when all is
 * equal; -1 with ERR_NO when something differs, ERR_FAILED when reading failed.
 */
int verify_volume(const char *path, const uint8_t *manifest_sha256, FILE *report,
		  struct verify_result *result, struct err *err);

#endif
