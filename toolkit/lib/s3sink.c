#include "toolkit/lib/s3sink.h"

#include <stdlib.h>

struct s3sink {
	struct transfer *transfer;
	struct transfer_result result;
};

struct s3sink *s3sink_open(const struct transfer_config *config, struct err *err)
{
	struct s3sink *sink = calloc(1, sizeof(*sink));

	if (!sink) {
		err_set(err, ERR_FAILED, "out of memory");
		return NULL;
	}
	sink->transfer = transfer_open(config, err);
	if (sink->transfer)
		return sink;
	free(sink);
	return NULL;
}

int s3sink_write(void *arg, const void *data, size_t len_bytes, struct err *err)
{
	struct s3sink *sink = arg;

	return transfer_write(sink->transfer, data, len_bytes, err);
}

int s3sink_finish(void *arg, struct err *err)
{
	struct s3sink *sink = arg;

	return transfer_finish(sink->transfer, &sink->result, err);
}

const struct transfer_result *s3sink_result(const void *arg)
{
	const struct s3sink *sink = arg;

	return &sink->result;
}

void s3sink_abort(void *arg)
{
	struct s3sink *sink = arg;

	if (!sink)
		return;
	transfer_close(sink->transfer);
	free(sink);
}
