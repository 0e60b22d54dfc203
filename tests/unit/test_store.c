/* Files of evidence that go to a directory, a stream, or both at once. */
#include "toolkit/lib/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/io.h"

/* A remote place in memory, which fails where a test wants it to. */
static struct {
	char name[64];
	unsigned char data[64 * 1024];
	size_t len;
	size_t room; /* bytes until a write fails */
	bool refuses, finish_fails;
	unsigned opened, finished, aborted;
} place;

static int place_write(void *arg, const void *data, size_t len, struct err *err)
{
	(void)arg;
	if (place.len + len > place.room)
		return err_set(err, ERR_FAILED, "the line was cut");
	memcpy(place.data + place.len, data, len);
	place.len += len;
	return 0;
}

static int place_finish(void *arg, struct err *err)
{
	(void)arg;
	if (place.finish_fails)
		return err_set(err, ERR_FAILED, "not accepted");
	place.finished++;
	return 0;
}

static void place_abort(void *arg)
{
	(void)arg;
	place.aborted++;
}

static int place_open(void *arg, const char *name, uint64_t size_bytes,
		      struct sink_stream *stream, struct err *err)
{
	(void)arg;
	(void)size_bytes;
	place.opened++;
	place.len = 0;
	snprintf(place.name, sizeof(place.name), "%s", name);
	if (place.refuses)
		return err_set(err, ERR_REFUSED, "no such place");
	*stream = (struct sink_stream){ place_write, place_finish, place_abort, NULL };
	return 0;
}

static const struct store_remote remote = { place_open, NULL };
static _Alignas(IO_BLOCK) unsigned char arena[2 * IO_BLOCK];
static unsigned char text[20000];
static char dir[] = "/tmp/test_store.XXXXXX";
static struct store store;
static struct sink sink;
static struct err err;
static int dirfd = -1;

static void set_up(bool with_dir, bool with_remote)
{
	strcpy(dir, "/tmp/test_store.XXXXXX");
	if (!mkdtemp(dir) || (dirfd = open(dir, O_RDONLY | O_DIRECTORY)) < 0)
		abort();
	memset(&place, 0, sizeof(place));
	place.room = sizeof(place.data);
	store = (struct store){ .dirfd = with_dir ? dirfd : -1,
				.remote = with_remote ? &remote : NULL,
				.hashing = true,
				.arena = arena,
				.arena_bytes = sizeof(arena) };
	err = (struct err){ 0 };
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (unsigned char)(i * 7 + i / 251);
}

static void tear_down(void)
{
	unlinkat(dirfd, "file", 0);
	unlinkat(dirfd, "file.partial", 0);
	close(dirfd);
	rmdir(dir);
}

/* A header, bytes in place, a hole, and a ragged end. */
static int write_it(void)
{
	static _Alignas(IO_BLOCK) unsigned char block[3 * IO_BLOCK];

	memcpy(block + IO_BLOCK + 100, text + 100, IO_BLOCK);
	return sink_put(&sink, text, 100, &err) < 0 ||
			       sink_put_in_place(&sink, block + IO_BLOCK + 100, IO_BLOCK,
						 &err) < 0 ||
			       sink_skip(&sink, 9000, &err) < 0 ||
			       sink_put(&sink, text, 777, &err) < 0
		       ? -1
		       : 0;
}

static bool is_it(const unsigned char *data, size_t len)
{
	static const unsigned char zeros[9000];

	return len == 100 + IO_BLOCK + 9000 + 777 &&
	       !memcmp(data, text, 100 + IO_BLOCK) &&
	       !memcmp(data + 100 + IO_BLOCK, zeros, sizeof(zeros)) &&
	       !memcmp(data + 100 + IO_BLOCK + 9000, text, 777);
}

static bool file_is_it(void)
{
	static unsigned char data[64 * 1024];
	int fd = openat(dirfd, "file", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : io_pread(fd, data, sizeof(data), 0);

	io_close(&fd);
	return n >= 0 && is_it(data, (size_t)n);
}

static int store_it(void)
{
	if (store_open(&store, &sink, "file", arena, sizeof(arena), 1 << 20, &err) < 0)
		return -1;
	if (write_it() == 0 && store_finish(&store, &sink, &err) == 0)
		return 0;
	sink_abandon(&sink);
	return -1;
}

static void both_get_the_same_bytes(void)
{
	uint8_t digest[SHA256_LEN];

	set_up(true, true);
	CHECK(store_it() == 0);
	CHECK(file_is_it());
	CHECK(is_it(place.data, place.len));
	CHECK(place.finished == 1 && place.aborted == 0 && !store.remote_failed);
	sha256(place.data, place.len, digest);
	CHECK(store.count == 1 && !strcmp(store.files[0].name, "file"));
	CHECK(!memcmp(store.files[0].sha256, digest, sizeof(digest)));
	tear_down();
}

static void without_a_directory_the_stream_has_all(void)
{
	set_up(false, true);
	CHECK(store_it() == 0);
	CHECK(is_it(place.data, place.len) && place.finished == 1);
	CHECK(faccessat(dirfd, "file", F_OK, 0) < 0);
	tear_down();
}

static void a_cut_line_does_not_cost_the_file(void)
{
	set_up(true, true);
	place.room = 5000;
	CHECK(store_it() == 0);
	CHECK(file_is_it());
	CHECK(place.aborted == 1 && place.finished == 0);
	CHECK(store.remote_failed &&
	      strstr(store.remote_err.text, "file: the line was cut"));
	/* Nothing more is sent, and the first reason is the one that is kept. */
	CHECK(store_put(&store, "file2", "x", 1, &err) == 0 && place.opened == 1);
	CHECK(store_send_only(&store, "file3", "x", 1, &err) == 0 && place.opened == 1);
	unlinkat(dirfd, "file2", 0);
	tear_down();
}

static void a_cut_line_is_the_end_of_a_stream(void)
{
	set_up(false, true);
	place.room = 5000;
	CHECK(store_it() < 0);
	CHECK(strstr(err.text, "file: the line was cut"));
	CHECK(place.aborted == 1 && place.finished == 0 && store.count == 0);
	tear_down();
}

static void what_is_not_accepted_is_not_there(void)
{
	set_up(true, true);
	place.finish_fails = true;
	CHECK(store_it() == 0 && file_is_it());
	CHECK(store.remote_failed && place.aborted == 1);
	tear_down();
	set_up(false, true);
	place.refuses = true;
	CHECK(store_it() < 0 && strstr(err.text, "no such place"));
	CHECK(err.kind == ERR_REFUSED);
	tear_down();
}

static void a_stream_cannot_go_back(void)
{
	set_up(true, true);
	CHECK(store_open(&store, &sink, "file", arena, sizeof(arena), 0, &err) == 0);
	CHECK(!sink_can_patch(&sink));
	CHECK(sink_put(&sink, text, 100, &err) == 0);
	CHECK(sink_patch(&sink, 0, text, 4, &err) < 0);
	sink_remove(&sink);
	CHECK(place.aborted == 1);
	sink_remove(&sink);
	CHECK(place.aborted == 1);
	tear_down();
}

int main(void)
{
	RUN(both_get_the_same_bytes);
	RUN(without_a_directory_the_stream_has_all);
	RUN(a_cut_line_does_not_cost_the_file);
	RUN(a_cut_line_is_the_end_of_a_stream);
	RUN(what_is_not_accepted_is_not_there);
	RUN(a_stream_cannot_go_back);
	return DONE();
}
