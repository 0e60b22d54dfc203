#include "frame.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x6d764656u
/* A sender that stops this long inside a frame is gone; what it left is dropped. */
#define STALL_MS 3000

/* Both architectures are little-endian, so the header crosses the wire as it stands. */
struct header {
	uint32_t magic;
	uint32_t type;
	uint64_t tag;
	uint32_t len_bytes;
	uint32_t data_sum;
	uint32_t pad;
	uint32_t header_sum; /* over all before it */
};
_Static_assert(sizeof(struct header) == FRAME_HEADER, "header size");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "byte order");

static uint32_t fnv1a(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint32_t sum = 2166136261u;

	while (len--)
		sum = (sum ^ *p++) * 16777619u;
	return sum;
}

int64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void frame_reader_init(struct frame_reader *r, int fd)
{
	r->fd = fd;
	r->have = 0;
	r->used = 0;
	r->last_ms = clock_ms();
}

static void drop(struct frame_reader *r, size_t n)
{
	r->have -= n;
	memmove(r->buf, r->buf + n, r->have);
}

/* Returns 1 with a whole frame at the start of the buffer, 0 when more bytes are needed.
 */
static int parse(struct frame_reader *r, struct frame *f)
{
	struct header h;

	while (r->have >= sizeof(h)) {
		memcpy(&h, r->buf, sizeof(h));
		if (h.magic == MAGIC && h.len_bytes <= FRAME_MAX &&
		    h.header_sum == fnv1a(&h, offsetof(struct header, header_sum))) {
			if (r->have < sizeof(h) + h.len_bytes)
				return 0;
			if (h.data_sum == fnv1a(r->buf + sizeof(h), h.len_bytes)) {
				f->type = h.type;
				f->tag = h.tag;
				f->len_bytes = h.len_bytes;
				f->data = r->buf + sizeof(h);
				r->used = sizeof(h) + h.len_bytes;
				return 1;
			}
		}
		/* Noise or half a frame: the next byte that can start a magic. */
		unsigned char *next = memchr(r->buf + 1, MAGIC & 0xff, r->have - 1);
		drop(r, next ? (size_t)(next - r->buf) : r->have);
	}
	return 0;
}

int frame_poll(struct frame_reader *r, struct frame *f)
{
	if (r->used) {
		drop(r, r->used);
		r->used = 0;
	}
	for (;;) {
		if (parse(r, f))
			return 1;
		ssize_t n = read(r->fd, r->buf + r->have, sizeof(r->buf) - r->have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n < 0)
			return -1;
		if (n == 0) {
			errno = 0;
			return -1;
		}
		int64_t now = clock_ms();
		if (r->have && now - r->last_ms > STALL_MS) {
			memmove(r->buf, r->buf + r->have, (size_t)n);
			r->have = 0;
		}
		r->have += (size_t)n;
		r->last_ms = now;
	}
}

int frame_read(struct frame_reader *r, struct frame *f, int64_t deadline_ms)
{
	for (;;) {
		int rc = frame_poll(r, f);
		if (rc)
			return rc;
		int64_t left = deadline_ms - clock_ms();
		if (left <= 0)
			return 0;
		struct pollfd p = { .fd = r->fd, .events = POLLIN };
		if (poll(&p, 1, left > 60000 ? 60000 : (int)left) < 0 && errno != EINTR)
			return -1;
	}
}

static int write_all(int fd, const unsigned char *p, size_t len, int64_t deadline_ms)
{
	while (len) {
		ssize_t n = write(fd, p, len);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
			return -1;
		int64_t left = deadline_ms - clock_ms();
		if (left <= 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		struct pollfd q = { .fd = fd, .events = POLLOUT };
		if (poll(&q, 1, left > 60000 ? 60000 : (int)left) < 0 && errno != EINTR)
			return -1;
	}
	return 0;
}

int frame_write(int fd, uint32_t type, uint64_t tag, const void *data, size_t len,
		int64_t deadline_ms)
{
	if (len > FRAME_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	struct header h = {
		.magic = MAGIC,
		.type = type,
		.tag = tag,
		.len_bytes = (uint32_t)len,
		.data_sum = fnv1a(data, len),
	};
	h.header_sum = fnv1a(&h, offsetof(struct header, header_sum));
	if (write_all(fd, (unsigned char *)&h, sizeof(h), deadline_ms) < 0)
		return -1;
	return write_all(fd, data, len, deadline_ms);
}
