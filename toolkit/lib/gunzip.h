/* gzip (RFC 1952), unpacked in memory. zlib is included by gunzip.c alone. */
#ifndef FVOL_GUNZIP_H
#define FVOL_GUNZIP_H

#include <stddef.h>

#include "toolkit/lib/err.h"

/*
 * Unpacks the one member that data begins with into out, and checks its CRC. Bytes behind
 * it are left alone. Returns 0 with *got set, or -1 when it is damaged, cut, or holds
 * more than room bytes.
 */
int gunzip(const void *data, size_t len, void *out, size_t room, size_t *got,
	   struct err *err);

#endif
