/*
 * The bytes of the files: hashed, copied into the image and read back, several files at
 * once and many small ones in one write, past the page cache where the system can.
 */
#ifndef FVOL_IMAGE_COPY_H
#define FVOL_IMAGE_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "image/parent.h"
#include "image/tree.h"
#include "toolkit/lib/err.h"

/* Sets the digests of all files with a source below the directory root. */
int copy_hash(struct tree *tree, const char *root, struct err *err);

struct copy_to {
	const char *path; /* of the image, for errors and for a second descriptor */
	int fd;
	bool sha1; /* set that digest, too */
};

/*
 * Copies the files that have a source, or bytes in the parent, to the blocks of their
 * maps. Sets the digests of the former, or holds them against those that are already
 * known; those of the latter must be what they are. What is written is read back at once,
 * past the page cache where the system can, and compared. ERR_FAILED when a source
 * changes meanwhile or the disk gives back something else.
 */
int copy_files(struct tree *tree, const char *root, const struct parent *parent,
	       bool digests_known, const struct copy_to *to, struct err *err);

/*
 * Writes len_bytes of data to the blocks of a map, the last one filled up with zeros; it
 * is not read back.
 */
int copy_text(const struct copy_to *to, const struct ext4_map *map, const void *data,
	      size_t len_bytes, struct err *err);

#endif
