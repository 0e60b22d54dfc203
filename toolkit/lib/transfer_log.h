/*
 * What the journal of an upload says, and writing it. One JSON object a line: the first
 * names the upload, then one for each part that the server has, at last "done". It holds
 * no secret: the id of an upload is of use only to who may sign.
 */
#ifndef FVOL_TRANSFER_LOG_H
#define FVOL_TRANSFER_LOG_H

#include "toolkit/lib/journal.h"
#include "toolkit/lib/s3.h"

struct transfer_log {
	struct journal journal; /* fd -1: there is none */
	/* What it said when it was opened. */
	bool begun, done;
	char id[S3_ID_SIZE];
	char upload_id[S3_UPLOAD_ID_SIZE];
	uint64_t part_bytes;
	struct s3_object object; /* of "done" */
};

/*
 * Opens or makes the journal of an upload to bucket and key; parts (S3_PARTS_MAX of them,
 * zeroed) receives what it lists, at number - 1. The journal of another object is an
 * error. Lines that are not whole are left out: their parts are sent again.
 */
int transfer_log_open(struct transfer_log *log, const char *path, const char *bucket,
		      const char *key, struct s3_part *parts, struct err *err);

/* Reads the text of a journal: shown to tests. As above. */
int transfer_log_read(struct transfer_log *log, const char *text, const char *bucket,
		      const char *key, struct s3_part *parts, struct err *err);

int transfer_log_begin(struct transfer_log *log, const char *bucket, const char *key,
		       const char *id, const char *upload_id, uint64_t part_bytes,
		       struct err *err);
int transfer_log_part(struct transfer_log *log, const struct s3_part *part,
		      struct err *err);
int transfer_log_done(struct transfer_log *log, const struct s3_object *object,
		      const char *sha256, struct err *err);
void transfer_log_close(struct transfer_log *log);

#endif
