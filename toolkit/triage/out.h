/*
 * Where records and recovered files go: a directory of evidence, one tar.zst (a file,
 * standard output or an object in S3), or standard output as plain lines. Each record is
 * handed to the derived outputs as well.
 */
#ifndef FVOL_TRIAGE_OUT_H
#define FVOL_TRIAGE_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/sha256.h"

struct out;
struct out_file;

/*
 * A place. Members may be open side by side; a name has one directory before it at most
 * ("recovered/…"). size_bytes is exact, or UINT64_MAX when it is not known beforehand.
 * Every call: 0 or a pointer, or -1 or NULL with err.
 */
struct place_ops {
	struct out_file *(*open)(void *place, const char *name, uint64_t size_bytes,
				 struct err *err);
	int (*write)(struct out_file *file, const void *data, size_t len_bytes,
		     struct err *err);
	/* Whole: takes its name. Frees file in every case. */
	int (*close)(struct out_file *file, struct err *err);
	/* Nothing that looks whole is left. Frees file. */
	void (*abandon)(struct out_file *file);
	/* Everything was closed: SHA256SUMS, custody, durable. */
	int (*finish)(void *place, struct err *err);
	void (*free)(void *place);
};

/*
 * An output that is made of records: each gets every record, in order, and at the end
 * writes what it kept.
 */
struct derived {
	const char *name; /* of the file */
	/* Makes ready; *state is its own. */
	int (*begin)(void **state, struct out_file *file, const struct place_ops *ops,
		     struct err *err);
	int (*record)(void *state, const char *type, const struct json_value *record,
		      const char *line, size_t line_len, struct err *err);
	int (*end)(void *state, struct err *err);
	void (*free)(void *state); /* in every case, NULL included */
};
extern const struct derived derived_report;	    /* report.html */
extern const struct derived derived_timesketch;	    /* timesketch.jsonl */
extern const struct derived derived_bodyfile;	    /* bodyfile.txt */
extern const struct derived derived_varc_processes; /* processes.json */
extern const struct derived derived_varc_files;	    /* open_files.json */

/* Writes doc as a line (ended by a newline) and hands it on. Does not free doc. */
int out_record(struct out *out, struct json *doc, struct err *err);

/* A file of evidence beside the records. */
struct out_file *out_open(struct out *out, const char *name, uint64_t size_bytes,
			  struct err *err);
int out_write(struct out *out, struct out_file *file, const void *data, size_t len_bytes,
	      struct err *err);
int out_close(struct out *out, struct out_file *file, struct err *err);
void out_abandon(struct out *out, struct out_file *file);

#endif
