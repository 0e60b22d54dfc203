/*
 * Reads memory images as an analysis tool would, from the descriptions of the formats and
 * without a line of the toolkit: what our encoders write is judged by other eyes.
 */
#ifndef FVOL_TESTS_READERS_IMAGE_H
#define FVOL_TESTS_READERS_IMAGE_H

#include <stddef.h>
#include <stdint.h>

enum image_format { IMAGE_LIME, IMAGE_AVML, IMAGE_RAW, IMAGE_ZST };

/* Bytes of memory that stand together in the file. */
struct segment {
	uint64_t start, len; /* physical address, bytes */
	uint64_t off;	     /* in the file; for zst in the decompressed stream */
	uint64_t
		packed_len; /* bytes in the file, for a compressed snappy chunk; else 0 */
};

/* A frame of seekable zstd. */
struct frame {
	uint64_t off, packed_len, plain_off, plain_len;
	uint32_t checksum;
};

struct image {
	const uint8_t *data;
	uint64_t len;
	enum image_format format;
	size_t count, frames;
	struct segment *at; /* ascending, never overlapping */
	struct frame *frame;
	uint64_t stream_len; /* bytes of the decompressed stream */
	size_t cached;	     /* which segment or frame plain holds, + 1; 0: none */
	uint8_t *plain;
	char why[160]; /* after a failure: what is wrong with the image */
};

/*
 * Opens an image of len bytes, which must stay; raw is what it takes for something else.
 * Every structure and checksum of AVML and zst is checked. An AVML block whose frame
 * stream is longer than end - start is refused: Volatility would never return from it.
 * Returns 0 or -1; image_close() is due in both cases.
 */
int image_open(struct image *image, const uint8_t *data, uint64_t len);

/* Reads bytes of one segment. Returns 0 or -1. */
int image_read(struct image *image, size_t segment, uint64_t off, uint8_t *buf,
	       size_t len);

void image_close(struct image *image);

#endif
