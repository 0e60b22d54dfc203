/*
 * HTTP/1.1 over TLS, as S3, the EBS direct API and the metadata services need it, from a
 * host that may be hostile and over a network that may stall. What it decides once, so
 * that nobody above it can forget: the certificate and the host name are always checked
 * against the given CA bundle only, TLS 1.2 is the least, plain HTTP needs the caller's
 * word, redirects are answers (never followed), there are no cookies, no netrc, no proxy
 * from the environment, no compression, and everything received is bounded.
 *
 * A response of ANY status is a success of http_perform(): 403 and 503 are the caller's
 * to judge. A failure is an answer that did not come whole, and its class says what a
 * retry policy may do. Nothing is retried here, with two exceptions: see
 * http_body.rewind, and a 417 answer to expect_continue, after which the body is sent
 * without asking.
 *
 * Secrets: headers and query strings hold tokens and signatures, so no error text ever
 * has them; it has method, scheme, host and path.
 *
 * The library behind it is libcurl (http.c, the only file that includes it), over mbedTLS
 * on the instance.
 */
#ifndef FVOL_HTTP_H
#define FVOL_HTTP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/tls.h"

/* How a request failed. See http_retryable(). */
enum http_class {
	HTTP_NONE = 0, /* it did not: there is a response */
	HTTP_REQUEST,  /* the request itself is not acceptable; nothing was sent */
	HTTP_RESOLVE,  /* the name has no address, or no resolver answered */
	HTTP_CONNECT,  /* refused, unreachable, or not in connect_timeout_ms */
	HTTP_VERIFY,   /* certificate: foreign CA, other name, expired, not yet valid */
	HTTP_TLS,      /* any other failure of the handshake or of a record */
	HTTP_TIMEOUT,  /* total_timeout_ms is over */
	HTTP_STALL,    /* connected, but too few bytes moved for too long */
	HTTP_RESET,    /* the connection ended before the answer was whole */
	HTTP_PROTOCOL, /* what came is not HTTP/1.x, or exceeds a bound */
	HTTP_BODY,     /* the caller's read, rewind or write callback failed */
	HTTP_INTERRUPTED, /* *interrupted became non-zero */
	HTTP_SYSTEM,	  /* no memory and the like */
};

/*
 * Whether the same request may succeed a moment later: RESOLVE, CONNECT, TLS, TIMEOUT,
 * STALL, RESET, PROTOCOL. Not VERIFY: whoever answers is not who was asked. The server
 * may have acted on a request that failed: the caller knows whether sending it twice is
 * safe.
 */
bool http_retryable(enum http_class class);

/* A word for logs and records ("stall"); a static string. */
const char *http_class_name(enum http_class class);

/*
 * What holds for all requests of a client. Zeroes are defaults. Strings, roots and the
 * bundle are borrowed until http_free().
 */
struct http_config {
	/*
	 * Trusted CA certificates: PEM text in memory, or a file that is read once with
	 * O_DIRECT, or certificates parsed before (tls_roots_new()), which is what
	 * several clients share: half a megabyte and some milliseconds for Debian's
	 * bundle. Give one of the three. Without, only plain HTTP works; there is no
	 * system default.
	 */
	struct tls_roots *roots;
	const char *ca_pem;
	size_t ca_pem_len_bytes;
	const char *ca_path;
	/* NULL: none. "http://HOST:PORT": https requests go through its CONNECT. */
	const char *proxy;
	/*
	 * NULL, or "HOST:PORT" ("[v6]:PORT"): where connections are made to, whatever
	 * host the URL names; the URL's name is still what is sent and what TLS checks.
	 * For interface endpoints without private DNS, and for tests.
	 */
	const char *connect_to;
	/*
	 * Looked at least once a second, and again on a signal; non-zero ends the
	 * request. NULL: never.
	 */
	const volatile sig_atomic_t *interrupted;
};

/* A client: connections that are kept and reused, used by one thread at a time. */
struct http;

/*
 * Makes a client; any number may exist, one for each thread. NULL, with err, when the
 * bundle cannot be read, holds no certificate, or memory is short.
 */
struct http *http_new(const struct http_config *config, struct err *err);

/* Closes its connections and frees it. NULL is nothing to free. */
void http_free(struct http *http);

struct http_header {
	const char *name;  /* token characters of RFC 9110 */
	const char *value; /* no control characters; may be empty */
};

/* A request body. All zeroes: none. */
struct http_body {
	/* Known before: no chunked encoding is ever sent. */
	uint64_t len_bytes;
	/* The body in memory, borrowed for the call; or NULL and read. */
	const void *data;
	/*
	 * Gives the next 1 to size bytes, in order, len_bytes altogether. Returns the
	 * count; -1 with err when it cannot, 0 is an error too (the body ended early).
	 * Called from http_perform(), in its thread. A wait inside it is not a stall.
	 */
	ssize_t (*read)(void *arg, void *buf, size_t size, struct err *err);
	/*
	 * Goes back to the first byte; returns 0, or -1 with err. Used when a kept
	 * connection turns out to be closed before one byte of answer: the request is
	 * then sent once more on a new one, whatever its method. NULL: that is
	 * HTTP_RESET. Not needed with data.
	 */
	int (*rewind)(void *arg, struct err *err);
	void *arg;
};

/* Defaults of the fields of struct http_request that are 0. */
#define HTTP_CONNECT_TIMEOUT_MS 10000
#define HTTP_STALL_MS 30000
#define HTTP_EXPECT_WAIT_MS 1000

struct http_request {
	const char *method; /* GET, HEAD, PUT, POST or DELETE */
	/*
	 * Absolute, http or https, already percent-encoded, without user, password and
	 * fragment. Path and query are sent byte for byte ("/a/../b" too), because
	 * signatures are over them. "Host:" is its authority as written; when its port is
	 * the scheme's default it must be left out, in a URL to be signed as well.
	 */
	const char *url;
	/* http: is refused (HTTP_REQUEST) without it. For link-local services only. */
	bool plain_ok;
	/*
	 * Sent in this order. Host, Content-Length, Transfer-Encoding, Connection, Expect
	 * and User-Agent are ours: HTTP_REQUEST. Nothing else is added; Content-Length
	 * always stands with PUT and POST, with GET, HEAD and DELETE when there is a body
	 * (which HEAD may not have).
	 */
	const struct http_header *headers;
	size_t n_headers;
	struct http_body body;
	/*
	 * Send "Expect: 100-continue" and hold the body back until the server says go on,
	 * says no (its answer is then the response, no body byte was sent), or says
	 * nothing for HTTP_EXPECT_WAIT_MS. Worth a round trip before a large part.
	 */
	bool expect_continue;
	/* Name look-up, connection and TLS handshake together. */
	int connect_timeout_ms;
	/* The whole request; 0: no limit, the stall limit ends a dead one. */
	int total_timeout_ms;
	/*
	 * Once connected: fewer than stall_bytes (0: 1) in both directions together
	 * within stall_ms is HTTP_STALL. Bytes to the server count when its kernel has
	 * them, not when ours has. The wait for an answer counts, so give a request that
	 * the server thinks over (CompleteMultipartUpload) a longer one.
	 */
	uint64_t stall_bytes;
	int stall_ms;
	/*
	 * NULL, or told now and then (often while bytes move, at least once a second) how
	 * much of the body has left the process; it may fall to 0 by a rewind.
	 */
	void (*progress)(void *arg, uint64_t sent_bytes);
	void *progress_arg;
};

/* The longest header value that can be asked for, with its NUL. */
#define HTTP_VALUE_SIZE 1024
/* All header lines of a response together; more is HTTP_PROTOCOL. */
#define HTTP_HEADERS_MAX_BYTES (64 * 1024)

/* A response header that the caller wants: name in any case, a static or owned string. */
struct http_wanted {
	const char *name;
	/*
	 * Written by http_perform(). Without blanks at its ends, control bytes refused
	 * (HTTP_PROTOCOL), as is a value that does not fit or that comes twice and
	 * differs.
	 */
	bool found;
	char value[HTTP_VALUE_SIZE];
};

struct http_response {
	/* Given by the caller. */
	struct http_wanted *wanted;
	size_t n_wanted;
	char *body;	  /* NULL only with body_size 0 */
	size_t body_size; /* up to body_size - 1 bytes are kept, then a NUL */
	/*
	 * NULL, or takes the body of a 2xx response as it comes, in body's place (any
	 * other status still fills body). Returns 0, or -1 with err, which ends the
	 * request.
	 */
	int (*write)(void *arg, const void *data, size_t len, struct err *err);
	void *write_arg;

	/* Written by http_perform(), zeroes first. */
	enum http_class class; /* HTTP_NONE: the rest is an answer */
	int status;	       /* 100 to 599; on failure 0, or what was already read */
	size_t body_len_bytes; /* in body, without the NUL */
	/*
	 * The body did not fit: body holds its beginning, the rest was not read. Not an
	 * error; a body that the SERVER cut short is HTTP_RESET.
	 */
	bool truncated;
	/* The server answered before the whole request body had been sent. */
	bool early;
	/* A kept connection was used. */
	bool reused;
	/* What has left the process of the request body. */
	uint64_t sent_bytes;
};

/*
 * Sends one request and reads its answer. Returns 0 when a whole response was read
 * (whatever its status: look at it; truncated is whole enough), or -1 with
 * response->class and err ("PUT https://host/key: no byte moved for 30 s"); err's kind is
 * ERR_USAGE for HTTP_REQUEST and ERR_FAILED otherwise, for HTTP_BODY it is what the
 * callback said. A server that answers while the body is still being sent is heard:
 * sending ends, the answer is the response and the connection is closed.
 */
int http_perform(struct http *http, const struct http_request *request,
		 struct http_response *response, struct err *err);

/*
 * Writes "https://host:port/path" of a URL, without user, query and fragment and cut to
 * size with "..." where it is long: what may stand in a log. Never fails; of what is not
 * such a URL it writes "(not a URL)".
 */
void http_safe_url(const char *url, char *buf, size_t size);

#endif
