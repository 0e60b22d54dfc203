#include "toolkit/lib/source_decoder.h"

#include <errno.h>
#include <string.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/lime.h"

static void fail(struct source_decoder *sd)
{
	sd->failed = true;
	if (sd->stop)
		*sd->stop = 1;
}

static uint64_t piece_end(const struct decoder_piece *piece)
{
	return piece->phys + piece->len_bytes - 1;
}

/* Takes pieces until one ends at phys or above. */
static void go_to(struct source_decoder *sd, uint64_t phys)
{
	while (!sd->failed && !sd->over &&
	       (!sd->piece.len_bytes || piece_end(&sd->piece) < phys)) {
		struct decoder *decoder = sd->decoder;
		int more = decoder->ops->next(decoder, &sd->piece, &sd->err);

		if (more < 0)
			fail(sd);
		if (more == 0)
			sd->over = true;
	}
}

/* Is there a piece that holds phys? */
static bool holds(const struct source_decoder *sd, uint64_t phys)
{
	return !sd->over && sd->piece.len_bytes && sd->piece.phys <= phys;
}

static ssize_t read_piece(struct source *source, uint64_t phys, void *buf, size_t len)
{
	struct source_decoder *sd = source->state;
	const struct decoder_piece *piece = &sd->piece;
	uint64_t n;

	go_to(sd, phys);
	if (sd->failed) {
		errno = EIO;
		return -1;
	}
	if (!holds(sd, phys)) {
		n = sd->over ? len : piece->phys - phys;
		n = n < len ? n : len;
		memset(buf, 0, (size_t)n);
		return (ssize_t)n;
	}
	n = piece_end(piece) - phys + 1;
	n = n < len ? n : len;
	memcpy(buf, piece->data + (phys - piece->phys), (size_t)n);
	return (ssize_t)n;
}

static uint64_t hole(struct source *source, uint64_t phys, uint64_t len)
{
	struct source_decoder *sd = source->state;
	uint64_t n;

	go_to(sd, phys);
	if (sd->failed || !holds(sd, phys) || !sd->piece.lost)
		return 0;
	n = piece_end(&sd->piece) - phys + 1;
	return n < len ? n : len;
}

static const struct source_ops ops = {
	.name = "image",
	.sequential = true,
	.read = read_piece,
	.hole = hole,
};

struct source source_decoder_open(struct source_decoder *sd, struct decoder *decoder,
				  volatile sig_atomic_t *stop)
{
	*sd = (struct source_decoder){ .decoder = decoder, .stop = stop };
	return (struct source){ .ops = &ops, .state = sd };
}

int source_decoder_finish(struct source_decoder *sd, struct err *err)
{
	go_to(sd, UINT64_MAX);
	if (!sd->failed)
		return 0;
	*err = sd->err;
	return -1;
}

/* One range of the stream: header and memory. */
static int hash_range(struct source *source, const struct range *range,
		      struct sha256 *hash, const volatile sig_atomic_t *interrupted,
		      struct err *err)
{
	static unsigned char buf[IO_CHUNK_BYTES];
	struct source_decoder *sd = source->state;
	unsigned char header[LIME_HEADER_BYTES];
	uint64_t left = range_bytes(range), phys = range->start;

	lime_header(range, header);
	sha256_update(hash, header, sizeof(header));
	while (left) {
		size_t want = left < sizeof(buf) ? (size_t)left : sizeof(buf);
		uint64_t lost = hole(source, phys, want);
		ssize_t n = (ssize_t)lost;

		if (*interrupted)
			return err_set(err, ERR_FAILED, "interrupted at 0x%llx",
				       (unsigned long long)phys);
		if (lost)
			memset(buf, 0, (size_t)lost);
		else
			n = read_piece(source, phys, buf, want);
		if (n < 0) {
			*err = sd->err;
			return -1;
		}
		sha256_update(hash, buf, (size_t)n);
		phys += (uint64_t)n;
		left -= (uint64_t)n;
	}
	return 0;
}

int source_decoder_hash(struct decoder *decoder, const volatile sig_atomic_t *interrupted,
			uint8_t stream_sha256[SHA256_LEN], struct err *err)
{
	struct source_decoder sd;
	struct source source = source_decoder_open(&sd, decoder, NULL);
	struct sha256 hash;

	if (decoder_start(decoder, err) < 0)
		return -1;
	sha256_init(&hash);
	for (size_t i = 0; i < decoder->ranges.count; i++)
		if (hash_range(&source, &decoder->ranges.at[i], &hash, interrupted, err) <
		    0)
			return -1;
	sha256_final(&hash, stream_sha256);
	return source_decoder_finish(&sd, err);
}
