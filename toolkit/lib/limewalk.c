#include "toolkit/lib/limewalk.h"

#include <inttypes.h>
#include <string.h>

#include "toolkit/lib/le.h"
#include "toolkit/lib/lime.h"

#define PIECE_BYTES (256u << 10)
/* Each candidate of a search costs a look elsewhere: a file can be full of them. */
#define CANDIDATES_MAX 65536
/* Magic and version. */
#define SIGNATURE_BYTES 8

void limewalk_begin(struct limewalk *walk)
{
	walk->off = walk->left_bytes = walk->last_end = 0;
	walk->any = false;
	walk->candidates = 0;
}

void limewalk_back(struct limewalk *walk, uint64_t len_bytes)
{
	walk->off -= len_bytes;
	walk->left_bytes += len_bytes;
}

/* Reads the 32 bytes at off. Returns 1; 0 when they are not all there; or -1. */
static int read_header(struct decoder *decoder, struct limewalk *walk, uint64_t off,
		       unsigned char header[LIME_HEADER_BYTES], uint64_t *file_off,
		       struct err *err)
{
	struct limewalk_plain plain = { 0 };
	bool first = true;

	for (size_t done = 0; done < LIME_HEADER_BYTES; done += plain.len_bytes) {
		if (off + done >= walk->plain_bytes)
			return 0;
		if (walk->plain(decoder, off + done, LIME_HEADER_BYTES - done, &plain,
				err) < 0)
			return -1;
		if (first && file_off)
			*file_off = plain.off;
		first = false;
		if (!plain.data)
			return 0;
		memcpy(header + done, plain.data, plain.len_bytes);
	}
	return 1;
}

static bool header_range(const unsigned char header[LIME_HEADER_BYTES],
			 struct range *range)
{
	range->start = get_le(header + 8, 8);
	range->end = get_le(header + 16, 8);
	return get_le(header, 4) == LIME_MAGIC && get_le(header + 4, 4) == LIME_VERSION &&
	       !get_le(header + 24, 8) && range->start <= range->end &&
	       range->end - range->start != UINT64_MAX;
}

/* A header above last_end whose range ends where the stream or another header does. */
static int plausible(struct decoder *decoder, struct limewalk *walk, uint64_t off,
		     bool any, uint64_t last_end, struct err *err)
{
	unsigned char header[LIME_HEADER_BYTES];
	struct range range, following;
	uint64_t left;
	int there = read_header(decoder, walk, off, header, NULL, err);

	if (there <= 0 || !header_range(header, &range) ||
	    (any && range.start <= last_end))
		return there < 0 ? -1 : 0;
	left = walk->plain_bytes - off - LIME_HEADER_BYTES;
	if (range_bytes(&range) >= left)
		return range_bytes(&range) == left;
	there = read_header(decoder, walk, off + LIME_HEADER_BYTES + range_bytes(&range),
			    header, NULL, err);
	if (there <= 0)
		return there;
	return header_range(header, &following) && following.start > range.end;
}

/* Sets *found to the next plausible header from off on. Returns 1, 0 for none, or -1. */
static int search(struct decoder *decoder, struct limewalk *walk, uint64_t off, bool any,
		  uint64_t last_end, uint64_t *found, struct err *err)
{
	static const unsigned char signature[SIGNATURE_BYTES] = "EMiL\1\0\0";
	struct limewalk_plain plain;

	while (off < walk->plain_bytes) {
		const unsigned char *at;
		int good;

		if (walk->plain(decoder, off, PIECE_BYTES, &plain, err) < 0)
			return -1;
		at = plain.data ? memmem(plain.data, plain.len_bytes, signature,
					 sizeof(signature))
				: NULL;
		if (!at) {
			/* One may begin at the end of what was looked at. */
			off += !plain.data || plain.len_bytes < sizeof(signature)
				       ? plain.len_bytes
				       : plain.len_bytes - (sizeof(signature) - 1);
			continue;
		}
		off += (uint64_t)(at - plain.data);
		if (walk->candidates++ == CANDIDATES_MAX)
			return 0;
		good = plausible(decoder, walk, off, any, last_end, err);
		if (good < 0)
			return -1;
		if (good) {
			*found = off;
			return 1;
		}
		off++;
	}
	return 0;
}

/* The range at walk->off claims more than there is. Returns 1, or -1. */
static int cut_short(struct decoder *decoder, struct limewalk *walk, struct err *err)
{
	uint64_t from = walk->off + LIME_HEADER_BYTES, to = walk->plain_bytes;
	struct range missing = walk->range;
	int rc = 0;

	if (decoder->salvage)
		rc = search(decoder, walk, from, true, walk->range.start, &to, err);
	if (rc < 0)
		return -1;
	missing.start += to - from;
	if (decoder_damaged(decoder, walk->header_off, &missing, err,
			    "the stream ends %" PRIu64
			    " bytes early in the range 0x%" PRIx64 "-0x%" PRIx64,
			    range_bytes(&missing), walk->range.start,
			    walk->range.end) < 0)
		return -1;
	walk->left_bytes = to - from;
	walk->range.end = missing.start - 1;
	return 1;
}

/* There is no header at walk->off: goes to the next one. Returns 1, 0 for none, or -1. */
static int skip(struct decoder *decoder, struct limewalk *walk, const char *why,
		struct err *err)
{
	uint64_t found = walk->plain_bytes;

	if (!decoder->salvage)
		return decoder_damaged(decoder, walk->header_off, NULL, err, "%s", why);
	if (search(decoder, walk, walk->off + 1, walk->any, walk->last_end, &found, err) <
	    0)
		return -1;
	decoder_damaged(decoder, walk->header_off, NULL, err,
			"%s: %" PRIu64 " bytes left out", why, found - walk->off);
	walk->off = found;
	return found < walk->plain_bytes;
}

/* Takes the header at walk->off. Returns 1; 0 when there is none any more; or -1. */
static int open_range(struct decoder *decoder, struct limewalk *walk, struct err *err)
{
	unsigned char header[LIME_HEADER_BYTES];
	int there = read_header(decoder, walk, walk->off, header, &walk->header_off, err);

	if (there < 0)
		return -1;
	if (!there || !header_range(header, &walk->range))
		return skip(decoder, walk, "no LiME header", err);
	if (walk->any && walk->range.start <= walk->last_end)
		return skip(decoder, walk, "a range that is not above the one before it",
			    err);
	walk->left_bytes = range_bytes(&walk->range);
	if (walk->left_bytes > walk->plain_bytes - walk->off - LIME_HEADER_BYTES &&
	    cut_short(decoder, walk, err) < 0)
		return -1;
	walk->off += LIME_HEADER_BYTES;
	if (walk->left_bytes) {
		walk->begins = walk->any = true;
		walk->last_end = walk->range.end;
	}
	return 1;
}

int limewalk_next(struct decoder *decoder, struct limewalk *walk,
		  struct decoder_piece *piece, struct err *err)
{
	struct limewalk_plain plain = { .len_bytes = 0 };
	struct range lost;

	while (!walk->left_bytes) {
		int rc = walk->off < walk->plain_bytes ? open_range(decoder, walk, err)
						       : 0;

		if (rc <= 0)
			return rc;
	}
	*piece = (struct decoder_piece){
		.phys = walk->range.end - walk->left_bytes + 1,
		.len_bytes = walk->left_bytes,
		.off = walk->header_off,
		.begins = walk->begins,
	};
	if (!decoder->survey) {
		size_t max = walk->left_bytes < PIECE_BYTES ? (size_t)walk->left_bytes
							    : PIECE_BYTES;

		if (walk->plain(decoder, walk->off, max, &plain, err) < 0)
			return -1;
		piece->len_bytes = plain.len_bytes;
		piece->off = plain.off;
		piece->data = plain.data;
		piece->lost = !plain.data;
		lost = (struct range){ piece->phys, piece->phys + plain.len_bytes - 1 };
		if (piece->lost &&
		    decoder_damaged(decoder, plain.off, &lost, err, "%s", plain.why) < 0)
			return -1;
	}
	walk->begins = false;
	walk->off += piece->len_bytes;
	walk->left_bytes -= piece->len_bytes;
	return 1;
}
