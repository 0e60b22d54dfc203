#include "toolkit/lib/http.h"

#include <inttypes.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>

#include <curl/curl.h>

#include "toolkit/lib/clock.h"
#include "toolkit/lib/http_answer.h"
#include "toolkit/lib/http_url.h"

/* Between a body and the TLS records made of it: so much is sent between two looks at the
 * socket. */
#define UPLOAD_BUFFER_BYTES (256L * 1024)
#define RECEIVE_BUFFER_BYTES (64L * 1024)

struct http {
	CURL *easy;
	struct http_config config;
	struct tls_roots *roots;
	struct tls_roots *own_roots; /* the same, when made here */
	struct curl_slist *connect_to;
	uint32_t why; /* of the last handshake: tls_reason() */
	char error[CURL_ERROR_SIZE];
};

/* One request while it runs. */
struct call {
	struct http *http;
	const struct http_request *request;
	struct http_response *response;
	struct http_answer answer;
	bool connected;
	curl_socket_t socket;
	/* The stall window: when it began, and how far the bytes were. */
	uint64_t window_ns;
	int64_t window_bytes;
	uint64_t stall_bytes;
	int stall_ms;
};

/* Ends the request from a callback. */
static int stop(struct call *call, enum http_class class, const char *sentence)
{
	return http_answer_stop(&call->answer, class, sentence);
}

static uint64_t now_ns(void)
{
	return (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

static size_t on_read(char *buf, size_t size, size_t count, void *arg)
{
	struct call *call = arg;
	const struct http_body *body = &call->request->body;
	uint64_t left = body->len_bytes - call->response->sent_bytes, before = now_ns();
	size_t want = size * count;
	ssize_t n;

	if (want > left)
		want = (size_t)left;
	if (want == 0)
		return 0;
	if (body->data) {
		memcpy(buf, (const char *)body->data + call->response->sent_bytes, want);
		n = (ssize_t)want;
	} else {
		n = body->read(body->arg, buf, want, call->answer.err);
	}
	if (n <= 0 || (size_t)n > want) {
		if (n >= 0)
			err_set(call->answer.err, ERR_FAILED,
				"the request body ended before its length");
		call->answer.class = HTTP_BODY;
		return CURL_READFUNC_ABORT;
	}
	/* Time that the caller took is not the peer's. */
	call->window_ns += now_ns() - before;
	call->response->sent_bytes += (size_t)n;
	return (size_t)n;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct call *call = arg;
	const struct http_body *body = &call->request->body;

	if (offset != 0 || origin != SEEK_SET)
		return CURL_SEEKFUNC_FAIL;
	if (!body->data && call->response->sent_bytes > 0) {
		if (!body->rewind) {
			stop(call, HTTP_RESET,
			     "the kept connection was closed, and the body cannot be "
			     "sent again");
			return CURL_SEEKFUNC_FAIL;
		}
		if (body->rewind(body->arg, call->answer.err) != 0) {
			call->answer.class = HTTP_BODY;
			return CURL_SEEKFUNC_FAIL;
		}
	}
	call->response->sent_bytes = 0;
	return CURL_SEEKFUNC_OK;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct call *call = arg;
	uint64_t before = now_ns();
	int rc = http_answer_body(&call->answer, data, size * count);

	call->window_ns += now_ns() - before;
	return rc == 0 ? size * count : CURL_WRITEFUNC_ERROR;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
	struct call *call = arg;

	return http_answer_header(&call->answer, data, size * count) == 0 ? size * count
									  : 0;
}

/* Called when a connection is there and the request is about to go out. */
static int on_connected(void *arg, char *peer_ip, char *own_ip, int peer_port,
			int own_port)
{
	struct call *call = arg;
	long made = 0;

	(void)peer_ip;
	(void)own_ip;
	(void)peer_port;
	(void)own_port;
	curl_easy_getinfo(call->http->easy, CURLINFO_NUM_CONNECTS, &made);
	curl_easy_getinfo(call->http->easy, CURLINFO_ACTIVESOCKET, &call->socket);
	call->response->reused = made == 0;
	call->connected = true;
	call->window_ns = now_ns();
	call->window_bytes = 0;
	return CURL_PREREQFUNC_OK;
}

/*
 * How far the bytes have got, both ways. What our kernel still holds has not moved: a
 * peer that reads nothing would otherwise look alive until the socket's buffer is full,
 * and a slow one dead while that drains.
 */
static int64_t moved_bytes(const struct call *call)
{
	int unsent = 0;

	if (call->socket == CURL_SOCKET_BAD ||
	    ioctl(call->socket, SIOCOUTQ, &unsent) != 0)
		unsent = 0;
	return (int64_t)(call->answer.bytes + call->response->sent_bytes) - unsent;
}

static int on_tick(void *arg, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total,
		   curl_off_t ul)
{
	struct call *call = arg;
	const struct http_request *request = call->request;
	uint64_t now = now_ns();
	int64_t bytes;

	(void)dl_total;
	(void)dl;
	(void)ul_total;
	(void)ul;
	if (call->http->config.interrupted && *call->http->config.interrupted)
		return stop(call, HTTP_INTERRUPTED, "interrupted");
	if (request->progress)
		request->progress(request->progress_arg, call->response->sent_bytes);
	if (!call->connected)
		return 0;
	bytes = moved_bytes(call);
	if (bytes - call->window_bytes >= (int64_t)call->stall_bytes ||
	    bytes < call->window_bytes) {
		call->window_ns = now;
		call->window_bytes = bytes;
	} else if (now > call->window_ns &&
		   now - call->window_ns >= (uint64_t)call->stall_ms * 1000000) {
		call->answer.class = HTTP_STALL;
		return err_set(call->answer.err, ERR_FAILED,
			       "stalled: fewer than %" PRIu64 " bytes moved in %d.%03d s",
			       call->stall_bytes, call->stall_ms / 1000,
			       call->stall_ms % 1000);
	}
	return 0;
}

static CURLcode on_tls(CURL *easy, void *ssl_config, void *arg)
{
	struct http *http = arg;

	(void)easy;
	tls_settle(ssl_config, http->roots, &http->why);
	return CURLE_OK;
}

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result = CURLE_FAILED_INIT;

static void global_init(void)
{
	global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct http *http_new(const struct http_config *config, struct err *err)
{
	struct http *http = calloc(1, sizeof(*http));

	pthread_once(&global_once, global_init);
	if (!http || global_result != CURLE_OK) {
		err_set(err, ERR_FAILED, "the HTTP library does not start");
		goto fail;
	}
	http->config = *config;
	http->roots = config->roots;
	if (config->ca_path || config->ca_pem) {
		char *pem = NULL;

		if (config->ca_path) {
			http->own_roots = tls_roots_load(config->ca_path, err);
		} else if ((pem = strndup(config->ca_pem, config->ca_pem_len_bytes))) {
			http->own_roots = tls_roots_new(pem, strlen(pem), err);
			free(pem);
		} else {
			err_set(err, ERR_FAILED, "no memory for the CA bundle");
		}
		if (!http->own_roots)
			goto fail;
		http->roots = http->own_roots;
	}
	http->easy = curl_easy_init();
	if (http->easy && config->connect_to) {
		char rule[300];

		snprintf(rule, sizeof(rule), "::%s", config->connect_to);
		http->connect_to = curl_slist_append(NULL, rule);
	}
	if (!http->easy || (config->connect_to && !http->connect_to)) {
		err_set(err, ERR_FAILED, "no memory for an HTTP client");
		goto fail;
	}
	return http;
fail:
	http_free(http);
	return NULL;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	/* Connections refer to the roots. */
	curl_easy_cleanup(http->easy);
	curl_slist_free_all(http->connect_to);
	tls_roots_free(http->own_roots);
	free(http);
}

/* Header lines hold credentials: no copy of ours outlives the request. */
static void free_headers(struct curl_slist *list)
{
	for (struct curl_slist *at = list; at; at = at->next)
		explicit_bzero(at->data, strlen(at->data));
	curl_slist_free_all(list);
}

static bool append(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (longer)
		*list = longer;
	return longer != NULL;
}

/* The header lines of a request; NULL when memory is short. */
static struct curl_slist *make_headers(const struct http_request *request)
{
	struct curl_slist *list = NULL;
	bool ok = append(&list, "Accept:") &&
		  append(&list, request->expect_continue && request->body.len_bytes > 0
					? "Expect: 100-continue"
					: "Expect:");

	for (size_t i = 0; ok && i < request->n_headers; i++) {
		const struct http_header *header = &request->headers[i];
		size_t size = strlen(header->name) + strlen(header->value) + 3;
		char *line = malloc(size);

		ok = line != NULL;
		if (!ok)
			break;
		/* libcurl's way to say an empty value. */
		if (header->value[0])
			snprintf(line, size, "%s: %s", header->name, header->value);
		else
			snprintf(line, size, "%s;", header->name);
		ok = append(&list, line);
		explicit_bzero(line, size);
		free(line);
	}
	if (!ok) {
		free_headers(list);
		list = NULL;
	}
	return list;
}

/* What holds for all requests of the client. */
static void set_client(struct call *call)
{
	struct http *http = call->http;
	CURL *easy = http->easy;

	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->error);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "fvol/" FVOL_VERSION);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY,
			 http->config.proxy ? http->config.proxy : "");
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, http->connect_to);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER_BYTES);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, http);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(easy, CURLOPT_READDATA, call);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_tick);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, call);
}

/* What holds for this one. */
static CURLcode set_request(CURL *easy, const struct http_request *request,
			    struct curl_slist *headers)
{
	bool sends = request->body.len_bytes > 0 || strcmp(request->method, "PUT") == 0 ||
		     strcmp(request->method, "POST") == 0;

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
			 request->plain_ok ? "http,https" : "https");
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)(request->connect_timeout_ms ? request->connect_timeout_ms
							    : HTTP_CONNECT_TIMEOUT_MS));
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->total_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, (long)HTTP_EXPECT_WAIT_MS);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	if (sends) {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
				 (curl_off_t)request->body.len_bytes);
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	} else if (strcmp(request->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	} else {
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	}
	return curl_easy_setopt(easy, CURLOPT_URL, request->url);
}

/* The library's code for a TLS failure, which it says in its own sentence; 0 unknown. */
static unsigned int tls_code(const struct http *http)
{
	const char *at = strstr(http->error, "(-0x");

	return at ? (unsigned int)strtoul(at + 4, NULL, 16) : 0;
}

/* A timeout by what it waited for. */
static void classify_timeout(struct call *call)
{
	curl_off_t looked_up_us = 0, total_us = 0;
	int limit_ms = call->request->total_timeout_ms;

	curl_easy_getinfo(call->http->easy, CURLINFO_TOTAL_TIME_T, &total_us);
	curl_easy_getinfo(call->http->easy, CURLINFO_NAMELOOKUP_TIME_T, &looked_up_us);
	if (call->connected || (limit_ms > 0 && total_us / 1000 >= limit_ms))
		stop(call, HTTP_TIMEOUT, "not done within the time limit");
	else if (looked_up_us == 0)
		stop(call, HTTP_RESOLVE, "no answer for the host name in time");
	else
		stop(call, HTTP_CONNECT, "no connection within the time limit");
}

/* What the library's result means; none of its own words, which may quote the peer. */
static void classify(struct call *call, CURLcode rc)
{
	struct http *http = call->http;
	long os = 0;

	if (rc == CURLE_PEER_FAILED_VERIFICATION ||
	    (rc == CURLE_SSL_CONNECT_ERROR && http->why != 0)) {
		call->answer.class = HTTP_VERIFY;
		err_set(call->answer.err, ERR_FAILED, "the server's certificate %s",
			tls_reason(http->why));
		return;
	}
	switch (rc) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		stop(call, HTTP_RESOLVE, "the host name has no address");
		break;
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(http->easy, CURLINFO_OS_ERRNO, &os);
		call->answer.class = HTTP_CONNECT;
		err_set(call->answer.err, ERR_FAILED, "no connection: %s",
			os ? strerror((int)os) : "the proxy or the network refuses");
		break;
	case CURLE_OPERATION_TIMEDOUT:
		classify_timeout(call);
		break;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
		call->answer.class = HTTP_TLS;
		err_set(call->answer.err, ERR_FAILED, "the TLS handshake failed (0x%04x)",
			tls_code(http));
		break;
	case CURLE_RECV_ERROR:
		if (strstr(http->error, "chunk")) {
			stop(call, HTTP_PROTOCOL, "the server's chunks are not HTTP's");
			break;
		}
		/* 1 is an error of the socket, 0 its end without the peer's farewell. */
		if (tls_code(http) > 1) {
			call->answer.class = HTTP_TLS;
			err_set(call->answer.err, ERR_FAILED,
				"what came is not this TLS session's (0x%04x)",
				tls_code(http));
			break;
		}
		/* fall through */
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SEND_FAIL_REWIND:
		stop(call, HTTP_RESET,
		     "the server closed the connection before its answer was whole");
		break;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_TOO_LARGE:
	case CURLE_WRITE_ERROR:
		stop(call, HTTP_PROTOCOL, "the server's answer is not HTTP");
		break;
	default:
		call->answer.class = HTTP_SYSTEM;
		err_set(call->answer.err, ERR_FAILED, "the HTTP library fails: %s",
			curl_easy_strerror(rc));
	}
}

int http_perform(struct http *http, const struct http_request *request,
		 struct http_response *response, struct err *err)
{
	struct call call = {
		.http = http,
		.request = request,
		.response = response,
		.socket = CURL_SOCKET_BAD,
		.stall_bytes = request->stall_bytes ? request->stall_bytes : 1,
		.stall_ms = request->stall_ms ? request->stall_ms : HTTP_STALL_MS,
	};
	struct curl_slist *headers = NULL;
	char where[256];
	CURLcode rc;

	http_answer_start(&call.answer, response, request->body.len_bytes, err);
	if (http_request_check(request, err) != 0) {
		call.answer.class = HTTP_REQUEST;
		goto out;
	}
	headers = make_headers(request);
	if (!headers) {
		stop(&call, HTTP_SYSTEM, "no memory for the request");
		goto out;
	}
	/* Options go, connections stay. */
	curl_easy_reset(http->easy);
	http->error[0] = '\0';
	http->why = 0;
	set_client(&call);
	rc = set_request(http->easy, request, headers);
	if (rc == CURLE_OK)
		rc = curl_easy_perform(http->easy);
	/* A callback that ended it has said why; too long a body is no failure. */
	if (rc != CURLE_OK && call.answer.class == HTTP_NONE && !response->truncated)
		classify(&call, rc);
	else if (rc == CURLE_OK && call.answer.in_headers)
		stop(&call, HTTP_RESET,
		     "the server closed the connection within its headers");
	else if (rc == CURLE_OK && response->status < 200)
		stop(&call, HTTP_PROTOCOL, "the server gave no final answer");
	/* The pointers in the options are this call's. */
	curl_easy_reset(http->easy);
	free_headers(headers);
out:
	response->class = call.answer.class;
	if (response->class == HTTP_NONE)
		return 0;
	http_safe_url(request->url, where, sizeof(where));
	return err_prefix(err, "%.8s %s", request->method, where);
}
