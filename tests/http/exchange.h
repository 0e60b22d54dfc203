/*
 * One exchange with the test server, and what every exchange must hold to. Part of
 * httptest.c: its checks count there.
 */
#ifndef FVOL_TESTS_EXCHANGE_H
#define FVOL_TESTS_EXCHANGE_H

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/http.h"
#include "toolkit/lib/sha256.h"

static const char *ports_file;
static struct tls_roots *roots;
static volatile sig_atomic_t interrupted;

/* No error may have it: it stands in the query and in a header of every request. */
#define SECRET "do-not-tell-anybody"

static int port_of(const char *name)
{
	char line[64], have[32];
	FILE *f = fopen(ports_file, "r");
	int port, found = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%31s %d", have, &port) == 2 && strcmp(have, name) == 0)
			found = port;
	if (f)
		fclose(f);
	return found;
}

/* One exchange: what is sent, and what came of it. */
struct exchange {
	struct http *http; /* NULL: a client of its own */
	struct http_request request;
	struct http_response response;
	struct http_wanted wanted[2];
	struct err err;
	char body[4096];
	char url[256];
	int rc;
};

static void setup(struct exchange *x, const char *port, const char *path)
{
	int plain = strcmp(port, "plain") == 0;

	memset(x, 0, sizeof(*x));
	snprintf(x->url, sizeof(x->url), "http%s://localhost:%d%s%s" SECRET,
		 plain ? "" : "s", port_of(port), path,
		 strchr(path, '?') ? "&" : "?sig=");
	x->request.method = "GET";
	x->request.url = x->url;
	x->request.plain_ok = plain;
	x->request.stall_ms = 20000;
	x->request.connect_timeout_ms = 20000;
	x->wanted[0].name = "etag";
	x->wanted[1].name = "Location";
	x->response.wanted = x->wanted;
	x->response.n_wanted = 2;
	x->response.body = x->body;
	x->response.body_size = sizeof(x->body);
}

static void perform(struct exchange *x)
{
	struct http_header header = { "X-Amz-Security-Token", SECRET };
	struct http_config config = { .roots = roots, .interrupted = &interrupted };
	struct http *http = x->http;

	if (!x->request.headers) {
		x->request.headers = &header;
		x->request.n_headers = 1;
	}
	if (!http)
		http = http_new(&config, &x->err);
	CHECK(http != NULL);
	x->err.text[0] = '\0';
	x->rc = http_perform(http, &x->request, &x->response, &x->err);
	CHECK(strstr(x->err.text, SECRET) == NULL);
	CHECK((x->rc == 0) == (x->response.class == HTTP_NONE));
	CHECK((x->rc == 0) == (x->err.text[0] == '\0'));
	if (!x->http)
		http_free(http);
}

static void go(struct exchange *x, const char *port, const char *path)
{
	setup(x, port, path);
	perform(x);
}

/* Fails the test unless the exchange failed in this way, with these words. */
static void expect_failure(struct exchange *x, enum http_class class, const char *words)
{
	CHECK_STR(http_class_name(x->response.class), http_class_name(class));
	if (!strstr(x->err.text, words))
		CHECK_STR(x->err.text, words);
}

static void expect_failed(const char *port, const char *path, enum http_class class,
			  const char *words)
{
	struct exchange x;

	go(&x, port, path);
	if (x.response.class != class)
		printf("  %s %s: %s\n", port, path, x.err.text);
	expect_failure(&x, class, words);
}

/* A body of a fixed pattern from a callback. */
struct source {
	uint64_t at, fail_at;
	int rewinds, slow_ms;
	struct sha256 hash;
};

static ssize_t source_read(void *arg, void *buf, size_t size, struct err *err)
{
	struct source *source = arg;
	unsigned char *out = buf;

	if (source->fail_at && source->at >= source->fail_at)
		return err_set(err, ERR_NO, "the disk is gone");
	if (source->slow_ms)
		usleep((useconds_t)source->slow_ms * 1000);
	if (size > 100001)
		size = 100001;
	for (size_t i = 0; i < size; i++)
		out[i] = (unsigned char)((source->at + i) * 2654435761u >> 13);
	sha256_update(&source->hash, buf, size);
	source->at += size;
	return (ssize_t)size;
}

static int source_rewind(void *arg, struct err *err)
{
	struct source *source = arg;

	(void)err;
	source->at = 0;
	source->rewinds++;
	sha256_init(&source->hash);
	return 0;
}

static void set_source(struct exchange *x, struct source *source, uint64_t len)
{
	memset(source, 0, sizeof(*source));
	sha256_init(&source->hash);
	x->request.method = "PUT";
	x->request.body = (struct http_body){
		.len_bytes = len,
		.read = source_read,
		.rewind = source_rewind,
		.arg = source,
	};
}

static void check_digest(struct exchange *x, struct source *source)
{
	uint8_t digest[SHA256_LEN];
	char line[80] = "sha256 ";

	sha256_final(&source->hash, digest);
	sha256_to_hex(digest, line + 7);
	CHECK(strstr(x->body, line) != NULL);
}

static int refuse_write(void *arg, const void *data, size_t len, struct err *err)
{
	(void)arg;
	(void)data;
	(void)len;
	return err_set(err, ERR_NO, "not wanted");
}

static int count_write(void *arg, const void *data, size_t len, struct err *err)
{
	(void)data;
	(void)err;
	*(size_t *)arg += len;
	return 0;
}

#endif
