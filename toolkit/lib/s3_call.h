/*
 * One call of S3: URL, signature, sending, and the decision whether to try again. Shared
 * by the calls of s3.c alone; users of S3 include s3.h.
 */
#ifndef FVOL_S3_CALL_H
#define FVOL_S3_CALL_H

#include "toolkit/lib/s3.h"
#include "toolkit/lib/xml.h"

#define S3_CALL_PAIRS 16

/* Zeroes are defaults; strings are borrowed for the call. */
struct s3_call {
	const char *method;
	const char *what; /* for errors: "completing" */
	const char *key;
	struct sigv4_pair query[S3_CALL_PAIRS];
	size_t n_query;
	struct sigv4_pair headers[S3_CALL_PAIRS];
	size_t n_headers;
	const void *data;
	size_t len_bytes;
	const uint8_t *sha256; /* of data */
	bool unsigned_payload; /* another signed header has the hash */
	struct http_wanted *wanted;
	size_t n_wanted;
	int stall_ms;
	bool xml; /* a 200 may hold an error */
	/* A body of 2xx goes here, whole or not at all, in place of the XML buffer. */
	void *buf;
	size_t buf_size;
	size_t got_bytes;
};

void s3_call_query(struct s3_call *call, const char *name, const char *value);
void s3_call_header(struct s3_call *call, const char *name, const char *value);

/* Returns 0 for a 2xx answer, or -1 with err and s3_status(). */
int s3_call(struct s3 *s3, struct s3_call *call, struct err *err);

/* Reads the XML of the last answer. */
int s3_call_xml(struct s3 *s3, xml_element *element, void *arg, struct err *err);

const struct s3_config *s3_call_config(const struct s3 *s3);

/* 44 characters. Returns false, digest unspecified, when they are not that. */
bool s3_from_base64(const char *text, uint8_t digest[SHA256_LEN]);

#endif
