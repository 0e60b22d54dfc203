#include "toolkit/lib/decoder.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "toolkit/lib/encoder_avml.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/le.h"
#include "toolkit/lib/lime.h"
#include "toolkit/lib/zstd_frame.h"

/* Of the pass over the data: large enough for full speed, small enough for a cache. */
#define READ_STEP (256u << 10)

const struct decoder_ops *decoder_recognise(const unsigned char *head, size_t len_bytes)
{
	if (len_bytes < 4)
		return NULL;
	switch (get_le(head, 4)) {
	case LIME_MAGIC:
		return &decoder_lime;
	case AVML_MAGIC:
		return &decoder_avml;
	case ZSTD_FRAME_MAGIC:
		return &decoder_zst;
	default:
		return NULL;
	}
}

const struct decoder_ops *decoder_find(const char *name)
{
	static const struct decoder_ops *const all[] = { &decoder_lime, &decoder_avml,
							 &decoder_raw, &decoder_zst };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	return NULL;
}

int decoder_open(struct decoder *decoder, int fd, const struct decoder_ops *ops,
		 bool salvage, struct err *err)
{
	const unsigned char *head;
	size_t len;

	decoder->ops = ops;
	decoder->salvage = salvage;
	decoder->expected_end = 0;
	decoder->window.buf = NULL;
	memset(decoder->state, 0, sizeof(decoder->state));
	if (window_open(&decoder->window, fd, IO_BLOCK, err) < 0)
		return -1;
	len = decoder->window.size_bytes < 4 ? (size_t)decoder->window.size_bytes : 4;
	head = window_at(&decoder->window, 0, len, err);
	if (!head)
		return -1;
	if (!len)
		return err_set(err, ERR_FAILED, "the file is empty");
	if (!ops)
		decoder->ops = decoder_recognise(head, len);
	if (!decoder->ops)
		return err_set(
			err, ERR_FAILED,
			"the bytes from byte 0 on begin no lime, avml or zst image");
	return 0;
}

void decoder_close(struct decoder *decoder)
{
	if (decoder->ops && decoder->ops->close)
		decoder->ops->close(decoder);
	window_close(&decoder->window);
}

/* There is no room for more ranges: the shortest stretches between them go. */
static void join_nearest(struct decoder *decoder)
{
	struct ranges *ranges = &decoder->ranges;
	size_t to = 0;

	decoder->joined_bytes = decoder->joined_bytes ? 2 * decoder->joined_bytes : 65536;
	for (size_t i = 1; i < ranges->count; i++) {
		uint64_t between = ranges->at[i].start - ranges->at[to].end - 1;

		if (between < decoder->joined_bytes)
			ranges->at[to].end = ranges->at[i].end;
		else
			ranges->at[++to] = ranges->at[i];
	}
	ranges->count = to + 1;
}

/* Does the piece go on where the last range ends? */
static bool continues(const struct decoder *decoder, const struct decoder_piece *piece)
{
	const struct ranges *ranges = &decoder->ranges;
	uint64_t between;

	if (!ranges->count || piece->begins)
		return false;
	between = piece->phys - ranges->at[ranges->count - 1].end - 1;
	return !between || between < decoder->joined_bytes;
}

static int add(struct decoder *decoder, const struct decoder_piece *piece,
	       struct err *err)
{
	struct ranges *ranges = &decoder->ranges;
	uint64_t end = piece->phys + piece->len_bytes - 1;

	while (!continues(decoder, piece) && ranges->count == RANGES_MAX &&
	       decoder->ops->omits_zeros)
		join_nearest(decoder);
	if (continues(decoder, piece)) {
		ranges->at[ranges->count - 1].end = end;
		return 0;
	}
	if (ranges->count == RANGES_MAX)
		return err_set(err, ERR_FAILED, "more than %d ranges at byte %" PRIu64,
			       RANGES_MAX, piece->off);
	ranges->at[ranges->count++] = (struct range){ piece->phys, end };
	return 0;
}

/* Is the piece inside one of the ranges? *at is the one where the last piece was. */
static bool inside(const struct ranges *ranges, size_t *at,
		   const struct decoder_piece *piece)
{
	while (*at < ranges->count && ranges->at[*at].end < piece->phys)
		++*at;
	return *at < ranges->count && ranges->at[*at].start <= piece->phys &&
	       piece->len_bytes - 1 <= ranges->at[*at].end - piece->phys;
}

static int check_piece(const struct decoder_piece *piece, bool any, uint64_t last_end,
		       struct err *err)
{
	if (!piece->len_bytes || piece->phys + piece->len_bytes - 1 < piece->phys)
		return err_set(err, ERR_FAILED,
			       "the range at byte %" PRIu64 " has no bytes, or too many",
			       piece->off);
	if (any && piece->phys <= last_end)
		return err_set(err, ERR_FAILED,
			       "the range at byte %" PRIu64 " begins at 0x%" PRIx64
			       ", not above the one before it",
			       piece->off, piece->phys);
	return 0;
}

static int survey_pieces(struct decoder *decoder, const struct ranges *given,
			 struct err *err)
{
	struct decoder_piece piece;
	uint64_t last_end = 0;
	bool any = false;
	size_t at = 0;
	int more;

	while ((more = decoder->ops->next(decoder, &piece, err)) > 0) {
		if (check_piece(&piece, any, last_end, err) < 0)
			return -1;
		any = true;
		last_end = piece.phys + piece.len_bytes - 1;
		decoder->stored_bytes += piece.lost ? 0 : piece.len_bytes;
		if (given && !inside(given, &at, &piece))
			return err_set(err, ERR_FAILED,
				       "the block at byte %" PRIu64 " (0x%" PRIx64
				       ") stands outside of the ranges that were given",
				       piece.off, piece.phys);
		if (!given && add(decoder, &piece, err) < 0)
			return -1;
	}
	return more;
}

int decoder_survey(struct decoder *decoder, const struct ranges *given, struct err *err)
{
	bool raw = decoder->ops == &decoder_raw;

	decoder->ranges.count = 0;
	decoder->stored_bytes = decoder->joined_bytes = 0;
	decoder->damages = 0;
	decoder->damages_unlisted = 0;
	decoder->survey = true;
	decoder->window.step_bytes = decoder->ops->survey_step_bytes;
	if (given && raw)
		decoder->expected_end = given->at[given->count - 1].end + 1;
	if (decoder->ops->begin(decoder, err) < 0 ||
	    survey_pieces(decoder, raw ? NULL : given, err) < 0)
		return -1;
	if (given)
		decoder->ranges = *given;
	if (!decoder->ranges.count)
		return err_set(err, ERR_FAILED, "the image holds no memory");
	return 0;
}

int decoder_start(struct decoder *decoder, struct err *err)
{
	decoder->survey = false;
	decoder->window.step_bytes = READ_STEP;
	return decoder->ops->begin(decoder, err);
}

void decoder_mark(const struct decoder *decoder, struct decoder_mark *mark)
{
	memcpy(mark->state, decoder->state, sizeof(mark->state));
}

void decoder_return(struct decoder *decoder, const struct decoder_mark *mark)
{
	memcpy(decoder->state, mark->state, sizeof(mark->state));
	if (decoder->ops->returned)
		decoder->ops->returned(decoder);
}

int decoder_damaged(struct decoder *decoder, uint64_t off, const struct range *range,
		    struct err *err, const char *fmt, ...)
{
	char why[sizeof(decoder->damage[0].why)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (!decoder->salvage)
		return err_set(err, ERR_FAILED, "%s at byte %" PRIu64, why, off);
	if (decoder->survey)
		return 0;
	if (decoder->damages == DECODER_DAMAGE_MAX) {
		decoder->damages_unlisted++;
		return 0;
	}
	decoder->damage[decoder->damages++] = (struct decoder_damage){
		.off = off, .range = range ? *range : (struct range){ 1, 0 }
	};
	memcpy(decoder->damage[decoder->damages - 1].why, why, sizeof(why));
	return 0;
}
