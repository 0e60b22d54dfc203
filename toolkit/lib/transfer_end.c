#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/transfer_parts.h"

/* The server's list of parts against the journal's. */
struct compare {
	struct s3_part *known;	/* by the journal; made what the server confirms */
	struct s3_part *listed; /* S3_PARTS_MAX, zeroed */
};

static int on_listed(void *arg, const struct s3_part *part, struct err *err)
{
	struct compare *compare = arg;

	(void)err;
	compare->listed[part->number - 1] = *part;
	return 0;
}

/*
 * A part is on the server when it says so, with the ETag that the journal got for these
 * bytes, or with a checksum of its own. All others are sent again.
 */
static int confirm(struct transfer_log *log, struct s3_part *known,
		   const struct s3_part *listed, struct err *err)
{
	bool same = known->number && listed->number &&
		    known->len_bytes == listed->len_bytes &&
		    strcmp(known->etag, listed->etag) == 0;

	if (listed->hashed &&
	    (!same || memcmp(known->sha256, listed->sha256, SHA256_LEN) != 0)) {
		*known = *listed;
		return transfer_log_part(log, known, err);
	}
	if (!same)
		*known = (struct s3_part){ 0 };
	return 0;
}

/* An upload that ended without our knowing: is the object there, and is it ours? */
static bool object_is_ours(struct transfer *transfer, struct s3_object *object)
{
	struct err unread;

	return s3_head(transfer->s3, transfer->config.key, object, &unread) == 0 &&
	       strcmp(object->id, transfer->id) == 0;
}

int transfer_resume(struct transfer *transfer, struct err *err)
{
	struct compare compare = { .known = transfer->known };
	struct transfer_log *log = &transfer->log;
	struct s3_object object;
	int rc = -1;

	if (!log->begun || log->done)
		return 0;
	memcpy(transfer->id, log->id, sizeof(transfer->id));
	memcpy(transfer->upload_id, log->upload_id, sizeof(transfer->upload_id));
	compare.listed = calloc(S3_PARTS_MAX, sizeof(*compare.listed));
	if (!compare.listed)
		return err_set(err, ERR_FAILED, "out of memory");
	if (s3_list_parts(transfer->s3, transfer->config.key, transfer->upload_id,
			  on_listed, &compare, err) == 0) {
		rc = 0;
		for (uint32_t i = 0; rc == 0 && i < S3_PARTS_MAX; i++)
			rc = confirm(log, &compare.known[i], &compare.listed[i], err);
	} else if (s3_status(transfer->s3) == 403) {
		/* A role that may only put: the journal's word, which Complete checks. */
		rc = 0;
	} else if (s3_status(transfer->s3) == 404) {
		/* Completed without our knowing, or aborted: nothing to go on with. */
		if (object_is_ours(transfer, &object)) {
			rc = 0;
		} else {
			err_set(err, ERR_FAILED,
				"the upload that the journal names is gone: remove the "
				"journal to begin anew");
		}
	}
	free(compare.listed);
	return rc;
}

int transfer_vacant(struct transfer *transfer, struct err *err)
{
	struct s3_object found;
	struct err unread;

	if (transfer->config.s3->overwrite ||
	    s3_head(transfer->s3, transfer->config.key, &found, &unread) < 0)
		return 0;
	return err_set(err, ERR_FAILED, "%s is there already", transfer->config.key);
}

/* Stores what fits into one part in one call. */
static int store(struct transfer *transfer, struct transfer_result *result,
		 struct err *err)
{
	const struct transfer_slot *slot = transfer->current;
	struct s3_object found;

	if (transfer_vacant(transfer, err) < 0)
		return -1;
	if (s3_put(transfer->s3, transfer->config.key, transfer->id, slot->data,
		   slot->fill_bytes, result->sha256, &result->object, err) == 0)
		return 0;
	if (s3_status(transfer->s3) == 412 && object_is_ours(transfer, &found)) {
		result->object = found;
		return 0;
	}
	return -1;
}

/* The server refused a part: which? Its own list says, if we may read it. */
static int repair(struct transfer *transfer, size_t n_parts, struct err *err)
{
	struct compare compare = { .known = transfer->parts };
	struct err unread;
	uint32_t wrong = 0;
	int rc = -1;

	compare.listed = calloc(S3_PARTS_MAX, sizeof(*compare.listed));
	if (!compare.listed ||
	    s3_list_parts(transfer->s3, transfer->config.key, transfer->upload_id,
			  on_listed, &compare, &unread) < 0) {
		free(compare.listed);
		return -1;
	}
	for (size_t i = 0; i < n_parts; i++) {
		struct s3_part *ours = &transfer->parts[i];
		const struct s3_part *theirs = &compare.listed[i];

		if (strcmp(ours->etag, theirs->etag) == 0)
			continue;
		wrong = wrong ? wrong : ours->number;
		/* The bytes are the same by the server's own checksum: only the name
		 * that it answered with was wrong. */
		if (!theirs->hashed ||
		    memcmp(theirs->sha256, ours->sha256, SHA256_LEN) != 0) {
			err_set(err, ERR_FAILED,
				"part %u: the server lists another ETag than it answered",
				ours->number);
			goto out;
		}
		memcpy(ours->etag, theirs->etag, sizeof(ours->etag));
	}
	rc = wrong ? 0 : -1;
out:
	free(compare.listed);
	return rc;
}

static int complete(struct transfer *transfer, struct transfer_result *result,
		    struct err *err)
{
	size_t n = result->n_parts;
	struct s3_object found;
	int rc = s3_complete(transfer->s3, transfer->config.key, transfer->upload_id,
			     transfer->parts, n, &result->object, err);

	if (rc < 0 && s3_status(transfer->s3) == 400 && repair(transfer, n, err) == 0)
		rc = s3_complete(transfer->s3, transfer->config.key, transfer->upload_id,
				 transfer->parts, n, &result->object, err);
	if (rc < 0 &&
	    (s3_status(transfer->s3) == 404 || s3_status(transfer->s3) == 412) &&
	    object_is_ours(transfer, &found)) {
		result->object = found;
		rc = 0;
	}
	return rc;
}

/* What the server says of the object against what was sent. */
static int compare_object(const struct transfer *transfer,
			  const struct transfer_result *result,
			  const struct s3_object *object, struct err *err)
{
	char composite[S3_BASE64_SIZE + 8], hex[SHA256_HEX_SIZE];

	if (object->len_bytes != result->len_bytes)
		return err_set(err, ERR_NO, "%s has %llu bytes, %llu were sent",
			       transfer->config.key,
			       (unsigned long long)object->len_bytes,
			       (unsigned long long)result->len_bytes);
	if (result->n_parts)
		s3_composite(transfer->parts, result->n_parts, composite);
	else
		s3_base64(result->sha256, composite);
	if (object->checksum[0] && strcmp(object->checksum, composite) != 0)
		return err_set(err, ERR_NO, "%s has another checksum than what was sent",
			       transfer->config.key);
	sha256_to_hex(result->sha256, hex);
	if (object->sha256[0] && strcmp(object->sha256, hex) != 0)
		return err_set(err, ERR_NO, "%s carries another SHA-256 than was sent",
			       transfer->config.key);
	return 0;
}

/*
 * Encryption is always shown. A lock is shown to who may see it: silence proves nothing,
 * another word does.
 */
static int stored_as_asked(const struct transfer *transfer,
			   const struct s3_object *object, struct err *err)
{
	const struct s3_config *config = transfer->config.s3;
	const char *key = transfer->config.key;

	if (config->kms_key && strcmp(object->sse, "aws:kms") != 0)
		return err_set(err, ERR_NO, "%s is not encrypted by KMS", key);
	if (config->lock_mode && object->lock_mode[0] &&
	    strcmp(object->lock_mode, config->lock_mode) != 0)
		return err_set(err, ERR_NO, "%s is not locked as asked", key);
	if (config->legal_hold && object->legal_hold[0] &&
	    strcmp(object->legal_hold, "ON") != 0)
		return err_set(err, ERR_NO, "%s is not under legal hold", key);
	return 0;
}

/* HEAD, where the role may: it needs GetObject. */
static int look(struct transfer *transfer, struct transfer_result *result,
		struct err *err)
{
	struct s3_object found;

	if (s3_head(transfer->s3, transfer->config.key, &found, err) < 0) {
		if (s3_status(transfer->s3) != 403)
			return -1;
		result->head = TRANSFER_HEAD_REFUSED;
		return compare_object(transfer, result, &result->object, err);
	}
	if (strcmp(found.id, transfer->id) != 0)
		return err_set(err, ERR_NO, "%s is not the object that was stored",
			       transfer->config.key);
	if (!found.version[0])
		memcpy(found.version, result->object.version, sizeof(found.version));
	result->object = found;
	result->head = TRANSFER_HEAD_EQUAL;
	if (stored_as_asked(transfer, &found, err) < 0)
		return -1;
	return compare_object(transfer, result, &found, err);
}

/* Reads the object back in pieces of a part and compares the hash of the whole. */
static int read_back(struct transfer *transfer, struct transfer_result *result,
		     struct err *err)
{
	uint8_t digest[SHA256_LEN];
	struct sha256 hash;
	uint64_t off = 0;

	sha256_init(&hash);
	while (off < result->len_bytes) {
		uint64_t left = result->len_bytes - off;
		size_t n = left < transfer->config.part_bytes
				   ? (size_t)left
				   : (size_t)transfer->config.part_bytes;

		if (s3_get(transfer->s3, transfer->config.key, result->object.etag, off,
			   transfer->arena, n, err) < 0)
			return -1;
		sha256_update(&hash, transfer->arena, n);
		off += n;
	}
	sha256_final(&hash, digest);
	if (memcmp(digest, result->sha256, SHA256_LEN) != 0)
		return err_set(err, ERR_NO, "%s reads back with another SHA-256",
			       transfer->config.key);
	result->read_back = true;
	return 0;
}

/* KEY.sha256, a line of sha256sum: the whole hash of a stream is known too late for the
 * object's own metadata. */
static int store_companion(struct transfer *transfer, const char *hex, struct err *err)
{
	const char *key = transfer->config.key, *base = strrchr(key, '/');
	char name[S3_KEY_MAX + 8], line[SHA256_HEX_SIZE + S3_KEY_MAX + 8];
	char id[S3_ID_SIZE];
	uint8_t digest[SHA256_LEN];
	struct s3_object object;
	int len;

	if (snprintf(name, sizeof(name), "%s.sha256", key) > S3_KEY_MAX)
		return err_set(err, ERR_USAGE, "%s.sha256: the key is too long", key);
	len = snprintf(line, sizeof(line), "%s  %s\n", hex, base ? base + 1 : key);
	sha256(line, (size_t)len, digest);
	if (s3_new_id(id, err) < 0)
		return -1;
	if (s3_put(transfer->s3, name, id, line, (size_t)len, digest, &object, err) == 0)
		return 0;
	/* An earlier run may have stored the same line. */
	if (s3_status(transfer->s3) == 412 &&
	    s3_head(transfer->s3, name, &object, err) == 0) {
		char ours[SHA256_HEX_SIZE];

		sha256_to_hex(digest, ours);
		if (strcmp(ours, object.sha256) == 0)
			return 0;
		return err_set(err, ERR_NO, "%s is there and says something else", name);
	}
	return -1;
}

static int wanted_hash(const struct transfer *transfer, const char *hex, struct err *err)
{
	if (transfer->config.sha256 && strcasecmp(transfer->config.sha256, hex) != 0)
		return err_set(err, ERR_NO, "the input has SHA-256 %s, not %s", hex,
			       transfer->config.sha256);
	return 0;
}

/* The journal says that it was done: is it still so? */
static int end_again(struct transfer *transfer, struct transfer_result *result,
		     const char *hex, struct err *err)
{
	const struct s3_object *was = &transfer->log.object;

	if (was->len_bytes != result->len_bytes || strcmp(was->sha256, hex) != 0)
		return err_set(err, ERR_NO, "the journal is of an upload of other bytes");
	if (s3_head(transfer->s3, transfer->config.key, &result->object, err) < 0)
		return -1;
	if (strcmp(result->object.etag, was->etag) != 0)
		return err_set(err, ERR_NO, "%s is not the object that was stored",
			       transfer->config.key);
	result->was_complete = true;
	result->head = TRANSFER_HEAD_EQUAL;
	return 0;
}

int transfer_end(struct transfer *transfer, struct transfer_result *result,
		 struct err *err)
{
	const struct transfer_config *config = &transfer->config;
	char hex[SHA256_HEX_SIZE];

	*result = (struct transfer_result){ .len_bytes = transfer->len_bytes,
					    .n_kept = transfer->n_kept,
					    .retries = transfer->failures };
	if (transfer->uploading)
		result->n_parts = transfer->next_number - 1;
	sha256_final(&transfer->hash, result->sha256);
	sha256_to_hex(result->sha256, hex);
	if (wanted_hash(transfer, hex, err) < 0)
		return -1;
	if (config->urls)
		return 0;
	if (transfer->log.done)
		return end_again(transfer, result, hex, err);
	if ((result->n_parts ? complete : store)(transfer, result, err) < 0 ||
	    look(transfer, result, err) < 0)
		return -1;
	if (config->verify && read_back(transfer, result, err) < 0)
		return -1;
	if (config->companion && result->n_parts &&
	    store_companion(transfer, hex, err) < 0)
		return -1;
	result->retries += s3_retries(transfer->s3);
	return transfer_log_done(&transfer->log, &result->object, hex, err);
}
