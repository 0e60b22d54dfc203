/* What the parts of hash share: the command line, and one function for each way to run.
 */
#ifndef FVOL_HASH_HASH_H
#define FVOL_HASH_HASH_H

#include <stdbool.h>
#include <stdint.h>

struct options {
	const char *output;
	const char *check;
	const char *volume;
	const char *manifest_sha256;
	const char *serial;
	const char *device;
	const char *device_name;
	const char *catalogue_least;
	uint64_t least;	     /* that number; 0: any */
	const char *custody; /* append, verify, head, seal */
	const char *head;
	const char *instance;
	const char *action;
	const char *note;
	const char *signature;
	const char *key;
	const char *keys;
	const char *chunks;
	const char *jobs;
	unsigned threads;
	bool quiet;
	bool recursive;
};

/* Each does its work, prints what there is to say, and returns the exit code. */
int do_hash(const struct options *opt, char **files, int count);
int do_check(const struct options *opt);
int do_custody(const struct options *opt, char **arguments);
int do_chunks(const struct options *opt, const char *image); /* image: NULL or a file */
int do_signature(const struct options *opt, const char *path);

/* What is wrong with the options of --custody and of --signature, or NULL. */
const char *custody_contradiction(const struct options *opt, int arguments);
const char *signature_contradiction(const struct options *opt, int arguments);

#endif
