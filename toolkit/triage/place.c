#include "toolkit/triage/place.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/place.h"
#include "toolkit/lib/remote.h"

#define ARENA_BYTES ((size_t)256 << 10)

/* A file as the end of an archive: NAME.partial until it is whole. */
struct tar_file {
	struct sink sink;
	unsigned char *arena;
	int dirfd;
};

static int file_write(void *arg, const void *data, size_t len_bytes, struct err *err)
{
	struct tar_file *file = arg;

	return sink_put(&file->sink, data, len_bytes, err);
}

static void file_abort(void *arg)
{
	struct tar_file *file = arg;

	sink_abandon(&file->sink);
	io_close(&file->dirfd);
	free(file->arena);
	free(file);
}

static int file_finish(void *arg, struct err *err)
{
	struct tar_file *file = arg;

	if (sink_finish(&file->sink, NULL, err) < 0)
		return -1;
	file_abort(file);
	return 0;
}

static int open_parent(const char *path, char *base, size_t size, struct err *err)
{
	char copy[PATH_MAX];
	int fd;

	if (strlen(path) >= sizeof(copy))
		return err_set(err, ERR_USAGE, "%.200s: name too long", path);
	strcpy(copy, path);
	snprintf(base, size, "%s", basename(copy));
	strcpy(copy, path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "opening the directory of %s", path) : fd;
}

static int open_file(const char *path, struct sink_stream *stream, bool *direct,
		     struct err *err)
{
	struct tar_file *file = calloc(1, sizeof(*file));
	char base[NAME_MAX + 1];

	if (file)
		file->arena = aligned_alloc(IO_BLOCK, ARENA_BYTES);
	if (!file || !file->arena) {
		free(file);
		return err_sys(err, ENOMEM, "opening %s", path);
	}
	file->sink.fd = -1;
	file->dirfd = open_parent(path, base, sizeof(base), err);
	if (file->dirfd < 0 || sink_open(&file->sink, file->dirfd, base, file->arena,
					 ARENA_BYTES, 0, false, err) < 0) {
		file_abort(file);
		return -1;
	}
	*direct = file->sink.direct;
	*stream = (struct sink_stream){ file_write, file_finish, file_abort, file };
	return 0;
}

static int open_stdout(struct sink_stream *stream, struct err *err)
{
	/* It would be spoilt on its way: a terminal makes CR LF of each LF. */
	if (isatty(STDOUT_FILENO))
		return err_set(
			err, ERR_USAGE,
			"standard output is a terminal, and an archive is no text: "
			"use --to, or a pipe");
	*stream = place_stdout;
	return 0;
}

static int open_object(const struct options *opt, const char *top,
		       const volatile sig_atomic_t *interrupted,
		       struct sink_stream *stream, struct err *err)
{
	const struct store_remote *remote = remote_open(&opt->s3, interrupted, err);

	if (!remote)
		return -1;
	remote_set_place(top);
	return remote->open(remote->arg, PLACE_TAR_NAME, UINT64_MAX, stream, err);
}

static int open_stream(const struct options *opt, const char *top,
		       const volatile sig_atomic_t *interrupted,
		       struct sink_stream *stream, bool *direct, struct err *err)
{
	*direct = true;
	if (opt->to)
		return open_object(opt, top, interrupted, stream, err);
	if (strcmp(opt->tar, "-") == 0)
		return open_stdout(stream, err);
	return open_file(opt->tar, stream, direct, err);
}

static void say_where(const struct options *opt, struct place_result *result)
{
	char url[REMOTE_URL_MAX];

	if (opt->to) {
		remote_url(url, sizeof(url));
		snprintf(result->where, sizeof(result->where), "%s%s", url,
			 PLACE_TAR_NAME);
	} else {
		snprintf(result->where, sizeof(result->where), "%s", opt->tar);
	}
}

static struct place_tar *open_tar(const struct options *opt, const char *instance,
				  const volatile sig_atomic_t *interrupted,
				  struct err *err)
{
	struct sink_stream stream;
	struct place_tar *tar;
	char top[256];
	bool direct;

	place_name(instance, time(NULL), top, sizeof(top));
	if (open_stream(opt, top, interrupted, &stream, &direct, err) < 0)
		return NULL;
	tar = place_tar_open(&stream, top, instance, err);
	if (!tar)
		return NULL;
	say_where(opt, place_tar_result(tar));
	place_tar_result(tar)->direct_io = direct;
	return tar;
}

int place_open(struct place *place, const struct options *opt,
	       const volatile sig_atomic_t *interrupted, struct err *err)
{
	const char *instance = opt->instance ? opt->instance : "unknown";

	*place = (struct place){ 0 };
	if (!!opt->evidence + !!opt->output + !!opt->tar + !!opt->to != 1)
		return err_set(err, ERR_USAGE, "one place for the evidence is needed");
	if (opt->evidence)
		place->arg = place_dir_open(opt->evidence, instance, err);
	else if (opt->output)
		place->arg = place_dir_new(opt->output, instance, err);
	else
		place->arg = open_tar(opt, instance, interrupted, err);
	if (!place->arg) {
		remote_close();
		return -1;
	}
	place->ops = opt->evidence || opt->output ? &place_dir_ops : &place_tar_ops;
	return 0;
}

int place_fail(struct place *place, const struct err *failure, struct err *err)
{
	if (place->ops == &place_dir_ops)
		return place_dir_fail(place->arg, failure, err);
	place_tar_fail(place->arg);
	return 0;
}

void place_close(struct place *place)
{
	if (!place->ops)
		return;
	place->ops->free(place->arg);
	*place = (struct place){ 0 };
	remote_close();
}

const struct place_result *place_result(const struct place *place)
{
	return place->ops == &place_dir_ops ? place_dir_result(place->arg)
					    : place_tar_result(place->arg);
}
