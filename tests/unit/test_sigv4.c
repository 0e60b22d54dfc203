/* Our signer against AWS's published test suite, and what the suite does not ask. */
#include <stdlib.h>
#include <time.h>

#include "tests/unit/check.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/sigv4.h"

#define VECTORS "tests/unit/data/aws-sigv4.txt"
#define CASES 38

static char *vectors;

/* Strings of the cases; freed together at the end. */
static char *kept[4096];
static size_t n_kept;

static char *keep(char *text)
{
	if (!text || n_kept == sizeof(kept) / sizeof(kept[0]))
		exit(5);
	return kept[n_kept++] = text;
}

/* A file of a case, ended by a NUL. */
static char *vector(const char *name, const char *file)
{
	char head[160], *at;
	size_t len;

	snprintf(head, sizeof(head), "\n%%%% %s/%s ", name, file);
	at = strstr(vectors, head);
	if (!at) {
		printf("  %s/%s is missing\n", name, file);
		exit(5);
	}
	at += strlen(head);
	len = strtoul(at, &at, 10);
	return keep(strndup(at + 1, len));
}

static char *decoded(const char *text, size_t len)
{
	char *out = keep(malloc(len + 1)), *to = out;

	for (size_t i = 0; i < len; i++) {
		char hex[3] = { 0 };

		if (text[i] != '%') {
			*to++ = text[i];
			continue;
		}
		memcpy(hex, text + i + 1, 2);
		*to++ = (char)strtoul(hex, NULL, 16);
		i += 2;
	}
	*to = '\0';
	return out;
}

struct parsed {
	struct sigv4_request request;
	struct sigv4_pair query[8], headers[8];
	const char *body;
};

static void parse_query(struct parsed *out, char *text)
{
	for (char *item = strtok(text, "&"); item; item = strtok(NULL, "&")) {
		char *is = strchr(item, '=');
		size_t name_len = is ? (size_t)(is - item) : strlen(item);

		out->query[out->request.n_query++] =
			(struct sigv4_pair){ decoded(item, name_len),
					     is ? decoded(is + 1, strlen(is + 1)) : "" };
	}
}

static void parse_request(struct parsed *out, char *text)
{
	char *line_end = strchr(text, '\n'), *target = strchr(text, ' ') + 1;
	char *version = strstr(text, " HTTP/1.1"), *query;
	char *at = line_end ? line_end + 1 : text + strlen(text);

	target[-1] = *version = '\0';
	query = strchr(target, '?');
	if (query) {
		*query++ = '\0';
		parse_query(out, query);
	}
	out->request.method = text;
	out->request.path = decoded(target, strlen(target));
	while (*at && *at != '\n') {
		char *end = at, *colon = strchr(at, ':');

		/* A line that begins with a blank goes on with the one before. */
		do {
			end += strcspn(end, "\n");
			end += *end == '\n';
		} while (*end == ' ');
		out->headers[out->request.n_headers++] = (struct sigv4_pair){
			keep(strndup(at, (size_t)(colon - at))),
			keep(strndup(colon + 1, (size_t)(end - colon - 1)))
		};
		at = end;
	}
	out->body = *at ? at + 1 : at;
	out->request.query = out->query;
	out->request.headers = out->headers;
}

static const char *text_of(const struct json_value *object, const char *key)
{
	return json_str(json_get(object, key));
}

static void check_header_form(const char *name, const struct sigv4_request *request,
			      const struct sigv4_signer *signer)
{
	char *signature = vector(name, "header-signature.txt");
	char *signed_request = vector(name, "header-signed-request.txt");
	char line[1200];
	struct sigv4_headers out;
	struct err err = { 0 };

	CHECK(sigv4_sign(request, signer, &out, &err) == 0);
	if (!strstr(out.authorization, signature))
		printf("  %s: header form\n", name);
	CHECK(strstr(out.authorization, signature));
	snprintf(line, sizeof(line), "\nAuthorization:%s", out.authorization);
	CHECK(strstr(signed_request, line));
	snprintf(line, sizeof(line), "\nX-Amz-Date:%s\n", out.date);
	CHECK(strstr(signed_request, line));
}

static void check_query_form(const char *name, const struct sigv4_request *request,
			     const struct sigv4_signer *signer, unsigned expires_s)
{
	static char query[SIGV4_QUERY_SIZE];
	char *signature = vector(name, "query-signature.txt");
	char *signed_request = vector(name, "query-signed-request.txt");
	char *target_end = strstr(signed_request, " HTTP/1.1");
	struct err err = { 0 };

	CHECK(sigv4_presign(request, signer, expires_s, query, &err) == 0);
	if (!strstr(query, signature))
		printf("  %s: query form\n", name);
	CHECK(strstr(query, signature));
	/* AWS's client adds its parameters in another order: each must be there. */
	*target_end = '\0';
	for (char *item = strtok(query, "&"); item; item = strtok(NULL, "&"))
		if (strncmp(item, "X-Amz-", 6) == 0)
			CHECK(strstr(signed_request, item));
}

static void run_case(const char *name)
{
	char *context = vector(name, "context.json");
	char *text = vector(name, "request.txt");
	struct json_read *doc;
	const struct json_value *top, *keys;
	struct parsed parsed = { 0 };
	struct sigv4_signer signer = { 0 };
	char hash[SHA256_HEX_SIZE] = SIGV4_EMPTY_PAYLOAD;
	uint8_t digest[SHA256_LEN];
	struct tm tm = { 0 };
	uint64_t expires = 0;
	struct err err;

	doc = json_parse(context, strlen(context), &err);
	CHECK(doc);
	top = json_top(doc);
	keys = json_get(top, "credentials");
	parse_request(&parsed, text);
	strptime(text_of(top, "timestamp"), "%Y-%m-%dT%H:%M:%SZ", &tm);
	signer = (struct sigv4_signer){
		.access_key = text_of(keys, "access_key_id"),
		.secret_key = text_of(keys, "secret_access_key"),
		.token = text_of(keys, "token"),
		.region = text_of(top, "region"),
		.service = text_of(top, "service"),
		.when = timegm(&tm),
		.normalize = json_true(json_get(top, "normalize")),
		.token_unsigned = json_true(json_get(top, "omit_session_token")),
	};
	json_u64(json_get(top, "expiration_in_seconds"), &expires);
	parsed.request.payload_hash = hash;
	if (json_true(json_get(top, "sign_body"))) {
		sha256(parsed.body, strlen(parsed.body), digest);
		sha256_to_hex(digest, hash);
	}
	check_query_form(name, &parsed.request, &signer, (unsigned)expires);
	if (json_true(json_get(top, "sign_body")))
		parsed.headers[parsed.request.n_headers++] =
			(struct sigv4_pair){ "X-Amz-Content-Sha256", hash };
	check_header_form(name, &parsed.request, &signer);
	json_read_free(doc);
}

static void aws_signing_test_suite(void)
{
	int cases = 0;

	for (char *at = vectors; (at = strstr(at, "/context.json "));) {
		char *start = at, *name;

		while (start[-1] != ' ')
			start--;
		name = keep(strndup(start, (size_t)(at - start)));
		run_case(name);
		at++;
		cases++;
	}
	CHECK(cases == CASES);
}

/* The example of the S3 API reference, "Authenticating requests: query parameters". */
static void s3_presigned_example(void)
{
	static char query[SIGV4_QUERY_SIZE];
	struct tm tm = { .tm_year = 113, .tm_mon = 4, .tm_mday = 24 };
	struct sigv4_pair host = { "host", "examplebucket.s3.amazonaws.com" };
	struct sigv4_request request = { .method = "GET",
					 .path = "/test.txt",
					 .headers = &host,
					 .n_headers = 1,
					 .payload_hash = SIGV4_UNSIGNED_PAYLOAD };
	struct sigv4_signer signer = { .access_key = "AKIAIOSFODNN7EXAMPLE",
				       .secret_key =
					       "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
				       .region = "us-east-1",
				       .service = "s3",
				       .when = timegm(&tm) };
	struct err err = { 0 };

	CHECK(sigv4_presign(&request, &signer, 86400, query, &err) == 0);
	CHECK_STR(strstr(query, "X-Amz-Signature="),
		  "X-Amz-Signature="
		  "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static void bounds_are_errors_without_secrets(void)
{
	static char query[SIGV4_QUERY_SIZE], long_value[SIGV4_QUERY_SIZE];
	struct sigv4_pair pairs[SIGV4_HEADERS_MAX + 1];
	struct sigv4_request request = { .method = "GET",
					 .path = "no-slash",
					 .headers = pairs,
					 .query = pairs,
					 .payload_hash = SIGV4_EMPTY_PAYLOAD };
	struct sigv4_signer signer = { .access_key = "AKIDEXAMPLE",
				       .secret_key = "verysecret",
				       .token = long_value,
				       .region = "us-east-1",
				       .service = "s3" };
	struct sigv4_headers out;
	struct err err = { 0 };

	for (size_t i = 0; i <= SIGV4_HEADERS_MAX; i++)
		pairs[i] = (struct sigv4_pair){ "x-name", "value" };
	memset(long_value, '/', sizeof(long_value) - 1);
	CHECK(sigv4_sign(&request, &signer, &out, &err) < 0 && err.kind == ERR_USAGE);
	request.path = "/";
	CHECK(sigv4_presign(&request, &signer, 60, query, &err) < 0);
	CHECK(!strstr(err.text, "//") && !strstr(err.text, "verysecret"));
	request.n_headers = SIGV4_HEADERS_MAX + 1;
	CHECK(sigv4_sign(&request, &signer, &out, &err) < 0);
	request.n_headers = 1;
	signer.token = NULL;
	request.n_query = SIGV4_QUERY_MAX + 1;
	CHECK(sigv4_presign(&request, &signer, 60, query, &err) < 0);
	request.n_query = 1;
	signer.secret_key = "";
	CHECK(sigv4_sign(&request, &signer, &out, &err) < 0 && err.kind == ERR_USAGE);
}

int main(void)
{
	size_t size = 1 << 20;
	FILE *file = fopen(VECTORS, "rb");

	vectors = calloc(1, size);
	if (!file || !fread(vectors, 1, size - 1, file)) {
		printf("FAIL cannot read " VECTORS "\n");
		return 5;
	}
	fclose(file);
	RUN(aws_signing_test_suite);
	RUN(s3_presigned_example);
	RUN(bounds_are_errors_without_secrets);
	while (n_kept)
		free(kept[--n_kept]);
	free(vectors);
	return DONE();
}
