/*
 * LZ4's legacy frame, which Linux packs its kernels in ("lz4 -l", lz4_Frame_format.md):
 * a magic, then blocks of a length and that many bytes, each of 8 MiB plain but the last.
 * The library is included by lz4_legacy.c alone.
 */
#ifndef FVOL_LZ4_LEGACY_H
#define FVOL_LZ4_LEGACY_H

#include <stddef.h>

#include "toolkit/lib/err.h"

#define LZ4_LEGACY_MAGIC 0x184c2102u

/*
 * Unpacks the frame that data begins with into out. It has no end of its own: it ends
 * with data, before another magic, or before a length that cannot be one. Returns 0 with
 * *got set, or -1 when it is damaged, cut, or holds more than room bytes.
 */
int lz4_legacy_unpack(const void *data, size_t len, void *out, size_t room, size_t *got,
		      struct err *err);

#endif
