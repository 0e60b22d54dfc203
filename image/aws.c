#include "image/aws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "toolkit/lib/awscall.h"
#include "toolkit/lib/json.h"

#define ATTEMPTS 10
#define BASE_MS 100
/* A page of 1,000 blocks is some 150 KiB, one of 200 snapshots with tags some 400. */
#define ANSWER_SIZE (2 * 1024 * 1024)
#define HEADERS_MAX (AWS_PAIRS + AWSCALL_HEADERS + 3)
#define WANTED_MAX 8

struct aws {
	struct aws_config config;
	struct http *http;
	char host[AWS_SERVICES][320];
	int status;
	char code[80];
	char message[256];
	uint64_t retries;
	time_t skew_s; /* the service's clock less ours */
	char *answer;
	size_t answer_len_bytes;
};

static const char *const service_names[AWS_SERVICES] = { "ebs", "ec2", "kms" };

static int set_host(struct aws *aws, enum aws_service service, struct err *err)
{
	const char *endpoint = aws->config.endpoint[service];
	const char *region = aws->config.region;
	size_t size = sizeof(aws->host[service]);
	int n;

	if (endpoint) {
		if (strncmp(endpoint, "https://", 8) != 0 || !endpoint[8] ||
		    strpbrk(endpoint + 8, "/?#@ "))
			return err_set(err, ERR_USAGE,
				       "the endpoint is not https://HOST[:PORT]");
		n = snprintf(aws->host[service], size, "%s", endpoint + 8);
	} else {
		n = snprintf(aws->host[service], size, "%s.%s.amazonaws.com%s",
			     service_names[service], region,
			     strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
	}
	if (n < 0 || (size_t)n >= size)
		return err_set(err, ERR_USAGE, "the endpoint is too long");
	return 0;
}

struct aws *aws_new(const struct aws_config *config, struct err *err)
{
	struct aws *aws = calloc(1, sizeof(*aws));

	if (!aws) {
		err_set(err, ERR_FAILED, "out of memory");
		return NULL;
	}
	aws->config = *config;
	if (!aws->config.attempts)
		aws->config.attempts = ATTEMPTS;
	if (!aws->config.base_ms)
		aws->config.base_ms = BASE_MS;
	if (!awscall_region(config->region)) {
		err_set(err, ERR_USAGE, "no Region has this name");
		goto fail;
	}
	for (int i = 0; i < AWS_SERVICES; i++)
		if (set_host(aws, (enum aws_service)i, err) < 0)
			goto fail;
	aws->answer = malloc(ANSWER_SIZE);
	if (!aws->answer) {
		err_set(err, ERR_FAILED, "out of memory");
		goto fail;
	}
	aws->answer[0] = '\0';
	aws->http = http_new(&config->http, err);
	if (aws->http)
		return aws;
fail:
	aws_free(aws);
	return NULL;
}

void aws_free(struct aws *aws)
{
	if (!aws)
		return;
	http_free(aws->http);
	free(aws->answer);
	free(aws);
}

const struct aws_config *aws_config_of(const struct aws *aws)
{
	return &aws->config;
}

int aws_status(const struct aws *aws)
{
	return aws->status;
}

const char *aws_code(const struct aws *aws)
{
	return aws->code;
}

const char *aws_answer(const struct aws *aws, size_t *len_bytes)
{
	if (len_bytes)
		*len_bytes = aws->answer_len_bytes;
	return aws->answer;
}

uint64_t aws_retries(const struct aws *aws)
{
	return aws->retries;
}

/* ---- What a failed answer says. ---- */

struct reading {
	char *code, *message;
};

static void take(const char *text, char *out, size_t size)
{
	snprintf(out, size, "%s", text);
}

static int on_error(void *arg, const char *path, const char *text, struct err *err)
{
	struct reading *reading = arg;
	const char *name = strrchr(path, '/');

	(void)err;
	if (!strstr(path, "Error/"))
		return 0;
	if (name && strcmp(name, "/Code") == 0)
		take(text, reading->code, 80);
	else if (name && strcmp(name, "/Message") == 0)
		take(text, reading->message, 256);
	return 0;
}

static void read_json_error(const char *body, size_t len, char *code, char *message)
{
	struct err unread = { 0 };
	struct json_read *doc = json_parse(body, len, &unread);
	const struct json_value *top;
	const char *text;

	if (!doc)
		return;
	top = json_top(doc);
	text = json_str(json_get(top, "__type"));
	if (text)
		take(text, code, 80);
	text = json_str(json_get(top, "Message"));
	if (!text)
		text = json_str(json_get(top, "message"));
	if (text)
		take(text, message, 256);
	json_read_free(doc);
}

void aws_read_error(const char *body, size_t len_bytes, const char *error_type,
		    char code[80], char message[256])
{
	struct reading reading = { code, message };
	const char *at = body, *end = body + len_bytes;
	struct err unread = { 0 };
	char *cut;

	code[0] = message[0] = '\0';
	while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
		at++;
	if (at < end && *at == '<')
		xml_read(at, (size_t)(end - at), on_error, &reading, &unread);
	else if (at < end)
		read_json_error(at, (size_t)(end - at), code, message);
	/* "ValidationException:http://..." and "com.amazonaws...#NotFoundException" */
	if (error_type && error_type[0])
		take(error_type, code, 80);
	cut = strchr(code, ':');
	if (cut)
		*cut = '\0';
	cut = strrchr(code, '#');
	if (cut)
		memmove(code, cut + 1, strlen(cut + 1) + 1);
	for (const char *p = code; *p; p++)
		if (!((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
		      (*p >= '0' && *p <= '9') || *p == '.' || *p == '-')) {
			code[0] = '\0';
			break;
		}
}

static bool one_of(const char *code, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(code, *list) == 0)
			return true;
	return false;
}

bool aws_is_throttling(int status, const char *code)
{
	static const char *const codes[] = { "RequestThrottledException",
					     "RequestThrottled",
					     "ThrottlingException",
					     "Throttling",
					     "ThrottledException",
					     "RequestLimitExceeded",
					     "TooManyRequestsException",
					     "ServiceQuotaExceededException",
					     "ConcurrentLimitExceededException",
					     "BandwidthLimitExceeded",
					     "SlowDown",
					     NULL };

	return status == 402 || status == 429 || status == 503 || one_of(code, codes);
}

static bool again_later(const struct aws *aws)
{
	static const char *const codes[] = {
		"InternalError",	"InternalFailure",    "InternalServerError",
		"Unavailable",		"ServiceUnavailable", "RequestTimeout",
		"KMSInternalException", "DependencyTimeout",  NULL
	};

	return aws->status >= 500 || aws_is_throttling(aws->status, aws->code) ||
	       one_of(aws->code, codes);
}

static bool keys_expired(const struct aws *aws)
{
	static const char *const codes[] = { "ExpiredToken", "ExpiredTokenException",
					     "RequestExpired", "TokenRefreshRequired",
					     NULL };

	return one_of(aws->code, codes);
}

/* What these say may come of a clock that is wrong. */
static bool skewed(const struct aws *aws)
{
	static const char *const codes[] = {
		"RequestTimeTooSkewed",	 "InvalidSignatureException",
		"SignatureDoesNotMatch", "AuthFailure",
		"RequestExpired",	 NULL
	};

	return one_of(aws->code, codes);
}

static bool interrupted(const struct aws *aws)
{
	return aws->config.http.interrupted && *aws->config.http.interrupted;
}

/* ---- One attempt. ---- */

struct prepared {
	char url[AWS_URL_SIZE];
	char payload[SHA256_HEX_SIZE];
	struct sigv4_headers signature;
	struct http_header headers[HEADERS_MAX];
	size_t n_headers;
};

static int prepare(struct aws *aws, const struct aws_call *call,
		   const struct credentials_keys *keys, struct prepared *out,
		   struct err *err)
{
	struct sigv4_pair headers[HEADERS_MAX];
	char query[SIGV4_QUERY_SIZE];
	uint8_t digest[SHA256_LEN];
	struct sigv4_request request = { .method = call->method,
					 .path = call->path,
					 .query = call->query,
					 .n_query = call->n_query,
					 .headers = headers,
					 .payload_hash = out->payload };
	struct sigv4_signer signer = { .access_key = keys->access_key,
				       .secret_key = keys->secret_key,
				       .token = keys->token,
				       .region = aws->config.region,
				       .service = service_names[call->service],
				       .when = time(NULL) + aws->skew_s,
				       .normalize = true };
	size_t n = 0;

	if (!call->sha256)
		sha256(call->data ? call->data : "", call->len_bytes, digest);
	sha256_to_hex(call->sha256 ? call->sha256 : digest, out->payload);
	headers[n++] = (struct sigv4_pair){ "host", aws->host[call->service] };
	headers[n++] = (struct sigv4_pair){ "x-amz-content-sha256", out->payload };
	if (call->content_type)
		headers[n++] = (struct sigv4_pair){ "content-type", call->content_type };
	memcpy(headers + n, call->headers, call->n_headers * sizeof(headers[0]));
	request.n_headers = n + call->n_headers;
	if (sigv4_query(&request, query, err) < 0 ||
	    sigv4_sign(&request, &signer, &out->signature, err) < 0)
		return -1;
	if (snprintf(out->url, sizeof(out->url), "https://%s%s%s%s",
		     aws->host[call->service], call->path, query[0] ? "?" : "",
		     query) >= (int)sizeof(out->url))
		return err_set(err, ERR_USAGE, "the request is too long");
	out->n_headers =
		awscall_headers(&request, keys->token, &out->signature, out->headers);
	return 0;
}

static int into_buffer(void *arg, const void *data, size_t len, struct err *err)
{
	struct aws_call *call = arg;

	if (len > call->buf_size - call->got_bytes)
		return err_set(err, ERR_FAILED, "more came than was asked for");
	memcpy((char *)call->buf + call->got_bytes, data, len);
	call->got_bytes += len;
	return 0;
}

/* Sends a prepared request once. Returns 0 with ->status, or -1 with its class. */
static int attempt(struct aws *aws, struct aws_call *call,
		   const struct prepared *prepared, struct http_wanted *date,
		   enum http_class *class, struct err *err)
{
	struct http_wanted wanted[WANTED_MAX + 2];
	struct http_request request = { .method = call->method,
					.url = prepared->url,
					.headers = prepared->headers,
					.n_headers = prepared->n_headers,
					.body = { .len_bytes = call->len_bytes,
						  .data = call->data },
					.stall_ms = aws->config.stall_ms };
	struct http_response response = { .wanted = wanted,
					  .n_wanted = call->n_wanted + 2,
					  .body = aws->answer,
					  .body_size = ANSWER_SIZE };
	struct http_wanted *type = &wanted[call->n_wanted + 1];
	int rc;

	for (size_t i = 0; i < call->n_wanted; i++)
		wanted[i] = call->wanted[i];
	wanted[call->n_wanted] = *date;
	*type = (struct http_wanted){ .name = "x-amzn-ErrorType" };
	if (call->buf) {
		response.write = into_buffer;
		response.write_arg = call;
	}
	call->got_bytes = 0;
	aws->answer_len_bytes = 0;
	aws->answer[0] = '\0';
	aws->status = 0;
	aws->code[0] = aws->message[0] = '\0';
	rc = http_perform(aws->http, &request, &response, err);
	*class = response.class;
	if (rc < 0)
		return -1;
	aws->status = response.status;
	aws->answer_len_bytes = response.body_len_bytes;
	for (size_t i = 0; i < call->n_wanted; i++)
		call->wanted[i] = wanted[i];
	*date = wanted[call->n_wanted];
	if (response.truncated || (response.early && aws->status < 300)) {
		*class = HTTP_PROTOCOL;
		return err_set(err, ERR_FAILED,
			       response.truncated
				       ? "the answer is too large"
				       : "the service did not wait for the whole body");
	}
	if (aws->status >= 300)
		aws_read_error(aws->answer, aws->answer_len_bytes,
			       type->found ? type->value : NULL, aws->code, aws->message);
	return 0;
}

static bool good(const struct aws *aws)
{
	return aws->status >= 200 && aws->status < 300;
}

/* The sentence for an answer that is a no. */
static int say(const struct aws *aws, const struct aws_call *call, struct err *err)
{
	static const char *const refusals[] = { "AccessDenied",
						"AccessDeniedException",
						"UnauthorizedOperation",
						"AuthFailure",
						"UnrecognizedClientException",
						"InvalidClientTokenId",
						"OptInRequired",
						NULL };
	bool refused =
		aws->status == 403 || aws->status == 401 || one_of(aws->code, refusals);

	return err_set(err, refused ? ERR_REFUSED : ERR_FAILED,
		       "%s: %s answered %d%s%s%s%s", call->what,
		       service_names[call->service], aws->status, aws->code[0] ? " " : "",
		       aws->code, aws->message[0] ? ": " : "", aws->message);
}

/* Decides after an attempt; true to try again, after having waited here. */
static bool try_again(struct aws *aws, unsigned n, int rc, enum http_class class,
		      const struct credentials_keys *keys, const struct http_wanted *date)
{
	if (rc == 0 && aws_is_throttling(aws->status, aws->code) && aws->config.throttled)
		aws->config.throttled(aws->config.throttled_arg);
	if (n + 1 >= aws->config.attempts || interrupted(aws))
		return false;
	if (rc < 0 && !http_retryable(class))
		return false;
	if (rc == 0 && !again_later(aws)) {
		bool renewed = keys_expired(aws) &&
			       credentials_expired(aws->config.credentials, keys);

		if (!renewed && !(skewed(aws) && awscall_adopt_clock(date, &aws->skew_s)))
			return false;
	}
	aws->retries++;
	awscall_wait(aws->config.base_ms, n, aws->config.http.interrupted);
	return !interrupted(aws);
}

int aws_call(struct aws *aws, struct aws_call *call, struct err *err)
{
	struct credentials_keys keys;
	struct prepared prepared;
	struct http_wanted date;
	enum http_class class;
	bool done, again;
	int rc;

	if (call->n_wanted > WANTED_MAX)
		return err_set(err, ERR_FAILED, "%s: too many headers", call->what);
	for (unsigned n = 0;; n++) {
		date = (struct http_wanted){ .name = "Date" };
		if (credentials_get(aws->config.credentials, &keys, err) < 0)
			return -1;
		rc = prepare(aws, call, &keys, &prepared, err);
		if (rc < 0) {
			sigv4_wipe(&keys, sizeof(keys));
			return -1;
		}
		rc = attempt(aws, call, &prepared, &date, &class, err);
		done = rc == 0 && good(aws);
		again = !done && try_again(aws, n, rc, class, &keys, &date);
		sigv4_wipe(&keys, sizeof(keys));
		sigv4_wipe(&prepared, sizeof(prepared));
		if (done)
			return 0;
		if (again)
			continue;
		if (interrupted(aws))
			return err_set(err, ERR_FAILED, "%s: interrupted", call->what);
		return rc < 0 ? err_prefix(err, "%s", call->what) : say(aws, call, err);
	}
}

int aws_presign_ec2(struct aws *aws, const struct sigv4_pair *query, size_t n_query,
		    unsigned expires_s, char *url, struct err *err)
{
	struct sigv4_pair host = { "host", aws->host[AWS_EC2] };
	struct sigv4_request request = { .method = "GET",
					 .path = "/",
					 .query = query,
					 .n_query = n_query,
					 .headers = &host,
					 .n_headers = 1,
					 .payload_hash = SIGV4_EMPTY_PAYLOAD };
	struct credentials_keys keys;
	char signed_query[SIGV4_QUERY_SIZE];
	int rc;

	if (credentials_get(aws->config.credentials, &keys, err) < 0)
		return -1;
	rc = sigv4_presign(&request,
			   &(struct sigv4_signer){ .access_key = keys.access_key,
						   .secret_key = keys.secret_key,
						   .token = keys.token,
						   .region = aws->config.region,
						   .service = "ec2",
						   .when = time(NULL) + aws->skew_s,
						   .normalize = true },
			   expires_s, signed_query, err);
	sigv4_wipe(&keys, sizeof(keys));
	if (rc == 0)
		snprintf(url, AWS_URL_SIZE, "https://%s/?%s", aws->host[AWS_EC2],
			 signed_query);
	sigv4_wipe(signed_query, sizeof(signed_query));
	return rc;
}
