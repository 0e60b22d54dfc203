#include "toolkit/lib/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "toolkit/lib/clock.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/sigv4.h"

#define IMDS_ENDPOINT "http://169.254.169.254"
#define ECS_ENDPOINT "http://169.254.170.2"
#define TOKEN_TTL_S "21600"
/* Keys are renewed when less than this is left, as AWS's own clients do. */
#define EARLY_S 300
/* After a failed renewal, keys that still hold are used this long before the next. */
#define AGAIN_S 15
#define ANSWER_SIZE (32 * 1024)
#define FILE_MAX (256 * 1024)
#define TRIES 4
#define TIMEOUT_MS 5000

struct credentials {
	struct credentials_config config;
	pthread_mutex_t lock;
	struct http *http;
	char *uri;		  /* of a container endpoint */
	char *authorization;	  /* what that wants, or */
	char *authorization_file; /* the file that has it */
	char imds_token[512];
	time_t imds_token_expires; /* by the monotonic clock */
	struct credentials_keys keys;
	bool have, stale;
	time_t next_try; /* by the monotonic clock */
};

static time_t monotonic_s(void)
{
	return (time_t)(clock_ns(CLOCK_MONOTONIC) / 1000000000);
}

/* Copies a variable and overwrites it where the kernel shows it. NULL: not set. */
static char *take_variable(const char *name)
{
	char *value = getenv(name), *copy;

	if (!value || !value[0])
		return NULL;
	copy = strdup(value);
	sigv4_wipe(value, strlen(value));
	return copy;
}

static void free_secret(char *secret)
{
	if (secret)
		sigv4_wipe(secret, strlen(secret));
	free(secret);
}

/* Returns 1 with keys, 0 when the environment has none, or -1 with err. */
static int from_environment(struct credentials_keys *keys, struct err *err)
{
	const char *id = getenv("AWS_ACCESS_KEY_ID");
	char *secret, *token;
	int rc = -1;

	if (!id || !id[0])
		return 0;
	secret = take_variable("AWS_SECRET_ACCESS_KEY");
	token = take_variable("AWS_SESSION_TOKEN");
	memset(keys, 0, sizeof(*keys));
	if (!secret || strlen(id) >= sizeof(keys->access_key) ||
	    strlen(secret) >= sizeof(keys->secret_key) ||
	    (token && strlen(token) >= sizeof(keys->token))) {
		err_set(err, ERR_USAGE, "the keys of the environment are not usable");
	} else {
		strcpy(keys->access_key, id);
		strcpy(keys->secret_key, secret);
		if (token)
			strcpy(keys->token, token);
		rc = 1;
	}
	free_secret(secret);
	free_secret(token);
	return rc;
}

/* Hosts that a key may be asked of without TLS: what AWS documents, and loopback. */
static bool plain_host_ok(const char *uri)
{
	static const char *const hosts[] = { "169.254.170.2",  "169.254.170.23",
					     "[fd00:ec2::23]", "127.0.0.1",
					     "[::1]",	       "localhost" };
	const char *host = uri + strlen("http://");
	size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (strlen(hosts[i]) == len && memcmp(hosts[i], host, len) == 0)
			return true;
	return false;
}

static int container_setup(struct credentials *credentials, struct err *err)
{
	const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	const char *file = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");

	if (relative && relative[0] == '/') {
		if (asprintf(&credentials->uri, ECS_ENDPOINT "%s", relative) < 0)
			credentials->uri = NULL;
	} else if (full && full[0]) {
		if (strncmp(full, "https://", 8) != 0 &&
		    (strncmp(full, "http://", 7) != 0 || !plain_host_ok(full)))
			return err_set(err, ERR_USAGE,
				       "the container endpoint is neither https nor one "
				       "that AWS documents");
		credentials->uri = strdup(full);
	} else {
		return err_set(err, ERR_USAGE,
			       "the environment names no container endpoint");
	}
	credentials->authorization = take_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	if (file && file[0])
		credentials->authorization_file = strdup(file);
	if (!credentials->uri || (file && file[0] && !credentials->authorization_file))
		return err_set(err, ERR_FAILED, "out of memory");
	return 0;
}

static bool container_named(void)
{
	return getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ||
	       getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
}

static int setup(struct credentials *credentials, struct err *err)
{
	struct http_config config = { 0 };
	enum credentials_from *from = &credentials->config.from;
	int found = 0;

	if (*from == CREDENTIALS_AUTO || *from == CREDENTIALS_ENV) {
		found = from_environment(&credentials->keys, err);
		if (found < 0)
			return -1;
		if (found) {
			credentials->have = true;
			*from = CREDENTIALS_ENV;
			return 0;
		}
		if (*from == CREDENTIALS_ENV)
			return err_set(err, ERR_USAGE,
				       "AWS_ACCESS_KEY_ID is not in the environment");
		*from = container_named() ? CREDENTIALS_CONTAINER : CREDENTIALS_IMDS;
	}
	if (*from == CREDENTIALS_CONTAINER && container_setup(credentials, err) < 0)
		return -1;
	if (credentials->config.http)
		config = *credentials->config.http;
	/* Whatever way S3 is reached, the metadata services are link-local. */
	config.connect_to = NULL;
	config.proxy = NULL;
	credentials->http = http_new(&config, err);
	return credentials->http ? 0 : -1;
}

struct credentials *credentials_new(const struct credentials_config *config,
				    struct err *err)
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));

	if (!credentials) {
		err_set(err, ERR_FAILED, "credentials: out of memory");
		return NULL;
	}
	credentials->config = *config;
	if (!config->imds_endpoint)
		credentials->config.imds_endpoint = IMDS_ENDPOINT;
	pthread_mutex_init(&credentials->lock, NULL);
	if (setup(credentials, err) == 0)
		return credentials;
	err_prefix(err, "credentials");
	credentials_free(credentials);
	return NULL;
}

void credentials_free(struct credentials *credentials)
{
	if (!credentials)
		return;
	http_free(credentials->http);
	free(credentials->uri);
	free_secret(credentials->authorization);
	free(credentials->authorization_file);
	pthread_mutex_destroy(&credentials->lock);
	sigv4_wipe(credentials, sizeof(*credentials));
	free(credentials);
}

/*
 * One request to a metadata service, tried again where that may help. Returns its status
 * (200, or another one that means no), or -1 with err.
 */
static int ask(struct credentials *credentials, struct http_request *request,
	       struct http_response *response, struct err *err)
{
	request->plain_ok = true;
	request->connect_timeout_ms = TIMEOUT_MS;
	request->total_timeout_ms = TIMEOUT_MS;
	for (int try = 0; try < TRIES; try++) {
		if (try)
			nanosleep(&(struct timespec){ .tv_nsec = 100000000L << try },
				  NULL);
		if (http_perform(credentials->http, request, response, err) < 0) {
			if (!http_retryable(response->class))
				return -1;
			continue;
		}
		if (response->truncated)
			return err_set(err, ERR_FAILED, "the answer is too large");
		if (response->status < 500 && response->status != 429)
			return response->status;
		err_set(err, ERR_FAILED, "answered %d", response->status);
	}
	return -1;
}

/* Usable in a header and no longer than ours. */
static bool token_ok(const char *token)
{
	for (; *token; token++)
		if (*token <= ' ' || *token > '~')
			return false;
	return true;
}

static int imds_token(struct credentials *credentials, struct err *err)
{
	const struct http_header ttl = { "X-aws-ec2-metadata-token-ttl-seconds",
					 TOKEN_TTL_S };
	struct http_wanted wanted = { .name = ttl.name };
	struct http_request request = { .method = "PUT",
					.headers = &ttl,
					.n_headers = 1 };
	struct http_response response = { .wanted = &wanted,
					  .n_wanted = 1,
					  .body = credentials->imds_token,
					  .body_size = sizeof(credentials->imds_token) };
	char url[256];
	long seconds;
	int status;

	if (credentials->imds_token[0] && monotonic_s() < credentials->imds_token_expires)
		return 0;
	snprintf(url, sizeof(url), "%s/latest/api/token",
		 credentials->config.imds_endpoint);
	request.url = url;
	status = ask(credentials, &request, &response, err);
	if (status == 200 && response.body_len_bytes &&
	    token_ok(credentials->imds_token)) {
		seconds = wanted.found ? strtol(wanted.value, NULL, 10) : 60;
		credentials->imds_token_expires =
			monotonic_s() + (seconds > 120 ? seconds - 60 : seconds / 2);
		return 0;
	}
	sigv4_wipe(credentials->imds_token, sizeof(credentials->imds_token));
	if (status == 200)
		err_set(err, ERR_FAILED, "the session token is not usable");
	else if (status > 0)
		err_set(err, ERR_REFUSED, "no session token: answered %d", status);
	return -1;
}

/* GET of an IMDS path. Returns the status or -1 with err. Never without a token. */
static int imds_get(struct credentials *credentials, const char *path, char *body,
		    size_t size, size_t *len_bytes, struct err *err)
{
	struct http_header header = { "X-aws-ec2-metadata-token",
				      credentials->imds_token };
	struct http_request request = { .method = "GET",
					.headers = &header,
					.n_headers = 1 };
	struct http_response response = { .body = body, .body_size = size };
	char url[512];
	int status = -1;

	snprintf(url, sizeof(url), "%s%s", credentials->config.imds_endpoint, path);
	request.url = url;
	for (int try = 0; try < 2; try++) {
		if (imds_token(credentials, err) < 0)
			return -1;
		status = ask(credentials, &request, &response, err);
		if (status != 401)
			break;
		/* The token ended early, as when an instance was resumed. */
		sigv4_wipe(credentials->imds_token, sizeof(credentials->imds_token));
	}
	*len_bytes = response.body_len_bytes;
	return status;
}

/* The first line of an answer, where it is made of what AWS allows in such names. */
static bool name_of(char *body)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789+=,.@_-";

	body[strcspn(body, "\r\n")] = '\0';
	return body[0] && body[strspn(body, allowed)] == '\0';
}

static int fetch_imds(struct credentials *credentials, struct credentials_keys *keys,
		      struct err *err)
{
	static const char base[] = "/latest/meta-data/iam/security-credentials/";
	char role[128], path[sizeof(base) + sizeof(role)], body[ANSWER_SIZE];
	size_t len;
	int rc = -1;
	int status = imds_get(credentials, base, role, sizeof(role), &len, err);

	if (status == 404)
		return err_set(err, ERR_REFUSED, "the instance has no role");
	if (status == 200 && !name_of(role))
		return err_set(err, ERR_FAILED, "the name of the role is not usable");
	if (status == 200) {
		snprintf(path, sizeof(path), "%s%s", base, role);
		status = imds_get(credentials, path, body, sizeof(body), &len, err);
		if (status == 200)
			rc = credentials_parse_json(body, len, true, keys, err);
		sigv4_wipe(body, sizeof(body));
	}
	if (status > 0 && status != 200)
		err_set(err, ERR_REFUSED, "asking for the role: answered %d", status);
	return rc;
}

/* The token of a container endpoint, which may be renewed in its file. */
static int container_token(const struct credentials *credentials, char *token,
			   size_t size, struct err *err)
{
	token[0] = '\0';
	if (credentials->authorization_file) {
		if (io_read_text(AT_FDCWD, credentials->authorization_file, token, size,
				 NULL, err) < 0)
			return -1;
		token[strcspn(token, "\r\n")] = '\0';
	} else if (credentials->authorization) {
		if (strlen(credentials->authorization) >= size)
			return err_set(err, ERR_USAGE, "its token is too long");
		strcpy(token, credentials->authorization);
	}
	for (const char *p = token; *p; p++)
		if (*p < ' ' || *p > '~')
			return err_set(err, ERR_FAILED, "its token is not usable");
	return 0;
}

static int fetch_container(struct credentials *credentials, struct credentials_keys *keys,
			   struct err *err)
{
	char token[CREDENTIALS_TOKEN_SIZE], body[ANSWER_SIZE];
	struct http_header header = { "Authorization", token };
	struct http_request request = { .method = "GET",
					.url = credentials->uri,
					.headers = &header };
	struct http_response response = { .body = body, .body_size = sizeof(body) };
	int status, rc = -1;

	if (container_token(credentials, token, sizeof(token), err) < 0)
		return err_prefix(err, "the container endpoint");
	request.n_headers = token[0] ? 1 : 0;
	status = ask(credentials, &request, &response, err);
	if (status == 200)
		rc = credentials_parse_json(body, response.body_len_bytes, false, keys,
					    err);
	else if (status > 0)
		err_set(err, ERR_REFUSED, "answered %d", status);
	sigv4_wipe(token, sizeof(token));
	sigv4_wipe(body, sizeof(body));
	return rc < 0 ? err_prefix(err, "the container endpoint") : 0;
}

static int fetch_file(struct credentials *credentials, struct credentials_keys *keys,
		      struct err *err)
{
	const char *path = credentials->config.file;
	const char *profile = credentials->config.profile;
	int fd = io_open_direct(AT_FDCWD, path, true, err), rc = -1;
	char *text = NULL;
	struct stat st;
	size_t len = 0;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		err_sys(err, errno, "examining %s", path);
	else if (st.st_mode & 077)
		err_set(err, ERR_REFUSED, "%s is open to others: chmod 600", path);
	else if (!(text = io_read_direct(fd, FILE_MAX, &len, err)))
		err_prefix(err, "%s", path);
	else if (credentials_parse_file(text, profile ? profile : "default", keys, err) <
		 0)
		err_prefix(err, "%s", path);
	else
		rc = 0;
	if (text)
		sigv4_wipe(text, len);
	free(text);
	io_close(&fd);
	return rc;
}

static int fetch(struct credentials *credentials, struct credentials_keys *keys,
		 struct err *err)
{
	switch (credentials->config.from) {
	case CREDENTIALS_FILE:
		return fetch_file(credentials, keys, err);
	case CREDENTIALS_CONTAINER:
		return fetch_container(credentials, keys, err);
	case CREDENTIALS_IMDS:
		if (fetch_imds(credentials, keys, err) < 0)
			return err_prefix(err, "the metadata service");
		return 0;
	default:
		return err_set(err, ERR_REFUSED,
			       "the keys of the environment have expired");
	}
}

static int get_locked(struct credentials *credentials, struct err *err)
{
	struct credentials_keys fresh;
	time_t left = 0;

	if (credentials->have && !credentials->stale) {
		left = credentials->keys.expires ? credentials->keys.expires - time(NULL)
						 : EARLY_S;
		if (left >= EARLY_S ||
		    (left > 0 && monotonic_s() < credentials->next_try))
			return 0;
	}
	if (fetch(credentials, &fresh, err) < 0) {
		/* Those that still hold are better than none. */
		credentials->next_try = monotonic_s() + AGAIN_S;
		return left > 0 ? 0 : err_prefix(err, "credentials");
	}
	credentials->keys = fresh;
	sigv4_wipe(&fresh, sizeof(fresh));
	credentials->have = true;
	credentials->stale = false;
	/* A source that hands out short-lived keys is not asked for each request. */
	credentials->next_try = monotonic_s() + AGAIN_S;
	return 0;
}

int credentials_get(struct credentials *credentials, struct credentials_keys *keys,
		    struct err *err)
{
	int rc;

	pthread_mutex_lock(&credentials->lock);
	rc = get_locked(credentials, err);
	if (rc == 0)
		*keys = credentials->keys;
	pthread_mutex_unlock(&credentials->lock);
	return rc;
}

bool credentials_expired(struct credentials *credentials,
			 const struct credentials_keys *keys)
{
	bool can = credentials->config.from != CREDENTIALS_ENV;

	pthread_mutex_lock(&credentials->lock);
	/* The secret, too: a file may renew only that. */
	if (strcmp(keys->secret_key, credentials->keys.secret_key) == 0 &&
	    strcmp(keys->token, credentials->keys.token) == 0)
		credentials->stale = true;
	pthread_mutex_unlock(&credentials->lock);
	return can;
}

int credentials_region(struct credentials *credentials, char *region, size_t size,
		       struct err *err)
{
	size_t len;
	int status;

	if (credentials->config.from != CREDENTIALS_IMDS)
		return err_set(err, ERR_USAGE, "which Region? Say --region");
	pthread_mutex_lock(&credentials->lock);
	status = imds_get(credentials, "/latest/meta-data/placement/region", region, size,
			  &len, err);
	pthread_mutex_unlock(&credentials->lock);
	if (status == 200 && name_of(region))
		return 0;
	if (status >= 0)
		err_set(err, ERR_FAILED, "asking for the Region: answered %d", status);
	return err_prefix(err, "the metadata service");
}
