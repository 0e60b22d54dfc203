#include "toolkit/lib/s3session.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

#define CA_MAX_BYTES (4 * 1024 * 1024)

/* VOLUME/bin/ARCH/upload stands beside VOLUME/etc/ca.pem. */
static int default_ca(char path[PATH_MAX], struct err *err)
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 32);

	if (len <= 0)
		return err_sys(err, errno, "asking where this program is");
	path[len] = '\0';
	for (int up = 0; up < 3; up++) {
		char *slash = strrchr(path, '/');

		if (slash)
			*slash = '\0';
	}
	strcat(path, "/etc/ca.pem");
	return 0;
}

/* Read once, so that each thread's client shares it. */
static int read_ca(struct s3_session *session, const char *path, struct err *err)
{
	char own[PATH_MAX];
	size_t len;
	int fd;

	if (!path && default_ca(own, err) < 0)
		return -1;
	fd = io_open_direct(AT_FDCWD, path ? path : own, true, err);
	if (fd < 0)
		return err_prefix(err, "trusted CAs (--ca)");
	session->ca = io_read_direct(fd, CA_MAX_BYTES, &len, err);
	io_close(&fd);
	if (!session->ca)
		return err_prefix(err, "trusted CAs (--ca)");
	session->s3.http.ca_pem = session->ca;
	session->s3.http.ca_pem_len_bytes = len;
	return 0;
}

static int open_credentials(struct s3_session *session, const struct s3_options *opt,
			    struct err *err)
{
	struct credentials_config config = { .imds_endpoint = opt->imds_endpoint,
					     .http = &session->s3.http };
	const char *from = opt->credentials ? opt->credentials : "auto";
	char *colon;

	if (strcmp(from, "auto") == 0) {
		config.from = CREDENTIALS_AUTO;
	} else if (strcmp(from, "env") == 0) {
		config.from = CREDENTIALS_ENV;
	} else if (strcmp(from, "imds") == 0) {
		config.from = CREDENTIALS_IMDS;
	} else if (strcmp(from, "container") == 0) {
		config.from = CREDENTIALS_CONTAINER;
	} else {
		config.from = CREDENTIALS_FILE;
		if (strlen(from) >= sizeof(session->file))
			return err_set(err, ERR_USAGE, "--credentials: too long");
		strcpy(session->file, from);
		colon = strrchr(session->file, ':');
		if (colon && strlen(colon) <= sizeof(session->profile)) {
			*colon = '\0';
			strcpy(session->profile, colon + 1);
			config.profile = session->profile;
		}
		config.file = session->file;
	}
	session->credentials = credentials_new(&config, err);
	session->s3.credentials = session->credentials;
	return session->credentials ? 0 : -1;
}

static int set_region(struct s3_session *session, const struct s3_options *opt,
		      struct err *err)
{
	const char *region = opt->region;

	if (!region)
		region = getenv("AWS_REGION");
	if (!region || !region[0])
		region = getenv("AWS_DEFAULT_REGION");
	if (!region || !region[0]) {
		if (credentials_region(session->credentials, session->region,
				       sizeof(session->region), err) < 0)
			return -1;
		region = session->region;
	}
	session->s3.region = region;
	return 0;
}

int s3_session_open(struct s3_session *session, const struct s3_options *opt, bool keys,
		    const volatile sig_atomic_t *interrupted, struct err *err)
{
	*session = (struct s3_session){
		.s3 = { .bucket = opt->bucket,
			.endpoint = opt->endpoint,
			.http = { .connect_to = opt->connect_to,
				  .proxy = opt->proxy,
				  .interrupted = interrupted },
			.expected_owner = opt->owner,
			/* "default" asks for SSE-KMS without naming a key. */
			.kms_key = opt->kms_key && strcmp(opt->kms_key, "default") == 0
					   ? ""
					   : opt->kms_key,
			.lock_mode = opt->lock,
			.retain_until = opt->retain_until,
			.legal_hold = opt->legal_hold,
			.overwrite = opt->overwrite,
			.attempts = opt->n_retries,
			.stall_ms = (int)opt->stall_s * 1000 },
	};
	/* Keys or presigned URLs will be in memory: no core file, no reading by another
	 * process of the same user. */
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
	prctl(PR_SET_DUMPABLE, 0);
	if (read_ca(session, opt->ca, err) < 0)
		return -1;
	if (!keys)
		return 0;
	if (open_credentials(session, opt, err) < 0)
		return -1;
	return set_region(session, opt, err);
}

void s3_session_close(struct s3_session *session)
{
	credentials_free(session->credentials);
	free(session->ca);
}
