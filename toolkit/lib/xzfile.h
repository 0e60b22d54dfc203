/*
 * .xz, written while the bytes come and unpacked in memory; and the older .lzma,
 * unpacked. liblzma is included by xzfile.c alone.
 */
#ifndef FVOL_XZFILE_H
#define FVOL_XZFILE_H

#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

struct xzfile;

/*
 * A new stream of .xz (CRC32, which every reader knows) to be written at the place where
 * fd stands; fd stays the caller's. The same bytes give the same file. Returns NULL when
 * memory runs out.
 */
struct xzfile *xzfile_new(int fd, struct err *err);

/* Returns 0 or -1, after which only xzfile_free() makes sense. */
int xzfile_put(struct xzfile *xz, const void *data, size_t len, struct err *err);

/* Writes what is left and the end. *file_bytes is how much was written in all. */
int xzfile_finish(struct xzfile *xz, uint64_t *file_bytes, struct err *err);

/* NULL is fine. */
void xzfile_free(struct xzfile *xz);

/*
 * Unpacks one stream of .xz or .lzma that data begins with into out. Bytes behind it are
 * left alone. Takes at most 80 MiB besides. Returns 0 with *got set, or -1 when it is
 * damaged, cut, or holds more than room bytes.
 */
int xzfile_unpack(const void *data, size_t len, void *out, size_t room, size_t *got,
		  struct err *err);

#endif
