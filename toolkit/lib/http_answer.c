#include "toolkit/lib/http_answer.h"

#include <string.h>
#include <strings.h>

int http_answer_stop(struct http_answer *answer, enum http_class class,
		     const char *sentence)
{
	answer->class = class;
	return err_set(answer->err, ERR_FAILED, "%s", sentence);
}

/* Keeps a header that the caller wants. Returns 0, or -1 when the answer is not to be
 * had. */
static int keep_header(struct http_answer *answer, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len), *value, *end = line + len;
	size_t name_len, value_len;

	if (!colon)
		return http_answer_stop(answer, HTTP_PROTOCOL,
					"a header line has no colon");
	name_len = (size_t)(colon - line);
	for (value = colon + 1; value < end && (*value == ' ' || *value == '\t');)
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	value_len = (size_t)(end - value);
	/* libcurl believes the last one; whoever stands between may believe the first. */
	if (name_len == 14 && strncasecmp(line, "Content-Length", 14) == 0) {
		if (value_len == 0 || value_len >= sizeof(answer->length) ||
		    (answer->length[0] &&
		     (strlen(answer->length) != value_len ||
		      memcmp(answer->length, value, value_len) != 0)))
			return http_answer_stop(answer, HTTP_PROTOCOL,
						"the answer has two lengths");
		memcpy(answer->length, value, value_len);
		answer->length[value_len] = '\0';
	}
	for (size_t i = 0; i < answer->response->n_wanted; i++) {
		struct http_wanted *wanted = &answer->response->wanted[i];

		if (strlen(wanted->name) != name_len ||
		    strncasecmp(wanted->name, line, name_len) != 0)
			continue;
		if (value_len >= sizeof(wanted->value))
			return http_answer_stop(answer, HTTP_PROTOCOL,
						"a response header is too long");
		for (size_t k = 0; k < value_len; k++)
			if (((unsigned char)value[k] < ' ' && value[k] != '\t') ||
			    value[k] == 0x7f)
				return http_answer_stop(
					answer, HTTP_PROTOCOL,
					"a response header has a control character");
		if (wanted->found && (strlen(wanted->value) != value_len ||
				      memcmp(wanted->value, value, value_len) != 0))
			return http_answer_stop(
				answer, HTTP_PROTOCOL,
				"a response header comes twice and differs");
		memcpy(wanted->value, value, value_len);
		wanted->value[value_len] = '\0';
		wanted->found = true;
	}
	return 0;
}

static void forget_headers(struct http_response *response)
{
	for (size_t i = 0; i < response->n_wanted; i++) {
		response->wanted[i].found = false;
		response->wanted[i].value[0] = '\0';
	}
}

static int take_line(struct http_answer *answer, const char *line, size_t len)
{
	struct http_response *response = answer->response;
	int status = 0;

	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	/* A status line follows an interim response, or a try on a closed connection. */
	if (len >= 12 && len < 1024 && memcmp(line, "HTTP/1.", 7) == 0) {
		for (size_t i = 9; i < 12; i++)
			status = line[i] >= '0' && line[i] <= '9' && status >= 0
					 ? status * 10 + (line[i] - '0')
					 : -1;
		if (status < 100 || status > 599 || line[8] != ' ')
			return http_answer_stop(answer, HTTP_PROTOCOL,
						"the status line is not HTTP's");
		response->status = status;
		answer->in_headers = true;
		forget_headers(response);
		answer->length[0] = '\0';
		if (status >= 200)
			response->early = response->sent_bytes < answer->request_bytes;
		return 0;
	}
	if (len == 0) {
		answer->in_headers = false;
		return 0;
	}
	/* Trailers are not headers. */
	return answer->in_headers ? keep_header(answer, line, len) : 0;
}

int http_answer_header(struct http_answer *answer, const char *line, size_t len)
{
	answer->bytes += len;
	answer->header_bytes += len;
	if (answer->header_bytes > HTTP_HEADERS_MAX_BYTES)
		return http_answer_stop(answer, HTTP_PROTOCOL,
					"the response headers are too long");
	return take_line(answer, line, len);
}

int http_answer_body(struct http_answer *answer, const char *data, size_t len)
{
	struct http_response *response = answer->response;
	size_t room = 0;

	answer->bytes += len;
	if (response->write && response->status >= 200 && response->status <= 299) {
		if (response->write(response->write_arg, data, len, answer->err) == 0)
			return 0;
		answer->class = HTTP_BODY;
		return -1;
	}
	if (response->body_size > 0)
		room = response->body_size - 1 - response->body_len_bytes;
	response->truncated = len > room;
	if (room > len)
		room = len;
	if (room > 0)
		memcpy(response->body + response->body_len_bytes, data, room);
	response->body_len_bytes += room;
	if (response->body_size > 0)
		response->body[response->body_len_bytes] = '\0';
	return response->truncated ? -1 : 0;
}

void http_answer_start(struct http_answer *answer, struct http_response *response,
		       uint64_t request_bytes, struct err *err)
{
	*answer = (struct http_answer){
		.response = response,
		.request_bytes = request_bytes,
		.err = err,
	};
	response->class = HTTP_NONE;
	response->status = 0;
	response->body_len_bytes = 0;
	response->truncated = false;
	response->early = false;
	response->reused = false;
	response->sent_bytes = 0;
	if (response->body_size > 0)
		response->body[0] = '\0';
	forget_headers(response);
}
