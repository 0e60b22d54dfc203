#include "toolkit/lib/http_url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Parts of a URL: borrowed pieces of it. */
struct parts {
	size_t scheme_len;
	const char *authority;
	size_t authority_len;
	const char *path; /* "/…" or "" */
	size_t path_len;
};

/* Splits a URL of ours; false for what is none. */
static bool split(const char *url, struct parts *parts)
{
	if (strncmp(url, "https://", 8) == 0)
		parts->scheme_len = 5;
	else if (strncmp(url, "http://", 7) == 0)
		parts->scheme_len = 4;
	else
		return false;
	parts->authority = url + parts->scheme_len + 3;
	parts->authority_len = strcspn(parts->authority, "/?#");
	parts->path = parts->authority + parts->authority_len;
	parts->path_len = strcspn(parts->path, "?#");
	return parts->authority_len > 0;
}

/* HOST, HOST:PORT, [V6] or [V6]:PORT, of the characters these have. */
static bool authority_ok(const struct parts *parts)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	const char *at = parts->authority, *end = at + parts->authority_len;
	size_t digits;
	long port = 0;

	if (*at == '[') {
		size_t len = strspn(at + 1, "0123456789abcdefABCDEF:.");

		if (len < 2 || at[len + 1] != ']')
			return false;
		at += len + 2;
	} else {
		size_t len = strspn(at, name);

		if (len == 0)
			return false;
		at += len;
	}
	if (at == end)
		return true;
	if (*at++ != ':')
		return false;
	digits = strspn(at, "0123456789");
	if (digits < 1 || digits > 5 || at + digits != end)
		return false;
	while (at < end)
		port = port * 10 + (*at++ - '0');
	/* libcurl leaves a default port out of Host, so a signature over it would fail.
	 */
	return port >= 1 && port <= 65535 && port != (parts->scheme_len == 5 ? 443 : 80);
}

static int url_check(const char *url, bool plain_ok, struct err *err)
{
	struct parts parts;

	if (!split(url, &parts))
		return err_set(err, ERR_USAGE, "not an http or https URL");
	for (const char *c = url; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '#' || *c == '\\')
			return err_set(err, ERR_USAGE,
				       "the URL has a character that must be encoded");
	if (!authority_ok(&parts))
		return err_set(err, ERR_USAGE,
			       "the URL's host or port is not acceptable (no user, no "
			       "default port)");
	if (parts.path_len == 0 && *parts.path)
		return err_set(err, ERR_USAGE, "the URL has a query but no path");
	if (parts.scheme_len == 4 && !plain_ok)
		return err_set(err, ERR_USAGE, "plain HTTP is not allowed here");
	return 0;
}

static int header_check(const struct http_header *header, struct err *err)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char *const ours[] = { "host",	  "content-length",
					    "connection", "transfer-encoding",
					    "expect",	  "user-agent" };

	if (!header->name[0] || strspn(header->name, token) != strlen(header->name))
		return err_set(err, ERR_USAGE, "a header's name is not a token");
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcasecmp(header->name, ours[i]) == 0)
			return err_set(err, ERR_USAGE,
				       "the header %s is the client's own", ours[i]);
	for (const char *c = header->value; *c; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			return err_set(err, ERR_USAGE,
				       "the header %.64s has a control character",
				       header->name);
	return 0;
}

int http_request_check(const struct http_request *request, struct err *err)
{
	static const char *const methods[] = { "GET", "HEAD", "PUT", "POST", "DELETE" };
	const struct http_body *body = &request->body;
	bool known = false;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		known = known || strcmp(request->method, methods[i]) == 0;
	if (!known)
		return err_set(err, ERR_USAGE, "unknown method");
	if (url_check(request->url, request->plain_ok, err) != 0)
		return -1;
	for (size_t i = 0; i < request->n_headers; i++)
		if (header_check(&request->headers[i], err) != 0)
			return -1;
	if (body->len_bytes > INT64_MAX || (body->data && body->read) ||
	    (body->len_bytes > 0 && !body->data && !body->read))
		return err_set(err, ERR_USAGE, "a body needs one source");
	if (body->len_bytes > 0 && strcmp(request->method, "HEAD") == 0)
		return err_set(err, ERR_USAGE, "HEAD has no body");
	return 0;
}

void http_safe_url(const char *url, char *buf, size_t size)
{
	struct parts parts;
	const char *host;
	size_t host_len;
	int len;

	if (size == 0)
		return;
	if (!split(url, &parts)) {
		snprintf(buf, size, "(not a URL)");
		return;
	}
	/* A user and a password stand before the last @. */
	host = parts.authority;
	for (size_t i = 0; i < parts.authority_len; i++)
		if (parts.authority[i] == '@')
			host = parts.authority + i + 1;
	host_len = parts.authority_len - (size_t)(host - parts.authority);
	len = snprintf(buf, size, "%.*s://%.*s%.*s", (int)parts.scheme_len, url,
		       (int)(host_len < 512 ? host_len : 512), host,
		       (int)(parts.path_len < 4096 ? parts.path_len : 4096), parts.path);
	if ((size_t)len >= size && size > 3)
		memcpy(buf + size - 4, "...", 4);
	for (char *c = buf; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

static const char *const class_names[] = {
	[HTTP_NONE] = "none",	    [HTTP_REQUEST] = "request",
	[HTTP_RESOLVE] = "resolve", [HTTP_CONNECT] = "connect",
	[HTTP_VERIFY] = "verify",   [HTTP_TLS] = "tls",
	[HTTP_TIMEOUT] = "timeout", [HTTP_STALL] = "stall",
	[HTTP_RESET] = "reset",	    [HTTP_PROTOCOL] = "protocol",
	[HTTP_BODY] = "body",	    [HTTP_INTERRUPTED] = "interrupted",
	[HTTP_SYSTEM] = "system",
};

const char *http_class_name(enum http_class class)
{
	return (size_t) class < sizeof(class_names) / sizeof(class_names[0])
		       ? class_names[class]
		       : "unknown";
}

bool http_retryable(enum http_class class)
{
	switch (class) {
	case HTTP_RESOLVE:
	case HTTP_CONNECT:
	case HTTP_TLS:
	case HTTP_TIMEOUT:
	case HTTP_STALL:
	case HTTP_RESET:
	case HTTP_PROTOCOL:
		return true;
	default:
		return false;
	}
}
