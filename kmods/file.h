/*
 * Whole files: read bounded into memory, so that what was hashed is what is used, and
 * written so that a reader sees the old or the new bytes and nothing between them.
 */
#ifndef FVOL_KMODS_FILE_H
#define FVOL_KMODS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

/*
 * Reads a regular file of at most max bytes into memory that the caller frees; a NUL
 * follows the bytes. Returns 0, or -1 with *data NULL.
 */
int file_read(int dirfd, const char *path, size_t max, char **data, size_t *len_bytes,
	      struct err *err);

/*
 * As file_read, when the file has that SHA-256. Returns whether; else *data is NULL, for
 * whatever reason.
 */
bool file_read_known(int dirfd, const char *path, size_t max, const char *sha256,
		     char **data, size_t *len_bytes);

/* Has the file that SHA-256? */
bool file_known(int dirfd, const char *path, size_t max, const char *sha256);

/* The SHA-256 of memory as hex digits. */
void file_digest(const void *data, size_t len_bytes, char hex[SHA256_HEX_SIZE]);

/*
 * Writes NAME.partial, makes it durable and renames it to name. With old set its
 * modification time is 1970, so that make does not take the file for up to date.
 */
int file_put(int dirfd, const char *name, const void *data, size_t len_bytes, mode_t mode,
	     bool old, struct err *err);

#endif
