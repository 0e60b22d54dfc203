/*
 * A decoder in the place of a source of memory: the pipeline that captures a machine then
 * converts an image, with the same encoders, hashes and sink.
 */
#ifndef FVOL_SOURCE_DECODER_H
#define FVOL_SOURCE_DECODER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "toolkit/lib/decoder.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/source.h"

struct source_decoder {
	struct decoder *decoder;
	struct decoder_piece piece; /* that was taken last; len_bytes 0: none yet */
	bool over;
	bool failed; /* err says why; every read fails from then on */
	struct err err;
	/* Set to 1 on failure: the pipeline's ->interrupted, so that it stops. */
	volatile sig_atomic_t *stop;
};

/*
 * Makes a sequential source of a decoder that was surveyed and started. Memory that the
 * file does not have reads as zero; what is damaged is a hole. Neither is freed by the
 * source.
 */
struct source source_decoder_open(struct source_decoder *sd, struct decoder *decoder,
				  volatile sig_atomic_t *stop);

/*
 * Takes what the file has behind the last range, so that damage there is seen too.
 * Returns 0, or -1 when anything failed since source_decoder_open().
 */
int source_decoder_finish(struct source_decoder *sd, struct err *err);

/*
 * Reads all memory of the decoder's ranges, in a survey's wake and from the start, and
 * checks what the format has checksums for. *stream_sha256 is of the LiME v1 stream,
 * whatever the format. Damage is in ->damage of a salvaging decoder, else an error.
 */
int source_decoder_hash(struct decoder *decoder, const volatile sig_atomic_t *interrupted,
			uint8_t stream_sha256[SHA256_LEN], struct err *err);

#endif
