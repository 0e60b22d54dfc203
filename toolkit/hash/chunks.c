/* hash --chunks: where an image differs from what was captured. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/hash/hash.h"
#include "toolkit/lib/chunks.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/le.h"
#include "toolkit/lib/lime.h"

/* Faults are listed up to here, and counted beyond. */
#define FAULTS_SHOWN 1000

static void tell(void *arg, const struct chunk_fault *fault)
{
	static const char *const words[] = {
		[CHUNK_DAMAGED] = "damaged",	   [CHUNK_CUT] = "cut off",
		[CHUNK_ABSENT] = "absent",	   [CHUNK_HEADER] = "damaged header",
		[CHUNK_UNLISTED] = "not captured", [CHUNK_STRAY] = "no header",
	};
	const struct chunk_check *check = arg;

	if (check->faults > FAULTS_SHOWN)
		return;
	printf("%s: byte %" PRIu64, words[fault->kind], fault->off);
	if (fault->kind == CHUNK_HEADER)
		printf(", of the range at 0x%" PRIx64, fault->range.start);
	else if (fault->kind != CHUNK_STRAY)
		printf(", memory 0x%" PRIx64 "-0x%" PRIx64, fault->range.start,
		       fault->range.end);
	putchar('\n');
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name), suffix_len = strlen(suffix);

	return len > suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

/* Large, and one of it: not on a stack. */
static struct decoder decoder;

static bool is(const char *name, const char *suffix)
{
	char partial[32];

	snprintf(partial, sizeof(partial), "%s.partial", suffix);
	return has_suffix(name, suffix) || has_suffix(name, partial);
}

/* By its name, since the first bytes may be the damaged ones; else by those. */
static int open_image(struct chunk_image *image, int fd, const char *name,
		      struct err *err)
{
	static _Alignas(IO_BLOCK) unsigned char window[IO_CHUNK_BYTES];
	ssize_t n;

	if (is(name, ".lime"))
		return chunk_image_lime(image, fd, window, err);
	if (is(name, ".raw"))
		return chunk_image_raw(image, fd, window, err);
	if (is(name, ".avml"))
		return chunk_image_decoded(image, fd, &decoder, &decoder_avml, err);
	if (is(name, ".zst"))
		return chunk_image_decoded(image, fd, &decoder, &decoder_zst, err);
	do
		n = pread(fd, window, IO_BLOCK, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, errno, "reading %s", name);
	if (n >= 4 && get_le(window, 4) == LIME_MAGIC)
		return chunk_image_lime(image, fd, window, err);
	return chunk_image_decoded(image, fd, &decoder, NULL, err);
}

static int check(int log_fd, int dirfd, const char *name, struct chunk_check *result,
		 struct err *err)
{
	struct chunk_image image;
	int fd = io_open_direct(dirfd, name, true, err);
	int rc;

	if (fd < 0)
		return -1;
	rc = open_image(&image, fd, name, err);
	if (rc == 0)
		rc = chunk_check(result, log_fd, &image, err);
	decoder_close(&decoder);
	io_close(&fd);
	if (rc < 0)
		return -1;
	cli_put_text(stdout, name);
	printf(": %" PRIu64 " of %" PRIu64 " chunks as they were captured, %" PRIu64
	       " bytes\n",
	       result->chunks - result->bad, result->chunks, result->good_bytes);
	if (result->faults)
		return err_set(err, ERR_NO, "%s: %" PRIu64 " differences", name,
			       result->faults);
	return 0;
}

/* The image that stands beside the log. */
static const char *find_image(int dirfd, struct err *err)
{
	static const char *const names[] = {
		"memory.lime",	      "memory.raw",	     "memory.avml",
		"memory.zst",	      "memory.lime.zst",     "memory.lime.partial",
		"memory.raw.partial", "memory.avml.partial", "memory.lime.zst.partial"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (faccessat(dirfd, names[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return names[i];
	err_set(err, ERR_FAILED, "holds no memory image");
	return NULL;
}

static int check_dir(int dirfd, struct chunk_check *result, struct err *err)
{
	const char *name = find_image(dirfd, err);
	int fd, rc;

	if (!name)
		return -1;
	fd = io_open_direct(dirfd, "memory.chunks", false, err);
	if (fd < 0)
		return -1;
	rc = check(fd, dirfd, name, result, err);
	io_close(&fd);
	return rc;
}

static int run(const char *log, const char *image, struct chunk_check *result,
	       struct err *err)
{
	int fd, rc;

	if (!image) {
		fd = open(log, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(err, errno, "opening %s", log);
		rc = check_dir(fd, result, err);
	} else {
		fd = io_open_direct(AT_FDCWD, log, true, err);
		if (fd < 0)
			return -1;
		rc = check(fd, AT_FDCWD, image, result, err);
	}
	io_close(&fd);
	return rc < 0 ? err_prefix(err, "%s", log) : 0;
}

int do_chunks(const struct options *opt, const char *image)
{
	struct chunk_check result = { .tell = tell };
	struct err err = { 0 };

	result.arg = &result;
	return run(opt->chunks, image, &result, &err) < 0 ? err_report(&err, "hash") : 0;
}
