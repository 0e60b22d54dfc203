/*
 * Runs a fuzz target without a fuzzer: every file of the corpus as it is, cut short at
 * every length up to a bound, and with bytes changed by a fixed generator, so that a run
 * is a regression test with the same inputs everywhere. fuzz_TARGET CORPUS_DIR
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define INPUT_MAX (1 << 20)
#define CUTS 2000
#define MUTATIONS 2000

static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void mutate(uint8_t *data, size_t len)
{
	static const uint8_t telling[] = { 0,	 1,   0x7f, 0x80, 0xff,
					   '\n', ' ', '-',  ':',  '0' };
	size_t changes = 1 + next_random() % 8;

	for (size_t i = 0; len && i < changes; i++) {
		size_t at = next_random() % len;

		if (next_random() % 2)
			data[at] = telling[next_random() % sizeof(telling)];
		else
			data[at] ^= (uint8_t)(1 << next_random() % 8);
	}
}

/* An allocation of the exact size, so that the sanitizer sees one byte too far. */
static void run(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static size_t load(const char *dir, const char *name, uint8_t *data)
{
	char path[1024];
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "rb");
	if (!file) {
		perror(path);
		exit(5);
	}
	len = fread(data, 1, INPUT_MAX, file);
	fclose(file);
	return len;
}

static void run_all(const uint8_t *data, size_t len)
{
	uint8_t *changed = malloc(len ? len : 1);
	size_t step = len / CUTS + 1;

	run(data, len);
	for (size_t cut = 0; cut < len; cut += step)
		run(data, cut);
	for (int i = 0; i < MUTATIONS; i++) {
		memcpy(changed, data, len);
		mutate(changed, len);
		run(changed, len);
	}
	free(changed);
}

int main(int argc, char **argv)
{
	static uint8_t data[INPUT_MAX];
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	struct dirent *entry;
	int files = 0;

	if (!dir) {
		fprintf(stderr, "usage: %s CORPUS_DIR\n", argv[0]);
		return 2;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		run_all(data, load(argv[1], entry->d_name, data));
		files++;
	}
	closedir(dir);
	return files ? 0 : 5;
}
