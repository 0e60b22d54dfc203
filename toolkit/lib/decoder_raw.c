/*
 * Padded raw behind decoder.h: byte N of the file is byte N of memory. The file does not
 * say what of it is memory, so that all of it is one range from 0 on unless ranges are
 * given.
 */
#include "toolkit/lib/decoder.h"
#include "toolkit/lib/io.h"

#define PIECE_BYTES (256u << 10)

struct raw {
	uint64_t at;
};

static struct raw *inner(struct decoder *decoder)
{
	return (struct raw *)decoder->state;
}

static int begin(struct decoder *decoder, struct err *err)
{
	(void)err;
	inner(decoder)->at = 0;
	return 0;
}

static int next(struct decoder *decoder, struct decoder_piece *piece, struct err *err)
{
	struct raw *raw = inner(decoder);
	uint64_t size = decoder->window.size_bytes, left = size - raw->at;

	*piece = (struct decoder_piece){ .phys = raw->at, .off = raw->at };
	if (raw->at >= size) {
		struct range missing = { size, decoder->expected_end - 1 };

		if (raw->at >= decoder->expected_end)
			return 0;
		if (decoder_damaged(decoder, size, &missing, err,
				    "the file ends before its ranges do") < 0)
			return -1;
		piece->len_bytes = decoder->expected_end - size;
		piece->lost = true;
		raw->at = decoder->expected_end;
		return 1;
	}
	piece->len_bytes = decoder->survey || left < PIECE_BYTES ? left : PIECE_BYTES;
	if (!decoder->survey) {
		piece->data = window_at(&decoder->window, raw->at,
					(size_t)piece->len_bytes, err);
		if (!piece->data)
			return -1;
	}
	raw->at += piece->len_bytes;
	return 1;
}

static void back(struct decoder *decoder, uint64_t len_bytes)
{
	inner(decoder)->at -= len_bytes;
}

const struct decoder_ops decoder_raw = {
	.name = "raw",
	.survey_step_bytes = IO_BLOCK,
	.begin = begin,
	.next = next,
	.back = back,
};
