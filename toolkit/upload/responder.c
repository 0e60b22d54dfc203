#include "toolkit/upload/responder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/cli.h"
#include "toolkit/lib/clijson.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/transfer_log.h"
#include "toolkit/upload/presigned.h"

/* Read before the session, whose bucket it names. One upload a process. */
static struct upload_state state;

int responder_prepare(struct options *opt, struct err *err)
{
	if (opt->command == SEND || opt->command == PRESIGN || !opt->state)
		return 0;
	if (upload_state_read(&state, opt->state, err) < 0)
		return -1;
	strcpy(opt->s3.bucket, state.bucket);
	opt->s3.key = state.key;
	return 0;
}

/* Stores the list and writes the state, so that nothing is lost when one fails. */
static int store_list(struct s3 *s3, const struct options *opt, struct url_list *list,
		      char url[S3_URL_SIZE], struct err *err)
{
	size_t len;
	char *text = url_list_text(list, &len, err);
	uint8_t digest[SHA256_LEN];
	struct s3_object object;
	char id[S3_ID_SIZE];
	int rc = -1;

	if (!text)
		return -1;
	sha256(text, len, digest);
	if (s3_new_id(id, err) == 0 &&
	    s3_put(s3, state.list_key, id, text, len, digest, &object, err) == 0)
		rc = s3_presign(s3, "GET", state.list_key, NULL, 0, time(NULL),
				opt->expires_s, url, err);
	sigv4_wipe(text, len);
	free(text);
	return rc;
}

static int do_presign(struct s3_session *session, const struct options *opt,
		      struct s3 *s3, struct err *err)
{
	struct url_list list = { 0 };
	struct err unread;
	char url[S3_URL_SIZE];
	uint64_t part = opt->s3.part_bytes ? opt->s3.part_bytes
					   : transfer_part_bytes(opt->size_bytes);
	uint64_t n_parts = opt->size_bytes / part + 1;
	int n, rc = -1;

	if (n_parts > S3_PARTS_MAX)
		return err_set(err, ERR_USAGE, "--size needs more than %d parts of %llu",
			       S3_PARTS_MAX, (unsigned long long)part);
	state = (struct upload_state){ .part_bytes = part };
	strcpy(state.bucket, opt->s3.bucket);
	if (strlen(opt->s3.key) >= sizeof(state.key))
		return err_set(err, ERR_USAGE, "no object can have this key");
	strcpy(state.key, opt->s3.key);
	n = snprintf(state.list_key, sizeof(state.list_key), "%s%s",
		     opt->list_key ? opt->list_key : opt->s3.key,
		     opt->list_key ? "" : ".list");
	if (n < 0 || (size_t)n >= sizeof(state.list_key))
		return err_set(err, ERR_USAGE, "the list's key is too long");
	if (s3_new_id(state.id, err) < 0 ||
	    s3_create(s3, state.key, state.id, NULL, false, state.upload_id, err) < 0)
		return -1;
	if (upload_state_write(&state, opt->state, err) < 0)
		goto out;
	if (url_list_sign(&list, s3, session->s3.bucket, state.key, state.upload_id,
			  (uint32_t)n_parts, part, opt->expires_s, err) < 0 ||
	    store_list(s3, opt, &list, url, err) < 0)
		goto out;
	/* This line IS the secret: who has it may send parts until it expires. */
	puts(url);
	rc = 0;
out:
	if (rc < 0)
		s3_abort(s3, state.key, state.upload_id, &unread);
	sigv4_wipe(url, sizeof(url));
	url_list_free(&list);
	return rc;
}

#define RECORD_MAX_BYTES (8 * 1024 * 1024)

static int read_record(struct parts_record *record, const char *path, struct err *err)
{
	char *text;
	size_t len;
	int fd = io_open_direct(AT_FDCWD, path, true, err), rc = -1;

	if (fd < 0)
		return -1;
	text = io_read_direct(fd, RECORD_MAX_BYTES, &len, err);
	if (text)
		rc = parts_record_read(record, text, len, err);
	if (rc < 0)
		err_prefix(err, "%s", path);
	free(text);
	io_close(&fd);
	return rc;
}

struct listed {
	struct s3_part *parts; /* S3_PARTS_MAX */
	size_t n_parts;
	uint64_t len_bytes;
};

static int on_part(void *arg, const struct s3_part *part, struct err *err)
{
	struct listed *listed = arg;

	if (part->number != listed->n_parts + 1)
		return err_set(err, ERR_NO, "part %zu is missing", listed->n_parts + 1);
	listed->parts[listed->n_parts++] = *part;
	listed->len_bytes += part->len_bytes;
	return 0;
}

/* What the server has against what the instance says it sent. */
static int compare(const struct listed *listed, const struct parts_record *record,
		   struct err *err)
{
	if (!listed->n_parts)
		return err_set(err, ERR_NO, "no part has arrived");
	if (!record->parts)
		return 0;
	if (listed->n_parts != record->n_parts)
		return err_set(err, ERR_NO, "%zu parts arrived, %zu were sent",
			       listed->n_parts, record->n_parts);
	for (size_t i = 0; i < listed->n_parts; i++)
		if (listed->parts[i].len_bytes != record->parts[i].len_bytes ||
		    strcmp(listed->parts[i].etag, record->parts[i].etag) != 0)
			return err_set(err, ERR_NO,
				       "part %zu is not the one that was sent", i + 1);
	return 0;
}

#define PIECE_BYTES (8 * 1024 * 1024)

/* Reads the object whole and gives its SHA-256. */
static int hash_object(struct s3 *s3, const struct s3_object *object,
		       uint8_t digest[SHA256_LEN], struct err *err)
{
	unsigned char *piece = malloc(PIECE_BYTES);
	struct sha256 hash;
	uint64_t off = 0;
	int rc = 0;

	if (!piece)
		return err_set(err, ERR_FAILED, "out of memory");
	sha256_init(&hash);
	while (rc == 0 && off < object->len_bytes) {
		uint64_t left = object->len_bytes - off;
		size_t n = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;

		rc = s3_get(s3, state.key, object->etag, off, piece, n, err);
		if (rc == 0)
			sha256_update(&hash, piece, n);
		off += n;
	}
	sha256_final(&hash, digest);
	free(piece);
	return rc;
}

/* Completes, or finds that an earlier call did. */
static int complete(struct s3 *s3, struct listed *listed, struct s3_object *object,
		    struct err *err)
{
	struct err unread;

	if (s3_complete(s3, state.key, state.upload_id, listed->parts, listed->n_parts,
			object, err) < 0 &&
	    !((s3_status(s3) == 404 || s3_status(s3) == 412) &&
	      s3_head(s3, state.key, object, &unread) == 0 &&
	      strcmp(object->id, state.id) == 0))
		return -1;
	if (s3_head(s3, state.key, object, err) < 0)
		return -1;
	if (object->len_bytes != listed->len_bytes || strcmp(object->id, state.id) != 0)
		return err_set(err, ERR_NO, "%s is not the object that was sent",
			       state.key);
	return 0;
}

static int print_completed(const struct options *opt, const struct s3_object *object,
			   const char *sha256, bool read_back, size_t n_parts,
			   struct err *err)
{
	struct json *doc;
	struct json_node *root;

	if (!opt->json) {
		printf("s3://%s/", state.bucket);
		cli_put_text(stdout, state.key);
		printf(": %llu bytes, SHA-256 %s, %zu parts, %s\n",
		       (unsigned long long)object->len_bytes, sha256, n_parts,
		       read_back ? "read back" : "looked at");
		return 0;
	}
	doc = json_new();
	if (!doc)
		return err_set(err, ERR_FAILED, "out of memory");
	root = json_root(doc);
	json_add_str(doc, root, "bucket", state.bucket);
	json_add_str(doc, root, "key", state.key);
	json_add_u64(doc, root, "bytes", object->len_bytes);
	json_add_str(doc, root, "sha256", sha256);
	json_add_str(doc, root, "etag", object->etag);
	json_add_str(doc, root, "version", object->version);
	json_add_u64(doc, root, "parts", n_parts);
	json_add_bool(doc, root, "read_back", read_back);
	return cli_print_json(doc, err);
}

/* Lists, compares, completes, reads back. */
static int complete_and_check(struct s3 *s3, const struct options *opt,
			      struct listed *listed, const struct parts_record *record,
			      struct err *err)
{
	/* Without a record only the bytes themselves can prove anything. */
	bool read_back = opt->verify || !record->parts;
	uint8_t digest[SHA256_LEN], wanted[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];
	struct s3_object object;

	memcpy(wanted, record->sha256, SHA256_LEN);
	if (opt->sha256) {
		sha256_from_hex(opt->sha256, wanted);
		if (record->parts && memcmp(wanted, record->sha256, SHA256_LEN) != 0)
			return err_set(err, ERR_NO,
				       "--parts and --sha256 do not say the same");
	}
	if (s3_list_parts(s3, state.key, state.upload_id, on_part, listed, err) < 0 ||
	    compare(listed, record, err) < 0)
		return -1;
	/* S3 was not told to keep checksums of presigned parts. */
	for (size_t i = 0; i < listed->n_parts; i++)
		listed->parts[i].hashed = false;
	if (complete(s3, listed, &object, err) < 0)
		return -1;
	if (read_back) {
		if (hash_object(s3, &object, digest, err) < 0)
			return -1;
		if (memcmp(digest, wanted, SHA256_LEN) != 0)
			return err_set(err, ERR_NO, "%s reads back with another SHA-256",
				       state.key);
	}
	sha256_to_hex(wanted, hex);
	return print_completed(opt, &object, hex, read_back, listed->n_parts, err);
}

static int do_complete(const struct options *opt, struct s3 *s3, struct err *err)
{
	struct listed listed = { 0 };
	struct parts_record record = { 0 };
	int rc = -1;

	if (opt->parts && read_record(&record, opt->parts, err) < 0)
		return -1;
	listed.parts = calloc(S3_PARTS_MAX, sizeof(*listed.parts));
	if (!listed.parts)
		err_set(err, ERR_FAILED, "out of memory");
	else
		rc = complete_and_check(s3, opt, &listed, &record, err);
	free(listed.parts);
	free(record.parts);
	return rc;
}

static int do_abort(const struct options *opt, struct s3 *s3, struct err *err)
{
	struct transfer_log log;
	struct s3_part *parts;
	int rc;

	if (opt->state)
		return s3_abort(s3, state.key, state.upload_id, err);
	if (access(opt->journal, F_OK) < 0)
		return err_sys(err, errno, "opening %s", opt->journal);
	parts = calloc(S3_PARTS_MAX, sizeof(*parts));
	if (!parts)
		return err_set(err, ERR_FAILED, "out of memory");
	rc = transfer_log_open(&log, opt->journal, opt->s3.bucket, opt->s3.key, parts,
			       err);
	free(parts);
	if (rc < 0)
		return -1;
	if (!log.begun || log.done)
		rc = err_set(err, ERR_FAILED, "%s names no open upload", opt->journal);
	else
		rc = s3_abort(s3, opt->s3.key, log.upload_id, err);
	transfer_log_close(&log);
	return rc;
}

int responder_run(struct s3_session *session, const struct options *opt, struct err *err)
{
	struct s3 *s3 = s3_new(&session->s3, err);
	int rc = -1;

	if (!s3)
		return -1;
	switch (opt->command) {
	case PRESIGN:
		rc = do_presign(session, opt, s3, err);
		break;
	case COMPLETE:
		rc = do_complete(opt, s3, err);
		break;
	case ABORT:
		rc = do_abort(opt, s3, err);
		break;
	case SEND:
		break;
	}
	s3_free(s3);
	return rc;
}
