/*
 * One signed call of the AWS services that a release needs: the EBS direct APIs (REST
 * with JSON), EC2 (forms answered in XML) and KMS (JSON). Each call is signed by
 * Signature Version 4 with its payload's hash, tried again with full jitter where that
 * may help, with fresh credentials when they have expired and by the service's clock
 * where ours is wrong. What a service says is hostile: bounded, and read by the bounded
 * parsers of toolkit/lib.
 *
 * Throttling has several faces: HTTP 400 with RequestThrottledException or
 * ThrottlingException (EBS, KMS), 503 with RequestLimitExceeded (EC2), 402 where a quota
 * is used up, 429. aws_config.throttled hears of each, so that a sender can slow down.
 */
#ifndef FVOL_IMAGE_AWS_H
#define FVOL_IMAGE_AWS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/credentials.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/http.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/sigv4.h"
#include "toolkit/lib/xml.h"

enum aws_service { AWS_EBS, AWS_EC2, AWS_KMS, AWS_SERVICES };

/* Strings are borrowed and outlive every client. */
struct aws_config {
	struct http_config http;
	struct credentials *credentials; /* any number of clients may share them */
	const char *region;
	/* "https://HOST[:PORT]", or NULL: AWS's own of the Region. */
	const char *endpoint[AWS_SERVICES];
	unsigned attempts; /* of one call; 0: 10 */
	unsigned base_ms;  /* the first wait is 0 to this; 0: 100 */
	int stall_ms;	   /* 0: HTTP_STALL_MS */
	/* NULL, or told of every answer that says "slower", in the caller's thread. */
	void (*throttled)(void *arg);
	void *throttled_arg;
};

/* A client with connections of its own, used by one thread. */
struct aws;

/* NULL with err: a Region or an endpoint that cannot be, or no memory. */
struct aws *aws_new(const struct aws_config *config, struct err *err);
void aws_free(struct aws *aws);
const struct aws_config *aws_config_of(const struct aws *aws);

#define AWS_PAIRS 12

/* Zeroes are defaults; strings are borrowed for the call. */
struct aws_call {
	enum aws_service service;
	const char *method;
	const char *path;
	const char *what; /* for errors: "starting the snapshot" */
	const char *content_type;
	struct sigv4_pair query[AWS_PAIRS];
	size_t n_query;
	struct sigv4_pair headers[AWS_PAIRS]; /* signed */
	size_t n_headers;
	const void *data;
	size_t len_bytes;
	const uint8_t *sha256; /* of data; NULL: made here */
	struct http_wanted *wanted;
	size_t n_wanted;
	/* A body of 2xx goes here, whole or not at all, in place of aws_answer(). */
	void *buf;
	size_t buf_size;
	size_t got_bytes; /* written here */
};

/*
 * Returns 0 for a 2xx answer. Else -1 with err (ERR_REFUSED for 401 and 403 and for what
 * AWS calls unauthorized), and aws_status() and aws_code() when there was an answer.
 */
int aws_call(struct aws *aws, struct aws_call *call, struct err *err);

/* Of the last call: 0 and "" when no answer came. */
int aws_status(const struct aws *aws);
const char *aws_code(const struct aws *aws);
/* Its body, ended by a NUL; until the next call. */
const char *aws_answer(const struct aws *aws, size_t *len_bytes);
/* How often this client tried again. */
uint64_t aws_retries(const struct aws *aws);

/*
 * A presigned URL of an EC2 action, which the client of another Region hands in
 * (CopySnapshot of an encrypted snapshot). url holds AWS_URL_SIZE bytes.
 */
#define AWS_URL_SIZE (SIGV4_QUERY_SIZE + 512)
int aws_presign_ec2(struct aws *aws, const struct sigv4_pair *query, size_t n_query,
		    unsigned expires_s, char *url, struct err *err);

/*
 * Takes the service's own word and sentence out of a failed answer, in any of the three
 * forms; error_type is the header x-amzn-ErrorType or NULL. Both are cut to fit; the code
 * is letters, digits, dots and hyphens, or "".
 */
void aws_read_error(const char *body, size_t len_bytes, const char *error_type,
		    char code[80], char message[256]);

/* Whether a code or a status means: slower. */
bool aws_is_throttling(int status, const char *code);

#endif
