/*
 * upload: files or standard input into S3, with credentials of the instance or with
 * presigned URLs and none, and the responder's half of the latter.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/cli.h"
#include "toolkit/lib/interrupt.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/progress.h"
#include "toolkit/lib/s3session.h"
#include "toolkit/upload/entry.h"
#include "toolkit/upload/options.h"
#include "toolkit/upload/presigned.h"
#include "toolkit/upload/responder.h"

static void show_progress(void *arg, uint64_t sent_bytes, uint64_t failures)
{
	struct progress *progress = arg;

	progress->failures = failures;
	progress_add(progress, sent_bytes - progress->done_bytes);
}

/* One read is never larger, so that a signal and the progress line are not kept waiting.
 */
#define READ_BYTES (1024 * 1024)

static ssize_t read_some(int fd, void *to, size_t size)
{
	ssize_t n;

	do
		n = read(fd, to, size);
	while (n < 0 && errno == EINTR && !interrupted);
	return n;
}

/* Whether a file has bytes behind what it had when it was opened. */
static bool has_more(int fd)
{
	static _Alignas(IO_BLOCK) unsigned char block[IO_BLOCK];

	return read_some(fd, block, sizeof(block)) > 0;
}

/* Reads a whole source into a transfer. left_bytes: TRANSFER_UNKNOWN for a stream. */
static int pump(struct transfer *transfer, int fd, const char *name, uint64_t left_bytes,
		struct err *err)
{
	for (;;) {
		size_t room;
		void *to;
		ssize_t n;

		/* Room behind a full part would begin another one. */
		if (!left_bytes)
			break;
		to = transfer_room(transfer, &room, err);
		if (!to)
			return -1;
		n = read_some(fd, to, room < READ_BYTES ? room : READ_BYTES);
		if (interrupted)
			return err_set(err, ERR_FAILED, "interrupted");
		if (n < 0)
			return err_sys(err, errno, "reading %s", name);
		if (n == 0)
			return 0;
		if (transfer_filled(transfer, (size_t)n, err) < 0)
			return err_prefix(err, "%s", name);
		if (left_bytes != TRANSFER_UNKNOWN)
			left_bytes -= (size_t)n;
	}
	if (has_more(fd))
		return err_set(err, ERR_FAILED, "%s grew while it was read", name);
	return 0;
}

/* head: of the log, or NULL. */
static void print_result(const struct options *opt, const char *source,
			 const char *bucket, const char *key,
			 const struct transfer_result *result, const uint8_t *head)
{
	static const char *const heads[] = { [TRANSFER_HEAD_NONE] = "none",
					     [TRANSFER_HEAD_EQUAL] = "equal",
					     [TRANSFER_HEAD_REFUSED] = "refused" };
	struct json *doc;
	struct json_node *root;
	struct err err;
	char hex[SHA256_HEX_SIZE], *text = NULL;
	size_t len;

	sha256_to_hex(result->sha256, hex);
	if (!opt->json) {
		cli_put_text(stdout, source);
		printf(": %llu bytes, SHA-256 %s, s3://",
		       (unsigned long long)result->len_bytes, hex);
		cli_put_text(stdout, bucket);
		putchar('/');
		cli_put_text(stdout, key);
		if (result->n_parts)
			printf(", %u parts", result->n_parts);
		if (result->n_kept)
			printf(" (%u from before)", result->n_kept);
		fputs(result->was_complete		      ? ", was complete"
		      : opt->presigned			      ? ", to be completed"
		      : result->read_back		      ? ", read back"
		      : result->head == TRANSFER_HEAD_REFUSED ? ", not looked at: refused"
							      : ", looked at",
		      stdout);
		if (head) {
			sha256_to_hex(head, hex);
			printf(", custody head %s", hex);
		}
		putchar('\n');
		return;
	}
	doc = json_new();
	if (doc) {
		root = json_root(doc);
		json_add_str(doc, root, "source", source);
		json_add_str(doc, root, "bucket", bucket);
		json_add_str(doc, root, "key", key);
		json_add_u64(doc, root, "bytes", result->len_bytes);
		json_add_str(doc, root, "sha256", hex);
		json_add_str(doc, root, "etag", result->object.etag);
		json_add_str(doc, root, "version", result->object.version);
		json_add_str(doc, root, "checksum", result->object.checksum);
		json_add_str(doc, root, "encryption", result->object.sse);
		json_add_str(doc, root, "lock", result->object.lock_mode);
		json_add_str(doc, root, "legal_hold", result->object.legal_hold);
		json_add_u64(doc, root, "parts", result->n_parts);
		json_add_u64(doc, root, "kept", result->n_kept);
		json_add_u64(doc, root, "retries", result->retries);
		json_add_str(doc, root, "head", heads[result->head]);
		json_add_bool(doc, root, "read_back", result->read_back);
		json_add_bool(doc, root, "was_complete", result->was_complete);
		json_add_bool(doc, root, "completed", !opt->presigned);
		if (head) {
			sha256_to_hex(head, hex);
			json_add_str(doc, root, "custody_head", hex);
		}
		text = json_text(doc, false, &len, &err);
	}
	if (text)
		puts(text);
	else
		/* The exit code of a closed stdout says so. */
		fclose(stdout);
	free(text);
	json_free(doc);
}

/* Opens a source: *size_bytes is its length, or what the options say of a stream. */
static int open_source(const char *name, const struct options *opt, uint64_t *size_bytes,
		       bool *exact, struct err *err)
{
	struct stat st;
	int fd;

	*exact = false;
	*size_bytes = opt->size_bytes;
	if (strcmp(name, "-") == 0)
		return STDIN_FILENO;
	fd = io_open_direct(AT_FDCWD, name, true, err);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0) {
		close(fd);
		return err_sys(err, errno, "examining %s", name);
	}
	*size_bytes = (uint64_t)st.st_size;
	*exact = true;
	return fd;
}

static int write_parts(const struct options *opt, struct transfer *transfer,
		       const struct url_list *list, const struct transfer_result *result,
		       struct err *err)
{
	struct parts_record record = { .len_bytes = result->len_bytes };

	if (!opt->parts)
		return 0;
	memcpy(record.sha256, result->sha256, SHA256_LEN);
	/* Only read. */
	record.parts = (struct s3_part *)transfer_parts(transfer, &record.n_parts);
	return parts_record_write(&record, list->bucket, list->key, opt->parts, err);
}

/* Sends one source. list: presigned URLs, or NULL. */
static int send_one(const struct s3_session *session, const struct options *opt,
		    const char *source, const char *key, struct url_list *list,
		    struct err *err)
{
	struct transfer_urls urls = { .url = url_list_url, .arg = list };
	struct progress progress;
	struct transfer_config config = { .s3 = &session->s3,
					  .key = key,
					  .part_bytes = opt->s3.part_bytes,
					  .parallel = opt->s3.n_parallel,
					  .sha256 = opt->sha256,
					  .journal = opt->journal,
					  .companion = opt->companion,
					  .verify = opt->verify,
					  .progress = show_progress,
					  .progress_arg = &progress };
	const char *bucket = list ? list->bucket : opt->s3.bucket;
	uint8_t head[SHA256_LEN];
	struct transfer_result result;
	struct transfer *transfer = NULL;
	struct entry entry;
	int fd = -1, rc = -1;

	if (entry_open(&entry, opt, source, err) == 0)
		fd = open_source(source, opt, &config.size_bytes, &config.size_exact,
				 err);
	if (fd < 0) {
		entry_close(&entry);
		return -1;
	}
	if (list) {
		urls.n_parts = list->n_parts;
		config.urls = &urls;
		config.part_bytes = list->part_bytes;
	}
	progress_start(&progress, "upload",
		       config.size_bytes == TRANSFER_UNKNOWN ? 0 : config.size_bytes);
	transfer = transfer_open(&config, err);
	if (transfer &&
	    pump(transfer, fd, source,
		 config.size_exact ? config.size_bytes : TRANSFER_UNKNOWN, err) == 0)
		rc = transfer_finish(transfer, &result, err);
	if (rc == 0 && list)
		rc = write_parts(opt, transfer, list, &result, err);
	progress_end(&progress);
	if (fd != STDIN_FILENO)
		io_close(&fd);
	if (rc == 0 && opt->custody)
		rc = entry_add(&entry, opt, bucket, key, &result, head, err);
	if (rc == 0)
		print_result(opt, source, bucket, key, &result,
			     opt->custody ? head : NULL);
	transfer_close(transfer);
	entry_close(&entry);
	return rc;
}

static int send_presigned(const struct s3_session *session, const struct options *opt,
			  struct err *err)
{
	struct url_list list = { 0 };
	struct s3 *s3 = s3_new(&session->s3, err);
	char url[S3_URL_SIZE];
	char *text = s3 ? malloc(LIST_MAX_BYTES) : NULL;
	int rc = -1;
	size_t len;

	if (s3 && !text)
		err_set(err, ERR_FAILED, "out of memory");
	if (text && presigned_url(opt->presigned, url, err) == 0 &&
	    s3_send(s3, url, NULL, 0, text, LIST_MAX_BYTES, &len, NULL, err) == 0 &&
	    url_list_read(&list, text, len, err) == 0)
		rc = send_one(session, opt, opt->sources[0], list.key, &list, err);
	sigv4_wipe(url, sizeof(url));
	if (text)
		sigv4_wipe(text, LIST_MAX_BYTES);
	free(text);
	url_list_free(&list);
	s3_free(s3);
	return rc;
}

/* A source that fails does not keep the others from being sent. */
static int send_all(const struct s3_session *session, const struct options *opt)
{
	struct err err = { 0 };
	int code = 0;

	if (opt->presigned) {
		if (send_presigned(session, opt, &err) < 0)
			return err_report(&err, "upload");
		return 0;
	}
	for (int i = 0; i < opt->n_sources && !interrupted; i++) {
		const char *source = opt->sources[i], *slash = strrchr(source, '/');
		char key[S3_KEY_MAX + 1];
		int n = snprintf(key, sizeof(key), "%s%s", opt->s3.key,
				 !opt->s3.prefix ? ""
				 : slash	 ? slash + 1
						 : source);

		if (n < 0 || (size_t)n >= sizeof(key) || !key[0]) {
			err_set(&err, ERR_USAGE, "%s: no object can have this key",
				source);
			code = err_report(&err, "upload");
		} else if (send_one(session, opt, source, key, NULL, &err) < 0) {
			code = err_report(&err, "upload");
		}
	}
	return code;
}

int main(int argc, char **argv)
{
	struct options opt = { 0 };
	struct s3_session session = { 0 };
	struct err err = { 0 };
	int code = options_parse(argc, argv, &opt);

	if (code < 0) {
		interrupt_catch();
		code = 0;
		if (responder_prepare(&opt, &err) < 0 ||
		    s3_session_open(&session, &opt.s3, opt.presigned == NULL,
				    &interrupted, &err) < 0) {
			code = err_report(&err, "upload");
		} else if (opt.command == SEND) {
			session.s3.unsigned_payload = opt.unsigned_payload;
			code = send_all(&session, &opt);
		} else if (responder_run(&session, &opt, &err) < 0) {
			code = err_report(&err, "upload");
		}
		s3_session_close(&session);
	}
	if (io_close_stdout(&err) < 0)
		return err_report(&err, "upload");
	return code;
}
