/*
 * Reading evidence back from a volume that was on a hostile host, without a kernel ever
 * mounting it.
 */
#ifndef FVOL_IMAGE_EXTRACT_H
#define FVOL_IMAGE_EXTRACT_H

#include <stddef.h>
#include <stdio.h>

#include "toolkit/lib/err.h"

/*
 * Lists everything below a path (NULL: the root), one line each: type and mode, bytes,
 * time in seconds, path; control bytes as \xHH. Entries that cannot be used are listed
 * with the reason; then ERR_NO.
 */
int extract_list(const char *volume, const char *path, FILE *out, struct err *err);

/* Writes one regular file to a descriptor, holes as zeros. */
int extract_cat(const char *volume, const char *path, int fd, struct err *err);

/*
 * Copies a file, or a directory with all below it, into the directory `into`, which must
 * exist. Nothing that exists there is written to. Files get mode 0600, directories 0700,
 * and their times; holes stay holes. What is neither file nor directory, or has a name
 * that may not be written, is left out and printed to report.
 *
 * Returns 0 when all was copied; -1 with ERR_GAPS when something was left out or the
 * volume had not been unmounted, with another kind when copying stopped.
 */
int extract_copy(const char *volume, const char *path, const char *into, FILE *report,
		 struct err *err);

#endif
