#include "toolkit/lib/snappy.h"

#include <stdbool.h>
#include <string.h>

#include "toolkit/lib/le.h"

/* The last bytes are left to a literal, so that loads of 8 bytes stay inside. */
#define MARGIN 15

/* Where output goes. */
struct output {
	unsigned char *at, *end;
};

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

static inline bool put_copy(struct output *out, size_t distance, size_t len)
{
	unsigned char *to = out->at;
	size_t room = (size_t)(out->end - to);
	bool near = len < 12 && distance < 2048;
	size_t tag = near ? 1 | (len - 4) << 2 | distance >> 8 << 5 : 2 | (len - 1) << 2;

	if (len > 64) {
		if (room <= 3 * (len / 60 + 1))
			return false;
		out->at = put_copies(to, distance, len);
		return true;
	}
	if (room <= 4)
		return false;
	/* Most copies: one piece, and no branch that memory's bytes make hard to guess.
	 */
	put_le(to, tag | distance << 8, 4);
	out->at = to + 3 - near;
	return true;
}

/* readable: so many bytes may be read from there on. */
static inline bool put_literal(struct output *out, const unsigned char *from, size_t len,
			       size_t readable)
{
	unsigned char *to = out->at;
	size_t room = (size_t)(out->end - to);

	if (room <= len + 3)
		return false;
	if (len <= 16 && readable >= 16 && room >= 17) {
		*to++ = (unsigned char)((len - 1) << 2);
		memcpy(to, from, 16);
		out->at = to + len;
		return true;
	}
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
	out->at = to + len;
	return true;
}

/* How many bytes at a and b, a before b, are the same; b does not pass end. */
static inline size_t same_bytes(const unsigned char *a, const unsigned char *b,
				const unsigned char *end)
{
	const unsigned char *start = b;

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
						  const unsigned char *ip)
{
	uint32_t hash = (load32(ip) * 0x1e35a7bdu) >> search->shift;
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
	for (size_t step, skip = 32; ip <= search->limit; ip += step, skip += step) {
		step = skip >> 5;
		*candidate = swap_candidate(search, ip);
		if (load32(ip) == load32(*candidate))
			return ip;
		if (step > (size_t)(search->limit - ip))
			break;
	}
	return NULL;
}

static void search_start(struct search *search, const unsigned char *data, size_t len,
			 struct snappy_table *table)
{
	unsigned int bits = 8;

	while (bits < 14 && ((size_t)1 << bits) < len)
		bits++;
	memset(table->at, 0, sizeof(table->at[0]) << bits);
	search->base = data;
	search->limit = data + len - MARGIN;
	search->table = table->at;
	search->shift = 32 - bits;
}

/* Returns up to where data is encoded, NULL when it did not fit. */
static const unsigned char *encode(const unsigned char *data, size_t len,
				   struct output *out, struct snappy_table *table)
{
	const unsigned char *end = data + len, *done = data, *ip = data + 1, *candidate;
	struct search search;

	search_start(&search, data, len, table);
	while ((ip = find_match(&search, ip, &candidate))) {
		if (!put_literal(out, done, (size_t)(ip - done), (size_t)(end - done)))
			return NULL;
		do {
			size_t same = 4 + same_bytes(candidate + 4, ip + 4, end);

			if (!put_copy(out, (size_t)(ip - candidate), same))
				return NULL;
			ip += same;
			done = ip;
			if (ip > search.limit)
				return done;
			swap_candidate(&search, ip - 1);
			candidate = swap_candidate(&search, ip);
		} while (load32(ip) == load32(candidate));
		ip++;
	}
	return done;
}

size_t snappy_encode(const void *data, size_t len_bytes, void *out, size_t out_max,
		     struct snappy_table *table)
{
	const unsigned char *from = data, *done = from, *end = from + len_bytes;
	struct output output = { out, (unsigned char *)out + out_max };

	if (out_max < 4)
		return 0;
	output.at = put_length(output.at, len_bytes);
	if (len_bytes > MARGIN)
		done = encode(from, len_bytes, &output, table);
	if (!done)
		return 0;
	if (done < end &&
	    !put_literal(&output, done, (size_t)(end - done), (size_t)(end - done)))
		return 0;
	return (size_t)(output.at - (unsigned char *)out);
}

size_t snappy_zeros(size_t len_bytes, unsigned char out[SNAPPY_ZEROS_MAX])
{
	unsigned char *to = put_length(out, len_bytes);

	*to++ = 0;
	*to++ = 0;
	to = put_copies(to, 1, len_bytes - 1);
	return (size_t)(to - out);
}
