#include "toolkit/lib/sigv4.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "toolkit/lib/sha256.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define BLOCK 64
#define SCOPE_SIZE 160

void sigv4_wipe(void *secret, size_t len_bytes)
{
	explicit_bzero(secret, len_bytes);
}

/* RFC 2104. A key longer than a block is hashed first. */
static void hmac(const void *key, size_t key_len, const char *text,
		 uint8_t out[SHA256_LEN])
{
	uint8_t block[BLOCK] = { 0 }, pad[BLOCK];
	struct sha256 ctx;

	if (key_len > BLOCK)
		sha256(key, key_len, block);
	else
		memcpy(block, key, key_len);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] = block[i] ^ 0x36;
	sha256_init(&ctx);
	sha256_update(&ctx, pad, BLOCK);
	sha256_update(&ctx, text, strlen(text));
	sha256_final(&ctx, out);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] = block[i] ^ 0x5c;
	sha256_init(&ctx);
	sha256_update(&ctx, pad, BLOCK);
	sha256_update(&ctx, out, SHA256_LEN);
	sha256_final(&ctx, out);
	sigv4_wipe(block, sizeof(block));
	sigv4_wipe(pad, sizeof(pad));
	sigv4_wipe(&ctx, sizeof(ctx));
}

bool sigv4_encode(const char *text, bool keep_slash, char *out, size_t size)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t at = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			     (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
			     c == '~' || (c == '/' && keep_slash);

		if (at + (plain ? 1 : 3) >= size)
			return false;
		if (plain) {
			out[at++] = (char)c;
		} else {
			out[at++] = '%';
			out[at++] = hex[c >> 4];
			out[at++] = hex[c & 15];
		}
	}
	if (at >= size)
		return false;
	out[at] = '\0';
	return true;
}

/* RFC 3986, 5.2.4, and doubled slashes merged. out holds strlen(path) + 2 bytes. */
static void normalize(const char *path, char *out)
{
	size_t len = 0;
	bool slash = false;

	while (*path) {
		size_t n;

		path += strspn(path, "/");
		n = strcspn(path, "/");
		/* Nothing, "." and ".." stand for a directory. */
		slash = !n || (n == 1 && path[0] == '.') ||
			(n == 2 && path[0] == '.' && path[1] == '.');
		if (!slash) {
			out[len++] = '/';
			memcpy(out + len, path, n);
			len += n;
		} else if (n == 2) {
			while (len && out[--len] != '/')
				;
		}
		path += n;
	}
	if (!len || slash)
		out[len++] = '/';
	out[len] = '\0';
}

static int too_large(const char *what, struct err *err)
{
	return err_set(err, ERR_USAGE, "signing a request: %s too large", what);
}

static int compare_pairs(const void *a, const void *b)
{
	const struct sigv4_pair *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->value, y->value);
}

/* Both parts encoded in text, joined by '=': sorted as SigV4 sorts, by encoded bytes. */
static int encode_query(const struct sigv4_pair *pairs, size_t count, char *out,
			size_t size, struct err *err)
{
	struct sigv4_pair sorted[SIGV4_QUERY_MAX + 8];
	char *text, *at;
	size_t text_size = 2 * size, used = 0;
	int rc = -1;

	if (count > sizeof(sorted) / sizeof(sorted[0]))
		return too_large("the query is", err);
	text = at = malloc(text_size);
	if (!text)
		return err_set(err, ERR_FAILED, "signing a request: out of memory");
	for (size_t i = 0; i < count; i++) {
		const char *part[2] = { pairs[i].name, pairs[i].value };
		char *encoded[2];

		for (int p = 0; p < 2; p++) {
			encoded[p] = at;
			if (!sigv4_encode(part[p], false, at,
					  text_size - (size_t)(at - text))) {
				too_large("the query is", err);
				goto out;
			}
			at += strlen(at) + 1;
		}
		sorted[i] = (struct sigv4_pair){ encoded[0], encoded[1] };
	}
	qsort(sorted, count, sizeof(sorted[0]), compare_pairs);
	out[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		int n = snprintf(out + used, size - used, "%s%s=%s", i ? "&" : "",
				 sorted[i].name, sorted[i].value);

		if (n < 0 || (size_t)n >= size - used) {
			too_large("the query is", err);
			goto out;
		}
		used += (size_t)n;
	}
	rc = 0;
out:
	/* A session token may be in it. */
	sigv4_wipe(text, text_size);
	free(text);
	return rc;
}

int sigv4_query(const struct sigv4_request *request, char query[SIGV4_QUERY_SIZE],
		struct err *err)
{
	return encode_query(request->query, request->n_query, query, SIGV4_QUERY_SIZE,
			    err);
}

/* Headers in the order in which they are signed, and their names as one list. */
struct header_set {
	const struct sigv4_pair *pair[SIGV4_HEADERS_MAX + 2];
	size_t count;
	char names[1024];
};

static int compare_headers(const void *a, const void *b)
{
	const struct sigv4_pair *const *x = a, *const *y = b;
	int order = strcasecmp((*x)->name, (*y)->name);

	if (order)
		return order;
	/* Equal names keep their order; they point into one array. */
	return *x < *y ? -1 : *x > *y;
}

static int sort_headers(const struct sigv4_pair *headers, size_t count,
			struct header_set *set, struct err *err)
{
	size_t used = 0;

	if (count > sizeof(set->pair) / sizeof(set->pair[0]))
		return too_large("the headers are", err);
	set->count = count;
	for (size_t i = 0; i < count; i++)
		set->pair[i] = &headers[i];
	qsort(set->pair, count, sizeof(set->pair[0]), compare_headers);
	for (size_t i = 0; i < count; i++) {
		const char *name = set->pair[i]->name;

		if (i && strcasecmp(name, set->pair[i - 1]->name) == 0)
			continue;
		if (used + strlen(name) + 2 > sizeof(set->names))
			return too_large("the headers are", err);
		if (used)
			set->names[used++] = ';';
		for (; *name; name++)
			set->names[used++] =
				(char)(*name >= 'A' && *name <= 'Z' ? *name + ('a' - 'A')
								    : *name);
	}
	set->names[used] = '\0';
	return 0;
}

static void feed(struct sha256 *ctx, const char *text)
{
	sha256_update(ctx, text, strlen(text));
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Without blanks at the ends, and a single one for several inside. */
static void feed_value(struct sha256 *ctx, const char *value)
{
	while (blank(*value))
		value++;
	while (*value) {
		size_t n = 0;

		while (value[n] && !blank(value[n]))
			n++;
		sha256_update(ctx, value, n);
		value += n;
		while (blank(*value))
			value++;
		if (*value)
			feed(ctx, " ");
	}
}

static void feed_headers(struct sha256 *ctx, const struct header_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		const char *name = set->pair[i]->name;

		if (i && strcasecmp(name, set->pair[i - 1]->name) == 0) {
			feed(ctx, ",");
		} else {
			if (i)
				feed(ctx, "\n");
			for (; *name; name++) {
				char c = *name;

				if (c >= 'A' && c <= 'Z')
					c = (char)(c + ('a' - 'A'));
				sha256_update(ctx, &c, 1);
			}
			feed(ctx, ":");
		}
		feed_value(ctx, set->pair[i]->value);
	}
	feed(ctx, "\n\n");
}

static int feed_path(struct sha256 *ctx, const char *path, bool normal, struct err *err)
{
	size_t len = strlen(path);
	char *text = malloc(len + 2 + 3 * len + 8);
	char *encoded;

	if (path[0] != '/') {
		free(text);
		return err_set(err, ERR_USAGE, "signing a request: its path has no /");
	}
	if (!text)
		return err_set(err, ERR_FAILED, "signing a request: out of memory");
	encoded = text + len + 2;
	if (normal) {
		normalize(path, text);
		path = text;
	}
	sigv4_encode(path, true, encoded, 3 * len + 6);
	feed(ctx, encoded);
	free(text);
	return 0;
}

struct stamp {
	char date[17]; /* 20150830T123600Z */
	char scope[SCOPE_SIZE];
};

static int stamp(const struct sigv4_signer *signer, struct stamp *out, struct err *err)
{
	struct tm tm;
	int n;

	if (!gmtime_r(&signer->when, &tm) ||
	    strftime(out->date, sizeof(out->date), "%Y%m%dT%H%M%SZ", &tm) != 16)
		return err_set(err, ERR_FAILED, "signing a request: no such time");
	n = snprintf(out->scope, sizeof(out->scope), "%.8s/%s/%s/aws4_request", out->date,
		     signer->region, signer->service);
	if (n < 0 || (size_t)n >= sizeof(out->scope))
		return too_large("region or service is", err);
	return 0;
}

/* The signature over a canonical request whose hash is complete. */
static void sign(const struct sigv4_signer *signer, const struct stamp *stamp,
		 struct sha256 *canonical, char signature[SHA256_HEX_SIZE])
{
	uint8_t digest[SHA256_LEN], key[SHA256_LEN];
	char first[512], date[9], text[64 + SCOPE_SIZE + SHA256_HEX_SIZE];
	char hash[SHA256_HEX_SIZE];
	size_t len;

	sha256_final(canonical, digest);
	sha256_to_hex(digest, hash);
	snprintf(text, sizeof(text), ALGORITHM "\n%s\n%s\n%s", stamp->date, stamp->scope,
		 hash);
	memcpy(date, stamp->date, 8);
	date[8] = '\0';
	len = (size_t)snprintf(first, sizeof(first), "AWS4%s", signer->secret_key);
	hmac(first, len, date, key);
	hmac(key, sizeof(key), signer->region, key);
	hmac(key, sizeof(key), signer->service, key);
	hmac(key, sizeof(key), "aws4_request", key);
	hmac(key, sizeof(key), text, digest);
	sha256_to_hex(digest, signature);
	sigv4_wipe(first, sizeof(first));
	sigv4_wipe(key, sizeof(key));
}

/* The canonical request, "METHOD\npath\nquery\nheaders\n\nnames\npayload", hashed. */
static int canonical(const struct sigv4_request *request,
		     const struct sigv4_signer *signer, const char *query,
		     const struct header_set *set, struct sha256 *ctx, struct err *err)
{
	sha256_init(ctx);
	feed(ctx, request->method);
	feed(ctx, "\n");
	if (feed_path(ctx, request->path, signer->normalize, err) < 0)
		return -1;
	feed(ctx, "\n");
	feed(ctx, query);
	feed(ctx, "\n");
	feed_headers(ctx, set);
	feed(ctx, set->names);
	feed(ctx, "\n");
	feed(ctx, request->payload_hash);
	return 0;
}

static int check_keys(const struct sigv4_signer *signer, struct err *err)
{
	if (!signer->access_key[0] || strlen(signer->access_key) > 128 ||
	    !signer->secret_key[0] || strlen(signer->secret_key) > 256)
		return err_set(err, ERR_USAGE,
			       "signing a request: no such access key or secret key");
	return 0;
}

int sigv4_sign(const struct sigv4_request *request, const struct sigv4_signer *signer,
	       struct sigv4_headers *out, struct err *err)
{
	struct sigv4_pair headers[SIGV4_HEADERS_MAX + 2];
	char query[SIGV4_QUERY_SIZE], signature[SHA256_HEX_SIZE];
	struct header_set set;
	struct stamp when;
	struct sha256 ctx;
	size_t count = request->n_headers;
	int n;

	if (check_keys(signer, err) < 0 || stamp(signer, &when, err) < 0)
		return -1;
	if (count > SIGV4_HEADERS_MAX)
		return too_large("the headers are", err);
	if (count)
		memcpy(headers, request->headers, count * sizeof(headers[0]));
	headers[count++] = (struct sigv4_pair){ "x-amz-date", when.date };
	if (signer->token && signer->token[0] && !signer->token_unsigned)
		headers[count++] =
			(struct sigv4_pair){ "x-amz-security-token", signer->token };
	if (sigv4_query(request, query, err) < 0 ||
	    sort_headers(headers, count, &set, err) < 0 ||
	    canonical(request, signer, query, &set, &ctx, err) < 0)
		return -1;
	sign(signer, &when, &ctx, signature);
	memcpy(out->date, when.date, sizeof(out->date));
	n = snprintf(out->authorization, sizeof(out->authorization),
		     ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		     signer->access_key, when.scope, set.names, signature);
	if (n < 0 || (size_t)n >= sizeof(out->authorization))
		return too_large("the headers are", err);
	return 0;
}

int sigv4_presign(const struct sigv4_request *request, const struct sigv4_signer *signer,
		  unsigned expires_s, char query[SIGV4_QUERY_SIZE], struct err *err)
{
	struct sigv4_pair pairs[SIGV4_QUERY_MAX + 8];
	char credential[129 + SCOPE_SIZE], expires[16], signature[SHA256_HEX_SIZE];
	bool token = signer->token && signer->token[0];
	struct header_set set;
	struct stamp when;
	struct sha256 ctx;
	size_t count = request->n_query, len;

	if (check_keys(signer, err) < 0 || stamp(signer, &when, err) < 0 ||
	    sort_headers(request->headers, request->n_headers, &set, err) < 0)
		return -1;
	if (count > SIGV4_QUERY_MAX)
		return too_large("the query is", err);
	if (count)
		memcpy(pairs, request->query, count * sizeof(pairs[0]));
	snprintf(credential, sizeof(credential), "%s/%s", signer->access_key, when.scope);
	snprintf(expires, sizeof(expires), "%u", expires_s);
	pairs[count++] = (struct sigv4_pair){ "X-Amz-Algorithm", ALGORITHM };
	pairs[count++] = (struct sigv4_pair){ "X-Amz-Credential", credential };
	pairs[count++] = (struct sigv4_pair){ "X-Amz-Date", when.date };
	pairs[count++] = (struct sigv4_pair){ "X-Amz-Expires", expires };
	pairs[count++] = (struct sigv4_pair){ "X-Amz-SignedHeaders", set.names };
	if (token && !signer->token_unsigned)
		pairs[count++] =
			(struct sigv4_pair){ "X-Amz-Security-Token", signer->token };
	if (encode_query(pairs, count, query, SIGV4_QUERY_SIZE, err) < 0 ||
	    canonical(request, signer, query, &set, &ctx, err) < 0)
		return -1;
	sign(signer, &when, &ctx, signature);
	if (token && signer->token_unsigned) {
		len = strlen(query);
		len += (size_t)snprintf(query + len, SIGV4_QUERY_SIZE - len,
					"&X-Amz-Security-Token=");
		if (len >= SIGV4_QUERY_SIZE ||
		    !sigv4_encode(signer->token, false, query + len,
				  SIGV4_QUERY_SIZE - len))
			return too_large("the token is", err);
	}
	len = strlen(query);
	if (len + sizeof("&X-Amz-Signature=") + 64 > SIGV4_QUERY_SIZE)
		return too_large("the query is", err);
	sprintf(query + len, "&X-Amz-Signature=%s", signature);
	return 0;
}
