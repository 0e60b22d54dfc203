#include "toolkit/lib/snappy.h"

#include <stdbool.h>
#include <string.h>

#include "toolkit/lib/le.h"

/* Short pieces are copied 16 bytes at a time where so much room is left. */
#define FAST 16

struct input {
	const unsigned char *at, *end;
};

/* The preamble: the plain length as a varint of at most 32 bits. */
static bool take_length(struct input *in, uint64_t *len)
{
	*len = 0;
	for (unsigned int shift = 0; shift < 35 && in->at < in->end; shift += 7) {
		unsigned int byte = *in->at++;

		*len |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			return true;
	}
	return false;
}

size_t snappy_plain_bytes(const void *block, size_t len_bytes)
{
	struct input in = { block, (const unsigned char *)block + len_bytes };
	uint64_t len;

	return take_length(&in, &len) && len <= SNAPPY_BLOCK_BYTES ? (size_t)len : 0;
}

/* A literal whose first byte, the tag, was taken. Returns where output goes on, or NULL.
 */
static inline unsigned char *literal(struct input *in, unsigned int tag,
				     unsigned char *to, const unsigned char *to_end)
{
	size_t len = (tag >> 2) + 1, readable = (size_t)(in->end - in->at);
	size_t room = (size_t)(to_end - to);

	if (len <= FAST && readable >= FAST && room >= FAST) {
		memcpy(to, in->at, FAST);
		in->at += len;
		return to + len;
	}
	if (len > 60) {
		size_t width = len - 60;

		if (readable < width)
			return NULL;
		len = (size_t)get_le(in->at, width) + 1;
		in->at += width;
		readable -= width;
	}
	if (len > readable || len > room)
		return NULL;
	memcpy(to, in->at, len);
	in->at += len;
	return to + len;
}

/* Copies len bytes from distance before: what is written may be read again. */
static inline unsigned char *repeat(unsigned char *to, const unsigned char *to_end,
				    size_t distance, size_t len)
{
	const unsigned char *from = to - distance;
	unsigned char *done = to + len;

	/* A copy is 64 bytes at most: so much room allows whole steps. */
	if (distance >= FAST && (size_t)(to_end - to) >= 64) {
		for (; to < done; to += FAST, from += FAST)
			memcpy(to, from, FAST);
		return done;
	}
	if (distance == 1) {
		memset(to, *from, len);
		return done;
	}
	if (distance >= 8 && (size_t)(to_end - to) >= 64) {
		for (; to < done; to += 8, from += 8)
			memcpy(to, from, 8);
		return done;
	}
	while (to < done)
		*to++ = *from++;
	return done;
}

/* A copy whose tag was taken. Returns where output goes on, or NULL. */
static inline unsigned char *copy(struct input *in, unsigned int tag,
				  const unsigned char *start, unsigned char *to,
				  const unsigned char *to_end)
{
	static const unsigned char widths[4] = { 0, 1, 2, 4 };
	size_t width = widths[tag & 3], len, distance;

	if ((size_t)(in->end - in->at) < width)
		return NULL;
	if (width == 1) {
		len = (tag >> 2 & 7) + 4;
		distance = (size_t)(tag >> 5) << 8 | *in->at;
	} else {
		len = (tag >> 2) + 1;
		distance = width == 2 ? (size_t)in->at[1] << 8 | in->at[0]
				      : (size_t)get_le(in->at, 4);
	}
	in->at += width;
	if (distance - 1 >= (size_t)(to - start) || len > (size_t)(to_end - to))
		return NULL;
	return repeat(to, to_end, distance, len);
}

size_t snappy_decode(const void *block, size_t len_bytes, void *out, size_t out_max)
{
	struct input in = { block, (const unsigned char *)block + len_bytes };
	unsigned char *to = out, *to_end;
	uint64_t len;

	if (!take_length(&in, &len) || !len || len > out_max)
		return 0;
	to_end = to + len;
	while (in.at < in.end) {
		unsigned int tag = *in.at++;

		to = tag & 3 ? copy(&in, tag, out, to, to_end)
			     : literal(&in, tag, to, to_end);
		if (!to)
			return 0;
	}
	return to == to_end ? (size_t)len : 0;
}
