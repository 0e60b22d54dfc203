/*
 * AWS Signature Version 4: the header form (Authorization) and the query form (presigned
 * URLs), with session tokens, for payload hashes that the caller already has.
 *
 * A path is encoded once, as S3 wants it. Other services sign it encoded twice, which is
 * the same for paths of unreserved characters: theirs are (EBS:
 * /snapshots/snap-0/blocks/1).
 *
 * Source: "Signature Version 4 signing process", AWS General Reference; all cases of
 * AWS's published test suite are in tests/unit/data/aws-sigv4.txt.
 */
#ifndef FVOL_SIGV4_H
#define FVOL_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "toolkit/lib/err.h"

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
#define SIGV4_EMPTY_PAYLOAD                                                              \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* Bounds of a request; more is ERR_USAGE. */
#define SIGV4_HEADERS_MAX 40
#define SIGV4_QUERY_MAX 24
#define SIGV4_QUERY_SIZE 16384 /* a whole encoded query string, with its NUL */

/* A query parameter or a header, as plain text: not encoded, not trimmed. */
struct sigv4_pair {
	const char *name, *value;
};

struct sigv4_request {
	const char *method;
	/* Begins with '/'; plain text, not percent-encoded. */
	const char *path;
	const struct sigv4_pair *query;
	size_t n_query;
	/* All that are to be signed, "host" among them. */
	const struct sigv4_pair *headers;
	size_t n_headers;
	/* 64 hex digits or SIGV4_UNSIGNED_PAYLOAD; "x-amz-content-sha256" is not added.
	 */
	const char *payload_hash;
};

/* Who signs, for what. All borrowed. */
struct sigv4_signer {
	const char *access_key, *secret_key;
	const char *token; /* session token, NULL or "": none */
	const char *region, *service;
	time_t when;
	/* Remove dot segments and doubled slashes of the path: everyone but S3. */
	bool normalize;
	/* The token is sent, but not signed (a few services of AWS). */
	bool token_unsigned;
};

/* What the header form adds to a request, next to X-Amz-Security-Token with the token. */
struct sigv4_headers {
	char date[17];		  /* X-Amz-Date */
	char authorization[1024]; /* Authorization: no secret, but worth something */
};

/*
 * Signs. x-amz-date and x-amz-security-token must not be among the headers given: they
 * are added to what is signed. Returns 0, or -1 with err (ERR_USAGE: a bound, a path
 * without
 * '/'); no error text holds a key or token.
 */
int sigv4_sign(const struct sigv4_request *request, const struct sigv4_signer *signer,
	       struct sigv4_headers *out, struct err *err);

/*
 * Makes the query string (without '?') of a presigned URL that holds for expires_s
 * seconds from signer->when, the request's own query in it. Ends with
 * "&X-Amz-Signature=" and 64 hex digits. Returns 0 or -1 with err.
 */
int sigv4_presign(const struct sigv4_request *request, const struct sigv4_signer *signer,
		  unsigned expires_s, char query[SIGV4_QUERY_SIZE], struct err *err);

/*
 * Percent-encodes text by RFC 3986, '/' kept when keep_slash. Returns false, out
 * unspecified, when it does not fit.
 */
bool sigv4_encode(const char *text, bool keep_slash, char *out, size_t size);

/*
 * Writes the request's query, encoded and sorted, as a URL must carry it for the header
 * form. Returns 0 or -1 with err.
 */
int sigv4_query(const struct sigv4_request *request, char query[SIGV4_QUERY_SIZE],
		struct err *err);

/* Overwrites a secret so that the compiler does not leave it out. */
void sigv4_wipe(void *secret, size_t len_bytes);

#endif
