#include "toolkit/lib/s3_call.h"
#include "toolkit/lib/base64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "toolkit/lib/awscall.h"

#define ATTEMPTS 10
#define BASE_MS 100
/* ListParts with 100 parts is about 30 KiB. */
#define ANSWER_SIZE (64 * 1024)
#define HEADERS_MAX (S3_CALL_PAIRS + AWSCALL_HEADERS + 3)

struct s3 {
	struct s3_config config;
	struct http *http;
	char host[320];	  /* as it is signed */
	char origin[340]; /* https://host */
	bool path_style;
	int status;
	char code[64];
	uint64_t retries;
	time_t skew_s; /* the server's clock less ours */
	size_t answer_len_bytes;
	char *answer;
};

const struct s3_config *s3_call_config(const struct s3 *s3)
{
	return &s3->config;
}

int s3_status(const struct s3 *s3)
{
	return s3->status;
}

uint64_t s3_retries(const struct s3 *s3)
{
	return s3->retries;
}

static bool bucket_ok(const char *bucket)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
	size_t len = strlen(bucket);

	return len >= 3 && len <= 63 && strspn(bucket, allowed) == len;
}

/* Which host is asked. A bucket with a dot would not match S3's wildcard certificate. */
static int set_host(struct s3 *s3, struct err *err)
{
	const struct s3_config *config = &s3->config;
	const char *domain = strncmp(config->region, "cn-", 3) == 0 ? "amazonaws.com.cn"
								    : "amazonaws.com";
	int n;

	s3->path_style = config->endpoint || strchr(config->bucket, '.');
	if (config->endpoint) {
		if (strncmp(config->endpoint, "https://", 8) != 0 ||
		    !config->endpoint[8] || strpbrk(config->endpoint + 8, "/?#@ "))
			return err_set(err, ERR_USAGE,
				       "the endpoint is not https://HOST[:PORT]");
		n = snprintf(s3->host, sizeof(s3->host), "%s", config->endpoint + 8);
	} else if (s3->path_style) {
		n = snprintf(s3->host, sizeof(s3->host), "s3.%s.%s", config->region,
			     domain);
	} else {
		n = snprintf(s3->host, sizeof(s3->host), "%s.s3.%s.%s", config->bucket,
			     config->region, domain);
	}
	if (n < 0 || (size_t)n >= sizeof(s3->host))
		return err_set(err, ERR_USAGE, "the endpoint is too long");
	snprintf(s3->origin, sizeof(s3->origin), "https://%s", s3->host);
	return 0;
}

struct s3 *s3_new(const struct s3_config *config, struct err *err)
{
	struct s3 *s3 = calloc(1, sizeof(*s3));

	if (!s3) {
		err_set(err, ERR_FAILED, "S3: out of memory");
		return NULL;
	}
	s3->config = *config;
	if (!s3->config.attempts)
		s3->config.attempts = ATTEMPTS;
	if (!s3->config.base_ms)
		s3->config.base_ms = BASE_MS;
	s3->answer = malloc(ANSWER_SIZE);
	if (!s3->answer) {
		err_set(err, ERR_FAILED, "S3: out of memory");
		goto fail;
	}
	if (config->credentials) {
		if (!bucket_ok(config->bucket)) {
			err_set(err, ERR_USAGE, "no bucket can have this name");
			goto fail;
		}
		if (!awscall_region(config->region)) {
			err_set(err, ERR_USAGE, "no Region has this name");
			goto fail;
		}
		if (set_host(s3, err) < 0)
			goto fail;
	}
	s3->http = http_new(&s3->config.http, err);
	if (s3->http)
		return s3;
fail:
	s3_free(s3);
	return NULL;
}

void s3_free(struct s3 *s3)
{
	if (!s3)
		return;
	http_free(s3->http);
	free(s3->answer);
	free(s3);
}

void s3_call_query(struct s3_call *call, const char *name, const char *value)
{
	if (call->n_query < S3_CALL_PAIRS)
		call->query[call->n_query++] = (struct sigv4_pair){ name, value };
}

void s3_call_header(struct s3_call *call, const char *name, const char *value)
{
	if (call->n_headers < S3_CALL_PAIRS)
		call->headers[call->n_headers++] = (struct sigv4_pair){ name, value };
}

bool s3_from_base64(const char *text, uint8_t digest[SHA256_LEN])
{
	return strlen(text) == S3_BASE64_SIZE - 1 &&
	       base64_decode(text, S3_BASE64_SIZE - 1, digest, SHA256_LEN) == SHA256_LEN;
}

int s3_call_xml(struct s3 *s3, xml_element *element, void *arg, struct err *err)
{
	const char *at = s3->answer;
	const char *end = at + s3->answer_len_bytes;

	/* S3 keeps a slow Complete alive with blanks. */
	while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
		at++;
	return xml_read(at, (size_t)(end - at), element, arg, err);
}

static int on_error(void *arg, const char *path, const char *text, struct err *err)
{
	struct s3 *s3 = arg;

	(void)err;
	if (strcmp(path, "Error/Code") == 0 && strlen(text) < sizeof(s3->code))
		strcpy(s3->code, text);
	return 0;
}

/* The server's word for what is wrong: letters, digits and dots, or none. */
static void read_code(struct s3 *s3)
{
	struct err unread;

	s3->code[0] = '\0';
	if (s3_call_xml(s3, on_error, s3, &unread) < 0)
		s3->code[0] = '\0';
	for (const char *p = s3->code; *p; p++)
		if (!((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
		      (*p >= '0' && *p <= '9') || *p == '.'))
			s3->code[0] = '\0';
}

static bool is(const struct s3 *s3, const char *code)
{
	return strcmp(s3->code, code) == 0;
}

/* Whether the answer says: later. */
static bool again_later(const struct s3 *s3)
{
	return s3->status == 500 || s3->status == 502 || s3->status == 503 ||
	       s3->status == 504 || s3->status == 429 || is(s3, "SlowDown") ||
	       is(s3, "InternalError") || is(s3, "RequestTimeout") ||
	       is(s3, "ServiceUnavailable") || is(s3, "Throttling") ||
	       is(s3, "ThrottlingException") || is(s3, "RequestThrottled") ||
	       is(s3, "RequestThrottledException") || is(s3, "BandwidthLimitExceeded") ||
	       is(s3, "OperationAborted");
}

static bool keys_expired(const struct s3 *s3)
{
	return is(s3, "ExpiredToken") || is(s3, "TokenRefreshRequired") ||
	       is(s3, "ExpiredTokenException") || is(s3, "RequestExpired") ||
	       is(s3, "InvalidToken");
}

static bool interrupted(const struct s3 *s3)
{
	return s3->config.http.interrupted && *s3->config.http.interrupted;
}

static int build_path(const struct s3 *s3, const char *key, char *path, size_t size,
		      struct err *err)
{
	int n = s3->path_style ? snprintf(path, size, "/%s/%s", s3->config.bucket, key)
			       : snprintf(path, size, "/%s", key);

	if (!key[0] || strlen(key) > S3_KEY_MAX || n < 0 || (size_t)n >= size)
		return err_set(err, ERR_USAGE, "no object can have this key");
	/* The key stands in errors and in a URL: no control characters. */
	for (const char *p = key; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(err, ERR_USAGE, "the key has a control character");
	return 0;
}

/* Where the body of a 2xx answer is put when the caller has a buffer of its own. */
static int into_buffer(void *arg, const void *data, size_t len, struct err *err)
{
	struct s3_call *call = arg;

	if (len > call->buf_size - call->got_bytes)
		return err_set(err, ERR_FAILED, "more came than was asked for");
	memcpy((char *)call->buf + call->got_bytes, data, len);
	call->got_bytes += len;
	return 0;
}

/* The URL and the headers, signed with the keys of the moment. */
struct prepared {
	char url[S3_URL_SIZE];
	char payload[SHA256_HEX_SIZE];
	struct sigv4_headers signature;
	struct http_header headers[HEADERS_MAX];
	size_t n_headers;
};

static int prepare(struct s3 *s3, const struct s3_call *call,
		   const struct credentials_keys *keys, struct prepared *out,
		   struct err *err)
{
	struct sigv4_pair headers[HEADERS_MAX];
	char path[S3_KEY_MAX + 80], encoded[3 * sizeof(path)], query[SIGV4_QUERY_SIZE];
	struct sigv4_request request = { .method = call->method,
					 .path = path,
					 .query = call->query,
					 .n_query = call->n_query,
					 .headers = headers,
					 .payload_hash = out->payload };
	struct sigv4_signer signer = { .access_key = keys->access_key,
				       .secret_key = keys->secret_key,
				       .token = keys->token,
				       .region = s3->config.region,
				       .service = "s3",
				       .when = time(NULL) + s3->skew_s };
	size_t n = 0;

	strcpy(out->payload, SIGV4_EMPTY_PAYLOAD);
	if (call->unsigned_payload)
		strcpy(out->payload, SIGV4_UNSIGNED_PAYLOAD);
	else if (call->sha256)
		sha256_to_hex(call->sha256, out->payload);
	headers[n++] = (struct sigv4_pair){ "host", s3->host };
	headers[n++] = (struct sigv4_pair){ "x-amz-content-sha256", out->payload };
	if (s3->config.expected_owner)
		headers[n++] = (struct sigv4_pair){ "x-amz-expected-bucket-owner",
						    s3->config.expected_owner };
	memcpy(headers + n, call->headers, call->n_headers * sizeof(headers[0]));
	request.n_headers = n + call->n_headers;
	if (build_path(s3, call->key, path, sizeof(path), err) < 0 ||
	    sigv4_query(&request, query, err) < 0 ||
	    sigv4_sign(&request, &signer, &out->signature, err) < 0)
		return -1;
	sigv4_encode(path, true, encoded, sizeof(encoded));
	snprintf(out->url, sizeof(out->url), "%s%s%s%s", s3->origin, encoded,
		 query[0] ? "?" : "", query);
	out->n_headers =
		awscall_headers(&request, keys->token, &out->signature, out->headers);
	return 0;
}

/* Sends a prepared request once. Returns 0 with ->status, or -1 with its class. */
static int attempt(struct s3 *s3, struct s3_call *call, const struct prepared *prepared,
		   struct http_wanted *date, enum http_class *class, struct err *err)
{
	struct http_wanted wanted[12];
	struct http_request request = {
		.method = call->method,
		.url = prepared->url,
		.headers = prepared->headers,
		.n_headers = prepared->n_headers,
		.body = { .len_bytes = call->len_bytes, .data = call->data },
		.stall_ms = call->stall_ms ? call->stall_ms : s3->config.stall_ms
	};
	struct http_response response = { .wanted = wanted,
					  .body = s3->answer,
					  .body_size = ANSWER_SIZE };
	int rc;

	for (size_t i = 0; i < call->n_wanted; i++)
		wanted[i] = call->wanted[i];
	wanted[call->n_wanted] = *date;
	response.n_wanted = call->n_wanted + 1;
	if (call->buf) {
		response.write = into_buffer;
		response.write_arg = call;
	}
	call->got_bytes = 0;
	s3->answer_len_bytes = 0;
	s3->status = 0;
	s3->code[0] = '\0';
	rc = http_perform(s3->http, &request, &response, err);
	*class = response.class;
	if (rc < 0)
		return -1;
	s3->status = response.status;
	s3->answer_len_bytes = response.body_len_bytes;
	for (size_t i = 0; i < call->n_wanted; i++)
		call->wanted[i] = wanted[i];
	*date = wanted[call->n_wanted];
	if (response.truncated) {
		*class = HTTP_PROTOCOL;
		return err_set(err, ERR_FAILED, "the answer is too large");
	}
	if (s3->status >= 300 || call->xml)
		read_code(s3);
	if (response.early && s3->status < 300) {
		*class = HTTP_PROTOCOL;
		return err_set(err, ERR_FAILED,
			       "the server did not wait for the whole body");
	}
	return 0;
}

static bool good(const struct s3 *s3)
{
	return s3->status >= 200 && s3->status < 300 && !s3->code[0];
}

/* The sentence for an answer that is a no. */
static int say(const struct s3 *s3, const struct s3_call *call, struct err *err)
{
	enum err_kind kind =
		s3->status == 403 || s3->status == 401 ? ERR_REFUSED : ERR_FAILED;
	const char *code = s3->code;

	if (!code[0] && s3->status == 412)
		code = "PreconditionFailed";
	if (is(s3, "RequestTimeTooSkewed"))
		return err_set(err, kind,
			       "%s %s: S3 answered %d %s: this machine's clock and S3's "
			       "are more than 15 minutes apart",
			       call->what, call->key ? call->key : "by a presigned URL",
			       s3->status, code);
	return err_set(err, kind, "%s %s: S3 answered %d%s%s", call->what,
		       call->key ? call->key : "by a presigned URL", s3->status,
		       code[0] ? " " : "", code);
}

/*
 * Decides after an attempt. Returns true to try again at once or after waiting here.
 */
static bool try_again(struct s3 *s3, unsigned n, int rc, enum http_class class,
		      const struct credentials_keys *keys, const struct http_wanted *date)
{
	if (n + 1 >= s3->config.attempts || interrupted(s3))
		return false;
	if (rc < 0 ? !http_retryable(class) : false)
		return false;
	if (rc == 0 && keys && keys_expired(s3)) {
		if (!credentials_expired(s3->config.credentials, keys))
			return false;
	} else if (rc == 0 && is(s3, "RequestTimeTooSkewed")) {
		if (!awscall_adopt_clock(date, &s3->skew_s))
			return false;
	} else if (rc == 0 && !again_later(s3)) {
		return false;
	}
	s3->retries++;
	awscall_wait(s3->config.base_ms, n, s3->config.http.interrupted);
	return !interrupted(s3);
}

int s3_call(struct s3 *s3, struct s3_call *call, struct err *err)
{
	struct credentials_keys keys;
	struct prepared prepared;
	enum http_class class;
	struct http_wanted date;
	bool again;
	int rc;

	for (unsigned n = 0;; n++) {
		date = (struct http_wanted){ .name = "Date" };
		if (credentials_get(s3->config.credentials, &keys, err) < 0)
			return -1;
		rc = prepare(s3, call, &keys, &prepared, err);
		if (rc < 0) {
			sigv4_wipe(&keys, sizeof(keys));
			return -1;
		}
		rc = attempt(s3, call, &prepared, &date, &class, err);
		again = !(rc == 0 && good(s3)) &&
			try_again(s3, n, rc, class, &keys, &date);
		sigv4_wipe(&keys, sizeof(keys));
		sigv4_wipe(&prepared, sizeof(prepared));
		if (rc == 0 && good(s3))
			return 0;
		if (again)
			continue;
		return rc < 0 ? -1 : say(s3, call, err);
	}
}

int s3_presign(struct s3 *s3, const char *method, const char *key,
	       const struct sigv4_pair *query, size_t n_query, time_t when,
	       unsigned expires_s, char url[S3_URL_SIZE], struct err *err)
{
	struct sigv4_pair host = { "host", s3->host };
	char path[S3_KEY_MAX + 80], encoded[3 * sizeof(path)],
		signed_query[SIGV4_QUERY_SIZE];
	struct sigv4_request request = { .method = method,
					 .path = path,
					 .query = query,
					 .n_query = n_query,
					 .headers = &host,
					 .n_headers = 1,
					 .payload_hash = SIGV4_UNSIGNED_PAYLOAD };
	struct credentials_keys keys;
	int rc = -1;

	if (build_path(s3, key, path, sizeof(path), err) < 0 ||
	    credentials_get(s3->config.credentials, &keys, err) < 0)
		return -1;
	rc = sigv4_presign(&request,
			   &(struct sigv4_signer){ .access_key = keys.access_key,
						   .secret_key = keys.secret_key,
						   .token = keys.token,
						   .region = s3->config.region,
						   .service = "s3",
						   .when = when },
			   expires_s, signed_query, err);
	sigv4_wipe(&keys, sizeof(keys));
	if (rc == 0) {
		sigv4_encode(path, true, encoded, sizeof(encoded));
		snprintf(url, S3_URL_SIZE, "%s%s?%s", s3->origin, encoded, signed_query);
	}
	sigv4_wipe(signed_query, sizeof(signed_query));
	return rc;
}

int s3_send(struct s3 *s3, const char *url, const void *data, size_t len_bytes, char *buf,
	    size_t size, size_t *got_bytes, char etag[S3_ETAG_SIZE], struct err *err)
{
	struct http_wanted wanted = { .name = "ETag" }, date;
	struct s3_call call = { .method = data ? "PUT" : "GET",
				.what = data ? "sending a part" : "fetching the list",
				.data = data,
				.len_bytes = len_bytes,
				.wanted = &wanted,
				.n_wanted = 1,
				.buf = buf,
				.buf_size = size };
	struct prepared prepared;
	enum http_class class;
	int rc;

	if (strlen(url) >= sizeof(prepared.url))
		return err_set(err, ERR_USAGE, "the presigned URL is too long");
	if (strncmp(url, "https://", 8) != 0)
		return err_set(err, ERR_USAGE, "the presigned URL is not https");
	strcpy(prepared.url, url);
	prepared.n_headers = 0;
	for (unsigned n = 0;; n++) {
		date = (struct http_wanted){ .name = "Date" };
		rc = attempt(s3, &call, &prepared, &date, &class, err);
		if ((rc == 0 && good(s3)) || !try_again(s3, n, rc, class, NULL, &date))
			break;
	}
	sigv4_wipe(&prepared, sizeof(prepared));
	if (rc < 0)
		return -1;
	if (!good(s3))
		return say(s3, &call, err);
	if (got_bytes)
		*got_bytes = call.got_bytes;
	if (etag && (!wanted.found || !s3_etag(wanted.value, etag)))
		return err_set(err, ERR_FAILED, "sending a part: no usable ETag");
	return 0;
}
