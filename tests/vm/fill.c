/*
 * fill MIB [EVERY_KIB]: in a guest, fills so much memory with bytes that do not compress,
 * with a page of text every EVERY_KIB, and stays with it until it is killed. Prints
 * "PHYSICAL BYTES" (hex) of the longest stretch that it holds without a hole, and comes
 * back to its caller. Exit: 0; 2 usage; 5 failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define PFN_MASK ((1ull << 55) - 1)
#define PRESENT (1ull << 63)

static int failed(const char *what)
{
	fprintf(stderr, "fill: %s: %s\n", what, strerror(errno));
	return 5;
}

/* splitmix64: each word of a page differs from every other of the whole. */
static void fill_random(unsigned char *page, uint64_t number)
{
	for (size_t i = 0; i < PAGE; i += sizeof(uint64_t)) {
		uint64_t x = (number * (PAGE / 8) + i / 8 + 1) * 0x9e3779b97f4a7c15ull;

		x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
		x = (x ^ x >> 27) * 0x94d049bb133111ebull;
		x ^= x >> 31;
		memcpy(page + i, &x, sizeof(x));
	}
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Says where the longest stretch of neighbouring page frames is. */
static int print_longest(uint64_t *frames, size_t pages)
{
	size_t best = 0, best_len = 0;

	qsort(frames, pages, sizeof(*frames), by_number);
	for (size_t i = 0, len; i < pages; i += len) {
		for (len = 1; i + len < pages && frames[i + len] == frames[i] + len;)
			len++;
		if (len > best_len) {
			best = i;
			best_len = len;
		}
	}
	printf("%llx %llx\n", (unsigned long long)frames[best] * PAGE,
	       (unsigned long long)best_len * PAGE);
	return fflush(stdout) ? failed("standard output") : 0;
}

static int hold(size_t pages, size_t every, int to_parent)
{
	size_t len = pages * PAGE;
	unsigned char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t *frames = calloc(pages, sizeof(*frames));
	int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (mem == MAP_FAILED || !frames || map < 0)
		return failed("taking memory");
	(void)madvise(mem, len, MADV_HUGEPAGE);
	for (size_t i = 0; i < pages; i++) {
		if (every && i % every == every - 1)
			memset(mem + i * PAGE, 'a' + (int)(i % 26), PAGE);
		else
			fill_random(mem + i * PAGE, i);
	}
	if (mlock(mem, len) < 0)
		return failed("locking it");
	for (size_t i = 0; i < pages; i++) {
		off_t at = (off_t)((uintptr_t)(mem + i * PAGE) / PAGE * 8);

		if (pread(map, &frames[i], 8, at) != 8 || !(frames[i] & PRESENT))
			return failed("reading pagemap");
		frames[i] &= PFN_MASK;
	}
	if (print_longest(frames, pages))
		return 5;
	free(frames);
	/* The caller's pipes are let go, then it hears that all is in place. */
	setsid();
	close(0);
	close(1);
	close(2);
	if (write(to_parent, "", 1) != 1)
		return 5;
	close(to_parent);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	size_t every_kib = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	int fds[2];
	char byte;

	if (argc > 3 || !mib || mib > 1 << 20 || every_kib % 4) {
		fprintf(stderr, "usage: fill MIB [EVERY_KIB]\n");
		return 2;
	}
	if (pipe2(fds, O_CLOEXEC) < 0)
		return failed("pipe");
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		_exit(hold(mib << 8, every_kib / 4, fds[1]));
	}
	close(fds[1]);
	if (pid < 0 || read(fds[0], &byte, 1) != 1)
		return 5;
	return 0;
}
