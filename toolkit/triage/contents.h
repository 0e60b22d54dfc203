/*
 * What a place holds: the names and hashes of what became whole, the names of what did
 * not; and the SHA256SUMS and the lines of custody.jsonl that are made of it.
 */
#ifndef FVOL_TRIAGE_CONTENTS_H
#define FVOL_TRIAGE_CONTENTS_H

#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/triage/place.h"

#define CONTENTS_NAME_MAX 90 /* with ".partial" or ".failed" a member of a tar */

struct contents {
	const char *instance; /* borrowed */
	struct contents_member {
		char name[CONTENTS_NAME_MAX + 1];
		uint8_t sha256[SHA256_LEN];
	} * whole;
	size_t count, room;
	/* The names of the first that failed, as the place keeps them, and how many did.
	 */
	char failed[16][CONTENTS_NAME_MAX + sizeof(".partial")];
	uint64_t failures;
};

/*
 * May a member have this name? Printable ASCII without quotes and backslashes, no longer
 * than it may be, one directory before it at most, not one of the place's own, none that
 * is there already. 0, or -1 with ERR_USAGE.
 */
int contents_check(const struct contents *contents, const char *name, struct err *err);

/* Notes a member that is whole. 0, or -1 with err when memory is out. */
int contents_add(struct contents *contents, const char *name,
		 const uint8_t sha256[SHA256_LEN], struct err *err);

/* Notes one that is not; suffix is what the place puts behind its name. */
void contents_failed(struct contents *contents, const char *name, const char *suffix);

/* SHA256SUMS: the records, the other files, those in directories, each by name; the
 * caller frees it. NULL with err. */
char *contents_sums(struct contents *contents, size_t *len_bytes, struct err *err);

/*
 * Adds to the log of custody at fd: `collected` with the hash of the records, `failed`
 * for each that did, with failure's sentence when there is one, `hashed` for SHA256SUMS
 * unless result->sums_sha256 is not to be had (has_sums). Fills in result. 0, or -1.
 */
int contents_custody(const struct contents *contents, int fd, const struct err *failure,
		     bool has_sums, struct place_result *result, struct err *err);

void contents_free(struct contents *contents);

#endif
