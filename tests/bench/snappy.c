/*
 * Our snappy encoder against Google's library (libsnappy-dev), on the same pieces of 64
 * KiB of a file, or of pages of several kinds when none is given: snappy [FILE] A line a
 * kind: MB/s and compressed size of both, and their ratios.
 */
#include <snappy-c.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/memlike.h"
#include "toolkit/lib/snappy.h"

#define DATA_MAX ((size_t)64 << 20)
/* Timed at once; a whole number of them is DATA_MAX. */
#define SLICE ((size_t)256 << 10)
#define ROUNDS 9

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

/* The least seconds that each slice took, of one of the two. */
struct times {
	size_t packed;
	double best[DATA_MAX / SLICE];
};

static void measure(size_t (*compress)(const unsigned char *, size_t), size_t slice,
		    size_t len, struct times *times)
{
	double start = seconds(), took;

	for (size_t off = 0, n; off < len; off += n) {
		n = len - off < SNAPPY_BLOCK_BYTES ? len - off : SNAPPY_BLOCK_BYTES;
		times->packed += compress(data + slice * SLICE + off, n);
	}
	took = seconds() - start;
	if (!times->best[slice] || took < times->best[slice])
		times->best[slice] = took;
}

/*
 * Slices in turn and many rounds, of which each slice's best counts: what else the
 * machine does hits both alike, and seldom the same slice every time.
 */
static void compare(const char *name, size_t len, bool goal)
{
	static struct times our, their;
	double our_speed = 0, their_speed = 0, speed, size;
	size_t our_len, their_len, slices = (len + SLICE - 1) / SLICE;

	memset(&our, 0, sizeof(our));
	memset(&their, 0, sizeof(their));
	for (int round = 0; round < ROUNDS; round++) {
		our.packed = their.packed = 0;
		for (size_t i = 0; i < slices; i++) {
			size_t n = len - i * SLICE < SLICE ? len - i * SLICE : SLICE;

			measure(ours, i, n, &our);
			measure(theirs, i, n, &their);
		}
	}
	for (size_t i = 0; i < slices; i++) {
		our_speed += our.best[i];
		their_speed += their.best[i];
	}
	our_speed = (double)len / 1e6 / our_speed;
	their_speed = (double)len / 1e6 / their_speed;
	our_len = our.packed;
	their_len = their.packed;
	speed = our_speed / their_speed;
	size = (double)our_len / (double)their_len;
	printf("snappy_mb_s/%s ours=%.0f peer=%.0f ratio=%.2f goal=%s %s\n", name,
	       our_speed, their_speed, speed, goal ? ">=1.0" : "-",
	       !goal	    ? "reported"
	       : speed >= 1 ? "ok"
			    : "short");
	printf("snappy_bytes/%s ours=%zu peer=%zu ratio=%.4f goal=<=1.02 %s\n", name,
	       our_len, their_len, size, size <= 1.02 ? "ok" : "short");
}

int main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;

	data = calloc(1, DATA_MAX);
	if (!data || argc > 2 || (argc == 2 && !file)) {
		fprintf(stderr, "usage: snappy [FILE]\n");
		return 2;
	}
	if (file) {
		compare("file", fread(data, 1, DATA_MAX, file), true);
		return 0;
	}
	compare("zero", DATA_MAX, false);
	memlike_noise(data, DATA_MAX);
	compare("random", DATA_MAX, false);
	memlike_text(data, DATA_MAX);
	compare("text", DATA_MAX, false);
	memlike_objects(data, DATA_MAX);
	compare("objects", DATA_MAX, false);
	memlike_fill(data, DATA_MAX);
	compare("memory", DATA_MAX, true);
	return 0;
}
