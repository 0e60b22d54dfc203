#include "toolkit/lib/encoder_avml.h"

#include <inttypes.h>
#include <string.h>

#include "toolkit/lib/crc32c.h"
#include "toolkit/lib/le.h"
#include "toolkit/lib/snappy.h"

#define HEADER_BYTES 32
#define IDENTIFIER_BYTES 10
#define LENGTH_BYTES 8
/* Type, length and checksum of a frame chunk. */
#define FRAME_BYTES 8
enum frame_type { FRAME_COMPRESSED = 0, FRAME_PLAIN = 1 };

/* A block whose header was put and whose length was not. */
struct block {
	bool open;
	struct range span;    /* what the stream holds so far; the end INCLUSIVE */
	uint64_t stream;      /* bytes of the stream so far */
	uint64_t header_off;  /* of its header in the output */
	uint64_t claimed_end; /* the end that stands in the header */
};

struct avml {
	struct encoder_out out;
	struct range range;
	struct block block;
	uint64_t put_bytes, complete_bytes;
	uint64_t zero_start, zero_bytes; /* the stretch of zeros left out last */
	bool did_not_fit;
	uint64_t did_not_fit_at;
	unsigned char frame[FRAME_BYTES + SNAPPY_ZEROS_MAX];
};
_Static_assert(sizeof(struct avml) <= ENCODER_STATE_BYTES, "must fit in encoder_state");

static struct avml *inner(struct encoder_state *state)
{
	return (struct avml *)state->opaque;
}

static size_t packed_bound(size_t len_bytes)
{
	return len_bytes + (len_bytes / SNAPPY_BLOCK_BYTES + 1) * FRAME_BYTES;
}

static size_t scratch_bytes(size_t chunk_bytes)
{
	(void)chunk_bytes;
	return sizeof(struct snappy_table);
}

/* Section 3 of the framing format masks checksums, as a checksum of one is unsafe. */
static void put_frame_header(unsigned char *to, enum frame_type type, size_t len,
			     uint32_t crc)
{
	to[0] = (unsigned char)type;
	put_le(to + 1, len + 4, 3);
	put_le(to + 4, (crc >> 15 | crc << 17) + 0xa282ead8, 4);
}

static size_t pack(const void *data, size_t len_bytes, void *out, void *scratch)
{
	const unsigned char *from = data, *end = from + len_bytes;
	unsigned char *to = out;

	while (from < end) {
		size_t left = (size_t)(end - from);
		size_t len = left < SNAPPY_BLOCK_BYTES ? left : SNAPPY_BLOCK_BYTES;
		size_t packed = snappy_encode(from, len, to + FRAME_BYTES, len, scratch);
		enum frame_type type = packed ? FRAME_COMPRESSED : FRAME_PLAIN;

		if (type == FRAME_PLAIN) {
			memcpy(to + FRAME_BYTES, from, len);
			packed = len;
		}
		put_frame_header(to, type, packed, crc32c(0, from, len));
		to += FRAME_BYTES + packed;
		from += len;
	}
	return (size_t)(to - (unsigned char *)out);
}

static int put(struct avml *avml, const void *data, size_t len, struct err *err)
{
	if (avml->out.put(avml->out.arg, data, len, err) < 0)
		return -1;
	avml->put_bytes += len;
	return 0;
}

static bool stream_fits(uint64_t stream, uint64_t len)
{
	return stream < len - 1;
}

static uint64_t block_bytes(const struct block *block)
{
	return range_bytes(&block->span);
}

static bool block_fits(const struct block *block)
{
	return stream_fits(block->stream, block_bytes(block));
}

/* Would it still fit with so much more? */
static bool takes(const struct block *block, uint64_t len, uint64_t packed_len)
{
	uint64_t whole = block_bytes(block) + len;

	return whole <= AVML_BLOCK_MAX && stream_fits(block->stream + packed_len, whole);
}

static int not_fitting(struct avml *avml, struct err *err)
{
	avml->did_not_fit = true;
	avml->did_not_fit_at = avml->block.span.start;
	return err_set(err, ERR_FAILED,
		       "incompressible at 0x%" PRIx64 ": no AVML block of 16 MiB fits",
		       avml->did_not_fit_at);
}

static void header_of(const struct block *block, uint64_t end,
		      unsigned char out[HEADER_BYTES])
{
	memset(out, 0, HEADER_BYTES);
	put_le(out, AVML_MAGIC, 4);
	put_le(out + 4, AVML_VERSION, 4);
	put_le(out + 8, block->span.start, 8);
	put_le(out + 16, end, 8);
}

/* Opens a block that holds nothing yet and says that it ends at end. */
static int block_open(struct avml *avml, uint64_t start, uint64_t end, struct err *err)
{
	static const unsigned char identifier[IDENTIFIER_BYTES] = "\xff\6\0\0sNaPpY";
	unsigned char header[HEADER_BYTES];

	if (avml->out.patch && avml->out.mark)
		avml->out.mark(avml->out.arg);
	/* start - 1 may wrap; block_bytes() is 0 all the same. */
	avml->block =
		(struct block){ true, { start, start - 1 }, 0, avml->put_bytes, end };
	header_of(&avml->block, end, header);
	if (put(avml, header, sizeof(header), err) < 0 ||
	    put(avml, identifier, sizeof(identifier), err) < 0)
		return -1;
	avml->block.stream = sizeof(identifier);
	return 0;
}

static int block_add(struct avml *avml, size_t len, const void *packed, size_t packed_len,
		     struct err *err)
{
	if (put(avml, packed, packed_len, err) < 0)
		return -1;
	avml->block.span.end += len;
	avml->block.stream += packed_len;
	return 0;
}

/* At most SNAPPY_BLOCK_BYTES of zeros. */
static int block_add_zeros(struct avml *avml, size_t len, struct err *err)
{
	static unsigned char zeros[4096]; /* never written: no page of its own */
	uint32_t crc = 0;
	size_t packed = snappy_zeros(len, avml->frame + FRAME_BYTES);

	for (size_t done = 0, n; done < len; done += n) {
		n = len - done < sizeof(zeros) ? len - done : sizeof(zeros);
		crc = crc32c(crc, zeros, n);
	}
	put_frame_header(avml->frame, FRAME_COMPRESSED, packed, crc);
	return block_add(avml, len, avml->frame, FRAME_BYTES + packed, err);
}

static int block_close(struct avml *avml, struct err *err)
{
	struct block *block = &avml->block;
	unsigned char header[HEADER_BYTES], length[LENGTH_BYTES];

	if (!block->open)
		return 0;
	if (!block_fits(block))
		return not_fitting(avml, err);
	if (block->span.end != block->claimed_end) {
		if (!avml->out.patch)
			return err_set(err, ERR_FAILED,
				       "AVML block of 0x%" PRIx64
				       " does not end as claimed",
				       block->span.start);
		header_of(block, block->span.end, header);
		if (avml->out.patch(avml->out.arg, block->header_off, header,
				    sizeof(header), err) < 0)
			return -1;
	}
	put_le(length, block->stream, sizeof(length));
	if (put(avml, length, sizeof(length), err) < 0)
		return -1;
	block->open = false;
	avml->complete_bytes = avml->put_bytes;
	return 0;
}

/* Has an output that cannot seek claimed more than the block holds yet? */
static bool owes(const struct avml *avml)
{
	return avml->block.open && !avml->out.patch &&
	       avml->block.span.end != avml->block.claimed_end;
}

static int zero_chunk(struct avml *avml, uint64_t phys, size_t len, struct err *err)
{
	const struct block *block = &avml->block;

	while (len && block->open &&
	       (avml->out.patch ? !block_fits(block) : owes(avml))) {
		size_t n = len < SNAPPY_BLOCK_BYTES ? len : SNAPPY_BLOCK_BYTES;

		if (owes(avml) && n > block->claimed_end - block->span.end)
			n = (size_t)(block->claimed_end - block->span.end);
		if (block_bytes(block) + n > AVML_BLOCK_MAX)
			return not_fitting(avml, err);
		if (block_add_zeros(avml, n, err) < 0)
			return -1;
		phys += n;
		len -= n;
	}
	/* A block whose last bytes these were may still take what follows, if it can. */
	if (!len && (avml->out.patch || owes(avml)))
		return 0;
	if (block_close(avml, err) < 0)
		return -1;
	if (!avml->zero_bytes || avml->zero_start + avml->zero_bytes != phys) {
		avml->zero_start = phys;
		avml->zero_bytes = 0;
	}
	avml->zero_bytes += len;
	return 0;
}

/* How many of the zeros left out right before phys a chunk takes that needs them. */
static size_t zeros_before(const struct avml *avml, uint64_t phys, size_t len)
{
	uint64_t bytes = avml->zero_bytes;

	if (!bytes || avml->zero_start + bytes != phys)
		return 0;
	if (bytes > SNAPPY_BLOCK_BYTES)
		bytes = SNAPPY_BLOCK_BYTES;
	return len + bytes <= AVML_BLOCK_MAX ? (size_t)bytes : 0;
}

/*
 * The end that the header of a block of this chunk says before more is known. Without
 * patch() it is final: a chunk that does not fit alone then waits for all that may
 * follow, and a short last chunk is never left to itself.
 */
static uint64_t claim(const struct avml *avml, uint64_t phys, size_t len, size_t zeros,
		      bool alone)
{
	uint64_t end = phys + len - 1, left = avml->range.end - end;

	if (avml->out.patch)
		return end;
	if (!alone) {
		uint64_t more = (AVML_BLOCK_MAX - zeros - len) / len * len;

		return end + (more < left ? more : left);
	}
	return left < len && len + left <= AVML_BLOCK_MAX ? end + left : end;
}

/* Opens a block that begins with this chunk. */
static int open_for(struct avml *avml, uint64_t phys, size_t len, size_t packed_len,
		    struct err *err)
{
	bool alone = stream_fits(IDENTIFIER_BYTES + packed_len, len);
	size_t zeros = alone ? 0 : zeros_before(avml, phys, len);
	uint64_t end = claim(avml, phys, len, zeros, alone);

	if (block_open(avml, phys - zeros, end, err) < 0)
		return -1;
	return zeros ? block_add_zeros(avml, zeros, err) : 0;
}

static int data_chunk(struct avml *avml, uint64_t phys, size_t len, const void *packed,
		      size_t packed_len, struct err *err)
{
	const struct block *block = &avml->block;
	bool alone = stream_fits(IDENTIFIER_BYTES + packed_len, len);

	if (block->open && !owes(avml) && block_fits(block) &&
	    (alone || !avml->out.patch || !takes(block, len, packed_len)) &&
	    block_close(avml, err) < 0)
		return -1;
	if (!block->open && open_for(avml, phys, len, packed_len, err) < 0)
		return -1;
	if (block_bytes(block) + len > AVML_BLOCK_MAX)
		return not_fitting(avml, err);
	if (!avml->out.patch && len > block->claimed_end - block->span.end)
		return err_set(err, ERR_FAILED,
			       "chunk at 0x%" PRIx64 " is longer than its AVML block",
			       phys);
	if (block_add(avml, len, packed, packed_len, err) < 0)
		return -1;
	/* Without patch() nothing can be added to a block that is as long as it claims.
	 */
	return avml->out.patch || owes(avml) ? 0 : block_close(avml, err);
}

static int chunk(struct encoder_state *state, uint64_t phys, const void *data,
		 size_t len_bytes, const void *packed, size_t packed_len, bool zero,
		 struct err *err)
{
	struct avml *avml = inner(state);

	(void)data;
	if (!len_bytes)
		return 0;
	if (avml->block.open && phys != avml->block.span.end + 1 &&
	    block_close(avml, err) < 0)
		return -1;
	if (zero)
		return zero_chunk(avml, phys, len_bytes, err);
	if (!packed || !packed_len || len_bytes > AVML_BLOCK_MAX)
		return err_set(err, ERR_FAILED, "chunk at 0x%" PRIx64 " was not packed",
			       phys);
	return data_chunk(avml, phys, len_bytes, packed, packed_len, err);
}

static int begin(struct encoder_state *state, const struct ranges *ranges,
		 const struct encoder_out *out, struct err *err)
{
	struct avml *avml = inner(state);

	(void)ranges;
	(void)err;
	memset(avml, 0, sizeof(*avml));
	avml->out = *out;
	return 0;
}

static int range(struct encoder_state *state, const struct range *next, struct err *err)
{
	struct avml *avml = inner(state);

	if (block_close(avml, err) < 0)
		return -1;
	avml->range = *next;
	avml->zero_bytes = 0;
	return 0;
}

static int end(struct encoder_state *state, struct err *err)
{
	return block_close(inner(state), err);
}

bool encoder_avml_did_not_fit(const struct encoder_state *state, uint64_t *phys)
{
	const struct avml *avml = (const struct avml *)state->opaque;

	if (phys)
		*phys = avml->did_not_fit_at;
	return avml->did_not_fit;
}

uint64_t encoder_avml_complete_bytes(const struct encoder_state *state)
{
	return ((const struct avml *)state->opaque)->complete_bytes;
}

const struct encoder_ops encoder_avml = {
	.suffix = "avml",
	.packed_bound = packed_bound,
	.scratch_bytes = scratch_bytes,
	.pack = pack,
	.begin = begin,
	.range = range,
	.chunk = chunk,
	.end = end,
};
