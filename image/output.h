/*
 * An output file that has its name only when it is whole: NAME.partial until then.
 */
#ifndef FVOL_IMAGE_OUTPUT_H
#define FVOL_IMAGE_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

struct output {
	int fd;
	char *name;
	char *partial;
};

#define OUTPUT_NONE                                                                      \
	{                                                                                \
		.fd = -1                                                                 \
	}

/*
 * Creates NAME.partial with size_bytes of zeros, nothing of it on the disk yet. An old
 * one that a killed run left is emptied; one that another run is writing is an error.
 */
int output_open(struct output *output, const char *name, uint64_t size_bytes,
		struct err *err);

/* Makes it durable and gives it its name, in place of what had that name. */
int output_finish(struct output *output, struct err *err);

/* Removes NAME.partial when output_finish() has not been reached. */
void output_abandon(struct output *output);

/* A small file in one call. */
int output_text(const char *name, const char *text, size_t len_bytes, struct err *err);

#endif
