/* What is known of a capture, beside its image. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "toolkit/capture/capture.h"
#include "toolkit/lib/custody.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/record.h"
#include "toolkit/lib/remote.h"
#include "toolkit/lib/sums.h"

_Static_assert(PIPELINE_ARENA_MIN / 4 * 3 >= BUNDLE_ARENA_MIN,
	       "the arena serves the bundle, too");

static void add_digest(const struct capture *cap, struct json *doc, struct json_node *in,
		       const char *key, const uint8_t digest[SHA256_LEN])
{
	char hex[SHA256_HEX_SIZE];

	if (cap->opt->no_hash)
		return;
	sha256_to_hex(digest, hex);
	json_add_str(doc, in, key, hex);
}

/* What the last line of output and record.json have in common. */
void evidence_describe(const struct capture *cap, struct json *doc, struct json_node *in,
		       size_t gaps_shown)
{
	const struct pipeline *p = &cap->pipeline;

	json_add_str(doc, in, "image", cap->path);
	if (cap->opt->to_s3) {
		char url[REMOTE_URL_MAX];

		remote_url(url, sizeof(url));
		json_add_str(doc, in, "s3", url);
	}
	json_add_str(doc, in, "format", cap->format);
	if (cap->fallback[0]) {
		json_add_str(doc, in, "format_asked", cap->opt->format);
		json_add_str(doc, in, "format_fallback", cap->fallback);
	}
	json_add_str(doc, in, "source", cap->source.ops->name);
	if (p->gaps.second_bytes) {
		json_add_str(doc, in, "second_source", cap->second.ops->name);
		json_add_u64(doc, in, "second_source_bytes", p->gaps.second_bytes);
	}
	json_add_u64(doc, in, "bytes", cap->file_bytes);
	add_digest(cap, doc, in, "sha256", cap->file_sha256);
	add_digest(cap, doc, in, "lime_sha256", p->stream_sha256);
	json_add_u64(doc, in, "ranges", cap->ranges.count);
	json_add_u64(doc, in, "ram_bytes", ranges_bytes(&cap->ranges));
	json_add_u64(doc, in, "captured_bytes", p->captured_bytes - p->gaps.bytes);
	json_add_u64(doc, in, "gap_bytes", p->gaps.bytes);
	json_add_u64(doc, in, "gaps", p->gaps.count + p->gaps.unlisted);
	record_gaps(doc, in, &p->gaps, gaps_shown);
	json_add_bool(doc, in, "direct_io", cap->image.direct);
}

static void describe_clock(const struct capture *cap, struct json *doc,
			   struct json_node *in)
{
	record_time(doc, in, "start", cap->start_ns);
	record_time(doc, in, "end", cap->end_ns);
	record_time(doc, in, "booted", cap->booted_ns);
	/* Not 0 by more than a correction's pace: the clock was set while capturing. */
	json_add_i64(doc, in, "clock_moved_ns", cap->booted_at_end_ns - cap->booted_ns);
	record_clock(doc, in);
}

/* What the analyst must know and nothing else of the record tells so plainly. */
static void describe_warnings(const struct capture *cap, struct json *doc,
			      struct json_node *in)
{
	struct json_node *list = json_add_array(doc, in, "warnings");

	if (cap->five_level_paging)
		json_add_str(doc, list, NULL, CAPTURE_FIVE_LEVEL_WARNING);
	if (!cap->image.direct)
		json_add_str(doc, list, NULL, CAPTURE_NOT_DIRECT_WARNING);
}

/*
 * The arena that memory passed through serves again: no further page of the machine is
 * taken. The record is put together in its end, files pass through the rest.
 */
static size_t record_room(const struct capture *cap)
{
	return cap->pipeline.map_bytes / 4 / IO_BLOCK * IO_BLOCK;
}

static size_t file_room(const struct capture *cap)
{
	return cap->pipeline.map_bytes - record_room(cap);
}

/* Longer reads cost the kernel pages of its own. */
#define HASH_READ (64 * 1024)

static int hash_fd(const struct capture *cap, int fd, uint8_t digest[SHA256_LEN],
		   struct err *err)
{
	size_t len = file_room(cap);

	return sums_hash_in(fd, cap->pipeline.map, len < HASH_READ ? len : HASH_READ,
			    digest, err);
}

/*
 * By the name that it was started by, whose way through the directories is known to the
 * kernel already: the one through /proc/self would change ten pages of its memory.
 */
static int open_self(struct err *err)
{
	const char *path = (const char *)getauxval(AT_EXECFN);
	int fd = -1;

	if (path && path[0] == '/')
		fd = io_open_direct(AT_FDCWD, path, true, err);
	return fd >= 0 ? fd : io_open_direct(AT_FDCWD, "/proc/self/exe", true, err);
}

/* The tool's own bytes, as they run. */
static void describe_tool(const struct capture *cap, struct json *doc,
			  struct json_node *in)
{
	struct json_node *tool = json_add_object(doc, in, "tool");
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];
	struct err ignored;
	int fd = open_self(&ignored);

	json_add_str(doc, tool, "name", "capture");
	json_add_str(doc, tool, "version", FVOL_VERSION);
	if (fd >= 0 && hash_fd(cap, fd, digest, &ignored) == 0) {
		sha256_to_hex(digest, hex);
		json_add_str(doc, tool, "sha256", hex);
	}
	io_close(&fd);
	json_add_u64(doc, tool, "arena_bytes", cap->pipeline.arena_bytes);
	json_add_u64(doc, tool, "chunk_bytes", cap->pipeline.chunk_bytes);
	json_add_u64(doc, tool, "workers", cap->opt->workers);
}

static int write_record(struct capture *cap, const struct err *failure, struct err *err)
{
	struct json *doc =
		json_new_in(cap->pipeline.map + file_room(cap), record_room(cap));
	struct json_node *root;
	const char *text;
	size_t len;
	int rc = -1;

	if (!doc)
		return err_sys(err, ENOMEM, "writing record.json");
	root = json_root(doc);
	json_add_u64(doc, root, "format_version", 1);
	json_add_bool(doc, root, "complete", !failure && !cap->pipeline.gaps.bytes);
	if (failure)
		json_add_str(doc, root, "failure", failure->text);
	json_add_bool(doc, root, "truncated", cap->pipeline.truncated);
	evidence_describe(cap, doc, root, GAPS_MAX);
	record_ranges(doc, root, "expected", &cap->ranges);
	describe_clock(cap, doc, root);
	describe_warnings(cap, doc, root);
	describe_tool(cap, doc, root);
	record_kernel(doc, root, cap->env.proc_dirfd, cap->env.sys_dirfd,
		      cap->vmcoreinfo);
	record_preflight(doc, root, &cap->preflight);
	if (record_bundle(cap->env.proc_dirfd, cap->env.sys_dirfd, cap->vmcoreinfo,
			  &cap->store, cap->pipeline.map, file_room(cap), doc,
			  json_add_array(doc, root, "symbols_missing"), err) < 0)
		goto out;
	text = json_text_kept(doc, true, &len, err);
	if (text)
		rc = store_put(&cap->store, "record.json", text, len, err);
out:
	json_free(doc);
	return rc;
}

/* The image first, then the rest as it was written. */
static int write_sums(struct capture *cap, uint8_t digest[SHA256_LEN], struct err *err)
{
	static char line[SUMS_LINE_MAX];
	struct store *store = &cap->store;
	struct sink sums;
	int rc;

	if (store_open(store, &sums, "SHA256SUMS", store->arena, store->arena_bytes,
		       STORE_FILES_MAX * sizeof(line), err) < 0)
		return -1;
	rc = sink_put(&sums, line, sums_format(cap->file_sha256, cap->name, line), err);
	for (size_t i = 0; rc == 0 && i < store->count; i++)
		rc = sink_put(
			&sums, line,
			sums_format(store->files[i].sha256, store->files[i].name, line),
			err);
	if (rc == 0)
		rc = store_finish(store, &sums, err);
	if (rc == 0)
		memcpy(digest, store->files[store->count - 1].sha256, SHA256_LEN);
	sink_abandon(&sums);
	return rc;
}

static int add_custody(struct capture *cap, const char *action, const char *file,
		       const uint8_t *digest, const char *note, struct err *err)
{
	struct custody_event event = { .tool = "capture",
				       .instance = cap->opt->instance,
				       .action = action,
				       .file = file,
				       .sha256 = digest,
				       .note = note };

	if (custody_append_fd(cap->custody_fd, CUSTODY_NAME, &event, cap->custody_head,
			      err) < 0)
		return -1;
	cap->has_custody = true;
	return 0;
}

/* Two lines: the image, and the list that holds everything else. */
static int enter_custody(struct capture *cap, const uint8_t *sums_sha256, struct err *err)
{
	char note[96] = "";

	if (cap->pipeline.gaps.bytes)
		snprintf(note, sizeof(note), "%llu bytes could not be read",
			 (unsigned long long)cap->pipeline.gaps.bytes);
	if (add_custody(cap, "captured", cap->name,
			cap->opt->no_hash ? NULL : cap->file_sha256, note, err) < 0)
		return -1;
	if (!sums_sha256)
		return 0;
	return add_custody(cap, "hashed", "SHA256SUMS", sums_sha256, NULL, err);
}

static int enter_failure(struct capture *cap, const struct err *failure, struct err *err)
{
	char name[sizeof(cap->name) + sizeof(".partial")];

	snprintf(name, sizeof(name), "%s.partial", cap->name);
	return add_custody(cap, "failed", name, NULL, failure->text, err);
}

static int write_lists(struct capture *cap, const struct err *failure, struct err *err)
{
	uint8_t digest[SHA256_LEN];

	if (failure)
		return enter_failure(cap, failure, err);
	if (cap->opt->no_hash)
		return enter_custody(cap, NULL, err);
	if (write_sums(cap, digest, err) < 0)
		return -1;
	return enter_custody(cap, digest, err);
}

/* The log so far, beside the rest: what is added on the volume later stays there. */
static int send_custody(struct capture *cap, struct err *err)
{
	unsigned char *text = cap->pipeline.map;
	ssize_t n;

	if (!store_has_remote(&cap->store))
		return 0;
	n = io_pread(cap->custody_fd, text, cap->pipeline.map_bytes, 0);
	if (n < 0)
		return err_sys(err, errno, "reading " CUSTODY_NAME);
	return store_send_only(&cap->store, CUSTODY_NAME, text, (size_t)n, err);
}

/* Without a directory the log is a file in memory. */
static int open_custody(struct capture *cap, int dirfd, struct err *err)
{
	if (dirfd >= 0)
		cap->custody_fd = custody_open(dirfd, CUSTODY_NAME, err);
	else if ((cap->custody_fd = memfd_create(CUSTODY_NAME, MFD_CLOEXEC)) < 0)
		err_sys(err, errno, "making " CUSTODY_NAME);
	return cap->custody_fd < 0 ? -1 : 0;
}

/* Everything but making it durable. */
static int write_all(struct capture *cap, int dirfd, const struct err *failure,
		     struct err *err)
{
	cap->store.arena = cap->pipeline.map;
	cap->store.arena_bytes = file_room(cap);
	if (open_custody(cap, dirfd, err) < 0)
		return -1;
	if (write_record(cap, failure, err) < 0)
		return -1;
	return write_lists(cap, failure, err);
}

int evidence_write(struct capture *cap, int dirfd, const struct err *failure,
		   struct err *err)
{
	int rc;

	cap->custody_fd = -1;
	rc = write_all(cap, dirfd, failure, err);
	/* The one file that goes through the cache: from here, for the kernel's own
	 * thread would take memory on another processor. syncfs() says whether it failed.
	 */
	if (dirfd >= 0 && cap->custody_fd >= 0)
		sync_file_range(cap->custody_fd, 0, 0,
				SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	/* The image and all the small files at once, whatever became of the last of them:
	 * each commit of the journal costs memory. */
	if (dirfd >= 0 && syncfs(dirfd) < 0 && rc == 0)
		rc = err_sys(err, errno, "making the evidence durable");
	if (rc == 0)
		rc = send_custody(cap, err);
	io_close(&cap->custody_fd);
	return rc;
}
