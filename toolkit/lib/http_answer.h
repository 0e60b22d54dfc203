/*
 * What a server says, line by line and piece by piece, into a struct http_response: the
 * bounds of http.h hold here. Knows nothing of the library that receives it.
 */
#ifndef FVOL_HTTP_ANSWER_H
#define FVOL_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/http.h"

struct http_answer {
	struct http_response *response; /* with its "given by the caller" part filled */
	uint64_t request_bytes;		/* length of the request's body: tells "early" */
	struct err *err;
	/* Written here: why it ended, with its sentence in err, or HTTP_NONE. */
	enum http_class class;
	uint64_t bytes; /* received, headers and body */
	size_t header_bytes;
	char length[24]; /* Content-Length as it was said, or empty */
	bool in_headers; /* of one response: trailers come after it */
};

/* Empties the answer and what http_perform() writes of the response. */
void http_answer_start(struct http_answer *answer, struct http_response *response,
		       uint64_t request_bytes, struct err *err);

/* Sets class and sentence. Returns -1. */
int http_answer_stop(struct http_answer *answer, enum http_class class,
		     const char *sentence);

/*
 * Takes one status, header, blank or trailer line with its line end. Returns 0, or -1
 * when the answer is of no use: class and err are set.
 */
int http_answer_header(struct http_answer *answer, const char *line, size_t len);

/*
 * Takes a piece of the body. Returns 0; or -1: the rest is not wanted, either because it
 * does not fit (response->truncated, class stays HTTP_NONE) or as above.
 */
int http_answer_body(struct http_answer *answer, const char *data, size_t len);

#endif
