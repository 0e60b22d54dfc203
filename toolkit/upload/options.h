/* The command line of upload, read and checked; nothing is asked or opened here. */
#ifndef FVOL_UPLOAD_OPTIONS_H
#define FVOL_UPLOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "toolkit/lib/s3options.h"

enum command { SEND, PRESIGN, COMPLETE, ABORT };

struct options {
	enum command command;
	struct s3_options s3;
	/* Borrowed from argv. */
	const char *size, *journal, *sha256;
	const char *presigned, *parts, *state, *expires, *list_key;
	const char *custody, *instance;
	bool companion, verify, json, unsigned_payload;

	/* Made of them. */
	char **sources;
	int n_sources;
	uint64_t size_bytes;
	unsigned expires_s;
};

/* Returns -1 to go on, or the exit code: help and version are printed, errors said. */
int options_parse(int argc, char **argv, struct options *opt);

#endif
