/* presign, complete and abort: what the responder does, on a machine that has keys. */
#ifndef FVOL_UPLOAD_RESPONDER_H
#define FVOL_UPLOAD_RESPONDER_H

#include "toolkit/lib/s3session.h"
#include "toolkit/upload/options.h"

/* Takes bucket and key from --state where that names them. Returns 0 or -1 with err. */
int responder_prepare(struct options *opt, struct err *err);

int responder_run(struct s3_session *session, const struct options *opt, struct err *err);

#endif
