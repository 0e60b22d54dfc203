/*
 * Our snappy encoder against Google's library (libsnappy-dev), on the same pieces of 64
 * KiB of a file, or of pages of several kinds when none is given: snappy [FILE] A line a
 * kind: MB/s and compressed size of both, and their ratios.
 */
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "toolkit/lib/snappy.h"

#define DATA_MAX ((size_t)64 << 20)
#define ROUNDS 5

static unsigned char *data;
static unsigned char out[2 * SNAPPY_BLOCK_BYTES];
static struct snappy_table table;

static size_t ours(const unsigned char *from, size_t len)
{
	size_t n = snappy_encode(from, len, out, len, &table);

	if (n)
		return n;
	memcpy(out, from, len);
	return len;
}

static size_t theirs(const unsigned char *from, size_t len)
{
	size_t n = sizeof(out);

	if (snappy_compress((const char *)from, len, (char *)out, &n) != SNAPPY_OK)
		exit(5);
	return n < len ? n : len;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* MB/s of the best round; *packed is the whole compressed size. */
static double measure(size_t (*compress)(const unsigned char *, size_t), size_t len,
		      size_t *packed)
{
	double best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		double start = seconds(), speed;

		*packed = 0;
		for (size_t off = 0, n; off < len; off += n) {
			n = len - off < SNAPPY_BLOCK_BYTES ? len - off
							   : SNAPPY_BLOCK_BYTES;
			*packed += compress(data + off, n);
		}
		speed = (double)len / 1e6 / (seconds() - start);
		best = speed > best ? speed : best;
	}
	return best;
}

static void compare(const char *name, size_t len)
{
	size_t our_len, their_len;
	double our_speed = measure(ours, len, &our_len);
	double their_speed = measure(theirs, len, &their_len);

	printf("snappy-%s-MB/s ours=%.0f peer=%.0f ratio=%.2f\n", name, our_speed,
	       their_speed, our_speed / their_speed);
	printf("snappy-%s-bytes ours=%zu peer=%zu ratio=%.4f\n", name, our_len, their_len,
	       (double)our_len / (double)their_len);
}

int main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
	unsigned long long seed = 88172645463325252;

	data = calloc(1, DATA_MAX);
	if (!data || argc > 2 || (argc == 2 && !file)) {
		fprintf(stderr, "usage: snappy [FILE]\n");
		return 2;
	}
	if (file) {
		compare("file", fread(data, 1, DATA_MAX, file));
		return 0;
	}
	compare("zero", DATA_MAX);
	for (size_t i = 0; i < DATA_MAX; i += 8) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		memcpy(data + i, &seed, 8);
	}
	compare("random", DATA_MAX);
	for (size_t i = 0, n; i + 64 < DATA_MAX; i += n)
		n = (size_t)sprintf((char *)data + i, "%zu: pid %zu on cpu %zu\n", i / 7,
				    i % 32749, i % 13);
	compare("text", DATA_MAX);
	return 0;
}
