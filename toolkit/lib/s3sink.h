/*
 * An S3 object as the end of a pipeline: what is written becomes the object when it is
 * finished, and never otherwise. Nothing touches a disk. The three calls have the shape
 * of a stream's back end: an opaque argument first, 0 or -1 with err.
 */
#ifndef FVOL_S3SINK_H
#define FVOL_S3SINK_H

#include <stddef.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/transfer.h"

struct s3sink;

/*
 * Begins an object; see transfer.h for the configuration, which is borrowed (its strings
 * and S3 configuration outlive the sink). Memory: config->parallel parts. NULL with err.
 */
struct s3sink *s3sink_open(const struct transfer_config *config, struct err *err);

/* Takes bytes in order, by one thread at a time; waits while all parts are full. */
int s3sink_write(void *sink, const void *data, size_t len_bytes, struct err *err);

/* Completes the object and checks it. May be called once. */
int s3sink_finish(void *sink, struct err *err);

/* What became of it; after s3sink_finish() only. Belongs to the sink. */
const struct transfer_result *s3sink_result(const void *sink);

/* Aborts the upload unless it is finished (with a journal it stays), and frees the sink.
 */
void s3sink_abort(void *sink);

#endif
