/*
 * One tar.zst that nothing is ever put back in: frames of zstd, one after another, whose
 * contents are a ustar archive. A tar needs the size of a member before its first byte,
 * and records come without: they wait, packed, until they are closed, and the frames that
 * they were packed into become frames of the archive as they are.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/custody.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/tarfile.h"
#include "toolkit/lib/zstd_frame.h"
#include "toolkit/triage/contents.h"
#include "toolkit/triage/place.h"

#define FRAME_BYTES ((size_t)1 << 20)	 /* of the archive, before packing */
#define SPOOL_BYTES ((size_t)256 << 10)	 /* of a member, before packing */
#define SPOOLED_MOST ((uint64_t)1 << 20) /* a known size above it goes straight out */

struct frame {
	struct frame *next;
	size_t len;
	unsigned char packed[];
};

struct place_tar {
	struct sink_stream stream;
	bool ended;  /* the stream has had its last call */
	bool broken; /* it failed: nothing more is written */
	char top[TARFILE_PREFIX_MAX + 1];
	char *instance;
	int64_t time_s;
	unsigned char *plain, *packed, *scratch;
	size_t fill; /* of plain */
	uint64_t spool_max, spooled;
	struct contents contents;
	struct out_file *open, *direct;
	/* Closed while one went straight out, and written behind it. */
	struct out_file *pending, **pending_last;
	struct place_result result;
};

struct out_file {
	struct place_tar *tar;
	struct out_file *next;
	char name[CONTENTS_NAME_MAX + 1];
	uint64_t size_bytes, len_bytes;
	struct sha256 hash;
	/* Spooled: whole frames in order, then what waits for the next. */
	struct frame *first, **last;
	uint64_t framed; /* bytes in the frames */
	unsigned char *wait;
	size_t fill;
};

static void tar_free(void *place)
{
	struct place_tar *tar = place;

	if (!tar)
		return;
	place_tar_fail(tar);
	while (tar->open)
		place_tar_ops.abandon(tar->open);
	contents_free(&tar->contents);
	free(tar->plain);
	free(tar->packed);
	free(tar->scratch);
	free(tar->instance);
	free(tar);
}

struct place_tar *place_tar_open(const struct sink_stream *stream, const char *top,
				 const char *instance, struct err *err)
{
	struct place_tar *tar = calloc(1, sizeof(*tar));
	size_t scratch = (zstd_frame_pack_scratch() + 63) / 64 * 64;

	if (!tar) {
		err_sys(err, ENOMEM, "opening an archive");
		stream->abort(stream->arg);
		return NULL;
	}
	tar->stream = *stream;
	tar->time_s = time(NULL);
	tar->pending_last = &tar->pending;
	tar->spool_max = PLACE_SPOOL_MAX;
	tar->instance = strdup(instance);
	tar->contents.instance = tar->instance;
	tar->plain = malloc(FRAME_BYTES);
	tar->packed = malloc(zstd_frame_bound(FRAME_BYTES));
	tar->scratch = aligned_alloc(64, scratch);
	tar->result.direct_io = true;
	if (strlen(top) < sizeof(tar->top) && tar->instance && tar->plain &&
	    tar->packed && tar->scratch) {
		strcpy(tar->top, top);
		return tar;
	}
	err_sys(err, strlen(top) < sizeof(tar->top) ? ENOMEM : ENAMETOOLONG,
		"opening an archive");
	tar_free(tar);
	return NULL;
}

void place_tar_limit(struct place_tar *tar, uint64_t spool_bytes)
{
	tar->spool_max = spool_bytes;
}

static int send(struct place_tar *tar, const void *data, size_t len, struct err *err)
{
	if (tar->broken || tar->ended)
		return err_set(err, ERR_FAILED, "the archive was given up");
	if (tar->stream.write(tar->stream.arg, data, len, err) == 0)
		return 0;
	tar->broken = true;
	return -1;
}

/* Packs len plain bytes into ->packed. Returns the length, or 0 with err. */
static size_t pack(struct place_tar *tar, const void *data, size_t len, struct err *err)
{
	size_t n = zstd_frame_pack(data, len, tar->packed, tar->scratch);

	if (!n)
		err_set(err, ERR_FAILED, "%zu bytes cannot be packed", len);
	return n;
}

static int flush(struct place_tar *tar, struct err *err)
{
	size_t n;

	if (!tar->fill)
		return 0;
	n = pack(tar, tar->plain, tar->fill, err);
	tar->fill = 0;
	return n ? send(tar, tar->packed, n, err) : -1;
}

static int put(struct place_tar *tar, const void *data, size_t len, struct err *err)
{
	const unsigned char *from = data;

	while (len) {
		size_t room = FRAME_BYTES - tar->fill;
		size_t n = len < room ? len : room;

		memcpy(tar->plain + tar->fill, from, n);
		tar->fill += n;
		from += n;
		len -= n;
		if (tar->fill == FRAME_BYTES && flush(tar, err) < 0)
			return -1;
	}
	return 0;
}

static int put_zeros(struct place_tar *tar, uint64_t len, struct err *err)
{
	static const unsigned char zeros[4096];

	while (len) {
		size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);

		if (put(tar, zeros, n, err) < 0)
			return -1;
		len -= n;
	}
	return 0;
}

static int put_header(struct place_tar *tar, const char *name, uint64_t size_bytes,
		      struct err *err)
{
	unsigned char header[TARFILE_BLOCK];

	if (size_bytes > TARFILE_SIZE_MAX)
		return err_set(err, ERR_FAILED,
			       "%s has %" PRIu64 " bytes, and a tar takes 8 GiB at most: "
			       "collect into a directory",
			       name, size_bytes);
	tarfile_header_in(header, tar->top, name, size_bytes, tar->time_s);
	return put(tar, header, sizeof(header), err);
}

static int put_padding(struct place_tar *tar, uint64_t size_bytes, struct err *err)
{
	return put_zeros(
		tar, (TARFILE_BLOCK - size_bytes % TARFILE_BLOCK) % TARFILE_BLOCK, err);
}

/* A small member that is whole in memory. */
static int put_member(struct place_tar *tar, const char *name, const void *data,
		      size_t len, struct err *err)
{
	return put_header(tar, name, len, err) < 0 || put(tar, data, len, err) < 0 ||
			       put_padding(tar, len, err) < 0
		       ? -1
		       : 0;
}

static void take_out(struct out_file *file)
{
	struct out_file **at = &file->tar->open;

	while (*at && *at != file)
		at = &(*at)->next;
	if (*at)
		*at = file->next;
	file->next = NULL;
}

static void free_file(struct out_file *file)
{
	struct place_tar *tar = file->tar;

	if (tar->direct == file)
		tar->direct = NULL;
	while (file->first) {
		struct frame *frame = file->first;

		file->first = frame->next;
		tar->spooled -= frame->len;
		free(frame);
	}
	free(file->wait);
	free(file);
}

static int check_open(const struct place_tar *tar, const char *name, struct err *err)
{
	if (contents_check(&tar->contents, name, err) < 0)
		return -1;
	for (const struct out_file *file = tar->open; file; file = file->next)
		if (strcmp(file->name, name) == 0)
			return err_set(err, ERR_USAGE, "%s: twice in one place", name);
	return 0;
}

static struct out_file *tar_open(void *place, const char *name, uint64_t size_bytes,
				 struct err *err)
{
	struct place_tar *tar = place;
	bool known = size_bytes != UINT64_MAX;
	bool direct = known && size_bytes > SPOOLED_MOST && !tar->direct;
	struct out_file *file;

	if (check_open(tar, name, err) < 0)
		return NULL;
	file = calloc(1, sizeof(*file));
	if (file && !direct)
		file->wait = malloc(SPOOL_BYTES);
	if (!file || (!direct && !file->wait)) {
		free(file);
		err_sys(err, ENOMEM, "opening %s", name);
		return NULL;
	}
	file->tar = tar;
	file->size_bytes = size_bytes;
	file->last = &file->first;
	snprintf(file->name, sizeof(file->name), "%s", name);
	sha256_init(&file->hash);
	if (direct && put_header(tar, name, size_bytes, err) < 0) {
		free(file);
		return NULL;
	}
	if (direct)
		tar->direct = file;
	file->next = tar->open;
	tar->open = file;
	return file;
}

/* The member's waiting bytes into a frame of its own. */
static int spool(struct out_file *file, struct err *err)
{
	struct place_tar *tar = file->tar;
	size_t n = pack(tar, file->wait, file->fill, err);
	struct frame *frame;

	if (!n)
		return -1;
	if (n > tar->spool_max - tar->spooled)
		return err_set(err, ERR_FAILED,
			       "%s: more than %" PRIu64 " MiB, packed, wait in memory: "
			       "collect into a directory",
			       file->name, tar->spool_max >> 20);
	frame = malloc(sizeof(*frame) + n);
	if (!frame)
		return err_sys(err, ENOMEM, "%s", file->name);
	frame->next = NULL;
	frame->len = n;
	memcpy(frame->packed, tar->packed, n);
	*file->last = frame;
	file->last = &frame->next;
	tar->spooled += n;
	file->framed += file->fill;
	file->fill = 0;
	return 0;
}

static int tar_write(struct out_file *file, const void *data, size_t len_bytes,
		     struct err *err)
{
	const unsigned char *from = data;

	if (file->tar->broken || file->tar->ended)
		return err_set(err, ERR_FAILED, "the archive was given up");
	if (len_bytes > file->size_bytes - file->len_bytes)
		return err_set(err, ERR_FAILED,
			       "%s: more than the %" PRIu64 " bytes promised", file->name,
			       file->size_bytes);
	sha256_update(&file->hash, data, len_bytes);
	file->len_bytes += len_bytes;
	if (file->tar->direct == file)
		return put(file->tar, data, len_bytes, err);
	while (len_bytes) {
		size_t room = SPOOL_BYTES - file->fill;
		size_t n = len_bytes < room ? len_bytes : room;

		memcpy(file->wait + file->fill, from, n);
		file->fill += n;
		from += n;
		len_bytes -= n;
		if (file->fill == SPOOL_BYTES && spool(file, err) < 0)
			return -1;
	}
	return 0;
}

/* Fills up what was promised, and says so beside it. */
static int give_up_direct(struct out_file *file, struct err *err)
{
	struct place_tar *tar = file->tar;
	char name[CONTENTS_NAME_MAX + sizeof(".failed")], text[160];
	uint8_t digest[SHA256_LEN];
	int n;

	tar->direct = NULL;
	if (put_zeros(tar, file->size_bytes - file->len_bytes, err) < 0 ||
	    put_padding(tar, file->size_bytes, err) < 0)
		return -1;
	n = snprintf(text, sizeof(text),
		     "Only %" PRIu64 " of %" PRIu64 " bytes of this file were read; the "
		     "rest is zeros.\n",
		     file->len_bytes, file->size_bytes);
	snprintf(name, sizeof(name), "%s.failed", file->name);
	if (put_member(tar, name, text, (size_t)n, err) < 0)
		return -1;
	sha256(text, (size_t)n, digest);
	return contents_add(&tar->contents, name, digest, err);
}

/* A member that waited. */
static int put_spooled(struct place_tar *tar, const struct out_file *file,
		       struct err *err)
{
	if (put_header(tar, file->name, file->len_bytes, err) < 0)
		return -1;
	if (file->first && flush(tar, err) < 0)
		return -1;
	for (const struct frame *frame = file->first; frame; frame = frame->next)
		if (send(tar, frame->packed, frame->len, err) < 0)
			return -1;
	if (put(tar, file->wait, file->fill, err) < 0)
		return -1;
	return put_padding(tar, file->len_bytes, err);
}

static int put_pending(struct place_tar *tar, struct err *err)
{
	while (tar->pending) {
		struct out_file *file = tar->pending;
		int rc = put_spooled(tar, file, err);

		tar->pending = file->next;
		if (!tar->pending)
			tar->pending_last = &tar->pending;
		free_file(file);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static void tar_abandon(struct out_file *file)
{
	struct place_tar *tar = file->tar;
	struct err ignored; /* what goes wrong here breaks the stream for good */

	contents_failed(&tar->contents, file->name, "");
	if (tar->direct == file && !tar->broken && !tar->ended &&
	    (give_up_direct(file, &ignored) < 0 || put_pending(tar, &ignored) < 0))
		tar->broken = true;
	take_out(file);
	free_file(file);
}

static int end_member(struct out_file *file, struct err *err)
{
	struct place_tar *tar = file->tar;

	if (tar->direct == file) {
		tar->direct = NULL;
		return put_padding(tar, file->len_bytes, err) < 0 ? -1
								  : put_pending(tar, err);
	}
	if (!tar->direct)
		return put_spooled(tar, file, err);
	*tar->pending_last = file;
	tar->pending_last = &file->next;
	return 0;
}

static int tar_close(struct out_file *file, struct err *err)
{
	struct place_tar *tar = file->tar;
	bool waits = tar->direct && tar->direct != file;
	uint8_t digest[SHA256_LEN];
	int rc;

	if (file->size_bytes != UINT64_MAX && file->len_bytes != file->size_bytes) {
		err_set(err, ERR_FAILED,
			"%s: %" PRIu64 " of %" PRIu64 " bytes were written", file->name,
			file->len_bytes, file->size_bytes);
		tar_abandon(file);
		return -1;
	}
	sha256_final(&file->hash, digest);
	if (contents_add(&tar->contents, file->name, digest, err) < 0) {
		tar_abandon(file);
		return -1;
	}
	tar->result.bytes += file->len_bytes;
	take_out(file);
	rc = end_member(file, err);
	if (rc < 0)
		tar->broken = true;
	if (!waits)
		free_file(file);
	return rc;
}

/* The log is a file in memory first: it is appended to as it is on a volume. */
static int put_custody(struct place_tar *tar, struct err *err)
{
	int fd = memfd_create(CUSTODY_NAME, MFD_CLOEXEC), rc = -1;
	unsigned char *text = NULL;
	off_t len;

	if (fd < 0)
		return err_sys(err, errno, "making " CUSTODY_NAME);
	if (contents_custody(&tar->contents, fd, NULL, true, &tar->result, err) < 0)
		goto out;
	len = lseek(fd, 0, SEEK_END);
	text = len > 0 ? malloc((size_t)len) : NULL;
	if (!text || io_pread(fd, text, (size_t)len, 0) != (ssize_t)len)
		err_sys(err, text ? errno : ENOMEM, "reading " CUSTODY_NAME);
	else
		rc = put_member(tar, CUSTODY_NAME, text, (size_t)len, err);
out:
	free(text);
	io_close(&fd);
	return rc;
}

static int put_lists(struct place_tar *tar, struct err *err)
{
	size_t len;
	char *text = contents_sums(&tar->contents, &len, err);
	int rc = -1;

	if (text) {
		sha256(text, len, tar->result.sums_sha256);
		rc = put_member(tar, "SHA256SUMS", text, len, err);
	}
	free(text);
	return rc < 0 ? -1 : put_custody(tar, err);
}

static int tar_finish(void *place, struct err *err)
{
	struct place_tar *tar = place;

	if (tar->open)
		return err_set(err, ERR_FAILED, "%s is still open", tar->open->name);
	if (tar->broken || tar->ended)
		return err_set(err, ERR_FAILED, "the archive was given up");
	/* Two blocks of zeros end it. */
	if (put_lists(tar, err) < 0 ||
	    put_zeros(tar, (uint64_t)2 * TARFILE_BLOCK, err) < 0 || flush(tar, err) < 0 ||
	    tar->stream.finish(tar->stream.arg, err) < 0)
		return -1;
	tar->ended = true;
	return 0;
}

void place_tar_fail(struct place_tar *tar)
{
	if (!tar->ended)
		tar->stream.abort(tar->stream.arg);
	tar->ended = true;
	while (tar->pending) {
		struct out_file *file = tar->pending;

		tar->pending = file->next;
		free_file(file);
	}
	tar->pending_last = &tar->pending;
}

struct place_result *place_tar_result(struct place_tar *tar)
{
	return &tar->result;
}

const struct place_ops place_tar_ops = { tar_open,    tar_write,  tar_close,
					 tar_abandon, tar_finish, tar_free };
