/* The command line of upload, read and checked; nothing is asked or opened here. */
#ifndef FVOL_UPLOAD_OPTIONS_H
#define FVOL_UPLOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum command { SEND, PRESIGN, COMPLETE, ABORT };

struct options {
	enum command command;
	/* Borrowed from argv. */
	const char *region, *endpoint, *ca, *connect_to, *proxy;
	const char *credentials, *imds_endpoint;
	const char *part_size, *parallel, *size, *retries, *stall;
	const char *journal, *sha256;
	const char *owner, *kms_key, *lock, *retain_until;
	const char *presigned, *parts, *state, *expires, *list_key;
	bool legal_hold, overwrite, companion, verify, json;

	/* Made of them. */
	char **sources;
	int n_sources;
	char bucket[64];
	const char *key; /* of s3://BUCKET/KEY */
	bool prefix;	 /* names of sources are added to it */
	uint64_t part_bytes, size_bytes;
	unsigned n_parallel, n_retries, stall_s, expires_s;
};

/* Returns -1 to go on, or the exit code: help and version are printed, errors said. */
int options_parse(int argc, char **argv, struct options *opt);

#endif
