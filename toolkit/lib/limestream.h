/*
 * A LiME v1 stream, read as it arrives: a header and the bytes of each range, once, in
 * order. Every header is held against the ranges that are expected; the module's own word
 * that all went well is worth nothing (its init returns 0 whatever was written).
 */
#ifndef FVOL_LIMESTREAM_H
#define FVOL_LIMESTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "toolkit/lib/ranges.h"

struct limestream {
	int fd; /* borrowed; a socket or pipe */
	const struct ranges *ranges;
	size_t index;  /* the range that the stream stands in */
	uint64_t next; /* physical address of the stream's next byte */
	bool in_range; /* that range's header has been read */
	int broken; /* errno of what ended the stream: nothing more can be told of it */
	int timeout_ms;	     /* the longest wait for the next byte */
	uint64_t page_bytes; /* the kernel's */
};

void limestream_init(struct limestream *stream, int fd, const struct ranges *ranges,
		     int timeout_ms, uint64_t page_bytes);

/*
 * Reads up to len bytes at a physical address, which must not stand before the last one
 * read: what lies between is thrown away. Returns the count, short where the range or its
 * whole pages end or the stream does; 0 when it has no place for phys. -1 with errno set,
 * the same for ever after: EPROTO the headers are not those of the ranges, EPIPE the
 * stream ended early, ETIMEDOUT, or what the socket said. ESPIPE, phys was passed, breaks
 * nothing.
 */
ssize_t limestream_read(struct limestream *stream, uint64_t phys, void *buf, size_t len);

/*
 * How many bytes from phys on the stream has no memory for, at most len: outside of the
 * ranges, and where LiME writes something else in the place of memory: zeros for the part
 * of a page at a range's end, shifted pages for a range that begins inside a page.
 */
uint64_t limestream_hole(const struct limestream *stream, uint64_t phys, uint64_t len);

#endif
