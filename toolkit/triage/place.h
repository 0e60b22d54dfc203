/*
 * The places that out.h speaks of: a directory, or one tar.zst that goes into a file, to
 * standard output or into an object in S3. Which one is open, what became of it, and what
 * to leave behind when the run fails.
 */
#ifndef FVOL_TRIAGE_PLACE_H
#define FVOL_TRIAGE_PLACE_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/sink.h"
#include "toolkit/triage/options.h"
#include "toolkit/triage/out.h"

#define PLACE_RECORDS "triage.jsonl"
#define PLACE_TAR_NAME "triage.tar.zst"

/* What the last line of the output says of it; good after ops->finish(). */
struct place_result {
	/* INSTANCE/TIME, the new directory, the file, "-" or s3://…: where it is. */
	char where[PATH_MAX];
	bool direct_io; /* false: a file system without O_DIRECT took pages of memory */
	bool has_records;
	uint8_t records_sha256[SHA256_LEN]; /* of PLACE_RECORDS */
	uint8_t sums_sha256[SHA256_LEN];    /* of SHA256SUMS */
	uint8_t custody_head[SHA256_LEN];
	uint64_t files;	 /* whole ones that SHA256SUMS lists */
	uint64_t bytes;	 /* in them */
	uint64_t failed; /* members that did not become whole */
};

struct place {
	const struct place_ops *ops;
	void *arg; /* for ops */
};

/*
 * Opens the place that the options ask for: exactly one of evidence (with instance),
 * output, tar and to; of the last, s3_options_target() and s3_options_check() have been
 * called. Standard output must not be a terminal. place must not be moved. interrupted is
 * borrowed. Returns 0; or -1 with err and nothing to close (EVIDENCE/INSTANCE/TIME may be
 * left, empty).
 */
int place_open(struct place *place, const struct options *opt,
	       const volatile sig_atomic_t *interrupted, struct err *err);

/*
 * The run failed: members that are open are given up, and only ->abandon may still follow
 * for them. In a directory, SHA256SUMS lists
 * what is whole, NAME.partial is what is not, and the log of custody has a line `failed`
 * with the reason; a tar is cut off, and nothing of that name is there. 0, or -1 with err
 * when the directory could not be brought into that state. place_close() is still due.
 */
int place_fail(struct place *place, const struct err *failure, struct err *err);

/* Closes what place_open() opened. What was neither finished nor failed looks like a run
 * that was killed. Does nothing twice. */
void place_close(struct place *place);

const struct place_result *place_result(const struct place *place);

/* The two kinds. */
extern const struct place_ops place_dir_ops, place_tar_ops;
struct place_dir;
struct place_tar;

/* EVIDENCE/INSTANCE/TIME/, made; NULL with err. */
struct place_dir *place_dir_open(const char *evidence, const char *instance,
				 struct err *err);
/* A directory that must not be there yet. */
struct place_dir *place_dir_new(const char *path, const char *instance, struct err *err);
int place_dir_fail(struct place_dir *dir, const struct err *failure, struct err *err);
const struct place_result *place_dir_result(const struct place_dir *dir);

/*
 * A tar.zst into stream, which is copied, and ended in every case. Its members stand in
 * the directory top (INSTANCE/TIME), so that it unpacks beside other evidence. Members
 * are spooled in memory, packed, until they are closed: PLACE_SPOOL_MAX bytes in all. One
 * at a time whose size is known and large goes straight out; when it is given up its rest
 * is zeros, it is not in SHA256SUMS, and a member NAME.failed says so.
 */
#define PLACE_SPOOL_MAX (256u << 20)
struct place_tar *place_tar_open(const struct sink_stream *stream, const char *top,
				 const char *instance, struct err *err);
/* Another limit, for tests. */
void place_tar_limit(struct place_tar *tar, uint64_t spool_bytes);
void place_tar_fail(struct place_tar *tar);
struct place_result *place_tar_result(struct place_tar *tar);

#endif
