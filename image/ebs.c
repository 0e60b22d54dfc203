#include "image/ebs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/json.h"
#include "toolkit/lib/s3.h"
#include "toolkit/lib/s3_call.h"

#define PAGES_MAX 200000
#define PAGE_BLOCKS "1000"
#define GET_TRIES 3

static void header(struct aws_call *call, const char *name, const char *value)
{
	call->headers[call->n_headers++] = (struct sigv4_pair){ name, value };
}

static void query(struct aws_call *call, const char *name, const char *value)
{
	call->query[call->n_query++] = (struct sigv4_pair){ name, value };
}

static char *start_body(const struct ebs_start *start, size_t *len, struct err *err)
{
	struct json *doc = json_new();
	struct json_node *root, *list;
	char *text;

	if (!doc) {
		err_set(err, ERR_FAILED, "out of memory");
		return NULL;
	}
	root = json_root(doc);
	json_add_u64(doc, root, "VolumeSize", start->gib);
	json_add_str(doc, root, "ClientToken", start->token);
	if (start->description)
		json_add_str(doc, root, "Description", start->description);
	if (start->kms_key) {
		json_add_bool(doc, root, "Encrypted", true);
		json_add_str(doc, root, "KmsKeyArn", start->kms_key);
	}
	if (start->parent)
		json_add_str(doc, root, "ParentSnapshotId", start->parent);
	if (start->timeout_min)
		json_add_u64(doc, root, "Timeout", start->timeout_min);
	if (start->n_tags) {
		list = json_add_array(doc, root, "Tags");
		for (size_t i = 0; i < start->n_tags; i++) {
			struct json_node *tag = json_add_object(doc, list, NULL);

			json_add_str(doc, tag, "Key", start->tags[i].key);
			json_add_str(doc, tag, "Value", start->tags[i].value);
		}
	}
	text = json_text(doc, false, len, err);
	json_free(doc);
	return text;
}

static int read_started(struct aws *aws, struct ebs_started *started, struct err *err)
{
	size_t len;
	const char *text = aws_answer(aws, &len), *id, *status;
	struct json_read *doc = json_parse(text, len, err);
	const struct json_value *top;
	uint64_t gib, block_bytes;
	int rc = -1;

	if (!doc)
		return err_prefix(err, "the answer to StartSnapshot");
	top = json_top(doc);
	id = json_str(json_get(top, "SnapshotId"));
	status = json_str(json_get(top, "Status"));
	if (!id || !blocks_snapshot_ok(id) || !status ||
	    !json_u64(json_get(top, "VolumeSize"), &gib) || gib > BLOCKS_GIB_MAX ||
	    !json_u64(json_get(top, "BlockSize"), &block_bytes)) {
		err_set(err, ERR_FAILED,
			"the answer to StartSnapshot names no snapshot, status or size");
	} else if (block_bytes != BLOCKS_BYTES) {
		err_set(err, ERR_FAILED, "the service wants blocks of %llu bytes",
			(unsigned long long)block_bytes);
	} else if (strcmp(status, "error") == 0) {
		err_set(err, ERR_FAILED,
			"the snapshot %s of this token is in state error: publish with "
			"another --salt",
			id);
	} else {
		strcpy(started->snapshot, id);
		started->completed = strcmp(status, "completed") == 0;
		started->gib = (uint32_t)gib;
		rc = 0;
	}
	json_read_free(doc);
	return rc;
}

int ebs_start(struct aws *aws, const struct ebs_start *start, struct ebs_started *started,
	      struct err *err)
{
	struct aws_call call = { .service = AWS_EBS,
				 .method = "POST",
				 .path = "/snapshots",
				 .what = "starting the snapshot",
				 .content_type = "application/json" };
	char *body;
	int rc;

	*started = (struct ebs_started){ 0 };
	if (start->parent && start->kms_key)
		return err_set(err, ERR_USAGE,
			       "a snapshot with a parent is encrypted as its parent is: "
			       "--kms-key and --parent exclude one another");
	body = start_body(start, &call.len_bytes, err);
	if (!body)
		return -1;
	call.data = body;
	rc = aws_call(aws, &call, err);
	free(body);
	if (rc < 0 && strcmp(aws_code(aws), "ConflictException") == 0)
		return err_set(
			err, ERR_FAILED,
			"starting the snapshot: this image's client token was used "
			"with other parameters: publish with another --salt");
	return rc < 0 ? -1 : read_started(aws, started, err);
}

int ebs_put(struct aws *aws, const char *snapshot, uint32_t index, const void *data,
	    const uint8_t digest[SHA256_LEN], struct err *err)
{
	char path[96], checksum[S3_BASE64_SIZE], what[48];
	struct http_wanted wanted = { .name = "x-amz-Checksum" };
	struct aws_call call = { .service = AWS_EBS,
				 .method = "PUT",
				 .path = path,
				 .what = what,
				 .data = data,
				 .len_bytes = BLOCKS_BYTES,
				 .sha256 = digest,
				 .wanted = &wanted,
				 .n_wanted = 1 };

	snprintf(path, sizeof(path), "/snapshots/%s/blocks/%u", snapshot, index);
	snprintf(what, sizeof(what), "putting block %u", index);
	s3_base64(digest, checksum);
	header(&call, "x-amz-data-length", "524288");
	header(&call, "x-amz-checksum", checksum);
	header(&call, "x-amz-checksum-algorithm", "SHA256");
	if (aws_call(aws, &call, err) < 0)
		return -1;
	if (wanted.found && strcmp(wanted.value, checksum) != 0)
		return err_set(err, ERR_NO,
			       "%s: the service has other bytes than were sent", what);
	return 0;
}

int ebs_complete(struct aws *aws, const char *snapshot, uint64_t count,
		 const uint8_t linear[SHA256_LEN], struct err *err)
{
	char path[96], checksum[S3_BASE64_SIZE], number[24];
	struct aws_call call = { .service = AWS_EBS,
				 .method = "POST",
				 .path = path,
				 .what = "completing the snapshot" };

	snprintf(path, sizeof(path), "/snapshots/completion/%s", snapshot);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)count);
	s3_base64(linear, checksum);
	header(&call, "x-amz-changedblockscount", number);
	header(&call, "x-amz-checksum", checksum);
	header(&call, "x-amz-checksum-algorithm", "SHA256");
	header(&call, "x-amz-checksum-aggregation-method", "LINEAR");
	return aws_call(aws, &call, err);
}

void ebs_list_free(struct ebs_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->at[i].token);
	free(list->at);
	*list = (struct ebs_list){ 0 };
}

static bool block_token_ok(const char *token)
{
	size_t len = strlen(token);

	return len && len < EBS_BLOCK_TOKEN_SIZE &&
	       strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			     "0123456789+/=") == len;
}

static int add_listed(struct ebs_list *list, uint32_t index, const char *token,
		      struct err *err)
{
	char *copy;

	if (list->count && list->at[list->count - 1].index >= index)
		return err_set(err, ERR_FAILED, "the list of blocks is not ascending");
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 1024;
		struct ebs_listed *at = realloc(list->at, room * sizeof(*at));

		if (!at)
			return err_set(err, ERR_FAILED, "out of memory");
		list->at = at;
		list->room = room;
	}
	copy = strdup(token);
	if (!copy)
		return err_set(err, ERR_FAILED, "out of memory");
	list->at[list->count++] = (struct ebs_listed){ index, copy };
	return 0;
}

static int read_page(const struct json_value *top, struct ebs_list *list, char next[1024],
		     struct err *err)
{
	const struct json_value *blocks = json_get(top, "Blocks");
	const char *token = json_str(json_get(top, "NextToken"));
	uint64_t block_bytes, gib, index;

	if (!json_u64(json_get(top, "BlockSize"), &block_bytes) ||
	    block_bytes != BLOCKS_BYTES || !json_u64(json_get(top, "VolumeSize"), &gib) ||
	    gib < 1 || gib > BLOCKS_GIB_MAX || (token && strlen(token) >= 1024))
		return err_set(err, ERR_FAILED, "not a list of blocks");
	list->gib = (uint32_t)gib;
	for (size_t i = 0; i < json_len(blocks); i++) {
		const struct json_value *block = json_at(blocks, i);
		const char *block_token = json_str(json_get(block, "BlockToken"));

		if (!json_u64(json_get(block, "BlockIndex"), &index) ||
		    index >= gib * BLOCKS_PER_GIB || !block_token ||
		    !block_token_ok(block_token))
			return err_set(err, ERR_FAILED, "a block has no index or token");
		if (add_listed(list, (uint32_t)index, block_token, err) < 0)
			return -1;
	}
	strcpy(next, token ? token : "");
	return 0;
}

int ebs_list_page(const char *text, size_t len_bytes, struct ebs_list *list,
		  char next[1024], struct err *err)
{
	struct json_read *doc = json_parse(text, len_bytes, err);
	int rc;

	next[0] = '\0';
	if (!doc)
		return -1;
	rc = read_page(json_top(doc), list, next, err);
	json_read_free(doc);
	return rc;
}

int ebs_list(struct aws *aws, const char *snapshot, struct ebs_list *list,
	     struct err *err)
{
	char path[96], token[1024] = "", next[1024];
	const char *text;
	size_t len;

	*list = (struct ebs_list){ 0 };
	snprintf(path, sizeof(path), "/snapshots/%s/blocks", snapshot);
	for (size_t page = 0; page < PAGES_MAX; page++) {
		struct aws_call call = { .service = AWS_EBS,
					 .method = "GET",
					 .path = path,
					 .what = "listing the blocks" };

		query(&call, "maxResults", PAGE_BLOCKS);
		if (token[0])
			query(&call, "pageToken", token);
		if (aws_call(aws, &call, err) < 0)
			return err_prefix(err, "%s", snapshot);
		text = aws_answer(aws, &len);
		/* A page without blocks is legal as long as it names the next. */
		if (ebs_list_page(text, len, list, next, err) < 0)
			return err_prefix(err, "%s: listing the blocks", snapshot);
		if (!next[0])
			return 0;
		if (strcmp(next, token) == 0)
			break;
		strcpy(token, next);
	}
	return err_set(err, ERR_FAILED, "%s: the list of blocks does not end", snapshot);
}

int ebs_get(struct aws *aws, const char *snapshot, const struct ebs_listed *block,
	    void *data, uint8_t digest[SHA256_LEN], struct err *err)
{
	char path[96], what[48], said[S3_BASE64_SIZE];

	snprintf(path, sizeof(path), "/snapshots/%s/blocks/%u", snapshot, block->index);
	snprintf(what, sizeof(what), "getting block %u", block->index);
	for (int n = 0; n < GET_TRIES; n++) {
		struct http_wanted wanted = { .name = "x-amz-Checksum" };
		struct aws_call call = { .service = AWS_EBS,
					 .method = "GET",
					 .path = path,
					 .what = what,
					 .buf = data,
					 .buf_size = BLOCKS_BYTES,
					 .wanted = &wanted,
					 .n_wanted = 1 };

		query(&call, "blockToken", block->token);
		if (aws_call(aws, &call, err) < 0)
			return -1;
		if (call.got_bytes != BLOCKS_BYTES)
			return err_set(err, ERR_FAILED, "%s: %zu bytes came", what,
				       call.got_bytes);
		sha256(data, BLOCKS_BYTES, digest);
		s3_base64(digest, said);
		if (!wanted.found || strcmp(wanted.value, said) == 0)
			return 0;
	}
	return err_set(err, ERR_NO, "%s: its bytes are not those of its checksum", what);
}
