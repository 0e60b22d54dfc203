#include "toolkit/lib/transfer_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/json.h"

static void copy(char *to, size_t size, const char *from)
{
	if (from && strlen(from) < size)
		strcpy(to, from);
}

/* Returns 0 for a line that was taken or is torn; -1 with err for another's journal. */
static int take_line(struct transfer_log *log, const struct json_value *top,
		     const char *bucket, const char *key, struct s3_part *parts,
		     struct err *err)
{
	const char *text = json_str(json_get(top, "upload"));
	const char *sha256 = json_str(json_get(top, "sha256"));
	const char *etag = json_str(json_get(top, "etag"));
	struct s3_part part = { 0 };
	uint64_t number;

	if (text) {
		const char *b = json_str(json_get(top, "bucket"));
		const char *k = json_str(json_get(top, "key"));

		if (!b || !k || strcmp(b, bucket) != 0 || strcmp(k, key) != 0)
			return err_set(err, ERR_USAGE,
				       "is the journal of another object");
		copy(log->upload_id, sizeof(log->upload_id), text);
		copy(log->id, sizeof(log->id), json_str(json_get(top, "id")));
		log->begun = log->upload_id[0] && log->id[0] &&
			     json_u64(json_get(top, "part_bytes"), &log->part_bytes) &&
			     log->part_bytes >= S3_PART_MIN_BYTES &&
			     log->part_bytes <= S3_PART_MAX_BYTES;
		memset(parts, 0, S3_PARTS_MAX * sizeof(*parts));
		return 0;
	}
	if (json_true(json_get(top, "done"))) {
		log->done = json_u64(json_get(top, "bytes"), &log->object.len_bytes);
		copy(log->object.sha256, sizeof(log->object.sha256), sha256);
		copy(log->object.etag, sizeof(log->object.etag), etag);
		return 0;
	}
	if (!json_u64(json_get(top, "part"), &number) || !number ||
	    number > S3_PARTS_MAX || !json_u64(json_get(top, "bytes"), &part.len_bytes) ||
	    !sha256 || strlen(sha256) != SHA256_HEX_SIZE - 1 ||
	    !sha256_from_hex(sha256, part.sha256) || !etag || !s3_etag(etag, part.etag))
		return 0;
	part.number = (uint32_t)number;
	part.hashed = true;
	parts[number - 1] = part;
	return 0;
}

int transfer_log_read(struct transfer_log *log, const char *text, const char *bucket,
		      const char *key, struct s3_part *parts, struct err *err)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		struct err torn;
		struct json_read *doc = len ? json_parse(text, len, &torn) : NULL;
		int rc = doc ? take_line(log, json_top(doc), bucket, key, parts, err) : 0;

		json_read_free(doc);
		if (rc < 0)
			return -1;
		text += len;
		text += *text == '\n';
	}
	if (!log->begun)
		memset(parts, 0, S3_PARTS_MAX * sizeof(*parts));
	return 0;
}

int transfer_log_open(struct transfer_log *log, const char *path, const char *bucket,
		      const char *key, struct s3_part *parts, struct err *err)
{
	char *text;
	int rc = 0;

	*log = (struct transfer_log){ .journal.fd = -1 };
	if (journal_open(&log->journal, path, &text, err) < 0)
		return -1;
	if (text) {
		rc = transfer_log_read(log, text, bucket, key, parts, err);
		if (rc == 0 && !log->begun && !log->done)
			rc = err_set(err, ERR_USAGE, "is not the journal of an upload");
		if (rc < 0) {
			err_prefix(err, "%s", path);
			transfer_log_close(log);
		}
		free(text);
	}
	return rc;
}

/* Adds a document as one line and frees it. */
static int add_document(struct transfer_log *log, struct json *doc, struct err *err)
{
	size_t len;
	char *text = doc ? json_text(doc, false, &len, err) : NULL;
	int rc = text ? journal_add(&log->journal, text, err) : -1;

	if (!doc)
		err_set(err, ERR_FAILED, "writing the journal: out of memory");
	free(text);
	json_free(doc);
	return rc;
}

int transfer_log_begin(struct transfer_log *log, const char *bucket, const char *key,
		       const char *id, const char *upload_id, uint64_t part_bytes,
		       struct err *err)
{
	struct json *doc;
	struct json_node *root;

	if (log->journal.fd < 0)
		return 0;
	doc = json_new();
	if (doc) {
		root = json_root(doc);
		json_add_str(doc, root, "upload", upload_id);
		json_add_str(doc, root, "bucket", bucket);
		json_add_str(doc, root, "key", key);
		json_add_str(doc, root, "id", id);
		json_add_u64(doc, root, "part_bytes", part_bytes);
	}
	return add_document(log, doc, err);
}

int transfer_log_part(struct transfer_log *log, const struct s3_part *part,
		      struct err *err)
{
	char hex[SHA256_HEX_SIZE], line[512];

	if (log->journal.fd < 0)
		return 0;
	sha256_to_hex(part->sha256, hex);
	/* An ETag that s3_etag() took needs no escapes. */
	snprintf(line, sizeof(line),
		 "{\"part\":%u,\"bytes\":%llu,\"sha256\":\"%s\",\"etag\":\"%s\"}",
		 part->number, (unsigned long long)part->len_bytes, hex, part->etag);
	return journal_add(&log->journal, line, err);
}

int transfer_log_done(struct transfer_log *log, const struct s3_object *object,
		      const char *sha256, struct err *err)
{
	struct json *doc;
	struct json_node *root;

	if (log->journal.fd < 0)
		return 0;
	doc = json_new();
	if (doc) {
		root = json_root(doc);
		json_add_bool(doc, root, "done", true);
		json_add_u64(doc, root, "bytes", object->len_bytes);
		json_add_str(doc, root, "sha256", sha256);
		json_add_str(doc, root, "etag", object->etag);
		json_add_str(doc, root, "version", object->version);
	}
	return add_document(log, doc, err);
}

void transfer_log_close(struct transfer_log *log)
{
	if (log->journal.block)
		journal_close(&log->journal);
}
