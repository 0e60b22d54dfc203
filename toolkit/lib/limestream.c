#include "toolkit/lib/limestream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/lime.h"
#include "toolkit/lib/sourceutil.h"

void limestream_init(struct limestream *stream, int fd, const struct ranges *ranges,
		     int timeout_ms, uint64_t page_bytes)
{
	*stream = (struct limestream){ .fd = fd,
				       .ranges = ranges,
				       .timeout_ms = timeout_ms,
				       .page_bytes = page_bytes };
}

static ssize_t fail(struct limestream *stream, int errnum)
{
	stream->broken = errnum;
	errno = errnum;
	return -1;
}

/* Some bytes, at least one; or -1 with the stream broken. */
static ssize_t take_some(struct limestream *stream, void *buf, size_t len)
{
	for (;;) {
		struct pollfd poll_fd = { .fd = stream->fd, .events = POLLIN };
		int ready = poll(&poll_fd, 1, stream->timeout_ms);
		ssize_t n;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready < 0)
			return fail(stream, errno);
		if (ready == 0)
			return fail(stream, ETIMEDOUT);
		n = read(stream->fd, buf, len);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return fail(stream, errno);
		return n ? n : fail(stream, EPIPE);
	}
}

static ssize_t take_all(struct limestream *stream, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = take_some(stream, (char *)buf + done, len - done);

		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

/* Throws away everything up to a place in the current range. */
static ssize_t skip_to(struct limestream *stream, uint64_t phys)
{
	unsigned char waste[4096];

	while (stream->next < phys) {
		uint64_t left = phys - stream->next;
		ssize_t n =
			take_some(stream, waste,
				  left < sizeof(waste) ? (size_t)left : sizeof(waste));

		if (n < 0)
			return -1;
		stream->next += (uint64_t)n;
	}
	return 0;
}

static ssize_t take_header(struct limestream *stream)
{
	const struct range *range = &stream->ranges->at[stream->index];
	unsigned char have[LIME_HEADER_BYTES], want[LIME_HEADER_BYTES];

	if (take_all(stream, have, sizeof(have)) < 0)
		return -1;
	lime_header(range, want);
	if (memcmp(have, want, sizeof(want)) != 0)
		return fail(stream, EPROTO);
	stream->next = range->start;
	stream->in_range = true;
	return 0;
}

/* Brings the stream to phys, which stands inside a range at or behind the current one. */
static ssize_t advance(struct limestream *stream, uint64_t phys)
{
	for (;;) {
		const struct range *range = &stream->ranges->at[stream->index];

		if (!stream->in_range && take_header(stream) < 0)
			return -1;
		if (phys <= range->end)
			return skip_to(stream, phys);
		if (skip_to(stream, range->end + 1) < 0)
			return -1;
		stream->in_range = false;
		stream->index++;
	}
}

ssize_t limestream_read(struct limestream *stream, uint64_t phys, void *buf, size_t len)
{
	const struct ranges *ranges = stream->ranges;
	size_t done = 0;

	if (stream->broken)
		return fail(stream, stream->broken);
	len = (size_t)source_room(ranges, phys, len);
	if (!len || limestream_hole(stream, phys, len))
		return 0;
	if (phys < ranges->at[stream->index].start ||
	    (stream->in_range && phys < stream->next)) {
		errno = ESPIPE;
		return -1;
	}
	if (advance(stream, phys) < 0)
		return -1;
	/* Not into the padding of the range's last page. */
	if (len > stream->page_bytes) {
		uint64_t end = ranges->at[stream->index].end + 1;

		end -= end % stream->page_bytes;
		if (len > end - phys)
			len = (size_t)(end - phys);
	}
	while (done < len) {
		ssize_t n = take_some(stream, (char *)buf + done, len - done);

		if (n < 0)
			return done ? (ssize_t)done : -1;
		done += (size_t)n;
		stream->next += (uint64_t)n;
	}
	return (ssize_t)done;
}

uint64_t limestream_hole(const struct limestream *stream, uint64_t phys, uint64_t len)
{
	uint64_t outside = source_hole(stream->ranges, phys, len);

	if (outside)
		return outside;
	for (size_t i = 0; i < stream->ranges->count; i++) {
		const struct range *range = &stream->ranges->at[i];
		uint64_t whole =
			(range->end + 1) / stream->page_bytes * stream->page_bytes;

		if (phys < range->start || phys > range->end)
			continue;
		if (range->start % stream->page_bytes == 0 && phys < whole)
			return 0;
		return source_room(stream->ranges, phys, len);
	}
	return 0;
}
