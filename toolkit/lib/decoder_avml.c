/*
 * AVML v2 behind decoder.h; encoder_avml.h describes the container. Chunks of a block's
 * frame stream are the pieces. A chunk whose checksum is wrong costs itself; one whose
 * length cannot be right costs the rest of its block, and the next block is searched for
 * by its header and the stream identifier behind it.
 */
#include <inttypes.h>
#include <string.h>

#include "toolkit/lib/crc32c.h"
#include "toolkit/lib/decoder.h"
#include "toolkit/lib/encoder_avml.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/le.h"
#include "toolkit/lib/snappy.h"

#define HEADER_BYTES 32
#define IDENTIFIER_BYTES 10
#define LENGTH_BYTES 8
/* Type and length of a chunk; then checksum and contents. */
#define CHUNK_HEADER_BYTES 4
#define CHECKSUM_BYTES 4
/* The longest block of 64 KiB that a sane encoder makes is 32 + n + n / 6. */
#define PACKED_MAX (32 + SNAPPY_BLOCK_BYTES + SNAPPY_BLOCK_BYTES / 6)
#define PREAMBLE_MAX 5
#define SEARCH_BYTES (64u << 10)

static const unsigned char identifier[IDENTIFIER_BYTES] = "\xff\6\0\0sNaPpY";

struct avml {
	uint64_t off;	     /* of what comes next */
	bool open;	     /* a block was begun */
	struct range block;  /* that it spans */
	uint64_t stream_off; /* of its frame stream */
	uint64_t phys;	     /* of the next byte; block.end + 1 when it is full */
};

/* A chunk of a frame stream. */
struct chunk {
	uint64_t off; /* of its type byte */
	unsigned int type;
	size_t len_bytes;   /* behind type and length */
	size_t plain_bytes; /* 0: holds no memory */
};

static struct avml *inner(struct decoder *decoder)
{
	return (struct avml *)decoder->state;
}

static int begin(struct decoder *decoder, struct err *err)
{
	(void)err;
	memset(inner(decoder), 0, sizeof(struct avml));
	return 0;
}

static uint64_t bytes_left(const struct decoder *decoder, uint64_t off)
{
	return decoder->window.size_bytes - off;
}

/* A header with the identifier behind it; at holds both. */
static bool is_header(const unsigned char *at, struct range *block)
{
	block->start = get_le(at + 8, 8);
	block->end = get_le(at + 16, 8);
	return get_le(at, 4) == AVML_MAGIC && get_le(at + 4, 4) == AVML_VERSION &&
	       !get_le(at + 24, 8) && block->start <= block->end &&
	       block->end - block->start < AVML_BLOCK_MAX && block->end != UINT64_MAX &&
	       !memcmp(at + HEADER_BYTES, identifier, IDENTIFIER_BYTES);
}

/* Sets avml->off to the next header from off on, or to the end of the file. */
static int search(struct decoder *decoder, uint64_t off, struct err *err)
{
	const uint64_t whole = HEADER_BYTES + IDENTIFIER_BYTES;
	struct avml *avml = inner(decoder);
	struct range block;

	while (off < decoder->window.size_bytes && bytes_left(decoder, off) >= whole) {
		uint64_t left = bytes_left(decoder, off);
		size_t len = left < SEARCH_BYTES ? (size_t)left : SEARCH_BYTES;
		const unsigned char *at = window_at(&decoder->window, off, len, err);

		if (!at)
			return -1;
		for (size_t i = 0; i + whole <= len; i++) {
			if (at[i] != (AVML_MAGIC & 0xff) || !is_header(at + i, &block))
				continue;
			avml->off = off + i;
			return 0;
		}
		off += len - whole + 1;
	}
	avml->off = decoder->window.size_bytes;
	return 0;
}

/* What is wrong with the file here, and where to search when salvaging. */
static int lose(struct decoder *decoder, uint64_t off, uint64_t search_off,
		struct decoder_piece *piece, const char *why, struct err *err)
{
	struct avml *avml = inner(decoder);
	struct range lost = { avml->phys, avml->block.end };
	bool any = avml->open && avml->phys <= avml->block.end;

	if (decoder_damaged(decoder, off, any ? &lost : NULL, err, "%s", why) < 0)
		return -1;
	avml->open = false;
	if (any)
		avml->phys = avml->block.end + 1;
	if (search(decoder, search_off, err) < 0)
		return -1;
	*piece = (struct decoder_piece){ .phys = lost.start,
					 .len_bytes = any ? range_bytes(&lost) : 0,
					 .off = off,
					 .lost = any };
	return 1;
}

/* Reads type and lengths of the chunk at avml->off. Returns 1; 0 with *why; or -1. */
static int read_chunk(struct decoder *decoder, struct chunk *chunk, const char **why,
		      struct err *err)
{
	uint64_t left = bytes_left(decoder, inner(decoder)->off);
	const unsigned char *at;

	*chunk = (struct chunk){ .off = inner(decoder)->off };
	*why = "the file ends inside a block";
	if (left < CHUNK_HEADER_BYTES)
		return 0;
	at = window_at(&decoder->window, chunk->off, CHUNK_HEADER_BYTES, err);
	if (!at)
		return -1;
	chunk->type = at[0];
	chunk->len_bytes = (size_t)get_le(at + 1, 3);
	left -= CHUNK_HEADER_BYTES;
	if (chunk->type > 1) {
		*why = chunk->type < 0x80 ? "a snappy chunk of an unknown type" : *why;
		return chunk->type >= 0x80 && chunk->len_bytes <= left;
	}
	if (chunk->len_bytes <= CHECKSUM_BYTES ||
	    chunk->len_bytes - CHECKSUM_BYTES >
		    (chunk->type ? SNAPPY_BLOCK_BYTES : PACKED_MAX)) {
		*why = "a snappy chunk of an impossible length";
		return 0;
	}
	if (chunk->len_bytes > left)
		return 0;
	if (chunk->type == 1) {
		chunk->plain_bytes = chunk->len_bytes - CHECKSUM_BYTES;
		return 1;
	}
	left = chunk->len_bytes - CHECKSUM_BYTES;
	left = left < PREAMBLE_MAX ? left : PREAMBLE_MAX;
	at = window_at(&decoder->window, chunk->off + CHUNK_HEADER_BYTES + CHECKSUM_BYTES,
		       (size_t)left, err);
	if (!at)
		return -1;
	chunk->plain_bytes = snappy_plain_bytes(at, (size_t)left);
	*why = "a snappy chunk without a plain length";
	return chunk->plain_bytes != 0;
}

/*
 * Salvaging: does the stream of the block whose header was read end in good order, but
 * with another length of memory? Then it is the header that is damaged, and where the
 * memory stood is not known. Returns 1, 0, or -1 when the file cannot be read.
 */
static int misplaced(struct decoder *decoder, struct err *err)
{
	struct avml *avml = inner(decoder);
	const uint64_t back = avml->off;
	uint64_t plain = 0;
	struct chunk chunk;
	const char *why;
	int rc = 1, bad = 0;

	for (avml->off = avml->stream_off; rc > 0 && plain <= AVML_BLOCK_MAX;
	     avml->off += CHUNK_HEADER_BYTES + chunk.len_bytes) {
		if (plain && bytes_left(decoder, avml->off) >= LENGTH_BYTES) {
			const unsigned char *at =
				window_at(&decoder->window, avml->off, LENGTH_BYTES, err);

			rc = at ? 1 : -1;
			if (at &&
			    get_le(at, LENGTH_BYTES) == avml->off - avml->stream_off) {
				bad = plain != range_bytes(&avml->block);
				break;
			}
		}
		if (rc > 0)
			rc = read_chunk(decoder, &chunk, &why, err);
		plain += rc > 0 ? chunk.plain_bytes : 0;
	}
	avml->off = back;
	return rc < 0 ? -1 : bad;
}

static int open_block(struct decoder *decoder, struct decoder_piece *piece,
		      struct err *err)
{
	struct avml *avml = inner(decoder);
	const unsigned char *at;
	int bad;

	avml->open = false;
	if (bytes_left(decoder, avml->off) < HEADER_BYTES + IDENTIFIER_BYTES)
		return lose(decoder, avml->off, decoder->window.size_bytes, piece,
			    "the file ends inside an AVML header", err);
	at = window_at(&decoder->window, avml->off, HEADER_BYTES + IDENTIFIER_BYTES, err);
	if (!at)
		return -1;
	if (!is_header(at, &avml->block))
		return lose(decoder, avml->off, avml->off + 1, piece,
			    "no AVML block of at most 16 MiB", err);
	if (avml->phys && avml->block.start < avml->phys)
		return lose(decoder, avml->off, avml->off + HEADER_BYTES, piece,
			    "a block that is not above the one before it", err);
	avml->stream_off = avml->off + HEADER_BYTES;
	bad = decoder->salvage ? misplaced(decoder, err) : 0;
	if (bad < 0)
		return -1;
	if (bad)
		return lose(decoder, avml->off, avml->stream_off, piece,
			    "a block of another length than its header says", err);
	avml->open = true;
	avml->phys = avml->block.start;
	avml->off = avml->stream_off;
	return 1;
}

/* The memory of a chunk, or NULL when it is damaged (*why) or unreadable (err). */
static const unsigned char *unpack(struct decoder *decoder, const struct chunk *chunk,
				   const char **why, struct err *err)
{
	/* A piece is good until the next call: of any decoder. */
	static unsigned char plain[SNAPPY_BLOCK_BYTES];
	const unsigned char *at = window_at(&decoder->window, chunk->off,
					    CHUNK_HEADER_BYTES + chunk->len_bytes, err);
	const unsigned char *data;
	size_t len = chunk->len_bytes - CHECKSUM_BYTES;
	uint32_t crc;

	*why = NULL;
	if (!at)
		return NULL;
	data = at + CHUNK_HEADER_BYTES + CHECKSUM_BYTES;
	if (chunk->type == 0) {
		*why = "a snappy chunk that does not decode";
		if (snappy_decode(data, len, plain, sizeof(plain)) != chunk->plain_bytes)
			return NULL;
		data = plain;
	}
	/* Masked as section 3 of the framing format says. */
	crc = crc32c(0, data, chunk->plain_bytes);
	*why = "a snappy chunk with a wrong checksum";
	return (uint32_t)get_le(at + CHUNK_HEADER_BYTES, 4) ==
			       (crc >> 15 | crc << 17) + 0xa282ead8
		       ? data
		       : NULL;
}

/* A chunk with memory. */
static int data_piece(struct decoder *decoder, const struct chunk *chunk,
		      struct decoder_piece *piece, struct err *err)
{
	struct avml *avml = inner(decoder);
	struct range range = { avml->phys, avml->phys + chunk->plain_bytes - 1 };
	const char *why;

	*piece = (struct decoder_piece){ .phys = avml->phys,
					 .len_bytes = chunk->plain_bytes,
					 .off = chunk->off };
	if (!decoder->survey) {
		piece->data = unpack(decoder, chunk, &why, err);
		if (!piece->data && !why)
			return -1;
		if (!piece->data &&
		    decoder_damaged(decoder, chunk->off, &range, err, "%s", why) < 0)
			return -1;
		piece->lost = !piece->data;
	}
	avml->phys += chunk->plain_bytes;
	avml->off += CHUNK_HEADER_BYTES + chunk->len_bytes;
	return 1;
}

/* All memory of the block was given: its length stands here, or a chunk without memory.
 */
static int close_block(struct decoder *decoder, struct decoder_piece *piece, bool *closed,
		       struct err *err)
{
	struct avml *avml = inner(decoder);
	const unsigned char *at;

	*closed = false;
	if (bytes_left(decoder, avml->off) < LENGTH_BYTES)
		return lose(decoder, avml->off, decoder->window.size_bytes, piece,
			    "the file ends before the length of a block", err);
	at = window_at(&decoder->window, avml->off, LENGTH_BYTES, err);
	if (!at)
		return -1;
	if (get_le(at, LENGTH_BYTES) == avml->off - avml->stream_off) {
		avml->off += LENGTH_BYTES;
		avml->open = false;
		*closed = true;
	} else if (at[0] < 0x80) {
		return lose(decoder, avml->off, avml->off, piece,
			    "a block with another length than it says", err);
	}
	return 1;
}

/* As decoder_ops.next, but a piece may hold no memory. */
static int step(struct decoder *decoder, struct decoder_piece *piece, struct err *err)
{
	struct avml *avml = inner(decoder);
	struct chunk chunk;
	const char *why;
	bool closed;
	int rc;

	piece->len_bytes = 0;
	if (!avml->open)
		return open_block(decoder, piece, err);
	if (avml->phys > avml->block.end) {
		rc = close_block(decoder, piece, &closed, err);
		if (rc < 0 || closed || !avml->open)
			return rc;
	}
	rc = read_chunk(decoder, &chunk, &why, err);
	if (rc < 0)
		return -1;
	if (rc && chunk.plain_bytes &&
	    (avml->phys > avml->block.end ||
	     chunk.plain_bytes - 1 > avml->block.end - avml->phys)) {
		why = "more memory than its block spans";
		rc = 0;
	}
	if (!rc)
		return lose(decoder, chunk.off, chunk.off, piece, why, err);
	if (chunk.plain_bytes)
		return data_piece(decoder, &chunk, piece, err);
	avml->off += CHUNK_HEADER_BYTES + chunk.len_bytes;
	return 1;
}

static int next(struct decoder *decoder, struct decoder_piece *piece, struct err *err)
{
	do {
		if (inner(decoder)->off >= decoder->window.size_bytes &&
		    !inner(decoder)->open)
			return 0;
		if (step(decoder, piece, err) < 0)
			return -1;
	} while (!piece->len_bytes);
	return 1;
}

const struct decoder_ops decoder_avml = {
	.name = "avml",
	.survey_step_bytes = IO_BLOCK,
	.omits_zeros = true,
	.begin = begin,
	.next = next,
};
