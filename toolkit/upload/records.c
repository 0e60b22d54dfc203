/* The files that presigned uploads leave: what presign noted, what the instance sent. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/sink.h"
#include "toolkit/upload/presigned.h"

#define STATE_MAX_BYTES (64 * 1024)

/* Writes a document as the new file path and frees it. */
static int write_new(struct json *doc, const char *path, struct err *err)
{
	size_t len;
	char *text = json_text(doc, true, &len, err);
	int rc = text ? sink_write_path(path, text, len, err) : -1;

	free(text);
	json_free(doc);
	return rc;
}

int upload_state_write(const struct upload_state *state, const char *path,
		       struct err *err)
{
	struct json *doc = json_new();
	struct json_node *root;

	if (!doc)
		return err_set(err, ERR_FAILED, "out of memory");
	root = json_root(doc);
	json_add_str(doc, root, "form", "fvol upload state 1");
	json_add_str(doc, root, "bucket", state->bucket);
	json_add_str(doc, root, "key", state->key);
	json_add_str(doc, root, "list_key", state->list_key);
	json_add_str(doc, root, "id", state->id);
	json_add_str(doc, root, "upload_id", state->upload_id);
	json_add_u64(doc, root, "part_bytes", state->part_bytes);
	return write_new(doc, path, err);
}

static bool take(const struct json_value *top, const char *name, char *to, size_t size)
{
	const char *text = json_str(json_get(top, name));

	if (!text || !text[0] || strlen(text) >= size)
		return false;
	strcpy(to, text);
	return true;
}

int upload_state_read(struct upload_state *state, const char *path, struct err *err)
{
	char *text = malloc(STATE_MAX_BYTES);
	const struct json_value *top;
	struct json_read *doc;
	int rc = -1;
	size_t len;

	*state = (struct upload_state){ 0 };
	if (!text)
		return err_sys(err, ENOMEM, "reading %s", path);
	if (io_read_text(AT_FDCWD, path, text, STATE_MAX_BYTES, &len, err) < 0) {
		free(text);
		return -1;
	}
	doc = json_parse(text, len, err);
	top = json_top(doc);
	if (take(top, "bucket", state->bucket, sizeof(state->bucket)) &&
	    take(top, "key", state->key, sizeof(state->key)) &&
	    take(top, "list_key", state->list_key, sizeof(state->list_key)) &&
	    take(top, "id", state->id, sizeof(state->id)) &&
	    take(top, "upload_id", state->upload_id, sizeof(state->upload_id)) &&
	    json_u64(json_get(top, "part_bytes"), &state->part_bytes))
		rc = 0;
	else
		err_set(err, ERR_USAGE, "%s is not what presign wrote", path);
	json_read_free(doc);
	free(text);
	return rc;
}

int parts_record_write(const struct parts_record *record, const char *bucket,
		       const char *key, const char *path, struct err *err)
{
	struct json *doc = json_new();
	struct json_node *root, *array;
	char hex[SHA256_HEX_SIZE];

	if (!doc)
		return err_set(err, ERR_FAILED, "out of memory");
	root = json_root(doc);
	json_add_str(doc, root, "form", "fvol parts 1");
	json_add_str(doc, root, "bucket", bucket);
	json_add_str(doc, root, "key", key);
	json_add_u64(doc, root, "bytes", record->len_bytes);
	sha256_to_hex(record->sha256, hex);
	json_add_str(doc, root, "sha256", hex);
	array = json_add_array(doc, root, "parts");
	for (size_t i = 0; i < record->n_parts; i++) {
		struct json_node *part = json_add_object(doc, array, NULL);

		sha256_to_hex(record->parts[i].sha256, hex);
		json_add_u64(doc, part, "part", record->parts[i].number);
		json_add_u64(doc, part, "bytes", record->parts[i].len_bytes);
		json_add_str(doc, part, "sha256", hex);
		json_add_str(doc, part, "etag", record->parts[i].etag);
	}
	return write_new(doc, path, err);
}

static bool take_hex(const struct json_value *value, uint8_t digest[SHA256_LEN])
{
	const char *text = json_str(value);

	return text && strlen(text) == 2 * SHA256_LEN && sha256_from_hex(text, digest);
}

static bool take_part(const struct json_value *value, size_t index, struct s3_part *part)
{
	const char *etag = json_str(json_get(value, "etag"));
	uint64_t number;

	if (!json_u64(json_get(value, "part"), &number) || number != index + 1 ||
	    !json_u64(json_get(value, "bytes"), &part->len_bytes) ||
	    part->len_bytes > S3_PART_MAX_BYTES || !etag || !s3_etag(etag, part->etag) ||
	    !take_hex(json_get(value, "sha256"), part->sha256))
		return false;
	part->number = (uint32_t)number;
	return true;
}

int parts_record_read(struct parts_record *record, const char *text, size_t len_bytes,
		      struct err *err)
{
	struct json_read *doc = json_parse(text, len_bytes, err);
	const struct json_value *top = json_top(doc), *array = json_get(top, "parts");
	const char *form = json_str(json_get(top, "form"));
	uint64_t total = 0;
	bool good;

	*record = (struct parts_record){ .n_parts = json_len(array) };
	good = form && strcmp(form, "fvol parts 1") == 0 && record->n_parts &&
	       record->n_parts <= S3_PARTS_MAX &&
	       json_u64(json_get(top, "bytes"), &record->len_bytes) &&
	       take_hex(json_get(top, "sha256"), record->sha256);
	if (good)
		record->parts = calloc(record->n_parts, sizeof(*record->parts));
	for (size_t i = 0; good && record->parts && i < record->n_parts; i++) {
		good = take_part(json_at(array, i), i, &record->parts[i]);
		total += record->parts[i].len_bytes;
	}
	json_read_free(doc);
	if (good && record->parts && total == record->len_bytes)
		return 0;
	free(record->parts);
	record->parts = NULL;
	return err_set(err, ERR_FAILED, "the record of parts is damaged");
}
