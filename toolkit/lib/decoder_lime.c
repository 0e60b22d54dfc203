/* LiME v1 behind decoder.h: the file is the stream. */
#include "toolkit/lib/decoder.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/limewalk.h"

static struct limewalk *inner(struct decoder *decoder)
{
	return (struct limewalk *)decoder->state;
}

static int plain(struct decoder *decoder, uint64_t off, size_t max,
		 struct limewalk_plain *plain, struct err *err)
{
	uint64_t left = decoder->window.size_bytes - off;

	plain->off = off;
	plain->len_bytes = left < max ? (size_t)left : max;
	plain->data = window_at(&decoder->window, off, plain->len_bytes, err);
	return plain->data ? 0 : -1;
}

static int begin(struct decoder *decoder, struct err *err)
{
	struct limewalk *walk = inner(decoder);

	(void)err;
	walk->plain = plain;
	walk->plain_bytes = decoder->window.size_bytes;
	limewalk_begin(walk);
	return 0;
}

static int next(struct decoder *decoder, struct decoder_piece *piece, struct err *err)
{
	return limewalk_next(decoder, inner(decoder), piece, err);
}

static void back(struct decoder *decoder, uint64_t len_bytes)
{
	limewalk_back(inner(decoder), len_bytes);
}

const struct decoder_ops decoder_lime = {
	.name = "lime",
	.survey_step_bytes = IO_BLOCK,
	.begin = begin,
	.next = next,
	.back = back,
};
