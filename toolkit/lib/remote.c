#include "toolkit/lib/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/s3session.h"
#include "toolkit/lib/transfer.h"

/* Memory is what is captured: two parts are filled in turn, no more. */
#define PARALLEL 2

static struct {
	const struct s3_options *opt;
	struct s3_session session;
	char place[256];
	bool open;
} remote;

/* One object while it is written. */
struct object {
	struct transfer_config config;
	char key[S3_KEY_MAX + 1];
	struct transfer *transfer;
};

static int object_write(void *arg, const void *data, size_t len_bytes, struct err *err)
{
	struct object *object = arg;

	return transfer_write(object->transfer, data, len_bytes, err);
}

static void object_abort(void *arg)
{
	struct object *object = arg;

	transfer_close(object->transfer);
	free(object);
}

static int object_finish(void *arg, struct err *err)
{
	struct object *object = arg;
	struct transfer_result result;

	if (transfer_finish(object->transfer, &result, err) < 0)
		return -1;
	object_abort(object);
	return 0;
}

static const char *slash_after(const char *prefix)
{
	size_t len = strlen(prefix);

	return len && prefix[len - 1] != '/' ? "/" : "";
}

static int open_object(void *arg, const char *name, uint64_t size_bytes,
		       struct sink_stream *stream, struct err *err)
{
	const struct s3_options *opt = remote.opt;
	struct object *object = calloc(1, sizeof(*object));
	int n;

	(void)arg;
	if (!object)
		return err_set(err, ERR_FAILED, "out of memory");
	n = snprintf(object->key, sizeof(object->key), "%s%s%s/%s", opt->key,
		     slash_after(opt->key), remote.place, name);
	object->config = (struct transfer_config){
		.s3 = &remote.session.s3,
		.key = object->key,
		.size_bytes = size_bytes,
		.part_bytes = opt->part_bytes,
		.parallel = opt->n_parallel ? opt->n_parallel : PARALLEL,
	};
	if (n < 0 || (size_t)n >= sizeof(object->key))
		err_set(err, ERR_USAGE, "no object can have so long a key");
	else
		object->transfer = transfer_open(&object->config, err);
	if (!object->transfer) {
		free(object);
		return -1;
	}
	*stream =
		(struct sink_stream){ object_write, object_finish, object_abort, object };
	return 0;
}

const struct store_remote *remote_open(const struct s3_options *opt,
				       const volatile sig_atomic_t *interrupted,
				       struct err *err)
{
	static const struct store_remote ops = { open_object, NULL };

	remote.opt = opt;
	remote.open = true;
	return s3_session_open(&remote.session, opt, true, interrupted, err) < 0 ? NULL
										 : &ops;
}

void remote_set_place(const char *place)
{
	snprintf(remote.place, sizeof(remote.place), "%s", place);
}

void remote_url(char *url, size_t size)
{
	snprintf(url, size, "s3://%s/%s%s%s/", remote.opt->bucket, remote.opt->key,
		 slash_after(remote.opt->key), remote.place);
}

void remote_close(void)
{
	if (remote.open)
		s3_session_close(&remote.session);
	remote.open = false;
}
