#include "toolkit/lib/dumpview.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Each place costs as many bytes as a decoder has state, 1 KiB. */
#define PLACES_MAX 4096
#define STRIDE_BYTES (1u << 20)

/* A stretch of memory and the mark from which the decoder reaches it. */
struct dumpview_place {
	uint64_t start, end; /* of memory, end exclusive */
	struct decoder_mark mark;
};

/* Every second place goes; those that stay reach further. */
static void thin_out(struct dumpview *view)
{
	size_t kept = 0;

	for (size_t i = 0; i < view->count; i += 2) {
		struct dumpview_place *place = &view->places[kept++];

		if (place != &view->places[i])
			*place = view->places[i];
		if (i + 1 < view->count)
			place->end = view->places[i + 1].end;
	}
	view->count = kept;
	view->stride_bytes *= 2;
}

/* Notes the piece of a survey; before is the mark from before it was taken. */
static int add_place(struct dumpview *view, const struct decoder_piece *piece,
		     const struct decoder_mark *before, struct err *err)
{
	bool whole_ranges = view->decoder->ops->back;
	struct dumpview_place *last = view->count ? &view->places[view->count - 1] : NULL;

	if (piece->phys + piece->len_bytes - 1 >= PHYSICAL_END)
		return err_set(err, ERR_FAILED,
			       "no machine has memory at 0x%" PRIx64 " (byte %" PRIu64
			       ")",
			       piece->phys + piece->len_bytes - 1, piece->off);
	view->end = piece->phys + piece->len_bytes;
	if (last && !whole_ranges && view->end - last->start <= view->stride_bytes) {
		last->end = view->end;
		return 0;
	}
	if (view->count == PLACES_MAX) {
		/* The survey has room for no more ranges than that either. */
		if (whole_ranges)
			return err_set(err, ERR_FAILED, "more than %d ranges",
				       PLACES_MAX);
		thin_out(view);
	}
	last = &view->places[view->count++];
	last->start = piece->phys;
	last->end = view->end;
	if (whole_ranges)
		decoder_mark(view->decoder, &last->mark);
	else
		last->mark = *before;
	return 0;
}

static int note_places(struct dumpview *view, struct err *err)
{
	struct decoder *decoder = view->decoder;
	struct decoder_mark before;
	struct decoder_piece piece;
	int more;

	decoder->survey = true;
	if (decoder->ops->begin(decoder, err) < 0)
		return -1;
	for (;;) {
		decoder_mark(decoder, &before);
		more = decoder->ops->next(decoder, &piece, err);
		if (more <= 0)
			return more;
		if (add_place(view, &piece, &before, err) < 0)
			return -1;
	}
}

int dumpview_open(struct dumpview *view, int fd, const struct decoder_ops *ops,
		  struct err *err)
{
	*view = (struct dumpview){ .stride_bytes = STRIDE_BYTES };
	view->decoder = calloc(1, sizeof(*view->decoder));
	view->places = malloc(PLACES_MAX * sizeof(*view->places));
	if (!view->decoder || !view->places)
		return err_sys(err, ENOMEM, "reading an image");
	if (decoder_open(view->decoder, fd, ops, false, err) < 0 ||
	    decoder_survey(view->decoder, NULL, err) < 0 || note_places(view, err) < 0 ||
	    decoder_start(view->decoder, err) < 0)
		return -1;
	/* Damage costs what is damaged, from here on. */
	view->decoder->salvage = true;
	return 0;
}

void dumpview_close(struct dumpview *view)
{
	if (view->decoder)
		decoder_close(view->decoder);
	free(view->decoder);
	free(view->places);
	view->decoder = NULL;
	view->places = NULL;
}

/* The place that phys stands in, or the next one above it; NULL for none. */
static const struct dumpview_place *find_place(const struct dumpview *view, uint64_t phys)
{
	size_t low = 0, high = view->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (view->places[mid].end <= phys)
			low = mid + 1;
		else
			high = mid;
	}
	return low < view->count ? &view->places[low] : NULL;
}

static bool holds(const struct decoder_piece *piece, uint64_t phys)
{
	return piece->len_bytes && phys - piece->phys < piece->len_bytes;
}

/* Does going on from where the decoder is lead to phys as well as the place does? */
static bool is_before(const struct dumpview *view, const struct dumpview_place *place,
		      uint64_t phys)
{
	if (!view->piece.len_bytes || view->piece.phys > phys)
		return false;
	return view->decoder->ops->back ? view->piece.phys + view->piece.len_bytes == phys
					: view->piece.phys >= place->start;
}

/*
 * Takes the piece that holds phys. Returns 1; 0 when the image has not got it, and then
 * *until is where it next has memory, or UINT64_MAX; or -1.
 */
static int go_to(struct dumpview *view, uint64_t phys, uint64_t *until, struct err *err)
{
	const struct decoder_ops *ops = view->decoder->ops;
	const struct dumpview_place *place;
	int more;

	if (holds(&view->piece, phys))
		return 1;
	place = find_place(view, phys);
	*until = place ? place->start : UINT64_MAX;
	if (!place || phys < place->start)
		return 0;
	if (!is_before(view, place, phys)) {
		decoder_return(view->decoder, &place->mark);
		if (ops->back)
			ops->back(view->decoder, place->end - phys);
	}
	do {
		view->piece.len_bytes = 0;
		more = ops->next(view->decoder, &view->piece, err);
		if (more < 0)
			return -1;
		if (!more || view->piece.phys > phys) {
			*until = more ? view->piece.phys : UINT64_MAX;
			return 0;
		}
	} while (!holds(&view->piece, phys));
	return 1;
}

int dumpview_piece(struct dumpview *view, uint64_t phys, struct decoder_piece *piece,
		   struct err *err)
{
	for (;;) {
		uint64_t until;
		int there = go_to(view, phys, &until, err);

		if (there < 0)
			return -1;
		if (there && !view->piece.lost)
			break;
		if (!there && until == UINT64_MAX)
			return 0;
		phys = there ? view->piece.phys + view->piece.len_bytes : until;
	}
	*piece = view->piece;
	return 1;
}

int dumpview_read(struct dumpview *view, uint64_t phys, void *buf, size_t len,
		  struct err *err)
{
	unsigned char *to = buf;

	while (len) {
		uint64_t until = UINT64_MAX, n;
		int there = go_to(view, phys, &until, err);

		if (there < 0)
			return -1;
		if (there && view->piece.lost)
			return err_set(err, ERR_FAILED,
				       "the memory at 0x%" PRIx64 " is damaged", phys);
		if (!there && (!view->decoder->ops->omits_zeros || until == UINT64_MAX))
			return err_set(err, ERR_FAILED,
				       "the image has no memory at 0x%" PRIx64, phys);
		n = there ? view->piece.len_bytes - (phys - view->piece.phys)
			  : until - phys;
		n = n < len ? n : len;
		if (there)
			memcpy(to, view->piece.data + (phys - view->piece.phys), n);
		else
			memset(to, 0, n);
		phys += n;
		to += n;
		len -= n;
	}
	return 0;
}
