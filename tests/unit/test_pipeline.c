#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/fakeproc.h"
#include "tests/readers/image.h"
#include "tests/unit/check.h"
#include "toolkit/lib/encoder_avml.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/kcore.h"
#include "toolkit/lib/lime.h"
#include "toolkit/lib/pipeline.h"

static _Alignas(IO_BLOCK) unsigned char arena[2 * IO_BLOCK];

static char dir[64];
static int dirfd;
static struct ranges ranges;
static struct kcore kcore;
static struct sink sink;
static struct pipeline pipeline;
static struct progress progress;
static uint8_t file_sha256[SHA256_LEN];
static volatile sig_atomic_t interrupted;
static struct err err;
static unsigned char *image;
static size_t image_len;

static void set_up(void)
{
	/* Beside the test, not in /tmp: O_DIRECT wants a real file system. */
	strcpy(dir, "build/check/pipeline-XXXXXX");
	if (!mkdtemp(dir) || (dirfd = open(dir, O_RDONLY | O_DIRECTORY)) < 0)
		abort();
	err = (struct err){ 0 };
	image = NULL;
}

static void tear_down(void)
{
	static const char *const names[] = { "iomem", "kcore", "image", "image.partial" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(dirfd, names[i], 0);
	close(dirfd);
	rmdir(dir);
	free(image);
}

static void read_back(void)
{
	struct stat st;
	int fd = openat(dirfd, "image", O_RDONLY);

	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	/* raw is as long as the address space. */
	if (st.st_size > 1 << 30) {
		close(fd);
		return;
	}
	image_len = (size_t)st.st_size;
	image = malloc(image_len);
	if (io_pread(fd, image, image_len, 0) != st.st_size)
		abort();
	close(fd);
}

/* Gives up after some bytes, as a full disk does. */
static uint64_t room_bytes = UINT64_MAX;
/* Not 0: the memory is not all compressible. */
static uint64_t mixed_bytes;
/* Alone: all is packed and hashed by the thread that writes. */
static bool writer_works;

static ssize_t limited_read(struct source *source, uint64_t phys, void *buf, size_t len)
{
	ssize_t n;

	if (pipeline.captured_bytes > room_bytes)
		interrupted = 1;
	n = source_kcore.read(source, phys, buf, len);
	/* Every fourth stretch of this length is noise, the same in each run. */
	for (uint64_t at = phys; mixed_bytes && n > 0 && at < phys + (size_t)n; at++) {
		uint64_t noise = at * 0x9e3779b97f4a7c15;

		if (at / mixed_bytes % 4 == 3)
			((unsigned char *)buf)[at - phys] =
				(unsigned char)((noise ^ noise >> 29) *
							0xbf58476d1ce4e5b9 >>
						56);
	}
	return n;
}

/* Of the whole tree: a fake proc, opened once and closed by the source. */
static int run(uint64_t cut_bytes, enum pipeline_layout layout,
	       uint8_t digest[SHA256_LEN])
{
	struct source_ops ops = source_kcore;
	struct source source = { .ops = &ops };
	struct source_env env = { .proc_dirfd = dirfd,
				  .sys_dirfd = dirfd,
				  .dev_dirfd = dirfd };
	struct err ignored;
	int rc = -1;

	ops.read = limited_read;
	interrupted = 0;
	if (fakeproc_write(dirfd, FAKE_IOMEM, cut_bytes) < 0)
		abort();
	if (ranges_read_iomem(dirfd, &ranges, &err) < 0 ||
	    ops.open(&source, &env, &ranges, &err) < 0)
		return -1;
	progress_start(&progress, "test", 0);
	pipeline = (struct pipeline){ .source = &source,
				      .ranges = &ranges,
				      .layout = layout,
				      .encoder = &encoder_avml,
				      .sink = &sink,
				      .arena_bytes = PIPELINE_ARENA_MIN,
				      .workers = writer_works ? 1 : 2,
				      .writer_works = writer_works,
				      .hash = true,
				      .progress = &progress,
				      .interrupted = &interrupted };
	if (sink_open(&sink, dirfd, "image", arena, sizeof(arena), 0, true, &err) == 0) {
		rc = pipeline_arena_take(&pipeline, &err);
		if (rc == 0)
			rc = pipeline_run(&pipeline, &err);
		if (rc == 0)
			rc = sink_finish(&sink, file_sha256, &err);
		memcpy(digest, pipeline.stream_sha256, SHA256_LEN);
		pipeline_arena_release(&pipeline);
	}
	sink_abandon(&sink);
	ops.close(&source, &ignored);
	read_back();
	return rc;
}

/* Counts bytes of a range's data that are neither right nor, inside a gap, zero. */
static size_t wrong_bytes(const unsigned char *data, const struct range *range)
{
	size_t wrong = 0;

	for (uint64_t at = range->start; at <= range->end; at++) {
		uint64_t word = fake_word(at & ~7ull);
		unsigned char want = (unsigned char)(word >> 8 * (at & 7));

		for (size_t i = 0; i < pipeline.gaps.count; i++)
			if (at >= pipeline.gaps.at[i].range.start &&
			    at <= pipeline.gaps.at[i].range.end)
				want = 0;
		wrong += data[at - range->start] != want;
	}
	return wrong;
}

static void check_image(void)
{
	size_t at = 0;

	CHECK(image_len == FAKE_RAM_BYTES + FAKE_RANGES * LIME_HEADER_BYTES);
	for (size_t i = 0; i < ranges.count; i++) {
		unsigned char header[LIME_HEADER_BYTES];

		lime_header(&ranges.at[i], header);
		CHECK(memcmp(image + at, header, sizeof(header)) == 0);
		at += sizeof(header);
		CHECK(wrong_bytes(image + at, &ranges.at[i]) == 0);
		at += (size_t)range_bytes(&ranges.at[i]);
	}
	CHECK(at == image_len);
}

static void every_byte_is_in_its_place(void)
{
	uint8_t digest[SHA256_LEN], want[SHA256_LEN];

	set_up();
	CHECK(run(0, LAYOUT_LIME, digest) == 0);
	CHECK(ranges.count == FAKE_RANGES);
	check_image();
	sha256(image, image_len, want);
	CHECK(memcmp(digest, want, sizeof(want)) == 0);
	CHECK(pipeline.gaps.count == 1 && pipeline.gaps.bytes == FAKE_GAP_BYTES);
	CHECK(pipeline.gaps.at[0].range.start == FAKE_GAP_START &&
	      pipeline.gaps.at[0].kind == GAP_UNMAPPED);
	CHECK(faccessat(dirfd, "image.partial", F_OK, 0) < 0);
	tear_down();
}

/* Blocks that are merged have their headers changed after they were hashed. */
static void hash_avml(const uint8_t stream_sha256[SHA256_LEN])
{
	uint8_t digest[SHA256_LEN], want[SHA256_LEN];

	set_up();
	CHECK(run(0, LAYOUT_ENCODER, digest) == 0);
	sha256(image, image_len, want);
	CHECK(memcmp(file_sha256, want, sizeof(want)) == 0);
	CHECK(memcmp(digest, stream_sha256, sizeof(digest)) == 0);
	/* Not all of the 5.6 MiB compressed, so that there were merged blocks. */
	CHECK(image_len > 512 * 1024);
	tear_down();
}

static void avml_is_hashed_as_it_is_written(void)
{
	uint8_t stream[SHA256_LEN], want[SHA256_LEN];

	mixed_bytes = 256 * 1024;
	set_up();
	CHECK(run(0, LAYOUT_LIME, stream) == 0);
	sha256(image, image_len, want);
	CHECK(memcmp(stream, want, sizeof(want)) == 0);
	tear_down();
	hash_avml(stream);
	writer_works = true;
	hash_avml(stream);
	writer_works = false;
	mixed_bytes = 0;
}

static void what_the_source_does_not_give_is_a_gap(void)
{
	uint8_t digest[SHA256_LEN];

	set_up();
	CHECK(run(3 * 4096, LAYOUT_LIME, digest) == 0);
	check_image();
	CHECK(pipeline.gaps.count == 2 &&
	      pipeline.gaps.bytes == FAKE_GAP_BYTES + 3 * 4096);
	CHECK(pipeline.gaps.at[1].range.start == 0x2000fd000 &&
	      pipeline.gaps.at[1].range.end == 0x2000fffff);
	CHECK(pipeline.gaps.at[1].kind == GAP_UNREADABLE);
	tear_down();
}

static void raw_has_every_byte_at_its_address(void)
{
	uint8_t digest[SHA256_LEN];
	int fd;

	set_up();
	CHECK(run(0, LAYOUT_RAW, digest) == 0);
	fd = openat(dirfd, "image", O_RDONLY);
	for (size_t i = 0; i < ranges.count; i++) {
		size_t len = (size_t)range_bytes(&ranges.at[i]);
		unsigned char *data = malloc(len);

		CHECK(io_pread(fd, data, len, ranges.at[i].start) == (ssize_t)len);
		CHECK(wrong_bytes(data, &ranges.at[i]) == 0);
		free(data);
	}
	close(fd);
	tear_down();
}

/* What was written before the end came is a whole, shorter image. */
static void a_capture_that_ends_early_leaves_a_valid_image(void)
{
	uint8_t digest[SHA256_LEN];
	struct range last;
	struct stat st;
	int fd;

	set_up();
	room_bytes = 1 << 20;
	CHECK(run(0, LAYOUT_LIME, digest) < 0);
	room_bytes = UINT64_MAX;
	CHECK(strstr(err.text, "interrupted") && pipeline.truncated);
	fd = openat(dirfd, "image.partial", O_RDONLY);
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	/* The second range is the one that was cut: its header says where. */
	CHECK(io_pread(fd, &last, sizeof(last), LIME_HEADER_BYTES + 0x9ec00 + 8) ==
	      sizeof(last));
	CHECK(last.start == 0x100000 && last.end < 0x4fffff);
	CHECK((uint64_t)st.st_size ==
	      2 * LIME_HEADER_BYTES + 0x9ec00 + range_bytes(&last));
	image = malloc((size_t)range_bytes(&last));
	CHECK(io_pread(fd, image, (size_t)range_bytes(&last),
		       2 * LIME_HEADER_BYTES + 0x9ec00) == (ssize_t)range_bytes(&last));
	CHECK(wrong_bytes(image, &last) == 0);
	close(fd);
	tear_down();
}

/* The last block, whose length was not written yet, is gone: see encoder_avml.h. */
static void avml_that_ends_early_ends_with_a_block(void)
{
	uint8_t digest[SHA256_LEN];
	struct image read;
	struct stat st;
	int fd;

	set_up();
	room_bytes = 1 << 20;
	CHECK(run(0, LAYOUT_ENCODER, digest) < 0);
	room_bytes = UINT64_MAX;
	CHECK(strstr(err.text, "interrupted") && pipeline.truncated);
	fd = openat(dirfd, "image.partial", O_RDONLY);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0);
	image = malloc((size_t)st.st_size);
	CHECK(io_pread(fd, image, (size_t)st.st_size, 0) == st.st_size);
	close(fd);
	CHECK(image_open(&read, image, (uint64_t)st.st_size) == 0);
	CHECK(read.format == IMAGE_AVML && read.count > 4);
	for (size_t i = 0; i < read.count; i++) {
		struct range range = { read.at[i].start,
				       read.at[i].start + read.at[i].len - 1 };
		unsigned char *data = malloc((size_t)read.at[i].len);

		CHECK(image_read(&read, i, 0, data, (size_t)read.at[i].len) == 0);
		CHECK(wrong_bytes(data, &range) == 0);
		free(data);
	}
	image_close(&read);
	tear_down();
}

static void an_existing_image_is_kept(void)
{
	uint8_t digest[SHA256_LEN];
	int fd;

	set_up();
	fd = openat(dirfd, "image", O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0 && write(fd, "old", 3) == 3);
	close(fd);
	CHECK(run(0, LAYOUT_LIME, digest) < 0);
	CHECK(err.kind == ERR_FAILED && strstr(err.text, "exists"));
	CHECK(image_len == 3 && memcmp(image, "old", 3) == 0);
	tear_down();
}

static void the_arena_follows_the_memory(void)
{
	CHECK(pipeline_arena_for(512ull << 20) == 256 * 1024);
	CHECK(pipeline_arena_for(4ull << 30) == 256 * 1024);
	CHECK(pipeline_arena_for((8ull << 30) - 1) == 256 * 1024);
	CHECK(pipeline_arena_for(8ull << 30) == 512 * 1024);
	CHECK(pipeline_arena_for(16ull << 30) == 1024 * 1024);
	CHECK(pipeline_arena_for(1ull << 40) == 1024 * 1024);
}

/* Is any page of it mapped? */
static bool is_mapped(unsigned char *start, size_t len)
{
	bool mapped = false;

	for (size_t at = 0; at < len; at += IO_BLOCK)
		mapped |= msync(start + at, IO_BLOCK, MS_ASYNC) == 0;
	return mapped;
}

/* What is kept holds what it held, and releasing it forgets nothing. */
static void an_arena_shrinks_once(void)
{
	unsigned char *map;
	size_t len;

	pipeline = (struct pipeline){ .layout = LAYOUT_LIME,
				      .arena_bytes = 2 * PIPELINE_ARENA_MIN,
				      .workers = 1,
				      .hash = true };
	pipeline_arena_shrink(&pipeline);
	CHECK(pipeline_arena_take(&pipeline, &err) == 0);
	map = pipeline.map;
	len = pipeline.map_bytes;
	CHECK(len > PIPELINE_ARENA_MIN && len <= 2 * PIPELINE_ARENA_MIN);
	memset(map, 7, len);
	pipeline_arena_shrink(&pipeline);
	CHECK(pipeline.map == map && pipeline.map_bytes == PIPELINE_ARENA_MIN);
	CHECK(!is_mapped(map + PIPELINE_ARENA_MIN, len - PIPELINE_ARENA_MIN));
	CHECK(map[0] == 7 && map[PIPELINE_ARENA_MIN - 1] == 7);
	pipeline_arena_shrink(&pipeline);
	CHECK(pipeline.map_bytes == PIPELINE_ARENA_MIN && map[0] == 7);
	pipeline_arena_release(&pipeline);
	CHECK(!pipeline.map && !is_mapped(map, PIPELINE_ARENA_MIN));
}

static void lime_header_is_golden(void)
{
	static const unsigned char want[LIME_HEADER_BYTES] =
		"EMiL\1\0\0\0\0\x10\0\0\0\0\0\0\xff\xfb\x09\0\0\0\0\0";
	unsigned char header[LIME_HEADER_BYTES];

	lime_header(&(struct range){ 0x1000, 0x9fbff }, header);
	CHECK(memcmp(header, want, sizeof(want)) == 0);
}

/* Writes one 64-byte ELF header over the fake one and opens it. */
static int open_with_header(const Elf64_Ehdr *ehdr, size_t len)
{
	int fd, rc;

	if (fakeproc_write(dirfd, FAKE_IOMEM, 0) < 0)
		abort();
	fd = openat(dirfd, "kcore", O_RDWR);
	if (fd < 0 || ftruncate(fd, 0) < 0 || write(fd, ehdr, len) != (ssize_t)len)
		abort();
	close(fd);
	if (ranges_read_iomem(dirfd, &ranges, &err) < 0)
		abort();
	rc = kcore_open(&kcore, dirfd, &ranges, &err);
	kcore_close(&kcore);
	return rc;
}

static void a_bad_kcore_is_an_error(void)
{
	Elf64_Ehdr ehdr = { .e_ident = ELFMAG,
			    .e_type = ET_CORE,
			    .e_phentsize = sizeof(Elf64_Phdr),
			    .e_phnum = 3 };

	set_up();
	CHECK(open_with_header(&ehdr, 10) < 0 && strstr(err.text, "ends inside"));
	CHECK(open_with_header(&ehdr, sizeof(ehdr)) < 0 && strstr(err.text, "64-bit"));
	ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	ehdr.e_phoff = sizeof(ehdr);
	CHECK(open_with_header(&ehdr, sizeof(ehdr)) < 0 &&
	      strstr(err.text, "ends inside"));
	ehdr.e_phoff = UINT64_MAX - 8;
	CHECK(open_with_header(&ehdr, sizeof(ehdr)) < 0 && err.kind == ERR_FAILED);
	ehdr.e_phnum = 0;
	CHECK(open_with_header(&ehdr, sizeof(ehdr)) < 0 &&
	      strstr(err.text, "no segment"));
	unlinkat(dirfd, "kcore", 0);
	CHECK(kcore_open(&kcore, dirfd, &ranges, &err) < 0 && err.kind == ERR_REFUSED);
	tear_down();
}

int main(void)
{
	RUN(lime_header_is_golden);
	RUN(the_arena_follows_the_memory);
	RUN(an_arena_shrinks_once);
	RUN(every_byte_is_in_its_place);
	RUN(avml_is_hashed_as_it_is_written);
	RUN(what_the_source_does_not_give_is_a_gap);
	RUN(raw_has_every_byte_at_its_address);
	RUN(a_capture_that_ends_early_leaves_a_valid_image);
	RUN(avml_that_ends_early_ends_with_a_block);
	RUN(an_existing_image_is_kept);
	RUN(a_bad_kcore_is_an_error);
	return DONE();
}
