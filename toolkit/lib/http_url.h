/*
 * What http.c checks of a request before a library sees it: URLs and header lines are put
 * together from a host's and a server's words, and a stray control byte or a second host
 * in them would let those words choose where a request goes or what it says.
 */
#ifndef FVOL_HTTP_URL_H
#define FVOL_HTTP_URL_H

#include "toolkit/lib/err.h"
#include "toolkit/lib/http.h"

/*
 * Accepts what struct http_request says of its method, URL, headers and body. Returns 0,
 * or -1 with an ERR_USAGE sentence that holds neither header values nor a query.
 */
int http_request_check(const struct http_request *request, struct err *err);

#endif
