/*
 * The line that an upload leaves in the chain of custody (toolkit/lib/custody.h): which
 * file of the evidence went where, with the hash that was sent.
 */
#ifndef FVOL_UPLOAD_ENTRY_H
#define FVOL_UPLOAD_ENTRY_H

#include "toolkit/lib/custody.h"
#include "toolkit/lib/transfer.h"
#include "toolkit/upload/options.h"

struct entry {
	int dirfd; /* of the log; -1: there is none */
	char log[256];
	char file[CUSTODY_FILE_MAX + 1]; /* the source, relative to dirfd */
};

/*
 * Before anything is sent: opens the directory of opt->custody, which must hold the log,
 * and names the source as seen from there. Without opt->custody nothing is done. Returns
 * 0 or -1 with err, ERR_USAGE when the source is not below that directory; entry_close()
 * is due in every case.
 */
int entry_open(struct entry *entry, const struct options *opt, const char *source,
	       struct err *err);

/* Afterwards: adds the line. head receives its hash. */
int entry_add(const struct entry *entry, const struct options *opt, const char *bucket,
	      const char *key, const struct transfer_result *result,
	      uint8_t head[SHA256_LEN], struct err *err);

void entry_close(struct entry *entry);

#endif
