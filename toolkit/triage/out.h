/*
 * Where records and recovered files go: a directory of evidence, one tar.zst (a file,
 * standard output or an object in S3), or standard output as plain lines. Each record is
 * handed to the derived outputs as well.
 */
#ifndef FVOL_TRIAGE_OUT_H
#define FVOL_TRIAGE_OUT_H

#include <stdbool.h>
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

/* Where out_new() sends the lines of records, besides any descriptor. */
enum {
	OUT_LINES_FILE = -1, /* triage.jsonl of the place */
	OUT_LINES_NONE =
		-2, /* nowhere: they are there already, the derived are made anew */
};

/*
 * Opens triage.jsonl and the derived outputs. ops is NULL when lines_fd is a descriptor:
 * that gets the lines, and there are no files. derived is copied, lines_fd and the place
 * are borrowed. Returns NULL with err.
 */
struct out *out_new(const struct place_ops *ops, void *place,
		    const struct derived *const *derived, size_t count, int lines_fd,
		    struct err *err);
/*
 * Ends the derived outputs, closes every file and finishes the place. 0, or -1 with err:
 * then nothing counts as whole. out_free() is still to be called.
 */
int out_finish(struct out *out, struct err *err);
/* Abandons what out_finish() did not close. NULL is nothing. */
void out_free(struct out *out);

/* Can files be kept beside the records? */
bool out_keeps_files(const struct out *out);

/* Writes doc as a line (ended by a newline) and hands it on. Does not free doc. */
int out_record(struct out *out, struct json *doc, struct err *err);
/*
 * A line, without its newline, that was parsed already: it is written as it is and handed
 * on. A record that has no type is an error of the caller.
 */
int out_parsed(struct out *out, const struct json_value *record, const char *line,
	       size_t line_len, struct err *err);

/* A file of evidence beside the records. */
struct out_file *out_open(struct out *out, const char *name, uint64_t size_bytes,
			  struct err *err);
int out_write(struct out *out, struct out_file *file, const void *data, size_t len_bytes,
	      struct err *err);
int out_close(struct out *out, struct out_file *file, struct err *err);
void out_abandon(struct out *out, struct out_file *file);

#endif
