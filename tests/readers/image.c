#include "tests/readers/image.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "tests/readers/unsnappy.h"

#define SNAPPY_MAX 65536
#define BLOCK_MAX (16u << 20)
/* The longest frame that is decompressed: longer ones are nobody's chunk. */
#define FRAME_MAX (64u << 20)

static uint64_t le(const uint8_t *at, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

__attribute__((format(printf, 2, 3))) static int bad(struct image *image, const char *fmt,
						     ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(image->why, sizeof(image->why), fmt, ap);
	va_end(ap);
	return -1;
}

static int add_segment(struct image *image, struct segment segment)
{
	const struct segment *last = image->count ? &image->at[image->count - 1] : NULL;

	if (!segment.len || segment.start + segment.len - 1 < segment.start)
		return bad(image, "empty or wrapping segment at %#llx",
			   (unsigned long long)segment.start);
	if (last && segment.start - last->start < last->len)
		return bad(image, "segments overlap at %#llx",
			   (unsigned long long)segment.start);
	if (last && segment.start < last->start)
		return bad(image, "segments run backwards at %#llx",
			   (unsigned long long)segment.start);
	if (!(image->count & (image->count - 1))) {
		size_t room = image->count ? 2 * image->count : 1;
		void *at = realloc(image->at, room * sizeof(*image->at));

		if (!at)
			return bad(image, "no memory");
		image->at = at;
	}
	image->at[image->count++] = segment;
	return 0;
}

static int load_frame(struct image *image, size_t n)
{
	const struct frame *frame = &image->frame[n];
	size_t got;

	if (image->cached == n + 1)
		return 0;
	image->cached = 0;
	free(image->plain);
	image->plain = malloc(frame->plain_len + 1);
	if (!image->plain)
		return bad(image, "no memory");
	got = ZSTD_decompress(image->plain, frame->plain_len, image->data + frame->off,
			      frame->packed_len);
	if (ZSTD_isError(got) || got != frame->plain_len)
		return bad(image, "frame %zu: %s", n,
			   ZSTD_isError(got) ? ZSTD_getErrorName(got)
					     : "shorter than said");
	image->cached = n + 1;
	return 0;
}

/* Reads the stream that the LiME image is: the file itself, or what its frames hold. */
static int read_stream(struct image *image, uint64_t off, uint8_t *buf, size_t len)
{
	size_t low = 0, high = image->frames;

	if (len > image->stream_len || off > image->stream_len - len)
		return bad(image, "the image ends at %llu",
			   (unsigned long long)image->stream_len);
	if (image->format != IMAGE_ZST) {
		memcpy(buf, image->data + off, len);
		return 0;
	}
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		*(image->frame[middle].plain_off <= off ? &low : &high) = middle;
	}
	for (; len; low++) {
		const struct frame *frame = &image->frame[low];
		uint64_t skip = off - frame->plain_off;
		size_t n = (size_t)(frame->plain_len - skip);

		if (!frame->plain_len)
			continue;
		if (load_frame(image, low) < 0)
			return -1;
		n = n < len ? n : len;
		memcpy(buf, image->plain + skip, n);
		buf += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int open_lime(struct image *image)
{
	uint8_t header[32];

	for (uint64_t off = 0; off < image->stream_len;) {
		struct segment segment = { 0 };

		if (read_stream(image, off, header, sizeof(header)) < 0)
			return -1;
		if (le(header, 4) != 0x4c694d45 || le(header + 4, 4) != 1)
			return bad(image, "no LiME header at %llu",
				   (unsigned long long)off);
		segment.start = le(header + 8, 8);
		segment.len = le(header + 16, 8) - segment.start + 1;
		segment.off = off + sizeof(header);
		if (segment.len > image->stream_len - segment.off)
			return bad(image, "the range at %#llx is cut short",
				   (unsigned long long)segment.start);
		if (add_segment(image, segment) < 0)
			return -1;
		off = segment.off + segment.len;
	}
	return 0;
}

/* One chunk of a frame stream at off, no longer than left; sets how long it is. */
static int open_snappy_chunk(struct image *image, uint64_t off, uint64_t left,
			     uint64_t phys, uint64_t *plain_len, uint64_t *whole)
{
	const uint8_t *at = image->data + off;
	uint8_t plain[SNAPPY_MAX];
	struct segment segment = { phys, 0, off + 8, 0 };
	uint64_t len = left < 4 ? 0 : le(at + 1, 3);
	long n;

	*plain_len = 0;
	*whole = len + 4;
	if (left < 4 || len > left - 4)
		return bad(image, "a snappy chunk at %llu is cut short",
			   (unsigned long long)off);
	if (at[0] == 0xff)
		return len == 6 && !memcmp(at + 4, "sNaPpY", 6)
			       ? 0
			       : bad(image, "a wrong stream identifier");
	if (at[0] > 1 || len <= 4)
		return bad(image, "a snappy chunk of type %u, length %llu", at[0],
			   (unsigned long long)len);
	n = at[0] == 0		    ? unsnappy(at + 8, len - 4, plain, sizeof(plain))
	    : len - 4 <= SNAPPY_MAX ? (long)(len - 4)
				    : -1;
	if (n <= 0)
		return bad(image, "a damaged snappy chunk at %llu",
			   (unsigned long long)off);
	if (unsnappy_checksum(at[0] ? at + 8 : plain, (size_t)n) != le(at + 4, 4))
		return bad(image, "a wrong checksum at %llu", (unsigned long long)off);
	segment.len = *plain_len = (uint64_t)n;
	segment.packed_len = at[0] ? 0 : len - 4;
	return add_segment(image, segment);
}

/* Sets *off behind the block that begins there. */
static int open_avml_block(struct image *image, uint64_t *off)
{
	const uint8_t *header = image->data + *off;
	uint64_t start, end, at = *off + 32, done = 0, stream = 0, plain, whole;

	if (image->len - *off < 32 + 10 + 8 || le(header, 4) != 0x4c4d5641 ||
	    le(header + 4, 4) != 2 || le(header + 24, 8))
		return bad(image, "no AVML header at %llu", (unsigned long long)*off);
	start = le(header + 8, 8);
	end = le(header + 16, 8);
	if (end < start || end - start >= BLOCK_MAX)
		return bad(image, "a block of no bytes or over 16 MiB at %#llx",
			   (unsigned long long)start);
	if (image->data[at] != 0xff)
		return bad(image, "no stream identifier at %llu", (unsigned long long)at);
	while (done < end - start + 1) {
		if (open_snappy_chunk(image, at + stream, image->len - at - stream,
				      start + done, &plain, &whole) < 0)
			return -1;
		done += plain;
		stream += whole;
	}
	if (done != end - start + 1)
		return bad(image, "more bytes than the block at %#llx has",
			   (unsigned long long)start);
	if (stream > end - start)
		return bad(image, "the stream of the block at %#llx is longer than it",
			   (unsigned long long)start);
	if (image->len - at - stream < 8 || le(image->data + at + stream, 8) != stream)
		return bad(image, "a wrong stream length behind the block at %#llx",
			   (unsigned long long)start);
	*off = at + stream + 8;
	return 0;
}

static int open_avml(struct image *image)
{
	for (uint64_t off = 0; off < image->len;)
		if (open_avml_block(image, &off) < 0)
			return -1;
	return 0;
}

/* Reads the seek table that ends the file, and decompresses every frame once. */
static int open_zst(struct image *image)
{
	const uint8_t *footer = image->data + image->len - 9, *entry;
	uint64_t count, table, off = 0;

	if (image->len < 17 || le(footer + 5, 4) != 0x8f92eab1 || footer[4] != 1 << 7)
		return bad(image, "no seek table with checksums");
	count = le(footer, 4);
	table = 8 + 12 * count + 9;
	if (table > image->len)
		return bad(image, "the seek table is longer than the file");
	entry = image->data + image->len - table;
	if (le(entry, 4) != 0x184d2a5e || le(entry + 4, 4) != table - 8)
		return bad(image, "a wrong seek table frame");
	image->frame = calloc(count + 1, sizeof(*image->frame));
	if (!image->frame)
		return bad(image, "no memory");
	entry += 8;
	for (size_t i = 0; i < count; i++, entry += 12) {
		struct frame *frame = &image->frame[i];

		*frame = (struct frame){ off, le(entry, 4), image->stream_len,
					 le(entry + 4, 4), (uint32_t)le(entry + 8, 4) };
		if (frame->packed_len > image->len - table - off ||
		    frame->packed_len < 9 || frame->plain_len > FRAME_MAX)
			return bad(image, "frame %zu does not fit", i);
		off += frame->packed_len;
		image->stream_len += frame->plain_len;
		image->frames++;
		/* libzstd compares the frame's own checksum; the table's is the same. */
		if (!(image->data[frame->off + 4] & 4) ||
		    le(image->data + off - 4, 4) != frame->checksum)
			return bad(image, "frame %zu: another checksum in the table", i);
		if (load_frame(image, i) < 0)
			return -1;
	}
	if (off != image->len - table)
		return bad(image, "bytes that are in no frame");
	return open_lime(image);
}

int image_open(struct image *image, const uint8_t *data, uint64_t len)
{
	uint64_t magic = len >= 4 ? le(data, 4) : 0;

	memset(image, 0, sizeof(*image));
	image->data = data;
	image->len = len;
	if (magic == 0xfd2fb528) {
		image->format = IMAGE_ZST;
		return open_zst(image);
	}
	image->stream_len = len;
	if (magic == 0x4c694d45) {
		image->format = IMAGE_LIME;
		return open_lime(image);
	}
	if (magic == 0x4c4d5641) {
		image->format = IMAGE_AVML;
		return open_avml(image);
	}
	image->format = IMAGE_RAW;
	return len ? add_segment(image, (struct segment){ 0, len, 0, 0 }) : 0;
}

int image_read(struct image *image, size_t n, uint64_t off, uint8_t *buf, size_t len)
{
	const struct segment *segment = &image->at[n];

	if (len > segment->len || off > segment->len - len)
		return bad(image, "beyond the segment");
	if (!segment->packed_len)
		return read_stream(image, segment->off + off, buf, len);
	if (image->cached != n + 1) {
		free(image->plain);
		image->cached = 0;
		image->plain = malloc(SNAPPY_MAX);
		if (!image->plain)
			return bad(image, "no memory");
		if (unsnappy(image->data + segment->off, segment->packed_len,
			     image->plain, SNAPPY_MAX) != (long)segment->len)
			return bad(image, "a damaged snappy chunk");
		image->cached = n + 1;
	}
	memcpy(buf, image->plain + off, len);
	return 0;
}

void image_close(struct image *image)
{
	free(image->at);
	free(image->frame);
	free(image->plain);
	image->at = NULL;
	image->frame = NULL;
	image->plain = NULL;
}
