#include "toolkit/upload/presigned.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"

static const char part_mark[] = "&partNumber=";
static const char signature_mark[] = "&X-Amz-Signature=";

/* Takes one signed URL apart, or compares it with those before. */
static int take_url(struct url_list *list, uint32_t number, const char *url,
		    struct err *err)
{
	const char *part = strstr(url, part_mark), *rest, *signature;
	size_t before, after;

	rest = part ? part + sizeof(part_mark) - 1 : NULL;
	if (rest)
		rest += strspn(rest, "0123456789");
	signature = rest ? strstr(rest, signature_mark) : NULL;
	if (!signature || strlen(signature + sizeof(signature_mark) - 1) != 64)
		return err_set(err, ERR_FAILED, "signing part URLs: not as expected");
	signature += sizeof(signature_mark) - 1;
	before = (size_t)(part - url) + sizeof(part_mark) - 1;
	after = (size_t)(signature - rest);
	if (!list->before) {
		list->before = strndup(url, before);
		list->after = strndup(rest, after);
		if (!list->before || !list->after)
			return err_set(err, ERR_FAILED, "out of memory");
	} else if (strlen(list->before) != before || strlen(list->after) != after ||
		   memcmp(url, list->before, before) != 0 ||
		   memcmp(rest, list->after, after) != 0) {
		return err_set(err, ERR_FAILED,
			       "the keys were renewed while URLs were signed: try again");
	}
	memcpy(list->signatures[number - 1], signature, SIGNATURE_SIZE);
	return 0;
}

int url_list_sign(struct url_list *list, struct s3 *s3, const char *bucket,
		  const char *key, const char *upload_id, uint32_t n_parts,
		  uint64_t part_bytes, unsigned expires_s, struct err *err)
{
	char number[16], url[S3_URL_SIZE];
	struct sigv4_pair query[] = { { "partNumber", number },
				      { "uploadId", upload_id } };
	time_t now = time(NULL);
	int rc = 0;

	*list = (struct url_list){ .n_parts = n_parts, .part_bytes = part_bytes };
	snprintf(list->bucket, sizeof(list->bucket), "%s", bucket);
	snprintf(list->key, sizeof(list->key), "%s", key);
	list->signatures = calloc(n_parts, SIGNATURE_SIZE);
	if (!list->signatures)
		return err_set(err, ERR_FAILED, "out of memory");
	for (uint32_t i = 1; rc == 0 && i <= n_parts; i++) {
		snprintf(number, sizeof(number), "%u", i);
		rc = s3_presign(s3, "PUT", key, query, 2, now, expires_s, url, err);
		if (rc == 0)
			rc = take_url(list, i, url, err);
	}
	sigv4_wipe(url, sizeof(url));
	return rc;
}

char *url_list_text(const struct url_list *list, size_t *len_bytes, struct err *err)
{
	struct json *doc = json_new();
	struct json_node *root, *array;
	char *text;

	if (!doc) {
		err_set(err, ERR_FAILED, "out of memory");
		return NULL;
	}
	root = json_root(doc);
	json_add_str(doc, root, "form", "fvol part URLs 1");
	json_add_str(doc, root, "bucket", list->bucket);
	json_add_str(doc, root, "key", list->key);
	json_add_u64(doc, root, "part_bytes", list->part_bytes);
	json_add_str(doc, root, "before", list->before);
	json_add_str(doc, root, "after", list->after);
	array = json_add_array(doc, root, "signatures");
	for (uint32_t i = 0; i < list->n_parts; i++)
		json_add_str(doc, array, NULL, list->signatures[i]);
	text = json_text(doc, false, len_bytes, err);
	json_free(doc);
	return text;
}

/* Printable and without blanks, as a URL is. */
static char *copy_plain(const struct json_value *value, size_t max)
{
	const char *text = json_str(value);

	if (!text || strlen(text) > max)
		return NULL;
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~')
			return NULL;
	return strdup(text);
}

static int read_list(struct url_list *list, const struct json_value *top, struct err *err)
{
	const struct json_value *array = json_get(top, "signatures");
	const char *form = json_str(json_get(top, "form"));
	const char *bucket = json_str(json_get(top, "bucket"));
	const char *key = json_str(json_get(top, "key"));
	size_t n = json_len(array);

	if (!form || strcmp(form, "fvol part URLs 1") != 0)
		return err_set(err, ERR_FAILED, "the list is not one of part URLs");
	list->before = copy_plain(json_get(top, "before"), SIGV4_QUERY_SIZE);
	list->after = copy_plain(json_get(top, "after"), SIGV4_QUERY_SIZE);
	if (!list->before || strncmp(list->before, "https://", 8) != 0 || !list->after ||
	    !json_u64(json_get(top, "part_bytes"), &list->part_bytes) || !n ||
	    n > S3_PARTS_MAX || !bucket || strlen(bucket) >= sizeof(list->bucket) ||
	    !key || strlen(key) >= sizeof(list->key))
		return err_set(err, ERR_FAILED, "the list of part URLs is damaged");
	strcpy(list->bucket, bucket);
	strcpy(list->key, key);
	list->n_parts = (uint32_t)n;
	list->signatures = calloc(n, SIGNATURE_SIZE);
	if (!list->signatures)
		return err_set(err, ERR_FAILED, "out of memory");
	for (size_t i = 0; i < n; i++) {
		const char *hex = json_str(json_at(array, i));

		if (!hex || strlen(hex) != SIGNATURE_SIZE - 1 ||
		    strspn(hex, "0123456789abcdef") != SIGNATURE_SIZE - 1)
			return err_set(err, ERR_FAILED,
				       "the list of part URLs is damaged");
		memcpy(list->signatures[i], hex, SIGNATURE_SIZE);
	}
	return 0;
}

int url_list_read(struct url_list *list, const char *text, size_t len_bytes,
		  struct err *err)
{
	struct json_read *doc = json_parse(text, len_bytes, err);
	int rc = -1;

	*list = (struct url_list){ 0 };
	if (doc)
		rc = read_list(list, json_top(doc), err);
	else
		err_set(err, ERR_FAILED, "the list of part URLs is not JSON");
	json_read_free(doc);
	return rc;
}

int url_list_url(void *arg, uint32_t number, char url[S3_URL_SIZE], struct err *err)
{
	const struct url_list *list = arg;
	int n;

	if (!number || number > list->n_parts)
		return err_set(err, ERR_FAILED, "there is no URL for part %u", number);
	n = snprintf(url, S3_URL_SIZE, "%s%u%s%s", list->before, number, list->after,
		     list->signatures[number - 1]);
	if (n < 0 || n >= S3_URL_SIZE)
		return err_set(err, ERR_FAILED, "the URL of part %u is too long", number);
	return 0;
}

void url_list_free(struct url_list *list)
{
	if (list->before)
		sigv4_wipe(list->before, strlen(list->before));
	if (list->signatures)
		sigv4_wipe(list->signatures, list->n_parts * SIGNATURE_SIZE);
	free(list->before);
	free(list->after);
	free(list->signatures);
	*list = (struct url_list){ 0 };
}

static int read_stdin(char *buf, size_t size, struct err *err)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(STDIN_FILENO, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "reading standard input");
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len == size)
		return err_set(err, ERR_USAGE, "the presigned URL is too long");
	buf[len] = '\0';
	return 0;
}

int presigned_url(const char *where, char url[S3_URL_SIZE], struct err *err)
{
	char *value;

	if (strcmp(where, "env") == 0) {
		value = getenv("FVOL_PRESIGNED_URL");
		if (!value || strlen(value) >= S3_URL_SIZE)
			return err_set(err, ERR_USAGE,
				       "FVOL_PRESIGNED_URL is not set, or too long");
		strcpy(url, value);
		sigv4_wipe(value, strlen(value));
	} else if (strcmp(where, "-") == 0) {
		if (read_stdin(url, S3_URL_SIZE, err) < 0)
			return -1;
	} else if (io_read_text(AT_FDCWD, where, url, S3_URL_SIZE, NULL, err) < 0) {
		return -1;
	}
	url[strcspn(url, " \t\r\n")] = '\0';
	if (strncmp(url, "https://", 8) != 0)
		return err_set(err, ERR_USAGE, "the presigned URL is not https");
	return 0;
}
