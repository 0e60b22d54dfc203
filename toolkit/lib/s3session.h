/* What a program needs before it can talk to S3: Region, CAs, keys. */
#ifndef FVOL_S3SESSION_H
#define FVOL_S3SESSION_H

#include <signal.h>

#include "toolkit/lib/s3.h"
#include "toolkit/lib/s3options.h"

struct s3_session {
	struct s3_config s3;
	struct credentials *credentials;
	char *ca;
	char region[64];
	char file[4096], profile[64]; /* of --credentials FILE:PROFILE */
};

/*
 * Fills session->s3 by the options, which are borrowed; keys: with credentials and
 * Region. interrupted is borrowed. Returns 0 or -1 with err; s3_session_close() in any
 * case.
 */
int s3_session_open(struct s3_session *session, const struct s3_options *opt, bool keys,
		    const volatile sig_atomic_t *interrupted, struct err *err);
void s3_session_close(struct s3_session *session);

#endif
