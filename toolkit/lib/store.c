#include "toolkit/lib/store.h"

#include <stdio.h>
#include <string.h>

#include "toolkit/lib/io.h"

bool store_has_remote(const struct store *store)
{
	return store->remote && !store->remote_failed;
}

/* The first reason is kept. */
static void remote_fails(struct store *store, const struct err *err)
{
	if (!store->remote_failed)
		store->remote_err = *err;
	store->remote_failed = true;
}

int store_send_too(struct store *store, struct sink *sink, uint64_t size_bytes,
		   struct err *err)
{
	struct sink_stream stream;
	struct err refused = { 0 };

	if (!store_has_remote(store))
		return 0;
	if (store->remote->open(store->remote->arg, sink->name, size_bytes, &stream,
				&refused) == 0) {
		sink_mirror(sink, &stream);
		return 0;
	}
	err_prefix(&refused, "%s", sink->name);
	if (store->dirfd < 0) {
		*err = refused;
		return -1;
	}
	remote_fails(store, &refused);
	return 0;
}

int store_open(struct store *store, struct sink *sink, const char *name,
	       unsigned char *arena, size_t arena_bytes, uint64_t size_bytes,
	       struct err *err)
{
	int rc;

	if (store->dirfd < 0)
		rc = sink_open_stream(sink, name, NULL, arena, arena_bytes,
				      store->hashing, err);
	else
		rc = sink_open(sink, store->dirfd, name, arena, arena_bytes, 0,
			       store->hashing, err);
	if (rc < 0)
		return -1;
	sink->deferred = true;
	if (store_send_too(store, sink, size_bytes, err) == 0)
		return 0;
	sink_remove(sink);
	return -1;
}

static void note(struct store *store, const char *name, const uint8_t sha256[SHA256_LEN])
{
	struct store_file *file = &store->files[store->count];

	/* Names and their number are the program's own. */
	if (store->count == STORE_FILES_MAX)
		return;
	snprintf(file->name, sizeof(file->name), "%s", name);
	memcpy(file->sha256, sha256, SHA256_LEN);
	store->count++;
}

void store_take_remote_err(struct store *store, const struct sink *sink)
{
	if (sink->mirror_failed)
		remote_fails(store, &sink->mirror_err);
}

int store_finish(struct store *store, struct sink *sink, struct err *err)
{
	uint8_t digest[SHA256_LEN];

	if (sink_finish(sink, digest, err) < 0)
		return -1;
	store_take_remote_err(store, sink);
	if (store->hashing)
		note(store, sink->name, digest);
	return 0;
}

int store_put(struct store *store, const char *name, const void *data, size_t len_bytes,
	      struct err *err)
{
	struct sink sink;

	if (store_open(store, &sink, name, store->arena, store->arena_bytes, len_bytes,
		       err) < 0)
		return -1;
	if (sink_put(&sink, data, len_bytes, err) == 0 &&
	    store_finish(store, &sink, err) == 0)
		return 0;
	sink_abandon(&sink);
	return -1;
}

int store_send_only(struct store *store, const char *name, const void *data,
		    size_t len_bytes, struct err *err)
{
	struct sink_stream stream;
	struct err refused = { 0 };

	if (!store_has_remote(store))
		return 0;
	if (store->remote->open(store->remote->arg, name, len_bytes, &stream, &refused) ==
	    0) {
		if (stream.write(stream.arg, data, len_bytes, &refused) == 0 &&
		    stream.finish(stream.arg, &refused) == 0)
			return 0;
		stream.abort(stream.arg);
	}
	err_prefix(&refused, "%s", name);
	if (store->dirfd < 0) {
		*err = refused;
		return -1;
	}
	remote_fails(store, &refused);
	return 0;
}
