/*
 * What a server says, line by line as libcurl hands it over, and URLs. The first byte
 * chooses how small the caller's buffer is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/http_answer.h"
#include "toolkit/lib/http_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct http_response *response)
{
	if (response->body_len_bytes >= response->body_size ||
	    response->body[response->body_len_bytes] != '\0')
		abort();
	for (size_t i = 0; i < response->n_wanted; i++)
		for (const char *c = response->wanted[i].value; *c; c++)
			if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
				abort();
	if (response->status && (response->status < 100 || response->status > 599))
		abort();
}

static void answer_of(const char *text, size_t len, size_t body_size)
{
	struct http_wanted wanted[2] = { { .name = "ETag" }, { .name = "x-amz-id-2" } };
	char *body = malloc(body_size);
	struct http_response response = {
		.wanted = wanted, .n_wanted = 2, .body = body, .body_size = body_size
	};
	struct http_answer answer;
	struct err err = { 0 };
	int rc = 0;

	if (!body)
		abort();
	http_answer_start(&answer, &response, 10, &err);
	while (len > 0 && rc == 0) {
		const char *end = memchr(text, '\n', len);
		size_t line = end ? (size_t)(end - text) + 1 : len;

		if (response.status >= 200 && !answer.in_headers)
			rc = http_answer_body(&answer, text, line);
		else
			rc = http_answer_header(&answer, text, line);
		text += line;
		len -= line;
	}
	if ((answer.class != HTTP_NONE) != (err.text[0] != '\0') ||
	    (rc != 0 && answer.class == HTTP_NONE && !response.truncated))
		abort();
	check(&response);
	free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err;
	char safe[40], *url;

	if (len < 1)
		return 0;
	answer_of((const char *)data + 1, len - 1, 1 + data[0]);
	url = strndup((const char *)data + 1, len - 1);
	if (!url)
		abort();
	struct http_request request = { .method = "GET", .url = url, .plain_ok = true };

	http_safe_url(url, safe, sizeof(safe));
	/* What is accepted has no user. */
	if (http_request_check(&request, &err) == 0) {
		size_t authority = strcspn(strstr(url, "//") + 2, "/?");

		if (memchr(strstr(url, "//") + 2, '@', authority) || strchr(url, ' '))
			abort();
	}
	free(url);
	return 0;
}
