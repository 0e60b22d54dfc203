/*
 * Files that the host shows by no name any more, saved. They were opened while their
 * process was looked at, so that they are there even when it has ended since.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/triage/process.h"
#include "toolkit/triage/watch.h"

#define COPY_BYTES (256 * 1024)
/* Holes up to this are written as the zeros that they read as. */
#define HOLES_MAX (UINT64_C(64) << 20)
#define EXTENTS_MAX 65536

struct extent {
	uint64_t off_bytes, len_bytes;
};

/* What of the file is data; the whole file where its system does not tell. */
struct extents {
	struct extent *at;
	size_t count;
	uint64_t bytes;
};

static bool add_extent(struct extents *all, uint64_t from, uint64_t to)
{
	struct extent *larger;

	if (all->count == EXTENTS_MAX)
		return false;
	if ((all->count & (all->count - 1)) == 0) {
		larger = realloc(all->at,
				 (all->count ? all->count * 2 : 1) * sizeof(*larger));
		if (!larger)
			return false;
		all->at = larger;
	}
	all->at[all->count++] = (struct extent){ from, to - from };
	all->bytes += to - from;
	return true;
}

static bool find_data(int fd, uint64_t size, struct extents *all)
{
	uint64_t at = 0;

	while (at < size) {
		off_t from = lseek(fd, (off_t)at, SEEK_DATA), to;

		if (from < 0 && errno == ENXIO)
			return true;
		if (from < 0)
			return at == 0 && add_extent(all, 0, size);
		to = lseek(fd, from, SEEK_HOLE);
		if (to <= from)
			return false;
		if ((uint64_t)to > size)
			to = (off_t)size;
		if (from >= to)
			return true;
		if (!add_extent(all, (uint64_t)from, (uint64_t)to))
			return false;
		at = (uint64_t)to;
	}
	return true;
}

struct copy {
	struct triage *t;
	struct process_lost lost;
	int fd;
	struct out_file *file;
	struct sha256 hash;
	uint64_t bytes;
	unsigned char buf[COPY_BYTES];
};

static int put(struct copy *copy, size_t len, struct err *err)
{
	int rc;

	sha256_update(&copy->hash, copy->buf, len);
	copy->bytes += len;
	watch_out_begin(copy->t);
	rc = out_write(copy->t->out, copy->file, copy->buf, len, err);
	watch_out_end(copy->t);
	return rc;
}

static int put_zeros(struct copy *copy, uint64_t len, struct err *err)
{
	memset(copy->buf, 0, len < COPY_BYTES ? (size_t)len : COPY_BYTES);
	while (len) {
		size_t n = len < COPY_BYTES ? (size_t)len : COPY_BYTES;

		if (put(copy, n, err) < 0)
			return -1;
		len -= n;
	}
	return 0;
}

/* Returns 0; -1 with err when the evidence could not be written; 1 with errno when the
 * file could not be read to its end. */
static int put_extent(struct copy *copy, const struct extent *extent, struct err *err)
{
	for (uint64_t done = 0; done < extent->len_bytes;) {
		uint64_t left = extent->len_bytes - done;
		ssize_t n = io_pread(copy->fd, copy->buf,
				     left < COPY_BYTES ? (size_t)left : COPY_BYTES,
				     extent->off_bytes + done);

		if (n <= 0) {
			errno = n ? errno : ENODATA;
			return 1;
		}
		if (put(copy, (size_t)n, err) < 0)
			return -1;
		done += (uint64_t)n;
	}
	return 0;
}

/* Everything in its place, or, when there is too much of nothing, the data alone. */
static int put_all(struct copy *copy, const struct extents *all, uint64_t size,
		   bool packed, struct err *err)
{
	uint64_t at = 0;

	for (size_t i = 0; i < all->count; i++) {
		int rc;

		if (!packed && put_zeros(copy, all->at[i].off_bytes - at, err) < 0)
			return -1;
		rc = put_extent(copy, &all->at[i], err);
		if (rc)
			return rc;
		at = all->at[i].off_bytes + all->at[i].len_bytes;
	}
	return packed ? 0 : put_zeros(copy, size - at, err);
}

static void describe(const struct process_lost *lost, const struct stat *st,
		     struct json *doc)
{
	struct json_node *root = json_root(doc);

	json_add_i64(doc, root, "pid", lost->pid);
	json_add_u64(doc, root, "start_ticks", lost->start_ticks);
	json_add_str(doc, root, "what", lost->what);
	if (lost->path)
		triage_add_text(doc, root, "path", lost->path, strlen(lost->path));
	triage_add_dev(doc, root, "dev", lost->major, lost->minor);
	json_add_u64(doc, root, "inode", lost->inode);
	json_add_u64(doc, root, "size", (uint64_t)st->st_size);
}

static void describe_copy(const struct copy *copy, const struct extents *all, bool packed,
			  const char *name, struct json *doc)
{
	struct json_node *root = json_root(doc), *list, *pair;
	struct sha256 hash = copy->hash;
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];

	sha256_final(&hash, digest);
	sha256_to_hex(digest, hex);
	json_add_str(doc, root, "stored", name);
	json_add_u64(doc, root, "stored_bytes", copy->bytes);
	json_add_str(doc, root, "sha256", hex);
	json_add_bool(doc, root, "packed", packed);
	list = json_add_array(doc, root, "data");
	for (size_t i = 0; i < all->count; i++) {
		pair = json_add_array(doc, list, NULL);
		json_add_u64(doc, pair, NULL, all->at[i].off_bytes);
		json_add_u64(doc, pair, NULL, all->at[i].len_bytes);
	}
}

static int open_file(struct copy *copy, const char *name, uint64_t size, struct err *err)
{
	watch_out_begin(copy->t);
	copy->file = out_open(copy->t->out, name, size, err);
	watch_writes(copy->file);
	watch_out_end(copy->t);
	return copy->file ? 0 : -1;
}

static int close_file(struct copy *copy, bool whole, struct err *err)
{
	int rc = -1;

	watch_out_begin(copy->t);
	watch_writes(NULL);
	if (whole)
		rc = out_close(copy->t->out, copy->file, err);
	else
		out_abandon(copy->t->out, copy->file);
	watch_out_end(copy->t);
	return rc;
}

static int save(struct triage *t, struct copy *copy, const struct process_lost *lost,
		const struct stat *st, struct extents *all, struct json *doc,
		struct err *err)
{
	uint64_t size = (uint64_t)st->st_size, stored;
	struct json_node *root = json_root(doc);
	char name[96], other[24];
	bool packed;
	int rc;

	if (!find_data(lost->fd, size, all)) {
		json_add_bool(doc, root, "complete", false);
		json_add_str(doc, root, "error", "its data could not be found");
		return 0;
	}
	packed = size - all->bytes > HOLES_MAX;
	stored = packed ? all->bytes : size;
	if (stored > t->opt->recover_max_bytes - t->recovered_bytes) {
		t->incomplete = true;
		json_add_bool(doc, root, "complete", false);
		json_add_str(doc, root, "error", "more than --recover-max allows in all");
		return 0;
	}
	snprintf(name, sizeof(name), "recovered/%d-%s-%llu", lost->pid, lost->what,
		 (unsigned long long)lost->inode);
	copy->t = t;
	copy->fd = lost->fd;
	copy->bytes = 0;
	sha256_init(&copy->hash);
	if (open_file(copy, name, stored, err) < 0)
		return -1;
	rc = put_all(copy, all, size, packed, err);
	if (rc == 1) {
		int why = errno;

		(void)close_file(copy, false, err);
		json_add_bool(doc, root, "complete", false);
		json_add_str(doc, root, "error", triage_errno_name(why, other));
		return 0;
	}
	if (rc < 0)
		return close_file(copy, false, err);
	if (close_file(copy, true, err) < 0)
		return -1;
	t->recovered++;
	t->recovered_bytes += copy->bytes;
	describe_copy(copy, all, packed, name, doc);
	json_add_bool(doc, root, "complete", true);
	return 0;
}

/* In a thread that may be left behind: arg is its own, and it frees it. */
static int recover(struct triage *t, void *arg, struct err *err)
{
	struct json *doc = triage_record("recovered", err);
	struct copy *copy = arg;
	struct extents all = { 0 };
	struct stat st;
	int rc = doc ? 0 : -1;

	if (doc && fstat(copy->lost.fd, &st) < 0) {
		st = (struct stat){ 0 };
		describe(&copy->lost, &st, doc);
		json_add_bool(doc, json_root(doc), "complete", false);
	} else if (doc) {
		describe(&copy->lost, &st, doc);
		rc = save(t, copy, &copy->lost, &st, &all, doc, err);
	}
	free(all.at);
	if (rc < 0)
		json_free(doc);
	else
		rc = triage_emit(t, doc, err);
	io_close(&copy->lost.fd);
	free(copy->lost.path);
	free(copy);
	return rc;
}

/* Takes the file over. */
static int recover_watched(struct triage *t, struct process_lost *lost, struct err *err)
{
	struct copy *copy = malloc(sizeof(*copy));
	char what[80];

	if (!copy)
		return err_sys(err, ENOMEM, "saving files");
	copy->lost = *lost;
	*lost = (struct process_lost){ .fd = -1 };
	snprintf(what, sizeof(what), "the file without a name %u:%u %llu of process %d",
		 copy->lost.major, copy->lost.minor, (unsigned long long)copy->lost.inode,
		 copy->lost.pid);
	return watch_run(t, what, recover, copy, err);
}

int collect_lost(struct triage *t, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < t->lost_count; i++) {
		if (rc == 0 && out_keeps_files(t->out))
			rc = recover_watched(t, &t->lost[i], err);
		io_close(&t->lost[i].fd);
		free(t->lost[i].path);
	}
	free(t->lost);
	t->lost = NULL;
	t->lost_count = t->lost_room = 0;
	if (rc == 0 && t->lost_more)
		rc = triage_unread(t, "further files without a name", REASON_TOO_LARGE, 0,
				   err);
	return rc;
}
