/*
 * A plan becomes an image: one pass over the sources copies and hashes them, then the
 * file system is written around the data, then the image is opened again and verified,
 * and only then does it get its name.
 */
#ifndef FVOL_IMAGE_BUILD_H
#define FVOL_IMAGE_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/sign.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

struct build_request {
	const char *plan; /* relative to the working directory, as are the two outputs */
	const char *root; /* sources are relative to it */
	const char *out;
	const char *manifest_out;    /* NULL: not wanted */
	const char *keys;	     /* directory of trusted keys for /keys, or NULL */
	const struct signer *signer; /* of MANIFEST.sig; NULL: the image is not signed */
	/*
	 * An image whose places are kept for what has not changed, with its UUID, size
	 * and number of inodes; NULL: none. With `add` everything that stands in it is in
	 * the new one, too, and the plan adds to it or replaces.
	 */
	const char *parent;
	bool add;
	uint64_t size_bytes; /* 0: as the plan or the parent says */
	int64_t epoch;	     /* -1: the parent's */
};

struct build_result {
	size_t files;
	uint64_t data_bytes;
	uint8_t manifest_sha256[SHA256_LEN];
	bool is_signed;
	uint8_t key_id[SHA256_LEN]; /* of the key that signed */
};

#define BUILD_EPOCH_MAX                                                                  \
	0x37fffffffLL /* the last second that ext4 can write: year 2446                  \
		       */

/*
 * The bytes of the image depend on size, epoch, parent and what the plan puts on the
 * volume, and on nothing else; a signature adds one name, one inode and one block. On
 * failure there is no new file at out; an old one stays.
 */
int build_image(const struct build_request *request, struct build_result *result,
		struct err *err);

#endif
