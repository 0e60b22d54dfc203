/* Bytes that are like those of a machine's memory, the same in every run. */
#ifndef FVOL_TESTS_BENCH_MEMLIKE_H
#define FVOL_TESTS_BENCH_MEMLIKE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Numbers that look like nothing. */
static inline uint64_t memlike_number(void)
{
	static uint64_t seed = 88172645463325252;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static inline void memlike_noise(unsigned char *to, size_t len)
{
	for (size_t i = 0; i + 8 <= len; i += 8) {
		uint64_t word = memlike_number();

		memcpy(to + i, &word, 8);
	}
}

static inline void memlike_text(unsigned char *to, size_t len)
{
	char line[64];

	for (size_t i = 0, n; i < len; i += n) {
		n = (size_t)sprintf(line, "%zu: pid %u on cpu %zu\n", i / 7,
				    (unsigned int)memlike_number() % 32749, i % 13);
		n = n < len - i ? n : len - i;
		memcpy(to + i, line, n);
	}
}

/* Structures: kernel pointers into a few places, small counters, flags, zeros between. */
static inline void memlike_objects(unsigned char *to, size_t len)
{
	for (size_t i = 0; i + 8 <= len; i += 8) {
		uint64_t r = memlike_number(), word = 0;

		switch (r % 8) {
		case 0:
		case 1:
			word = 0xffff888000000000 + (r >> 16 & 0x3ffff) * 64;
			break;
		case 2:
			word = 0xffffffff81000000 + (r >> 20 & 0xfff) * 16;
			break;
		case 3:
			word = r >> 24 & 0xff;
			break;
		case 4:
			word = (r >> 24 & 0xfff) << 32 | 1;
			break;
		}
		memcpy(to + i, &word, 8);
	}
}

/* Half of it zero pages, the rest objects, text and what was compressed or encrypted. */
static inline void memlike_fill(unsigned char *to, size_t len)
{
	for (size_t off = 0; off + 4096 <= len; off += 4096) {
		unsigned int kind = (unsigned int)(memlike_number() >> 32) % 16;

		if (kind < 8)
			memset(to + off, 0, 4096);
		else if (kind < 12)
			memlike_objects(to + off, 4096);
		else if (kind < 15)
			memlike_text(to + off, 4096);
		else
			memlike_noise(to + off, 4096);
	}
}

#endif
