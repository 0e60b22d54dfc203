/* gzip (RFC 1952), in memory. zlib is included by gzip.c alone. */
#ifndef FVOL_GZIP_H
#define FVOL_GZIP_H

#include <stddef.h>

#include "toolkit/lib/err.h"

/*
 * Unpacks the one member that data begins with into out, and checks its CRC. Bytes behind
 * it are left alone. Returns 0 with *got set, or -1 when it is damaged, cut, or holds
 * more than room bytes.
 */
int gunzip(const void *data, size_t len, void *out, size_t room, size_t *got,
	   struct err *err);

/*
 * Packs data into memory that the caller frees. No name and no time stand in it: the same
 * data give the same bytes. Returns NULL on failure.
 */
char *gzip_pack(const void *data, size_t len_bytes, size_t *packed_bytes,
		struct err *err);

#endif
