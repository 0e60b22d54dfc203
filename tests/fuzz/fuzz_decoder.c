#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "toolkit/lib/decoder.h"
#include "toolkit/lib/source_decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The most that is decoded of what an image claims: a lie of 2^63 bytes ends, late. */
#define CLAIM_MAX (64u << 20)

/*
 * Any bytes as an image of each format: an error with a sentence, or memory that can be
 * read to its end; with salvage as well, where nothing but hopeless files may fail. What
 * is good without salvage is the same with it.
 */
static void decode(const struct decoder_ops *ops, int fd, bool salvage,
		   uint8_t digest[SHA256_LEN], int *rc)
{
	static const volatile sig_atomic_t never;
	static struct decoder decoder;
	struct err err = { 0 };

	*rc = -1;
	if (decoder_open(&decoder, fd, ops, salvage, &err) == 0 &&
	    decoder_survey(&decoder, NULL, &err) == 0) {
		if (ranges_bytes(&decoder.ranges) > CLAIM_MAX)
			err.text[0] = '-';
		else
			*rc = source_decoder_hash(&decoder, &never, digest, &err);
	}
	if (*rc < 0 && !err.text[0])
		abort();
	if (*rc == 0 && !salvage && decoder.damages)
		abort();
	decoder_close(&decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct decoder_ops *const all[] = { &decoder_lime, &decoder_avml,
							 &decoder_raw, &decoder_zst };
	uint8_t strict_digest[SHA256_LEN], digest[SHA256_LEN];
	static int fd = -1;
	int strict, rc;

	if (fd < 0)
		fd = memfd_create("image", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, len, 0) != (ssize_t)len)
		abort();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct decoder_ops *told = decoder_recognise(data, len);

		/* Most bytes are soon no image of the other formats. */
		if (told && told != all[i] && len > 64 && data[len - 1] & 3)
			continue;
		decode(all[i], fd, false, strict_digest, &strict);
		decode(all[i], fd, true, digest, &rc);
		if (strict == 0 &&
		    (rc < 0 || memcmp(digest, strict_digest, SHA256_LEN) != 0))
			abort();
	}
	return 0;
}
