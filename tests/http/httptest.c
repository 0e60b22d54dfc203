/*
 * The HTTP client against a server that misbehaves: httptest CERTS PORTS_FILE, both made
 * by run.sh. Runs on the host under sanitizers, and as the static program of each
 * architecture.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/http/exchange.h"

static void plain_answer(void)
{
	struct exchange x;

	go(&x, "plain", "/echo/a%2Fb/../c//d;e=f?x=%7e%7E+y");
	CHECK(x.rc == 0 && x.response.status == 200);
	/* Byte for byte: signatures are over it. */
	CHECK(strstr(x.body, "GET /echo/a%2Fb/../c//d;e=f?x=%7e%7E+y&" SECRET "\n") !=
	      NULL);
	CHECK(strstr(x.body, "X-Amz-Security-Token: " SECRET "\n") != NULL);
	CHECK(strstr(x.body, "Accept") == NULL);
	CHECK(strstr(x.body, "Content-") == NULL);
	CHECK(x.wanted[0].found && !x.wanted[1].found);
	CHECK_STR(x.wanted[0].value, "\"abc\"");
	CHECK(x.response.body_len_bytes == strlen(x.body) && !x.response.truncated);
}

static void statuses(void)
{
	struct exchange x;

	go(&x, "plain", "/status/503");
	CHECK(x.rc == 0 && x.response.status == 503 && !x.response.early);
	CHECK_STR(x.body, "status body");
	go(&x, "plain", "/raw/redirect");
	CHECK(x.rc == 0 && x.response.status == 307);
	CHECK_STR(x.wanted[1].value, "http://127.0.0.1:1/");
	go(&x, "plain", "/continue");
	CHECK(x.rc == 0 && x.response.status == 200);
	CHECK_STR(x.wanted[0].value, "\"abc\"");
	go(&x, "plain", "/raw/chunks");
	CHECK(x.rc == 0);
	CHECK_STR(x.body, "hello world");
	CHECK_STR(x.wanted[0].value, "first");
	go(&x, "plain", "/raw/same");
	CHECK(x.rc == 0);
	setup(&x, "plain", "/echo");
	x.request.method = "HEAD";
	perform(&x);
	CHECK(x.rc == 0 && x.response.status == 200 && x.response.body_len_bytes == 0);
	setup(&x, "plain", "/echo");
	x.request.method = "DELETE";
	perform(&x);
	CHECK(x.rc == 0 && strncmp(x.body, "DELETE /echo?", 13) == 0);
	setup(&x, "plain", "/echo");
	x.request.method = "POST";
	perform(&x);
	CHECK(x.rc == 0 && strstr(x.body, "Content-Length: 0\n") != NULL);
}

static void connection_is_kept(void)
{
	struct http_config config = { .roots = roots };
	struct exchange x;
	struct http *http = http_new(&config, &x.err);

	for (int i = 0; i < 3; i++) {
		setup(&x, "good", "/echo");
		x.http = http;
		perform(&x);
		CHECK(x.rc == 0 && x.response.reused == (i > 0));
		CHECK(strstr(x.body, "Cookie") == NULL);
	}
	CHECK(strstr(x.body, "served 3") != NULL);
	http_free(http);
}

static void uploads(void)
{
	static const char *const kinds[] = { "plain", "tls12", "tls13", "ecdsa" };
	struct exchange x;
	struct source source;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		setup(&x, kinds[i], "/echo");
		set_source(&x, &source, 20000003);
		perform(&x);
		CHECK(x.rc == 0 && x.response.status == 200);
		CHECK(x.response.sent_bytes == 20000003 && !x.response.early);
		check_digest(&x, &source);
	}
	setup(&x, "good", "/echo");
	x.request.method = "POST";
	x.request.body = (struct http_body){ .data = "abc", .len_bytes = 3 };
	perform(&x);
	CHECK(strstr(x.body,
		     "sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61"
		     "f20015ad") != NULL);
	CHECK(strstr(x.body, "Transfer-Encoding") == NULL);
}

static void early_answers(void)
{
	static const char *const kinds[] = { "plain", "good" };
	static const int codes[] = { 403, 503, 400 };
	struct exchange x;
	struct source source;
	char path[32];

	for (size_t k = 0; k < 2; k++) {
		/* The reset of 403 comes at any moment: try several. */
		for (size_t i = 0; i < 12; i++) {
			int code = codes[i < 10 ? 0 : i - 9];

			snprintf(path, sizeof(path), "/early/%d", code);
			setup(&x, kinds[k], path);
			set_source(&x, &source, 200000000);
			perform(&x);
			CHECK_STR(x.err.text, "");
			CHECK(x.response.status == code && x.response.early);
			CHECK_STR(x.body, "early body");
			CHECK(x.response.sent_bytes < 200000000);
		}
	}
	setup(&x, "good", "/expect");
	set_source(&x, &source, 1000000);
	x.request.expect_continue = true;
	perform(&x);
	CHECK(x.rc == 0 && x.response.status == 403 && x.response.sent_bytes == 0);
	setup(&x, "good", "/continue");
	set_source(&x, &source, 1000000);
	x.request.expect_continue = true;
	perform(&x);
	CHECK(x.rc == 0 && x.response.status == 200);
	check_digest(&x, &source);
}

static void stale_connection(void)
{
	struct http_config config = { .roots = roots };
	struct exchange x;
	struct source source;
	struct http *http = http_new(&config, &x.err);

	/* With a way back to the first byte it is sent again, without it is not. */
	for (int again = 1; again >= 0; again--) {
		setup(&x, "good", "/poison");
		x.http = http;
		perform(&x);
		CHECK(x.rc == 0);
		setup(&x, "good", "/echo");
		x.http = http;
		set_source(&x, &source, 5000000);
		if (!again)
			x.request.body.rewind = NULL;
		perform(&x);
		if (again) {
			CHECK(x.rc == 0 && source.rewinds == 1 && !x.response.reused);
			check_digest(&x, &source);
		} else {
			expect_failure(&x, HTTP_RESET, "cannot be sent again");
		}
	}
	http_free(http);
}

static void cut_answers(void)
{
	static const char *const kinds[] = { "plain", "tls12", "tls13" };
	struct exchange x;
	size_t count = 0;

	for (size_t i = 0; i < 3; i++) {
		expect_failed(kinds[i], "/cut/headers", HTTP_RESET,
			      "closed the connection");
		expect_failed(kinds[i], "/cut/body", HTTP_RESET, "closed the connection");
		expect_failed(kinds[i], "/cut/chunk", HTTP_RESET,
			      "closed the connection");
		expect_failed(kinds[i], "/cut/empty", HTTP_RESET,
			      "closed the connection");
	}
	/* Over TLS an end without farewell may be anybody's doing. */
	expect_failed("tls12", "/cut/eof", HTTP_RESET, "closed the connection");
	expect_failed("tls13", "/cut/eof", HTTP_RESET, "closed the connection");
	setup(&x, "garbled", "/big/100000");
	x.response.write = count_write;
	x.response.write_arg = &count;
	perform(&x);
	expect_failure(&x, HTTP_TLS, "not this TLS session's");
}

static void stalls(void)
{
	static const char *const paths[] = { "/stall/answer", "/stall/body",
					     "/stall/headers", "/stall/read" };
	struct exchange x;
	struct source source;

	for (size_t i = 0; i < 4; i++) {
		setup(&x, i % 2 ? "good" : "plain", paths[i]);
		x.request.stall_ms = 1500;
		if (i == 3)
			set_source(&x, &source, 100000000);
		perform(&x);
		expect_failure(&x, HTTP_STALL,
			       "stalled: fewer than 1 bytes moved in 1.500");
	}
	/* Slow is not stalled, unless that much is asked for. */
	setup(&x, "plain", "/slow");
	x.request.stall_ms = 2500;
	perform(&x);
	CHECK(x.rc == 0);
	CHECK_STR(x.body, "ABCDEFGHIJKL");
	setup(&x, "plain", "/slow");
	x.request.stall_ms = 1500;
	x.request.stall_bytes = 1000;
	perform(&x);
	expect_failure(&x, HTTP_STALL, "fewer than 1000 bytes");
	/* Nor is a caller that takes its time. */
	setup(&x, "plain", "/echo");
	set_source(&x, &source, 400000);
	source.slow_ms = 700;
	x.request.stall_ms = 600;
	perform(&x);
	CHECK(x.rc == 0);
}

static void timeouts(void)
{
	struct exchange x;

	setup(&x, "plain", "/stall/answer");
	x.request.total_timeout_ms = 700;
	perform(&x);
	expect_failure(&x, HTTP_TIMEOUT, "within the time limit");
	setup(&x, "mute", "/echo");
	x.request.connect_timeout_ms = 700;
	perform(&x);
	expect_failure(&x, HTTP_CONNECT, "no connection within");
	expect_failed("closed", "/echo", HTTP_CONNECT, "onnection refused");
	setup(&x, "plain", "/echo");
	x.request.url =
		"http://a.label.of.more.than.sixty-three.octets.has.no.address."
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/";
	perform(&x);
	expect_failure(&x, HTTP_RESOLVE, "no address");
}

static void on_alarm(int signal)
{
	(void)signal;
	interrupted = 1;
}

static void interrupts(void)
{
	struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	alarm(1);
	expect_failed("good", "/stall/answer", HTTP_INTERRUPTED, "interrupted");
	interrupted = 0;
}

static void bounded(void)
{
	struct exchange x;

	go(&x, "plain", "/big/10000000");
	CHECK(x.rc == 0 && x.response.truncated && x.response.status == 200);
	CHECK(x.response.body_len_bytes == sizeof(x.body) - 1);
	CHECK(strspn(x.body, "x") == sizeof(x.body) - 1);
	go(&x, "good", "/big/4095");
	CHECK(x.rc == 0 && !x.response.truncated && x.response.body_len_bytes == 4095);
	expect_failed("plain", "/raw/longheader", HTTP_PROTOCOL, "too long");
	expect_failed("plain", "/raw/manyheaders", HTTP_PROTOCOL, "too long");
	expect_failed("plain", "/raw/endless", HTTP_PROTOCOL, "too long");
	expect_failed("plain", "/raw/longvalue", HTTP_PROTOCOL, "too long");
	expect_failed("plain", "/raw/twice", HTTP_PROTOCOL, "twice");
	expect_failed("plain", "/raw/control", HTTP_PROTOCOL, "control character");
}

static void not_http(void)
{
	expect_failed("plain", "/raw/ssh", HTTP_PROTOCOL, "");
	expect_failed("plain", "/raw/status", HTTP_PROTOCOL, "");
	expect_failed("plain", "/raw/lengths", HTTP_PROTOCOL, "");
	expect_failed("plain", "/raw/negative", HTTP_PROTOCOL, "");
	expect_failed("plain", "/raw/badchunk", HTTP_PROTOCOL, "");
}

static void certificates(void)
{
	struct http_config config = { .roots = NULL };
	struct exchange x;

	expect_failed("name", "/echo", HTTP_VERIFY, "is for another host name");
	expect_failed("expired", "/echo", HTTP_VERIFY, "has expired");
	expect_failed("future", "/echo", HTTP_VERIFY, "is not yet valid");
	expect_failed("stranger", "/echo", HTTP_VERIFY, "by no CA");
	expect_failed("short", "/echo", HTTP_VERIFY, "too short");
	expect_failed("sha1", "/echo", HTTP_VERIFY, "too weak");
	expect_failed("tls11", "/echo", HTTP_TLS, "handshake failed");
	/* No bundle: nobody is trusted. */
	setup(&x, "good", "/echo");
	x.http = http_new(&config, &x.err);
	perform(&x);
	expect_failure(&x, HTTP_VERIFY, "by no CA");
	http_free(x.http);
	/* An address is a name too. */
	setup(&x, "good", "/echo");
	memcpy(strstr(x.url, "localhost"), "127.0.0.1", 9);
	perform(&x);
	CHECK_STR(x.err.text, "");
	setup(&x, "name", "/echo");
	memcpy(strstr(x.url, "localhost"), "127.0.0.1", 9);
	perform(&x);
	expect_failure(&x, HTTP_VERIFY, "is for another host name");
}

/* Elsewhere, under the name that the certificate has. */
static void connects_elsewhere(void)
{
	char to[32], url[64];
	struct http_config config = { .roots = roots, .connect_to = to };
	struct exchange x;

	setup(&x, "name", "/echo");
	snprintf(to, sizeof(to), "127.0.0.1:%d", port_of("name"));
	snprintf(url, sizeof(url), "https://other.example/echo");
	x.request.url = url;
	x.http = http_new(&config, &x.err);
	perform(&x);
	CHECK_STR(x.err.text, "");
	CHECK(strstr(x.body, "Host: other.example\n") != NULL);
	http_free(x.http);
}

static void callbacks(void)
{
	struct exchange x;
	struct source source;
	size_t count = 0;

	setup(&x, "good", "/echo");
	set_source(&x, &source, 5000000);
	source.fail_at = 1000000;
	perform(&x);
	expect_failure(&x, HTTP_BODY, "the disk is gone");
	CHECK(x.err.kind == ERR_NO);
	setup(&x, "good", "/big/3000000");
	x.response.write = count_write;
	x.response.write_arg = &count;
	perform(&x);
	CHECK(x.rc == 0 && count == 3000000 && x.response.body_len_bytes == 0);
	setup(&x, "good", "/status/404");
	x.response.write = count_write;
	x.response.write_arg = &count;
	perform(&x);
	CHECK_STR(x.body, "status body");
	setup(&x, "good", "/big/3000");
	x.response.write = refuse_write;
	perform(&x);
	expect_failure(&x, HTTP_BODY, "not wanted");
}

static void bundles(void)
{
	struct exchange x;
	struct http_config config = { .ca_path = "/dev/null" };

	CHECK(http_new(&config, &x.err) == NULL);
	config = (struct http_config){ .ca_pem = "no certificate",
				       .ca_pem_len_bytes = 14 };
	CHECK(http_new(&config, &x.err) == NULL);
	CHECK(strstr(x.err.text, "holds no certificate") != NULL);
}

/* Whatever TLS server listens: it answers, and it is the one with the certificate. */
static void peer(void)
{
	struct exchange x;

	go(&x, "peer", "/");
	CHECK_STR(x.err.text, "");
	CHECK(x.response.status == 200 && x.response.body_len_bytes > 0);
}

int main(int argc, char **argv)
{
	struct err err;
	char ca[256];

	if (argc < 3)
		return 2;
	ports_file = argv[2];
	snprintf(ca, sizeof(ca), "%s/ca.pem", argv[1]);
	roots = tls_roots_load(ca, &err);
	if (!roots)
		return err_report(&err, "httptest");
	/* Nobody asked for one. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	if (argc > 3 && strcmp(argv[3], "peer") == 0) {
		RUN(peer);
		goto out;
	}
	RUN(uploads);
	RUN(certificates);
	if (argc > 3)
		goto out;
	RUN(plain_answer);
	RUN(statuses);
	RUN(connection_is_kept);
	RUN(early_answers);
	RUN(stale_connection);
	RUN(cut_answers);
	RUN(stalls);
	RUN(timeouts);
	RUN(interrupts);
	RUN(bounded);
	RUN(not_http);
	RUN(connects_elsewhere);
	RUN(callbacks);
	RUN(bundles);
out:
	tls_roots_free(roots);
	return DONE();
}
