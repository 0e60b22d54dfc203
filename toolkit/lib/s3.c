#include "toolkit/lib/s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "toolkit/lib/base64.h"
#include "toolkit/lib/s3_call.h"
#include "toolkit/lib/xml.h"

void s3_base64(const uint8_t digest[SHA256_LEN], char out[S3_BASE64_SIZE])
{
	base64_encode(digest, SHA256_LEN, out);
}

bool s3_etag(const char *header, char etag[S3_ETAG_SIZE])
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/=";
	size_t len = strlen(header);

	if (len >= 2 && header[0] == '"' && header[len - 1] == '"') {
		header++;
		len -= 2;
	}
	if (!len || len >= S3_ETAG_SIZE || strspn(header, allowed) < len)
		return false;
	memcpy(etag, header, len);
	etag[len] = '\0';
	return true;
}

void s3_composite(const struct s3_part *parts, size_t n_parts,
		  char out[S3_BASE64_SIZE + 8])
{
	uint8_t digest[SHA256_LEN];
	struct sha256 ctx;

	sha256_init(&ctx);
	for (size_t i = 0; i < n_parts; i++)
		sha256_update(&ctx, parts[i].sha256, SHA256_LEN);
	sha256_final(&ctx, digest);
	s3_base64(digest, out);
	snprintf(out + strlen(out), 8, "-%u", (unsigned)n_parts);
}

int s3_new_id(char id[S3_ID_SIZE], struct err *err)
{
	unsigned char random[(S3_ID_SIZE - 1) / 2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_sys(err, errno, "asking for random bytes");
	for (size_t i = 0; i < sizeof(random); i++)
		sprintf(id + 2 * i, "%02x", random[i]);
	return 0;
}

/* What an object is stored with: CreateMultipartUpload and PutObject. */
static void store_headers(struct s3_call *call, const struct s3_config *config,
			  const char *id, const char *sha256)
{
	s3_call_header(call, "x-amz-meta-fvol-id", id);
	if (sha256)
		s3_call_header(call, "x-amz-meta-fvol-sha256", sha256);
	if (config->kms_key) {
		s3_call_header(call, "x-amz-server-side-encryption", "aws:kms");
		if (config->kms_key[0])
			s3_call_header(call,
				       "x-amz-server-side-encryption-aws-kms-key-id",
				       config->kms_key);
		s3_call_header(call, "x-amz-server-side-encryption-bucket-key-enabled",
			       "true");
	}
	if (config->lock_mode) {
		s3_call_header(call, "x-amz-object-lock-mode", config->lock_mode);
		s3_call_header(call, "x-amz-object-lock-retain-until-date",
			       config->retain_until);
	}
	if (config->legal_hold)
		s3_call_header(call, "x-amz-object-lock-legal-hold", "ON");
}

/* Gathers an id, an ETag and a checksum, wherever the answer is about one thing. */
struct answer {
	const char *root;
	char *upload_id;
	struct s3_object *object;
};

static int on_answer(void *arg, const char *path, const char *text, struct err *err)
{
	struct answer *answer = arg;
	size_t root = strlen(answer->root);
	const char *name = path + root + 1;

	if (strncmp(path, answer->root, root) != 0 || (path[root] && path[root] != '/'))
		return err_set(err, ERR_FAILED, "the answer is not a %s", answer->root);
	if (!path[root])
		return 0;
	if (answer->upload_id && strcmp(name, "UploadId") == 0) {
		if (strlen(text) >= S3_UPLOAD_ID_SIZE)
			return err_set(err, ERR_FAILED, "the upload's id is too long");
		strcpy(answer->upload_id, text);
	}
	if (answer->object && strcmp(name, "ETag") == 0)
		s3_etag(text, answer->object->etag);
	if (answer->object && strcmp(name, "ChecksumSHA256") == 0)
		snprintf(answer->object->checksum, sizeof(answer->object->checksum), "%s",
			 text);
	return 0;
}

int s3_create(struct s3 *s3, const char *key, const char *id, const char *sha256,
	      bool checksums, char upload_id[S3_UPLOAD_ID_SIZE], struct err *err)
{
	struct s3_call call = { .method = "POST", .what = "starting", .key = key };
	struct answer answer = { .root = "InitiateMultipartUploadResult",
				 .upload_id = upload_id };

	upload_id[0] = '\0';
	s3_call_query(&call, "uploads", "");
	if (checksums)
		s3_call_header(&call, "x-amz-checksum-algorithm", "SHA256");
	store_headers(&call, s3_call_config(s3), id, sha256);
	if (s3_call(s3, &call, err) < 0)
		return -1;
	if (s3_call_xml(s3, on_answer, &answer, err) < 0)
		return err_prefix(err, "starting the upload of %s", key);
	if (!upload_id[0] || strspn(upload_id, "\r\n \t"))
		return err_set(err, ERR_FAILED, "starting the upload of %s: no id", key);
	return 0;
}

int s3_put_part(struct s3 *s3, const char *key, const char *upload_id, const void *data,
		struct s3_part *part, struct err *err)
{
	struct http_wanted wanted[] = { { .name = "ETag" },
					{ .name = "x-amz-checksum-sha256" } };
	struct s3_call call = { .method = "PUT",
				.what = "sending a part",
				.key = key,
				.data = data,
				.len_bytes = part->len_bytes,
				.sha256 = part->sha256,
				.unsigned_payload = s3_call_config(s3)->unsigned_payload,
				.wanted = wanted,
				.n_wanted = 2 };
	char number[16], checksum[S3_BASE64_SIZE];

	snprintf(number, sizeof(number), "%u", part->number);
	s3_base64(part->sha256, checksum);
	s3_call_query(&call, "partNumber", number);
	s3_call_query(&call, "uploadId", upload_id);
	s3_call_header(&call, "x-amz-checksum-sha256", checksum);
	if (s3_call(s3, &call, err) < 0)
		return err_prefix(err, "part %u", part->number);
	if (wanted[1].found && strcmp(wanted[1].value, checksum) != 0)
		return err_set(err, ERR_FAILED,
			       "part %u of %s: the server has other bytes than were sent",
			       part->number, key);
	if (!wanted[0].found || !s3_etag(wanted[0].value, part->etag))
		return err_set(err, ERR_FAILED, "part %u of %s: no usable ETag",
			       part->number, key);
	part->hashed = true;
	return 0;
}

/* A page of ListParts. */
struct listing {
	s3_part_fn *each;
	void *arg;
	struct s3_part part;
	uint32_t last;
	bool more;
	uint32_t next;
};

static int on_listing(void *arg, const char *path, const char *text, struct err *err)
{
	static const char root[] = "ListPartsResult";
	struct listing *listing = arg;
	struct s3_part *part = &listing->part;
	const char *name = path + sizeof(root);

	if (strncmp(path, root, sizeof(root) - 1) != 0)
		return err_set(err, ERR_FAILED, "the answer is not a list of parts");
	if (!path[sizeof(root) - 1])
		return 0;
	if (strcmp(name, "IsTruncated") == 0) {
		listing->more = strcmp(text, "true") == 0;
	} else if (strcmp(name, "NextPartNumberMarker") == 0) {
		listing->next = (uint32_t)strtoul(text, NULL, 10);
	} else if (strcmp(name, "Part/PartNumber") == 0) {
		part->number = (uint32_t)strtoul(text, NULL, 10);
	} else if (strcmp(name, "Part/Size") == 0) {
		part->len_bytes = strtoull(text, NULL, 10);
	} else if (strcmp(name, "Part/ETag") == 0) {
		s3_etag(text, part->etag);
	} else if (strcmp(name, "Part/ChecksumSHA256") == 0) {
		part->hashed = s3_from_base64(text, part->sha256);
	} else if (strcmp(name, "Part") == 0) {
		if (part->number <= listing->last || part->number > S3_PARTS_MAX ||
		    !part->etag[0])
			return err_set(err, ERR_FAILED, "the list of parts is not one");
		listing->last = part->number;
		if (listing->each(listing->arg, part, err) < 0)
			return -1;
		*part = (struct s3_part){ 0 };
	}
	return 0;
}

int s3_list_parts(struct s3 *s3, const char *key, const char *upload_id, s3_part_fn *each,
		  void *arg, struct err *err)
{
	struct listing listing = { .each = each, .arg = arg, .more = true };
	char marker[16];

	while (listing.more) {
		struct s3_call call = { .method = "GET",
					.what = "listing the parts",
					.key = key };

		snprintf(marker, sizeof(marker), "%u", listing.next);
		s3_call_query(&call, "uploadId", upload_id);
		/* So many fit into the buffer of answers. */
		s3_call_query(&call, "max-parts", "100");
		s3_call_query(&call, "part-number-marker", marker);
		listing.more = false;
		if (s3_call(s3, &call, err) < 0)
			return -1;
		if (s3_call_xml(s3, on_listing, &listing, err) < 0)
			return err_prefix(err, "listing the parts of %s", key);
		if (listing.more && listing.next != listing.last)
			return err_set(err, ERR_FAILED,
				       "listing the parts of %s: the list has a hole",
				       key);
	}
	return 0;
}

#define PART_XML_MAX 256

static char *complete_body(const struct s3_part *parts, size_t n_parts, size_t *len_bytes)
{
	size_t size = n_parts * PART_XML_MAX + 256, len = 0;
	char *body = malloc(size);
	char checksum[S3_BASE64_SIZE];

	if (!body)
		return NULL;
	len += (size_t)sprintf(body, "<CompleteMultipartUpload xmlns=\"http://"
				     "s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < n_parts; i++) {
		len += (size_t)snprintf(body + len, size - len,
					"<Part><PartNumber>%u</PartNumber>"
					"<ETag>\"%s\"</ETag>",
					parts[i].number, parts[i].etag);
		if (parts[i].hashed) {
			s3_base64(parts[i].sha256, checksum);
			len += (size_t)snprintf(body + len, size - len,
						"<ChecksumSHA256>%s</ChecksumSHA256>",
						checksum);
		}
		len += (size_t)snprintf(body + len, size - len, "</Part>");
	}
	len += (size_t)snprintf(body + len, size - len, "</CompleteMultipartUpload>");
	*len_bytes = len;
	return body;
}

int s3_complete(struct s3 *s3, const char *key, const char *upload_id,
		const struct s3_part *parts, size_t n_parts, struct s3_object *object,
		struct err *err)
{
	struct http_wanted wanted = { .name = "x-amz-version-id" };
	struct s3_call call = { .method = "POST",
				.what = "completing",
				.key = key,
				.wanted = &wanted,
				.n_wanted = 1,
				/* S3 may put large objects together for minutes. */
				.stall_ms = 600000,
				.xml = true };
	struct answer answer = { .root = "CompleteMultipartUploadResult",
				 .object = object };
	uint8_t digest[SHA256_LEN];
	uint64_t total = 0;
	char size[24], *body;
	int rc;

	*object = (struct s3_object){ 0 };
	for (size_t i = 0; i < n_parts; i++)
		total += parts[i].len_bytes;
	body = complete_body(parts, n_parts, &call.len_bytes);
	if (!body)
		return err_set(err, ERR_FAILED, "completing %s: out of memory", key);
	call.data = body;
	sha256(body, call.len_bytes, digest);
	call.sha256 = digest;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)total);
	s3_call_query(&call, "uploadId", upload_id);
	s3_call_header(&call, "content-type", "application/xml");
	s3_call_header(&call, "x-amz-mp-object-size", size);
	if (!s3_call_config(s3)->overwrite)
		s3_call_header(&call, "if-none-match", "*");
	rc = s3_call(s3, &call, err);
	free(body);
	if (rc < 0)
		return -1;
	if (s3_call_xml(s3, on_answer, &answer, err) < 0)
		return err_prefix(err, "completing %s", key);
	object->len_bytes = total;
	if (wanted.found && strlen(wanted.value) < sizeof(object->version))
		strcpy(object->version, wanted.value);
	return 0;
}

int s3_abort(struct s3 *s3, const char *key, const char *upload_id, struct err *err)
{
	struct s3_call call = { .method = "DELETE", .what = "aborting", .key = key };

	s3_call_query(&call, "uploadId", upload_id);
	return s3_call(s3, &call, err);
}

/* The headers that say what an object is. */
enum {
	WANT_ETAG,
	WANT_CHECKSUM,
	WANT_SHA256,
	WANT_ID,
	WANT_VERSION,
	WANT_SSE,
	WANT_LOCK,
	WANT_HOLD,
	WANT_LENGTH,
	WANT_COUNT
};

#define OBJECT_WANTED                                                                    \
	{                                                                                \
		[WANT_ETAG] = { .name = "ETag" },                                        \
		[WANT_CHECKSUM] = { .name = "x-amz-checksum-sha256" },                   \
		[WANT_SHA256] = { .name = "x-amz-meta-fvol-sha256" },                    \
		[WANT_ID] = { .name = "x-amz-meta-fvol-id" },                            \
		[WANT_VERSION] = { .name = "x-amz-version-id" },                         \
		[WANT_SSE] = { .name = "x-amz-server-side-encryption" },                 \
		[WANT_LOCK] = { .name = "x-amz-object-lock-mode" },                      \
		[WANT_HOLD] = { .name = "x-amz-object-lock-legal-hold" },                \
		[WANT_LENGTH] = { .name = "Content-Length" },                            \
	}

static void copy_wanted(const struct http_wanted *wanted, char *to, size_t size)
{
	if (wanted->found && strlen(wanted->value) < size)
		strcpy(to, wanted->value);
}

static void object_of(const struct http_wanted wanted[WANT_COUNT],
		      struct s3_object *object)
{
	*object = (struct s3_object){ 0 };
	if (wanted[WANT_ETAG].found)
		s3_etag(wanted[WANT_ETAG].value, object->etag);
	copy_wanted(&wanted[WANT_CHECKSUM], object->checksum, sizeof(object->checksum));
	copy_wanted(&wanted[WANT_SHA256], object->sha256, sizeof(object->sha256));
	copy_wanted(&wanted[WANT_ID], object->id, sizeof(object->id));
	copy_wanted(&wanted[WANT_SSE], object->sse, sizeof(object->sse));
	copy_wanted(&wanted[WANT_LOCK], object->lock_mode, sizeof(object->lock_mode));
	copy_wanted(&wanted[WANT_HOLD], object->legal_hold, sizeof(object->legal_hold));
	copy_wanted(&wanted[WANT_VERSION], object->version, sizeof(object->version));
}

int s3_put(struct s3 *s3, const char *key, const char *id, const void *data,
	   size_t len_bytes, const uint8_t digest[SHA256_LEN], struct s3_object *object,
	   struct err *err)
{
	struct http_wanted wanted[WANT_COUNT] = OBJECT_WANTED;
	struct s3_call call = { .method = "PUT",
				.what = "storing",
				.key = key,
				.data = data,
				.len_bytes = len_bytes,
				.sha256 = digest,
				.wanted = wanted,
				.n_wanted = WANT_COUNT };
	char checksum[S3_BASE64_SIZE], hex[SHA256_HEX_SIZE];

	s3_base64(digest, checksum);
	sha256_to_hex(digest, hex);
	s3_call_header(&call, "x-amz-checksum-sha256", checksum);
	store_headers(&call, s3_call_config(s3), id, hex);
	if (!s3_call_config(s3)->overwrite)
		s3_call_header(&call, "if-none-match", "*");
	if (s3_call(s3, &call, err) < 0)
		return -1;
	object_of(wanted, object);
	object->len_bytes = len_bytes;
	if (object->checksum[0] && strcmp(object->checksum, checksum) != 0)
		return err_set(err, ERR_FAILED,
			       "storing %s: the server has other bytes than were sent",
			       key);
	return 0;
}

int s3_head(struct s3 *s3, const char *key, struct s3_object *object, struct err *err)
{
	struct http_wanted wanted[WANT_COUNT] = OBJECT_WANTED;
	struct s3_call call = { .method = "HEAD",
				.what = "looking at",
				.key = key,
				.wanted = wanted,
				.n_wanted = WANT_COUNT };
	char *end;

	s3_call_header(&call, "x-amz-checksum-mode", "ENABLED");
	if (s3_call(s3, &call, err) < 0)
		return -1;
	object_of(wanted, object);
	errno = 0;
	object->len_bytes = strtoull(wanted[WANT_LENGTH].value, &end, 10);
	if (!wanted[WANT_LENGTH].found || *end || errno || !object->etag[0])
		return err_set(err, ERR_FAILED, "looking at %s: no length or no ETag",
			       key);
	return 0;
}

int s3_get(struct s3 *s3, const char *key, const char *etag, uint64_t off, void *buf,
	   size_t len_bytes, struct err *err)
{
	struct s3_call call = { .method = "GET",
				.what = "reading back",
				.key = key,
				.buf = buf,
				.buf_size = len_bytes };
	char range[64], match[S3_ETAG_SIZE + 3];

	snprintf(range, sizeof(range), "bytes=%llu-%llu", (unsigned long long)off,
		 (unsigned long long)(off + len_bytes - 1));
	snprintf(match, sizeof(match), "\"%s\"", etag);
	s3_call_header(&call, "range", range);
	s3_call_header(&call, "if-match", match);
	if (s3_call(s3, &call, err) < 0)
		return -1;
	if (s3_status(s3) != 206 || call.got_bytes != len_bytes)
		return err_set(err, ERR_FAILED,
			       "reading %s back at byte %llu: %zu bytes came for %zu",
			       key, (unsigned long long)off, call.got_bytes, len_bytes);
	return 0;
}
