/* A directory of evidence, or one that the user names. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/custody.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/place.h"
#include "toolkit/lib/sink.h"
#include "toolkit/triage/contents.h"
#include "toolkit/triage/place.h"

/* Members stand open side by side: small ones. */
#define ARENA_BYTES ((size_t)64 << 10)
/* Kept free from the first moment, so that a full disk can be told of on it: the list of
 * 800 files and a page of the log, which gets what the list leaves. */
#define LISTS_BYTES ((uint64_t)128 << 10)

struct place_dir {
	int dirfd;
	char *instance;
	struct contents contents;
	struct out_file *open; /* all that are */
	unsigned char *sums_arena;
	struct sink sums;
	struct place_result result;
};

struct out_file {
	struct place_dir *dir;
	struct out_file *next;
	char name[CONTENTS_NAME_MAX + 1];
	struct sink sink;
	unsigned char *arena;
	uint64_t size_bytes;
	bool given_up; /* noted as failed; abandon() is still to come */
};

static void dir_free(void *place)
{
	struct place_dir *dir = place;

	if (!dir)
		return;
	while (dir->open)
		place_dir_ops.abandon(dir->open);
	sink_abandon(&dir->sums);
	contents_free(&dir->contents);
	free(dir->sums_arena);
	free(dir->instance);
	io_close(&dir->dirfd);
	free(dir);
}

/* Takes over dirfd, -1 included. */
static struct place_dir *make(int dirfd, const char *instance, struct err *err)
{
	struct place_dir *dir = dirfd < 0 ? NULL : calloc(1, sizeof(*dir));

	if (!dir) {
		if (dirfd >= 0)
			err_sys(err, ENOMEM, "opening a directory");
		io_close(&dirfd);
		return NULL;
	}
	dir->dirfd = dirfd;
	dir->sums.fd = -1;
	dir->instance = strdup(instance);
	dir->sums_arena = aligned_alloc(IO_BLOCK, ARENA_BYTES);
	dir->contents.instance = dir->instance;
	dir->result.direct_io = true;
	if (!dir->instance || !dir->sums_arena) {
		err_sys(err, ENOMEM, "opening a directory");
	} else if (sink_open(&dir->sums, dirfd, "SHA256SUMS", dir->sums_arena,
			     ARENA_BYTES, LISTS_BYTES, true, err) == 0) {
		dir->sums.deferred = true;
		return dir;
	}
	dir_free(dir);
	return NULL;
}

struct place_dir *place_dir_open(const char *evidence, const char *instance,
				 struct err *err)
{
	char path[256];
	int fd = place_make(evidence, instance, path, sizeof(path), err);
	struct place_dir *dir = make(fd, instance, err);

	if (dir)
		snprintf(dir->result.where, sizeof(dir->result.where), "%s", path);
	return dir;
}

struct place_dir *place_dir_new(const char *path, const char *instance, struct err *err)
{
	struct place_dir *dir;
	int fd;

	if (mkdir(path, 0700) < 0) {
		err_sys(err, errno, "making %s", path);
		return NULL;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		err_sys(err, errno, "opening %s", path);
	dir = make(fd, instance, err);
	if (dir)
		snprintf(dir->result.where, sizeof(dir->result.where), "%s", path);
	else
		rmdir(path);
	return dir;
}

static int make_parent(struct place_dir *dir, const char *name, struct err *err)
{
	const char *slash = strchr(name, '/');
	char parent[CONTENTS_NAME_MAX + 1];

	if (!slash)
		return 0;
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - name), name);
	return io_mkdir(dir->dirfd, parent, 0700, err);
}

static void drop(struct out_file *file)
{
	struct out_file **at = &file->dir->open;

	while (*at && *at != file)
		at = &(*at)->next;
	if (*at)
		*at = file->next;
	sink_abandon(&file->sink);
	free(file->arena);
	free(file);
}

static struct out_file *dir_open(void *place, const char *name, uint64_t size_bytes,
				 struct err *err)
{
	struct place_dir *dir = place;
	struct out_file *file;

	if (contents_check(&dir->contents, name, err) < 0 ||
	    make_parent(dir, name, err) < 0)
		return NULL;
	for (file = dir->open; file; file = file->next)
		if (strcmp(file->name, name) == 0) {
			err_set(err, ERR_USAGE, "%s: twice in one place", name);
			return NULL;
		}
	file = calloc(1, sizeof(*file));
	if (file)
		file->arena = aligned_alloc(IO_BLOCK, ARENA_BYTES);
	if (!file || !file->arena) {
		free(file);
		err_sys(err, ENOMEM, "opening %s", name);
		return NULL;
	}
	file->dir = dir;
	file->size_bytes = size_bytes;
	snprintf(file->name, sizeof(file->name), "%s", name);
	/* Nothing is reserved: what is saved of a host may be sparse. */
	if (sink_open(&file->sink, dir->dirfd, name, file->arena, ARENA_BYTES, 0, true,
		      err) < 0) {
		free(file->arena);
		free(file);
		return NULL;
	}
	file->sink.deferred = true;
	dir->result.direct_io &= file->sink.direct;
	file->next = dir->open;
	dir->open = file;
	return file;
}

/* Blocks of zeros become holes. */
static bool is_zero(const unsigned char *data, size_t len)
{
	return len >= IO_BLOCK && !data[0] && memcmp(data, data + 1, len - 1) == 0;
}

static int dir_write(struct out_file *file, const void *data, size_t len_bytes,
		     struct err *err)
{
	if (file->given_up)
		return err_set(err, ERR_FAILED, "%s was given up", file->name);
	if (len_bytes > file->size_bytes - sink_position(&file->sink))
		return err_set(err, ERR_FAILED, "%s: more than the %llu bytes promised",
			       file->name, (unsigned long long)file->size_bytes);
	if (is_zero(data, len_bytes))
		return sink_skip(&file->sink, len_bytes, err);
	return sink_put(&file->sink, data, len_bytes, err);
}

static void give_up(struct out_file *file)
{
	if (!file->given_up)
		contents_failed(&file->dir->contents, file->name, ".partial");
	file->given_up = true;
	sink_abandon(&file->sink);
}

static void dir_abandon(struct out_file *file)
{
	give_up(file);
	drop(file);
}

static int dir_close(struct out_file *file, struct err *err)
{
	struct place_dir *dir = file->dir;
	uint64_t len = sink_position(&file->sink);
	uint8_t digest[SHA256_LEN];

	if (file->given_up) {
		err_set(err, ERR_FAILED, "%s was given up", file->name);
		goto failed;
	}
	if (file->size_bytes != UINT64_MAX && len != file->size_bytes) {
		err_set(err, ERR_FAILED, "%s: %llu of %llu bytes were written",
			file->name, (unsigned long long)len,
			(unsigned long long)file->size_bytes);
		goto failed;
	}
	if (sink_finish(&file->sink, digest, err) < 0 ||
	    contents_add(&dir->contents, file->name, digest, err) < 0)
		goto failed;
	dir->result.bytes += len;
	drop(file);
	return 0;
failed:
	dir_abandon(file);
	return -1;
}

static int write_sums(struct place_dir *dir, struct err *err)
{
	size_t len;
	char *text = contents_sums(&dir->contents, &len, err);
	int rc = -1;

	if (text && sink_put(&dir->sums, text, len, err) == 0)
		rc = sink_finish(&dir->sums, dir->result.sums_sha256, err);
	sink_abandon(&dir->sums);
	free(text);
	return rc;
}

/* Both lists, and everything durable; as much of it as goes. */
static int end(struct place_dir *dir, const struct err *failure, struct err *err)
{
	int rc = write_sums(dir, err);
	bool has_sums = rc == 0;
	struct err later;
	int fd = custody_open(dir->dirfd, CUSTODY_NAME, rc == 0 ? err : &later);

	if (fd < 0 ||
	    contents_custody(&dir->contents, fd,
			     failure  ? failure
			     : rc < 0 ? err
				      : NULL,
			     has_sums, &dir->result, rc == 0 ? err : &later) < 0)
		rc = -1;
	/* The one file that goes through the cache: written from here, not by a thread of
	 * the kernel on another processor. */
	if (fd >= 0)
		sync_file_range(fd, 0, 0,
				SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	io_close(&fd);
	if (syncfs(dir->dirfd) < 0 && rc == 0)
		rc = err_sys(err, errno, "making the evidence durable");
	return rc;
}

static int dir_finish(void *place, struct err *err)
{
	struct place_dir *dir = place;

	if (dir->open)
		return err_set(err, ERR_FAILED, "%s is still open", dir->open->name);
	return end(dir, NULL, err);
}

int place_dir_fail(struct place_dir *dir, const struct err *failure, struct err *err)
{
	for (struct out_file *file = dir->open; file; file = file->next)
		give_up(file);
	return end(dir, failure, err);
}

const struct place_result *place_dir_result(const struct place_dir *dir)
{
	return &dir->result;
}

const struct place_ops place_dir_ops = { dir_open,    dir_write,  dir_close,
					 dir_abandon, dir_finish, dir_free };
