/*
 * A plan becomes an image: one pass over the sources copies and hashes them, then the
 * file system is written around the data, then the image is opened again and verified,
 * and only then does it get its name.
 */
#ifndef FVOL_IMAGE_BUILD_H
#define FVOL_IMAGE_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

struct build_request {
	const char *plan; /* relative to the working directory, as are the two outputs */
	const char *root; /* sources are relative to it */
	const char *out;
	const char *manifest_out; /* NULL: not wanted */
	uint64_t size_bytes;
	int64_t epoch;
};

struct build_result {
	size_t files;
	uint64_t data_bytes;
	uint8_t manifest_sha256[SHA256_LEN];
};

#define BUILD_EPOCH_MAX                                                                  \
	0x37fffffffLL /* the last second that ext4 can write: year 2446                  \
		       */

/*
 * The bytes of the image depend on size, epoch and what the plan puts on the volume, and
 * on nothing else. On failure there is no new file at out; an old one stays.
 */
int build_image(const struct build_request *request, struct build_result *result,
		struct err *err);

#endif
