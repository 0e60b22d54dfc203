/* The command line of capture. */
#ifndef FVOL_CAPTURE_OPTIONS_H
#define FVOL_CAPTURE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/s3options.h"

struct options {
	const char *evidence; /* a directory for evidence, */
	const char *to_s3;    /* s3://BUCKET/PREFIX, or both */
	struct s3_options s3;
	const char *instance;
	const char *output;
	const char *source; /* NULL: the first usable one */
	const char *format; /* lime, avml, raw, zst */
	const char *kmods;
	const char *manifest_sha256;
	uint64_t catalogue_least;
	const char *proc;
	const char *sys;
	const char *dev;
	size_t arena_bytes; /* 0: by the memory there is */
	unsigned workers;
	bool check;
	bool unload; /* a module that was left behind */
	bool json;
	bool no_hash;
	bool allow_untested;
};

/* Returns -1 to go on with *opt filled, or the exit code. */
int options_parse(int argc, char **argv, struct options *opt);

#endif
