/* Evidence straight into S3: each file of it one object, nothing on a disk. */
#ifndef FVOL_REMOTE_H
#define FVOL_REMOTE_H

#include <signal.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/s3options.h"
#include "toolkit/lib/store.h"

/*
 * Makes ready to store below s3://BUCKET/PREFIX: credentials, Region, trusted CAs;
 * nothing is sent yet. opt and interrupted are borrowed. NULL with err.
 */
const struct store_remote *remote_open(const struct s3_options *opt,
				       const volatile sig_atomic_t *interrupted,
				       struct err *err);

/* What stands between PREFIX and the names of the files: "INSTANCE/TIME". */
void remote_set_place(const char *place);

/* s3://BUCKET/PREFIX/INSTANCE/TIME/ */
#define REMOTE_URL_MAX 1200
void remote_url(char *url, size_t size);

/* Wipes the keys. Does nothing when remote_open() was not called. */
void remote_close(void);

#endif
