/*
 * A file of hostile bytes, looked at through one buffer: any offset, mostly forward,
 * past the page cache where the file system can. What is asked for stands in one piece;
 * nothing else of the file is in memory.
 */
#ifndef FVOL_WINDOW_H
#define FVOL_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

/* The most that window_at() gives without window_reserve(). */
#define WINDOW_BYTES (512u << 10)

struct window {
	int fd;		     /* borrowed, of a regular file */
	uint64_t size_bytes; /* of the file, when it was opened */
	size_t step_bytes;   /* so much is read at once, or what is asked for */
	unsigned char *buf;  /* mapped, aligned to IO_BLOCK */
	size_t map_bytes;    /* of buf */
	uint64_t off;	     /* in the file, of buf's first byte */
	size_t fill_bytes;   /* valid ones in buf */
};

/*
 * step_bytes is how far each read goes: small for looking here and there, large for
 * reading on. Returns 0 or -1; window_close() is due after 0 only.
 */
int window_open(struct window *window, int fd, size_t step_bytes, struct err *err);
void window_close(struct window *window);

/* Makes room for pieces of len bytes. What window_at() returned before is gone. */
int window_reserve(struct window *window, size_t len_bytes, struct err *err);

/*
 * The bytes at off, all len of them, good until the next call. Returns NULL when the file
 * ends before (it may have been cut while it is read), naming both offsets, or cannot be
 * read.
 */
const unsigned char *window_at(struct window *window, uint64_t off, size_t len_bytes,
			       struct err *err);

#endif
