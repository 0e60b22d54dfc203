/*
 * The LiME v1 image in zstd's seekable format 0.1.0: each LiME header and each chunk is a
 * frame of its own with a checksum, a skippable frame with the seek table ends the file.
 * `zstd -d` gives the LiME image, readers of the seekable format open it anywhere.
 *
 * The seek table is known whole only at the end: 12 bytes a frame stay in memory until
 * then, outside the arena, 3 MiB for 64 GiB in chunks of 256 KiB. end() frees them; a
 * caller that gives up before leaves them to the end of the process.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "toolkit/lib/encoder.h"
#include "toolkit/lib/le.h"
#include "toolkit/lib/lime.h"
#include "toolkit/lib/zstd_frame.h"

/* Blocks by RFC 8878. */
#define BLOCK_MAX (128u << 10)
#define CHECKSUM_BYTES ZSTD_FRAME_CHECKSUM_BYTES
/* Header with an 8-byte content size, RLE blocks for the longest chunk, checksum. */
#define ZERO_FRAME_MAX (13 + 4 * 257 + CHECKSUM_BYTES)
#define ZERO_CHUNK_MAX (256u * BLOCK_MAX)
#define TABLE_STEP 65536

struct zst {
	struct encoder_out out;
	unsigned char *table; /* mapped; entries as they will stand in the file */
	size_t table_bytes, table_room;
	/* The frame of a zero chunk of this length, which mostly recurs. */
	size_t zeros_len, zero_frame_len;
	unsigned char zero_frame[ZERO_FRAME_MAX];
};
_Static_assert(sizeof(struct zst) <= ENCODER_STATE_BYTES, "must fit in encoder_state");

static struct zst *inner(struct encoder_state *state)
{
	return (struct zst *)state->opaque;
}

#define P1 0x9e3779b185ebca87u
#define P2 0xc2b2ae3d27d4eb4fu
#define P3 0x165667b19e3779f9u
#define P4 0x85ebca77c2b2ae63u
#define P5 0x27d4eb2f165667c5u

static uint64_t rotl(uint64_t value, int by)
{
	return value << by | value >> (64 - by);
}

static uint64_t xxh_round(uint64_t lane, uint64_t word)
{
	return rotl(lane + word * P2, 31) * P1;
}

static uint64_t xxh_tail(uint64_t hash, const unsigned char *at, size_t len)
{
	for (; len >= 8; at += 8, len -= 8)
		hash = rotl(hash ^ xxh_round(0, get_le(at, 8)), 27) * P1 + P4;
	for (; len >= 4; at += 4, len -= 4)
		hash = rotl(hash ^ get_le(at, 4) * P1, 23) * P2 + P3;
	for (; len; at++, len--)
		hash = rotl(hash ^ *at * P5, 11) * P1;
	hash = (hash ^ hash >> 33) * P2;
	hash = (hash ^ hash >> 29) * P3;
	return hash ^ hash >> 32;
}

/* XXH64 with seed 0, of data, or of len zeros when data is NULL. */
static uint64_t xxh64(const unsigned char *data, size_t len)
{
	static const unsigned char zeros[32];
	uint64_t lanes[4] = { P1 + P2, P2, 0, 0 - P1 };
	const unsigned char *at = data ? data : zeros;
	uint64_t hash = P5;
	size_t left = len;

	for (; left >= 32; left -= 32) {
		for (size_t i = 0; i < 4; i++)
			lanes[i] = xxh_round(lanes[i], get_le(at + 8 * i, 8));
		at += data ? 32 : 0;
	}
	if (len >= 32) {
		hash = rotl(lanes[0], 1) + rotl(lanes[1], 7) + rotl(lanes[2], 12) +
		       rotl(lanes[3], 18);
		for (size_t i = 0; i < 4; i++)
			hash = (hash ^ xxh_round(0, lanes[i])) * P1 + P4;
	}
	return xxh_tail(hash + len, at, left);
}

static size_t scratch_bytes(size_t chunk_bytes)
{
	(void)chunk_bytes;
	return zstd_frame_pack_scratch();
}

static int put(struct zst *zst, const void *data, size_t len, struct err *err)
{
	return zst->out.put(zst->out.arg, data, len, err);
}

static int table_grow(struct zst *zst, struct err *err)
{
	size_t room = zst->table_room + TABLE_STEP;
	void *table = zst->table
			      ? mremap(zst->table, zst->table_room, room, MREMAP_MAYMOVE)
			      : mmap(NULL, room, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (table == MAP_FAILED)
		return err_sys(err, errno, "memory for the seek table");
	zst->table = table;
	zst->table_room = room;
	return 0;
}

/* A frame ends with its checksum, which is the seek table's too. */
static int put_frame(struct zst *zst, const unsigned char *frame, size_t frame_len,
		     size_t len, struct err *err)
{
	unsigned char *entry;

	if (zst->table_bytes + SEEKABLE_ENTRY_BYTES > zst->table_room &&
	    table_grow(zst, err) < 0)
		return -1;
	if (zst->table_bytes / SEEKABLE_ENTRY_BYTES >= SEEKABLE_FRAMES_MAX)
		return err_set(err, ERR_FAILED, "more frames than a seek table can hold");
	if (put(zst, frame, frame_len, err) < 0)
		return -1;
	entry = zst->table + zst->table_bytes;
	put_le(entry, frame_len, 4);
	put_le(entry + 4, len, 4);
	memcpy(entry + 8, frame + frame_len - CHECKSUM_BYTES, CHECKSUM_BYTES);
	zst->table_bytes += SEEKABLE_ENTRY_BYTES;
	return 0;
}

/* Single segment, checksum, and how wide the content size is: 0 for 1 byte, 3 for 8. */
static unsigned char *put_frame_header(unsigned char *to, size_t len, unsigned int size)
{
	put_le(to, ZSTD_FRAME_MAGIC, 4);
	to[4] = (unsigned char)(size << 6 | 1 << 5 | 1 << 2);
	put_le(to + 5, len, size ? 8 : 1);
	return to + 5 + (size ? 8 : 1);
}

static unsigned char *put_block_header(unsigned char *to, bool last, unsigned int type,
				       size_t len)
{
	put_le(to, (uint64_t)len << 3 | type << 1 | last, 3);
	return to + 3;
}

static void zero_frame(struct zst *zst, size_t len)
{
	unsigned char *to = put_frame_header(zst->zero_frame, len, 3);

	for (size_t left = len, n; left; left -= n) {
		n = left < BLOCK_MAX ? left : BLOCK_MAX;
		to = put_block_header(to, n == left, 1, n);
		*to++ = 0;
	}
	put_le(to, (uint32_t)xxh64(NULL, len), CHECKSUM_BYTES);
	zst->zeros_len = len;
	zst->zero_frame_len = (size_t)(to - zst->zero_frame) + CHECKSUM_BYTES;
}

static int begin(struct encoder_state *state, const struct ranges *ranges,
		 const struct encoder_out *out, struct err *err)
{
	struct zst *zst = inner(state);

	(void)ranges;
	memset(zst, 0, sizeof(*zst));
	zst->out = *out;
	return table_grow(zst, err);
}

static int range(struct encoder_state *state, const struct range *next, struct err *err)
{
	unsigned char frame[6 + 3 + LIME_HEADER_BYTES + CHECKSUM_BYTES];
	unsigned char *to = put_frame_header(frame, LIME_HEADER_BYTES, 0);

	to = put_block_header(to, true, 0, LIME_HEADER_BYTES);
	lime_header(next, to);
	put_le(to + LIME_HEADER_BYTES, (uint32_t)xxh64(to, LIME_HEADER_BYTES),
	       CHECKSUM_BYTES);
	return put_frame(inner(state), frame, sizeof(frame), LIME_HEADER_BYTES, err);
}

static int chunk(struct encoder_state *state, uint64_t phys, const void *data,
		 size_t len_bytes, const void *packed, size_t packed_len, bool zero,
		 struct err *err)
{
	struct zst *zst = inner(state);

	(void)data;
	if (!len_bytes)
		return 0;
	if (zero && len_bytes <= ZERO_CHUNK_MAX) {
		if (len_bytes != zst->zeros_len)
			zero_frame(zst, len_bytes);
		return put_frame(zst, zst->zero_frame, zst->zero_frame_len, len_bytes,
				 err);
	}
	if (!packed || packed_len <= CHECKSUM_BYTES)
		return err_set(err, ERR_FAILED, "chunk at 0x%" PRIx64 " was not packed",
			       phys);
	return put_frame(zst, packed, packed_len, len_bytes, err);
}

/* Valid as well when an image was cut short: what was put whole is in the table. */
static int end(struct encoder_state *state, struct err *err)
{
	struct zst *zst = inner(state);
	unsigned char header[8], footer[SEEKABLE_FOOTER_BYTES];
	int rc;

	put_le(header, SEEKABLE_FRAME_MAGIC, 4);
	put_le(header + 4, zst->table_bytes + SEEKABLE_FOOTER_BYTES, 4);
	put_le(footer, zst->table_bytes / SEEKABLE_ENTRY_BYTES, 4);
	footer[4] = SEEKABLE_CHECKSUMS;
	put_le(footer + 5, SEEKABLE_MAGIC, 4);
	rc = put(zst, header, sizeof(header), err) < 0 ||
			     put(zst, zst->table, zst->table_bytes, err) < 0 ||
			     put(zst, footer, sizeof(footer), err) < 0
		     ? -1
		     : 0;
	munmap(zst->table, zst->table_room);
	zst->table = NULL;
	return rc;
}

const struct encoder_ops encoder_zst = {
	.suffix = "lime.zst",
	.packed_bound = zstd_frame_bound,
	.scratch_bytes = scratch_bytes,
	.pack = zstd_frame_pack,
	.begin = begin,
	.range = range,
	.chunk = chunk,
	.end = end,
};
