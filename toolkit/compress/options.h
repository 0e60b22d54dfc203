/* The command line of compress. */
#ifndef FVOL_COMPRESS_OPTIONS_H
#define FVOL_COMPRESS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum mode { MODE_CONVERT, MODE_INFO, MODE_CHECK, MODE_BUNDLE, MODE_BUNDLE_CHECK };

struct options {
	enum mode mode;
	const char *input;  /* an image; the directory of a bundle */
	const char *output; /* an image; the bundle */
	const char *from;   /* NULL: what the first bytes tell */
	const char *format; /* lime, avml, raw, zst */
	const char *ranges;
	size_t arena_bytes;
	unsigned workers;
	bool salvage;
	bool no_verify;
	bool json;
};

/* Returns -1 to go on with *opt filled, or the exit code. */
int options_parse(int argc, char **argv, struct options *opt);

#endif
