/* Images that must be decoded: whatever decoder.h reads, held against memory.chunks. */
#include <string.h>

#include "toolkit/lib/chunks.h"
#include "toolkit/lib/decoder.h"
#include "toolkit/lib/io.h"

static void tell(struct chunk_image *image, enum chunk_fault_kind kind, uint64_t start,
		 uint64_t end, uint64_t off)
{
	image->told(image, &(struct chunk_fault){ kind, { start, end }, off });
}

static uint64_t piece_end(const struct decoder_piece *piece)
{
	return piece->phys + piece->len_bytes - 1;
}

/* Leaves the piece in hand: what nobody asked for of it is memory that the log lacks. */
static void leave(struct chunk_image *image, uint64_t phys)
{
	const struct decoder_piece *piece = &image->piece;
	uint64_t end = phys - 1 < piece_end(piece) ? phys - 1 : piece_end(piece);

	if (!image->in_range || image->range.start >= phys)
		return;
	if (!piece->lost)
		tell(image, CHUNK_UNLISTED, image->range.start, end, piece->off);
	image->range.start = end + 1;
	/* 0: it wrapped behind the last address. */
	image->in_range = end < piece_end(piece);
}

/* Takes the next piece that stands above what was asked for. Returns 1, 0, or -1. */
static int next_piece(struct chunk_image *image, struct err *err)
{
	struct decoder *decoder = image->decoder;
	struct decoder_piece *piece = &image->piece;

	while (!image->ended) {
		int more = decoder->ops->next(decoder, piece, err);

		if (more < 0)
			return -1;
		image->ended = more == 0;
		if (!more)
			break;
		if (piece->len_bytes - 1 > UINT64_MAX - piece->phys ||
		    (image->any && piece->phys <= image->last_end)) {
			tell(image, CHUNK_STRAY, 0, 0, piece->off);
			continue;
		}
		image->any = true;
		image->last_end = piece_end(piece);
		image->range = (struct range){ piece->phys, piece_end(piece) };
		image->in_range = true;
		return 1;
	}
	return 0;
}

/*
 * Some formats leave out what is zero, and the hash will tell whether it was; but no
 * chunk that was captured is longer than a hostile log may say.
 */
static ssize_t left_out(struct chunk_image *image, uint64_t len,
			const unsigned char **data)
{
	static const unsigned char zeros[IO_BLOCK];

	if (!image->decoder->ops->omits_zeros || image->zero_bytes >= IO_CHUNK_BYTES)
		return 0;
	len = len < sizeof(zeros) ? len : sizeof(zeros);
	image->zero_bytes += len;
	*data = zeros;
	return (ssize_t)len;
}

static ssize_t decoded_read(struct chunk_image *image, uint64_t phys, size_t max,
			    const unsigned char **data, uint64_t *off, struct err *err)
{
	const struct decoder_piece *piece = &image->piece;
	uint64_t left;
	int more = 1;

	image->lost = false;
	while (more > 0 && (!image->in_range || image->range.end < phys)) {
		leave(image, phys);
		image->in_range = false;
		more = next_piece(image, err);
	}
	if (more < 0)
		return -1;
	*off = image->ended ? image->size_bytes : piece->off;
	if (!image->continues)
		image->zero_bytes = 0;
	if (image->ended || phys < image->range.start) {
		left = image->ended ? max : image->range.start - phys;
		return left_out(image, left < max ? left : max, data);
	}
	leave(image, phys);
	image->lost = piece->lost;
	if (piece->lost)
		return 0;
	left = piece_end(piece) - phys + 1;
	if (left > max)
		left = max;
	*data = piece->data + (phys - piece->phys);
	image->range.start = phys + left;
	image->in_range = phys + left - 1 < piece_end(piece);
	return (ssize_t)left;
}

static int decoded_finish(struct chunk_image *image, struct err *err)
{
	struct decoder *decoder = image->decoder;
	int more;

	do {
		if (image->in_range && !image->piece.lost)
			tell(image, CHUNK_UNLISTED, image->range.start, image->range.end,
			     image->piece.off);
		image->in_range = false;
		more = next_piece(image, err);
	} while (more > 0);
	/* Damage with an address was found chunk by chunk. */
	for (size_t i = 0; more == 0 && i < decoder->damages; i++)
		if (decoder->damage[i].range.start > decoder->damage[i].range.end)
			tell(image, CHUNK_STRAY, 0, 0, decoder->damage[i].off);
	return more;
}

int chunk_image_decoded(struct chunk_image *image, int fd, struct decoder *decoder,
			const struct decoder_ops *ops, struct err *err)
{
	*image = (struct chunk_image){ .fd = fd, .decoder = decoder };
	if (decoder_open(decoder, fd, ops, true, err) < 0)
		return -1;
	decoder->damages = 0;
	decoder->damages_unlisted = 0;
	image->size_bytes = decoder->window.size_bytes;
	image->read = decoded_read;
	image->finish = decoded_finish;
	return decoder_start(decoder, err);
}
