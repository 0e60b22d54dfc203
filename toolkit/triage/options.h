/* The command line of triage. */
#ifndef FVOL_TRIAGE_OPTIONS_H
#define FVOL_TRIAGE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/s3options.h"

#define TRIAGE_MEMORY_MAX 16

/* What is collected besides processes. */
enum {
	PART_NETWORK = 1,
	PART_MODULES = 2,
	PART_BPF = 4,
	PART_MOUNTS = 8,
	PART_SESSIONS = 16,
	PART_UNITS = 32,
	PART_FILES = 64,
	PART_ALL = 127,
};

struct options {
	const char *evidence, *instance; /* EVIDENCE/INSTANCE/TIME/ */
	const char *output;		 /* a new directory */
	const char *tar;		 /* a new file for tar.zst, or "-" */
	const char *to;			 /* s3://BUCKET/PREFIX/: the same tar.zst */
	const char *from;		 /* records to make the other outputs of */
	const char *proc, *sys, *root;	 /* trees of tests */
	struct s3_options s3;
	bool no_hash;	 /* executables are not hashed */
	bool no_recover; /* deleted files are not saved */
	bool redact, json;
	unsigned parts; /* bits of PART_ */
	bool all_pids;	/* every pid is asked, also those never given out */
	bool no_environ;
	int32_t memory[TRIAGE_MEMORY_MAX]; /* pids whose memory is saved */
	size_t memory_count;
	uint64_t recover_max_bytes; /* of all files together */
};

/* Returns -1 to go on, or the exit code. Prints what is to be said. */
int options_parse(int argc, char **argv, struct options *opt);

#endif
