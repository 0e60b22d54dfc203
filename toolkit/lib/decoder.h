/*
 * How the bytes of an image file become pieces of memory again: lime, avml, padded raw,
 * and lime in seekable zstd, each one small file behind decoder_ops. The file may come
 * from a hostile host: every length is checked against the file, memory is bounded
 * whatever it claims, and each error says at which byte of the file.
 *
 * A decoder goes over the file twice: the survey follows the structure alone and tells
 * the ranges before anything is written; then the data are decoded and checked, piece by
 * piece in ascending order of address.
 *
 * Without salvage the first damage is an error. With it damage is listed and the decoder
 * goes on behind it: the memory that is lost keeps its place in the ranges where the file
 * still tells that place, and reads as zero.
 */
#ifndef FVOL_DECODER_H
#define FVOL_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/ranges.h"
#include "toolkit/lib/window.h"

/* A piece of memory as it stands in the file. */
struct decoder_piece {
	uint64_t phys;
	uint64_t len_bytes;
	uint64_t off;		   /* in the file, where it begins */
	const unsigned char *data; /* NULL in a survey and when lost */
	bool begins;		   /* a range of its own begins here */
	bool lost;		   /* damaged: ->damage of the decoder tells */
};

/* A place that cannot be decoded. */
struct decoder_damage {
	uint64_t off;	    /* in the file */
	struct range range; /* the memory it holds; start > end: not known */
	char why[112];	    /* a part of a sentence */
};

#define DECODER_DAMAGE_MAX 1024
#define DECODER_STATE_BYTES 1024

struct decoder;

struct decoder_ops {
	const char *name; /* as in --format: lime, avml, raw, zst */
	/* How large the pieces of a file are that is read on, and for looking at its
	 * structure. */
	size_t survey_step_bytes;
	/* Absent memory was zero, so that ranges may be told that the file does not have.
	 */
	bool omits_zeros;
	/* Goes to the beginning. May be called again. */
	int (*begin)(struct decoder *decoder, struct err *err);
	/* The next piece, good until the next call. Returns 1, 0 at the end, or -1. */
	int (*next)(struct decoder *decoder, struct decoder_piece *piece,
		    struct err *err);
	void (*close)(struct decoder *decoder);

	/* For decoder_return(). What the state says of buffers is void; NULL: nothing. */
	void (*returned)(struct decoder *decoder);
	/* A survey's next() gave a whole range: goes len bytes back from its end. NULL:
	 * pieces of a survey are those of the data, short. */
	void (*back)(struct decoder *decoder, uint64_t len_bytes);
};

extern const struct decoder_ops decoder_lime;
extern const struct decoder_ops decoder_avml;
extern const struct decoder_ops decoder_raw;
extern const struct decoder_ops decoder_zst;

struct decoder {
	const struct decoder_ops *ops;
	struct window window;
	bool salvage;
	bool survey;	       /* data are not decoded */
	uint64_t expected_end; /* raw: the file should hold memory up to here; or 0 */

	/* What the survey found. */
	struct ranges ranges;
	uint64_t stored_bytes; /* of memory that the file holds */
	/* avml: absent memory shorter than this was taken into a range, because there
	 * would be too many ranges. 0: none was. */
	uint64_t joined_bytes;

	/* Only of the pass over the data. */
	size_t damages;
	uint64_t damages_unlisted;
	struct decoder_damage damage[DECODER_DAMAGE_MAX];

	_Alignas(16) unsigned char state[DECODER_STATE_BYTES];
};

/* The format that a file's first bytes tell, or NULL. Raw has no such bytes. */
const struct decoder_ops *decoder_recognise(const unsigned char *head, size_t len_bytes);

/* By name, or NULL. */
const struct decoder_ops *decoder_find(const char *name);

/*
 * Opens the image fd (a regular file, borrowed). ops NULL: what its first bytes tell;
 * ERR_FAILED when they tell nothing. The decoder, which is large, is the caller's;
 * decoder_close() is due in every case.
 */
int decoder_open(struct decoder *decoder, int fd, const struct decoder_ops *ops,
		 bool salvage, struct err *err);
void decoder_close(struct decoder *decoder);

/*
 * Goes over the structure and sets ->ranges. given, when not NULL, are the ranges that
 * the memory is known to have: they become ->ranges. Only for avml, all of whose blocks
 * must stand inside them, and raw, of which they are the parts that are memory.
 */
int decoder_survey(struct decoder *decoder, const struct ranges *given, struct err *err);

/* Goes to the beginning for the pass over the data. After decoder_survey(). */
int decoder_start(struct decoder *decoder, struct err *err);

/* Where a decoder is in its file. Only of use with this decoder, until it is closed. */
struct decoder_mark {
	_Alignas(16) unsigned char state[DECODER_STATE_BYTES];
};

/* Remembers the place, and goes there again: next() then gives what it gave after it. */
void decoder_mark(const struct decoder *decoder, struct decoder_mark *mark);
void decoder_return(struct decoder *decoder, const struct decoder_mark *mark);

/*
 * For the formats: something is wrong at byte off, and the memory of range (NULL: not
 * known) is lost. Lists it and returns 0 when salvaging, else fills err and returns -1.
 */
int decoder_damaged(struct decoder *decoder, uint64_t off, const struct range *range,
		    struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

#endif
