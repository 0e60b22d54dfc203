/*
 * AWS keys for an instance that is not trusted: where they come from, and keeping them
 * fresh while a long transfer runs. The metadata service is asked by IMDSv2 only: a call
 * without a session token is never made, since it is noise in the evidence and often
 * blocked. Keys are held in one place, copied out for one request, and wiped; no error
 * text and no log has them.
 *
 * Sources: "Use IMDSv2" (EC2 user guide), "Container credential provider" (AWS SDKs
 * reference guide).
 */
#ifndef FVOL_CREDENTIALS_H
#define FVOL_CREDENTIALS_H

#include <stdbool.h>
#include <time.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/http.h"

enum credentials_from {
	/* Environment, then container where its variables are set, then IMDS. */
	CREDENTIALS_AUTO,
	/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. */
	CREDENTIALS_ENV,
	/* A profile of a file in the form of ~/.aws/credentials, mode 0600. */
	CREDENTIALS_FILE,
	/* AWS_CONTAINER_CREDENTIALS_{RELATIVE,FULL}_URI: ECS, EKS Pod Identity. */
	CREDENTIALS_CONTAINER,
	/* The role of the instance. */
	CREDENTIALS_IMDS,
};

#define CREDENTIALS_TOKEN_SIZE 8192

struct credentials_keys {
	char access_key[129];
	char secret_key[257];
	char token[CREDENTIALS_TOKEN_SIZE]; /* "" without one */
	time_t expires;			    /* 0: not known to expire */
};

struct credentials_config {
	enum credentials_from from;
	const char *file;    /* CREDENTIALS_FILE */
	const char *profile; /* NULL: "default" */
	/* NULL: "http://169.254.169.254" */
	const char *imds_endpoint;
	/* For https endpoints of containers, proxies and interruption; borrowed. */
	const struct http_config *http;
};

/* Any number of threads may use one. */
struct credentials;

/*
 * Makes a provider; asks nobody yet. The secret variables of the environment are read and
 * overwritten here, so that /proc/PID/environ does not keep them. NULL with err when the
 * configuration is not usable or memory is short.
 */
struct credentials *credentials_new(const struct credentials_config *config,
				    struct err *err);

/* Wipes and frees. NULL is nothing to free. */
void credentials_free(struct credentials *credentials);

/*
 * Copies keys that hold for some minutes more, fetched anew when the former are about to
 * expire; when that fails and the former still hold, those. The caller wipes them with
 * sigv4_wipe(). Returns 0, or -1 with err (ERR_REFUSED: there is no role, or it may not).
 */
int credentials_get(struct credentials *credentials, struct credentials_keys *keys,
		    struct err *err);

/*
 * Tells that the service took these keys for expired: the next credentials_get() fetches
 * new ones, unless another thread did so meanwhile. Returns whether that can help: false
 * when the source has only these.
 */
bool credentials_expired(struct credentials *credentials,
			 const struct credentials_keys *keys);

/*
 * Asks IMDS for the Region of this instance. region holds at least 64 bytes. Returns 0 or
 * -1 with err.
 */
int credentials_region(struct credentials *credentials, char *region, size_t size,
		       struct err *err);

/*
 * Reads what IMDS and container endpoints answer. imds: "Code" must be "Success". Returns
 * 0, or -1 with err that has nothing of the text. Wipes its own copies.
 */
int credentials_parse_json(const char *text, size_t len_bytes, bool imds,
			   struct credentials_keys *keys, struct err *err);

/* Reads a profile of a credentials file. Returns 0 or -1 with err, as above. */
int credentials_parse_file(const char *text, const char *profile,
			   struct credentials_keys *keys, struct err *err);

#endif
