/*
 * The stages of a conversion, each alone on one core, of what a LiME file of one range
 * holds; and the file itself:
 *   stages make FILE MIB   memory-like contents
 *   stages STAGE FILE      hash (SHA-256), pack (avml: snappy and checksums), unpack
 *                          (avml blocks as decoder_avml.c reads them): prints MB/s
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/memlike.h"
#include "toolkit/lib/encoder.h"
#include "toolkit/lib/lime.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/source_decoder.h"

#define CHUNK ((size_t)256 << 10)

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(5);
}

static void make(const char *path, size_t mib)
{
	struct range range = { 1 << 20, ((mib + 1) << 20) - 1 };
	unsigned char header[LIME_HEADER_BYTES];
	unsigned char *data = malloc(1 << 20);
	FILE *file = fopen(path, "wbx");

	lime_header(&range, header);
	if (!file || !data || fwrite(header, sizeof(header), 1, file) != 1)
		die(path);
	for (size_t i = 0; i < mib; i++) {
		memlike_fill(data, 1 << 20);
		if (fwrite(data, 1 << 20, 1, file) != 1)
			die(path);
	}
	if (fclose(file) != 0)
		die(path);
	free(data);
}

static const unsigned char *map(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *data;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	*len = (size_t)st.st_size;
	data = mmap(NULL, *len, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (data == MAP_FAILED)
		die(path);
	close(fd);
	return data;
}

static void hash(const unsigned char *data, size_t len)
{
	uint8_t digest[SHA256_LEN];
	struct sha256 ctx;

	sha256_init(&ctx);
	for (size_t off = 0, n; off < len; off += n) {
		n = len - off < CHUNK ? len - off : CHUNK;
		sha256_update(&ctx, data + off, n);
	}
	sha256_final(&ctx, digest);
}

static void pack(const unsigned char *data, size_t len)
{
	unsigned char *out = malloc(encoder_avml.packed_bound(CHUNK));
	void *scratch = aligned_alloc(64, encoder_avml.scratch_bytes(CHUNK));

	for (size_t off = 0, n; off < len; off += n) {
		n = len - off < CHUNK ? len - off : CHUNK;
		encoder_avml.pack(data + off, n, out, scratch);
	}
	free(out);
	free(scratch);
}

/* Returns how many bytes of memory there were. */
static size_t unpack(const char *path)
{
	static struct decoder decoder;
	struct decoder_piece piece;
	struct err err = { 0 };
	size_t whole = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC), more = -1;

	if (decoder_open(&decoder, fd, NULL, false, &err) == 0 &&
	    decoder_survey(&decoder, NULL, &err) == 0 &&
	    decoder_start(&decoder, &err) == 0)
		while ((more = decoder.ops->next(&decoder, &piece, &err)) > 0)
			whole += piece.len_bytes;
	if (more < 0) {
		fprintf(stderr, "stages: %s\n", err.text);
		exit(5);
	}
	decoder_close(&decoder);
	close(fd);
	return whole;
}

int main(int argc, char **argv)
{
	const unsigned char *data;
	size_t len;
	double start;

	if (argc == 4 && strcmp(argv[1], "make") == 0) {
		make(argv[2], strtoul(argv[3], NULL, 10));
		return 0;
	}
	if (argc != 3 || (strcmp(argv[1], "hash") && strcmp(argv[1], "pack") &&
			  strcmp(argv[1], "unpack"))) {
		fprintf(stderr, "usage: stages make FILE MIB | hash|pack|unpack FILE\n");
		return 2;
	}
	data = map(argv[2], &len);
	start = seconds();
	if (argv[1][0] == 'h')
		hash(data, len);
	else if (argv[1][0] == 'p')
		pack(data, len);
	else
		len = unpack(argv[2]);
	printf("%.0f\n", (double)len / 1e6 / (seconds() - start));
	return 0;
}
