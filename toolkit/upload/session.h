/* What every command of upload needs before it can talk to S3: Region, CAs, keys. */
#ifndef FVOL_UPLOAD_SESSION_H
#define FVOL_UPLOAD_SESSION_H

#include <signal.h>

#include "toolkit/lib/s3.h"
#include "toolkit/upload/options.h"

struct session {
	struct s3_config s3;
	struct credentials *credentials;
	char *ca;
	char region[64];
	char file[4096], profile[64]; /* of --credentials FILE:PROFILE */
};

/*
 * Fills session->s3 by the options; with keys unless the URLs are presigned. interrupted
 * is borrowed. Returns 0 or -1 with err; session_close() in any case.
 */
int session_open(struct session *session, const struct options *opt,
		 const volatile sig_atomic_t *interrupted, struct err *err);
void session_close(struct session *session);

#endif
