/*
 * LiME v1 in seekable zstd behind decoder.h. The seek table that ends the file leads from
 * frame to frame; it must account for every byte. Salvaging a file without a good table
 * goes by the headers of the frames themselves, up to the first that does not tell its
 * length. A frame that does not unpack costs the memory it holds.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "toolkit/lib/decoder.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/le.h"
#include "toolkit/lib/limewalk.h"
#include "toolkit/lib/zstd_frame.h"

/* The longest frame that is unpacked: memory is bounded, whatever a table says. */
#define FRAME_PLAIN_MAX (32u << 20)
#define FRAME_PACKED_MAX (FRAME_PLAIN_MAX + (FRAME_PLAIN_MAX >> 7))
#define SKIPPABLE_HEADER_BYTES 8

struct frame {
	uint64_t index;
	uint64_t off, packed_len;      /* in the file */
	uint64_t plain_off, plain_len; /* in the stream */
	uint32_t checksum;	       /* by the table */
};

struct zst {
	struct limewalk walk;
	bool prepared;
	/* The table, when there is a good one. */
	bool has_table, has_checksums;
	struct window table;
	uint64_t table_off; /* of its first entry */
	size_t entry_bytes;
	const char *table_why;

	uint64_t frames, frames_end; /* how many there are, and where they end */
	struct frame frame;
	bool loaded;	 /* plain holds what frame does, or why says that it cannot */
	const char *why; /* NULL: it holds it */
	unsigned char *plain;
	size_t plain_room;
	unsigned char *scratch;
};
_Static_assert(sizeof(struct zst) <= DECODER_STATE_BYTES, "must fit in the decoder");

static struct zst *inner(struct decoder *decoder)
{
	return (struct zst *)decoder->state;
}

static void *map_bytes(size_t len, struct err *err)
{
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	if (map != MAP_FAILED)
		return map;
	err_sys(err, errno, "taking %zu bytes to unpack into", len);
	return NULL;
}

/* Finds the table. Returns 1, 0 with ->table_why, or -1 when the file cannot be read. */
static int find_table(struct decoder *decoder, struct err *err)
{
	struct zst *zst = inner(decoder);
	uint64_t size = decoder->window.size_bytes, table;
	const unsigned char *at;

	zst->table_why = "the file does not end with a seek table";
	if (size < SKIPPABLE_HEADER_BYTES + SEEKABLE_FOOTER_BYTES)
		return 0;
	at = window_at(&zst->table, size - SEEKABLE_FOOTER_BYTES, SEEKABLE_FOOTER_BYTES,
		       err);
	if (!at)
		return -1;
	if (get_le(at + 5, 4) != SEEKABLE_MAGIC)
		return 0;
	zst->table_why = "the seek table is damaged";
	if (at[4] & ~SEEKABLE_CHECKSUMS)
		return 0;
	zst->frames = get_le(at, 4);
	zst->has_checksums = at[4] & SEEKABLE_CHECKSUMS;
	zst->entry_bytes =
		zst->has_checksums ? SEEKABLE_ENTRY_BYTES : SEEKABLE_ENTRY_BYTES - 4;
	table = zst->frames * zst->entry_bytes + SEEKABLE_FOOTER_BYTES;
	if (zst->frames > SEEKABLE_FRAMES_MAX || table + SKIPPABLE_HEADER_BYTES > size)
		return 0;
	zst->table_off = size - table;
	zst->frames_end = zst->table_off - SKIPPABLE_HEADER_BYTES;
	at = window_at(&zst->table, zst->frames_end, SKIPPABLE_HEADER_BYTES, err);
	if (!at)
		return -1;
	return get_le(at, 4) == SEEKABLE_FRAME_MAGIC && get_le(at + 4, 4) == table;
}

/* Measures the frame at off by its own headers. Returns 1, 0 when it is none, or -1. */
static int measure(struct decoder *decoder, struct frame *frame, struct err *err)
{
	uint64_t left = decoder->window.size_bytes - frame->off;
	size_t packed;

	for (size_t look = WINDOW_BYTES / 2;; look = FRAME_PACKED_MAX) {
		size_t len = left < look ? (size_t)left : look;
		const unsigned char *at;

		if (window_reserve(&decoder->window, len, err) < 0)
			return -1;
		at = window_at(&decoder->window, frame->off, len, err);
		if (!at)
			return -1;
		if (zstd_frame_measure(at, len, &packed, &frame->plain_len)) {
			frame->packed_len = packed;
			return frame->plain_len <= FRAME_PLAIN_MAX;
		}
		if (len == left || look == FRAME_PACKED_MAX)
			return 0;
	}
}

/* Fills in lengths and checksum of the frame at ->index and ->off. As measure(). */
static int look_at(struct decoder *decoder, struct frame *frame, struct err *err)
{
	struct zst *zst = inner(decoder);
	const unsigned char *at;

	if (!zst->has_table)
		return measure(decoder, frame, err);
	at = window_at(&zst->table, zst->table_off + frame->index * zst->entry_bytes,
		       zst->entry_bytes, err);
	if (!at)
		return -1;
	frame->packed_len = get_le(at, 4);
	frame->plain_len = get_le(at + 4, 4);
	frame->checksum = zst->has_checksums ? (uint32_t)get_le(at + 8, 4) : 0;
	return frame->packed_len > ZSTD_FRAME_CHECKSUM_BYTES &&
	       frame->packed_len <= FRAME_PACKED_MAX &&
	       frame->plain_len <= FRAME_PLAIN_MAX &&
	       frame->packed_len <= zst->frames_end - frame->off;
}

/*
 * Salvaging: does the frame unpack to another length than the table says? Then it is the
 * table that is damaged. Returns 1, 0, or -1.
 */
static int table_lies(struct decoder *decoder, const struct frame *frame, struct err *err)
{
	size_t scratch_len = zstd_frame_unpack_scratch(), packed;
	unsigned char *plain = NULL, *scratch = NULL;
	const unsigned char *at;
	uint64_t plain_len;
	int rc = -1;

	if (window_reserve(&decoder->window, (size_t)frame->packed_len, err) < 0)
		return -1;
	at = window_at(&decoder->window, frame->off, (size_t)frame->packed_len, err);
	if (!at)
		return -1;
	if (!zstd_frame_measure(at, (size_t)frame->packed_len, &packed, &plain_len) ||
	    packed != frame->packed_len || plain_len == frame->plain_len ||
	    plain_len > FRAME_PLAIN_MAX)
		return 0;
	plain = map_bytes((size_t)plain_len + 1, err);
	scratch = map_bytes(scratch_len, err);
	if (plain && scratch)
		rc = !zstd_frame_unpack(at, packed, plain, (size_t)plain_len, scratch);
	if (plain)
		munmap(plain, (size_t)plain_len + 1);
	if (scratch)
		munmap(scratch, scratch_len);
	return rc;
}

/*
 * Goes over all frames once: where they end, how long the stream is, how much room the
 * longest one needs. Returns 1; 0 when the table is not good; or -1.
 */
static int account(struct decoder *decoder, struct err *err)
{
	struct zst *zst = inner(decoder);
	struct frame frame = { 0 };
	uint64_t packed_max = 0, plain_max = 1;

	for (; zst->has_table ? frame.index < zst->frames
			      : frame.off < decoder->window.size_bytes;
	     frame.index++) {
		int good = look_at(decoder, &frame, err);

		if (good < 0)
			return -1;
		if (good && zst->has_table && decoder->salvage) {
			int lies = table_lies(decoder, &frame, err);

			good = lies < 0 ? lies : !lies;
		}
		if (good <= 0 && zst->has_table)
			return good;
		if (!good)
			break;
		packed_max =
			packed_max > frame.packed_len ? packed_max : frame.packed_len;
		plain_max = plain_max > frame.plain_len ? plain_max : frame.plain_len;
		frame.off += frame.packed_len;
		frame.plain_off += frame.plain_len;
	}
	if (zst->has_table && frame.off != zst->frames_end)
		return 0;
	zst->frames = frame.index;
	zst->frames_end = frame.off;
	zst->walk.plain_bytes = frame.plain_off;
	zst->plain_room = (size_t)plain_max;
	zst->plain = map_bytes(zst->plain_room, err);
	zst->scratch = map_bytes(zstd_frame_unpack_scratch(), err);
	if (!zst->plain || !zst->scratch ||
	    window_reserve(&decoder->window, (size_t)packed_max, err) < 0)
		return -1;
	return 1;
}

static int prepare(struct decoder *decoder, struct err *err)
{
	struct zst *zst = inner(decoder);
	int good;

	if (!zst->table.buf &&
	    window_open(&zst->table, decoder->window.fd, IO_BLOCK, err) < 0)
		return -1;
	good = find_table(decoder, err);
	zst->has_table = good > 0;
	if (good > 0) {
		zst->table_why = "the seek table does not account for the file";
		good = account(decoder, err);
	}
	if (good < 0)
		return -1;
	if (good) {
		zst->prepared = true;
		return 0;
	}
	zst->has_table = false;
	if (!decoder->salvage)
		return err_set(err, ERR_FAILED, "%s at byte %" PRIu64, zst->table_why,
			       decoder->window.size_bytes);
	if (account(decoder, err) < 0)
		return -1;
	zst->prepared = true;
	return 0;
}

static int first_frame(struct decoder *decoder, struct err *err)
{
	struct zst *zst = inner(decoder);

	zst->frame = (struct frame){ 0 };
	zst->loaded = false;
	return zst->frames && look_at(decoder, &zst->frame, err) < 0 ? -1 : 0;
}

static int next_frame(struct decoder *decoder, struct err *err)
{
	struct zst *zst = inner(decoder);
	struct frame *frame = &zst->frame;
	int good;

	frame->index++;
	frame->off += frame->packed_len;
	frame->plain_off += frame->plain_len;
	zst->loaded = false;
	good = look_at(decoder, frame, err);
	/* It was good once: the file changed. */
	return good > 0	  ? 0
	       : good < 0 ? -1
			  : err_set(err, ERR_FAILED, "the file changed at byte %" PRIu64,
				    frame->off);
}

static int load(struct decoder *decoder, struct err *err)
{
	struct zst *zst = inner(decoder);
	const struct frame *frame = &zst->frame;
	const unsigned char *at =
		window_at(&decoder->window, frame->off, (size_t)frame->packed_len, err);

	if (!at)
		return -1;
	zst->loaded = true;
	zst->why = "a frame with another checksum than the seek table's";
	if (zst->has_table && zst->has_checksums &&
	    get_le(at + frame->packed_len - ZSTD_FRAME_CHECKSUM_BYTES,
		   ZSTD_FRAME_CHECKSUM_BYTES) != frame->checksum)
		return 0;
	if (frame->plain_len > zst->plain_room)
		return err_set(err, ERR_FAILED, "the file changed at byte %" PRIu64,
			       frame->off);
	zst->why = zstd_frame_unpack(at, (size_t)frame->packed_len, zst->plain,
				     (size_t)frame->plain_len, zst->scratch);
	return 0;
}

static int plain(struct decoder *decoder, uint64_t off, size_t max,
		 struct limewalk_plain *plain, struct err *err)
{
	struct zst *zst = inner(decoder);
	const struct frame *frame = &zst->frame;
	uint64_t skip;

	if (off < frame->plain_off && first_frame(decoder, err) < 0)
		return -1;
	while (off - frame->plain_off >= frame->plain_len)
		if (next_frame(decoder, err) < 0)
			return -1;
	if (!zst->loaded && load(decoder, err) < 0)
		return -1;
	skip = off - frame->plain_off;
	plain->off = frame->off;
	plain->why = zst->why;
	plain->data = zst->why ? NULL : zst->plain + skip;
	plain->len_bytes =
		frame->plain_len - skip < max ? (size_t)(frame->plain_len - skip) : max;
	return 0;
}

/* Without a table: says what is not reached by going from frame to frame. */
static int report_rest(struct decoder *decoder, struct err *err)
{
	struct zst *zst = inner(decoder);
	uint64_t left = decoder->window.size_bytes - zst->frames_end;
	const unsigned char *at = NULL;

	decoder_damaged(decoder, decoder->window.size_bytes, NULL, err, "%s",
			zst->table_why);
	if (left >= 4) {
		at = window_at(&decoder->window, zst->frames_end, 4, err);
		if (!at)
			return -1;
	}
	/* The table itself is no loss. */
	if (left && (!at || get_le(at, 4) != SEEKABLE_FRAME_MAGIC))
		decoder_damaged(decoder, zst->frames_end, NULL, err,
				"no frame that tells its length: %" PRIu64
				" bytes left out",
				left);
	return 0;
}

static int begin(struct decoder *decoder, struct err *err)
{
	struct zst *zst = inner(decoder);

	zst->walk.plain = plain;
	if (!zst->prepared && prepare(decoder, err) < 0)
		return -1;
	limewalk_begin(&zst->walk);
	if (!zst->has_table && report_rest(decoder, err) < 0)
		return -1;
	return first_frame(decoder, err);
}

static int next(struct decoder *decoder, struct decoder_piece *piece, struct err *err)
{
	return limewalk_next(decoder, &inner(decoder)->walk, piece, err);
}

/* What is unpacked and what stands in the window are of the place that was left. */
static void returned(struct decoder *decoder)
{
	inner(decoder)->loaded = false;
	inner(decoder)->table.fill_bytes = 0;
}

static void back(struct decoder *decoder, uint64_t len_bytes)
{
	limewalk_back(&inner(decoder)->walk, len_bytes);
}

static void close_zst(struct decoder *decoder)
{
	struct zst *zst = inner(decoder);

	if (zst->plain)
		munmap(zst->plain, zst->plain_room);
	if (zst->scratch)
		munmap(zst->scratch, zstd_frame_unpack_scratch());
	zst->plain = zst->scratch = NULL;
	window_close(&zst->table);
}

const struct decoder_ops decoder_zst = {
	.name = "zst",
	.survey_step_bytes = IO_BLOCK,
	.begin = begin,
	.next = next,
	.close = close_zst,
	.returned = returned,
	.back = back,
};
