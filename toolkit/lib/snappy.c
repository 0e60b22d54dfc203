#include "toolkit/lib/snappy.h"

#include <stdbool.h>
#include <string.h>

#include "toolkit/lib/le.h"

/* The last bytes are left to a literal, so that loads of 8 bytes stay inside. */
#define MARGIN 15

static uint32_t load32(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t load64(const unsigned char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* Little-endian, as the format is, in one instruction where the machine is. */
static void store32(unsigned char *to, uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	value = __builtin_bswap32(value);
#endif
	memcpy(to, &value, sizeof(value));
}

static unsigned char *put_length(unsigned char *to, size_t len)
{
	for (; len >= 128; len >>= 7)
		*to++ = (unsigned char)(len | 128);
	*to++ = (unsigned char)len;
	return to;
}

/* The length of a copy whose distance needs 16 bits, in pieces of 64. */
static unsigned char *put_copies(unsigned char *to, size_t distance, size_t len)
{
	while (len > 0) {
		/* No piece shorter than 4 stays over: the short form below begins there.
		 */
		size_t piece = len >= 68 ? 64 : len > 64 ? 60 : len;

		if (piece < 12 && piece >= 4 && distance < 2048) {
			*to++ = (unsigned char)(1 | (piece - 4) << 2 |
						distance >> 8 << 5);
			*to++ = (unsigned char)distance;
		} else {
			*to++ = (unsigned char)(2 | (piece - 1) << 2);
			*to++ = (unsigned char)distance;
			*to++ = (unsigned char)(distance >> 8);
		}
		len -= piece;
	}
	return to;
}

/*
 * What follows takes where to write and where the room ends by value, and returns where
 * to go on, NULL when there is no room: bytes stored through a pointer could change a
 * structure that held them, and the compiler would fetch it anew after every store.
 */
static inline unsigned char *put_copy(unsigned char *to, const unsigned char *to_end,
				      size_t distance, size_t len)
{
	size_t room = (size_t)(to_end - to);
	bool near = len < 12 && distance < 2048;
	uint32_t tag = (uint32_t)(near ? 1 | (len - 4) << 2 | distance >> 8 << 5
				       : 2 | (len - 1) << 2);

	if (__builtin_expect(len > 64, 0))
		return room > 3 * (len / 60 + 1) ? put_copies(to, distance, len) : NULL;
	if (__builtin_expect(room <= 4, 0))
		return NULL;
	/* Most copies: one piece, and no branch that memory's bytes make hard to guess.
	 */
	tag |= (uint32_t)distance << 8;
	store32(to, tag);
	return to + 3 - near;
}

static unsigned char *put_long_literal(unsigned char *to, const unsigned char *from,
				       size_t len)
{
	if (len <= 60) {
		*to++ = (unsigned char)((len - 1) << 2);
	} else if (len <= 256) {
		*to++ = 60 << 2;
		*to++ = (unsigned char)(len - 1);
	} else {
		*to++ = 61 << 2;
		*to++ = (unsigned char)(len - 1);
		*to++ = (unsigned char)((len - 1) >> 8);
	}
	memcpy(to, from, len);
	return to + len;
}

/* readable: so many bytes may be read from there on. */
static inline unsigned char *put_literal(unsigned char *to, const unsigned char *to_end,
					 const unsigned char *from, size_t len,
					 size_t readable)
{
	size_t room = (size_t)(to_end - to);

	if (__builtin_expect(room <= len + 3, 0))
		return NULL;
	if (len <= 16 && readable >= 16 && room >= 17) {
		*to = (unsigned char)((len - 1) << 2);
		memcpy(to + 1, from, 16);
		return to + 1 + len;
	}
	return put_long_literal(to, from, len);
}

/* How many bytes at a and b, a before b, are the same; b is 8 before end or more. */
static inline size_t same_bytes(const unsigned char *a, const unsigned char *b,
				const unsigned char *end)
{
	const unsigned char *start = b;
	uint64_t first = load64(a) ^ load64(b);

	/* Mostly the answer, and the caller knows that 8 bytes are there. */
	if (__builtin_expect(first != 0, 1))
		return (size_t)__builtin_ctzll(first) >> 3;
	a += 8;
	b += 8;
	while (end - b >= 8) {
		uint64_t differ = load64(a) ^ load64(b);

		if (differ)
			return (size_t)(b - start) +
			       ((size_t)__builtin_ctzll(differ) >> 3);
		a += 8;
		b += 8;
	}
	while (b < end && *a == *b) {
		a++;
		b++;
	}
	return (size_t)(b - start);
}

struct search {
	const unsigned char *base, *limit;
	uint16_t *table;
	unsigned int shift;
};

/* Looks up the 4 bytes at ip, and remembers ip in their place. */
static inline const unsigned char *swap_candidate(const struct search *search,
						  const unsigned char *ip, uint32_t bytes)
{
	uint32_t hash = (bytes * 0x1e35a7bdu) >> search->shift;
	const unsigned char *candidate = search->base + search->table[hash];

	search->table[hash] = (uint16_t)(ip - search->base);
	return candidate;
}

/*
 * The next place from ip on that repeats an earlier one, NULL when there is none before
 * the limit. The longer nothing is found the larger the steps: incompressible data costs
 * little more than a copy.
 */
static inline const unsigned char *find_match(const struct search *search,
					      const unsigned char *ip,
					      const unsigned char **candidate)
{
	size_t step, skip = 32;

	/* The first ones one by one, four of them by one load. */
	for (; search->limit - ip >= 16 && skip < 48; skip += 4) {
		uint64_t bytes = load64(ip);

#pragma GCC unroll 4
		for (int i = 0; i < 4; i++, ip++, bytes >>= 8) {
			*candidate = swap_candidate(search, ip, (uint32_t)bytes);
			if ((uint32_t)bytes == load32(*candidate))
				return ip;
		}
	}
	for (; ip <= search->limit; ip += step, skip += step) {
		uint32_t bytes = load32(ip);

		step = skip >> 5;
		*candidate = swap_candidate(search, ip, bytes);
		if (bytes == load32(*candidate))
			return ip;
		if (step > (size_t)(search->limit - ip))
			break;
	}
	return NULL;
}

static struct search search_start(const unsigned char *data, size_t len,
				  struct snappy_table *table)
{
	unsigned int bits = 8;

	while (bits < 14 && ((size_t)1 << bits) < len)
		bits++;
	memset(table->at, 0, sizeof(table->at[0]) << bits);
	return (struct search){ data, data + len - MARGIN, table->at, 32 - bits };
}

/*
 * Writes to *out and moves it. Returns up to where data is encoded, NULL when it did not
 * fit.
 */
static const unsigned char *encode(const unsigned char *data, size_t len,
				   unsigned char **out, const unsigned char *to_end,
				   struct snappy_table *table)
{
	const unsigned char *end = data + len, *done = data, *ip = data + 1, *candidate;
	const struct search search = search_start(data, len, table);
	unsigned char *to = *out;

	while ((ip = find_match(&search, ip, &candidate))) {
		uint64_t next;

		to = put_literal(to, to_end, done, (size_t)(ip - done),
				 (size_t)(end - done));
		if (!to)
			return NULL;
		do {
			size_t same = 4 + same_bytes(candidate + 4, ip + 4, end);

			to = put_copy(to, to_end, (size_t)(ip - candidate), same);
			if (!to)
				return NULL;
			ip += same;
			done = ip;
			if (ip > search.limit)
				goto out;
			next = load64(ip - 1);
			swap_candidate(&search, ip - 1, (uint32_t)next);
			next >>= 8;
			candidate = swap_candidate(&search, ip, (uint32_t)next);
		} while ((uint32_t)next == load32(candidate));
		ip++;
	}
out:
	*out = to;
	return done;
}

size_t snappy_encode(const void *data, size_t len_bytes, void *out, size_t out_max,
		     struct snappy_table *table)
{
	const unsigned char *from = data, *done = from, *end = from + len_bytes;
	unsigned char *to = out, *to_end = to + out_max;

	if (out_max < 4)
		return 0;
	to = put_length(to, len_bytes);
	if (len_bytes > MARGIN)
		done = encode(from, len_bytes, &to, to_end, table);
	if (!done)
		return 0;
	if (done < end)
		to = put_literal(to, to_end, done, (size_t)(end - done),
				 (size_t)(end - done));
	return to ? (size_t)(to - (unsigned char *)out) : 0;
}

size_t snappy_zeros(size_t len_bytes, unsigned char out[SNAPPY_ZEROS_MAX])
{
	unsigned char *to = put_length(out, len_bytes);

	*to++ = 0;
	*to++ = 0;
	to = put_copies(to, 1, len_bytes - 1);
	return (size_t)(to - out);
}
