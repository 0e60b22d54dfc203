/* gzip (RFC 1952), packed in memory; gunzip.h of the library unpacks. zlib's deflate is
 * called in gzip.c alone. */
#ifndef FVOL_KMODS_GZIP_H
#define FVOL_KMODS_GZIP_H

#include <stddef.h>

#include "toolkit/lib/err.h"

/*
 * Packs data into memory that the caller frees. No name and no time stand in it: the same
 * data give the same bytes. Returns NULL on failure.
 */
char *gzip_pack(const void *data, size_t len_bytes, size_t *packed_bytes,
		struct err *err);

#endif
