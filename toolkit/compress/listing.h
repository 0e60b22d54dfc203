/* What a bundle holds, or should: names, lengths, hashes; and the SHA256SUMS in it. */
#ifndef FVOL_COMPRESS_LISTING_H
#define FVOL_COMPRESS_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/compress/tar.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define LISTING_MAX 65536
/* A SHA256SUMS that is longer is nobody's. */
#define LISTING_SUMS_MAX (16u << 20)

struct listed {
	struct tar_entry entry;
	uint8_t sha256[SHA256_LEN];
	char *sums; /* the text of a SHA256SUMS, NUL behind it; NULL for other files */
};

struct listing {
	size_t count;
	struct listed **at;
};

/* Adds an entry, and room for its text when it is a SHA256SUMS. NULL on failure. */
struct listed *listing_add(struct listing *listing, const struct tar_entry *entry,
			   struct err *err);
void listing_free(struct listing *listing);

/* By name, as strcmp() orders, whatever the directory's order was. */
void listing_sort(struct listing *listing);

/* Is this name twice in the (sorted) listing? Names it in err. */
int listing_unique(const struct listing *listing, struct err *err);

/*
 * Holds a sorted listing against every SHA256SUMS in it, whose names are relative to its
 * directory. ERR_NO when a hash differs or a file is missing. *checked counts the files
 * that are equal, *sums the SHA256SUMS.
 */
int listing_check_sums(const struct listing *listing, size_t *checked, size_t *sums,
		       struct err *err);

#endif
