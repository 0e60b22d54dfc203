#include "tests/readers/unsnappy.h"

struct reader {
	const uint8_t *at, *end;
};

/* Takes a little-endian number of len bytes; -1 when the block ends before. */
static int64_t number(struct reader *in, size_t len)
{
	int64_t value = 0;

	if ((size_t)(in->end - in->at) < len)
		return -1;
	for (size_t i = 0; i < len; i++)
		value |= (int64_t)in->at[i] << 8 * i;
	in->at += len;
	return value;
}

/* Section 1: the plain length as a varint of at most 32 bits. */
static int64_t preamble(struct reader *in)
{
	int64_t value = 0;

	for (int shift = 0; shift < 35; shift += 7) {
		int64_t byte = number(in, 1);

		if (byte < 0)
			return -1;
		value |= (byte & 127) << shift;
		if (byte < 128)
			return value > UINT32_MAX ? -1 : value;
	}
	return -1;
}

/* Section 2.1. Returns the length of the literal, which follows in the block. */
static int64_t literal_length(struct reader *in, unsigned int tag)
{
	int64_t len = tag >> 2;

	if (len >= 60)
		len = number(in, (size_t)(len - 59));
	return len < 0 ? -1 : len + 1;
}

/* Section 2.2. Sets the distance; returns the length. */
static int64_t copy_length(struct reader *in, unsigned int tag, int64_t *distance)
{
	if ((tag & 3) == 1) {
		*distance = number(in, 1);
		if (*distance >= 0)
			*distance |= (int64_t)(tag >> 5) << 8;
		return (tag >> 2 & 7) + 4;
	}
	*distance = number(in, (tag & 3) == 2 ? 2 : 4);
	return (tag >> 2) + 1;
}

long unsnappy(const uint8_t *block, size_t len, uint8_t *out, size_t max)
{
	struct reader in = { block, block + len };
	int64_t whole = preamble(&in), done = 0, distance, n;

	if (whole < 0 || (uint64_t)whole > max)
		return -1;
	while (in.at < in.end) {
		unsigned int tag = *in.at++;

		if ((tag & 3) == 0) {
			n = literal_length(&in, tag);
			if (n < 0 || n > in.end - in.at || n > whole - done)
				return -1;
			while (n--)
				out[done++] = *in.at++;
			continue;
		}
		n = copy_length(&in, tag, &distance);
		if (distance <= 0 || distance > done || n > whole - done)
			return -1;
		for (; n; n--, done++)
			out[done] = out[done - distance];
	}
	return done == whole ? (long)done : -1;
}

uint32_t unsnappy_checksum(const uint8_t *data, size_t len)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	crc = ~crc;
	return (crc >> 15 | crc << 17) + 0xa282ead8;
}
