/* A sink against a model of the file in memory: puts, marks and patches in random order.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/sink.h"

#define MODEL_BYTES (1u << 20)

static _Alignas(IO_BLOCK) unsigned char arena[2 * IO_BLOCK];
static unsigned char model[MODEL_BYTES], file[MODEL_BYTES];
static size_t len, marked;
static char dir[64];
static int dirfd;
static struct sink sink;
static struct err err;

static void set_up(void)
{
	/* Beside the test, not in /tmp: O_DIRECT wants a real file system. */
	strcpy(dir, "build/check/sink-XXXXXX");
	if (!mkdtemp(dir) || (dirfd = open(dir, O_RDONLY | O_DIRECTORY)) < 0)
		abort();
	err = (struct err){ 0 };
	len = marked = 0;
	CHECK(sink_open(&sink, dirfd, "file", arena, sizeof(arena), 0, true, &err) == 0);
}

static void tear_down(void)
{
	sink_remove(&sink);
	unlinkat(dirfd, "file", 0);
	close(dirfd);
	rmdir(dir);
}

static size_t below(size_t n)
{
	return (size_t)random() % n;
}

static void fill(unsigned char *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at[i] = (unsigned char)random();
}

static void put(size_t n)
{
	fill(model + len, n);
	CHECK(sink_put(&sink, model + len, n, &err) == 0);
	len += n;
}

static void patch(void)
{
	size_t n, off;

	if (len == marked)
		return;
	off = marked + below(len - marked);
	n = 1 + below(len - off < 40 ? len - off : 40);
	fill(model + off, n);
	CHECK(sink_patch(&sink, off, model + off, n, &err) == 0);
}

static void check_file(void)
{
	uint8_t digest[SHA256_LEN], want[SHA256_LEN];
	int fd;

	CHECK(sink_finish(&sink, digest, &err) == 0);
	sha256(model, len, want);
	CHECK(memcmp(digest, want, sizeof(want)) == 0);
	fd = openat(dirfd, "file", O_RDONLY);
	CHECK(io_pread(fd, file, sizeof(file), 0) == (ssize_t)len);
	CHECK(memcmp(file, model, len) == 0);
	close(fd);
}

static void the_hash_is_of_what_was_patched(void)
{
	for (unsigned seed = 0; seed < 20; seed++) {
		set_up();
		srandom(seed);
		while (len < MODEL_BYTES / 4) {
			switch (below(4)) {
			case 0:
				sink_mark(&sink);
				marked = len;
				break;
			case 1:
				patch();
				break;
			default:
				put(1 + below(below(2) ? 64 : 5 * IO_BLOCK));
			}
		}
		check_file();
		tear_down();
	}
}

/* Longer than what is read again at once, and all of it on the disk. */
static void a_long_block_is_hashed_again(void)
{
	set_up();
	put(5000);
	sink_mark(&sink);
	marked = len;
	for (int i = 0; i < 40; i++)
		put(IO_BLOCK + 1);
	fill(model + marked, 32);
	CHECK(sink_patch(&sink, marked, model + marked, 32, &err) == 0);
	put(77);
	check_file();
	tear_down();
}

static void what_is_marked_is_not_patched(void)
{
	set_up();
	put(2 * IO_BLOCK);
	sink_mark(&sink);
	put(100);
	CHECK(sink_patch(&sink, 2 * IO_BLOCK - 1, "ab", 2, &err) < 0);
	CHECK(strstr(err.text, "no such bytes"));
	CHECK(sink_patch(&sink, 2 * IO_BLOCK + 99, "ab", 2, &err) < 0);
	check_file();
	tear_down();
}

int main(void)
{
	RUN(the_hash_is_of_what_was_patched);
	RUN(a_long_block_is_hashed_again);
	RUN(what_is_marked_is_not_patched);
	return DONE();
}
