#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include "tests/lib/fakeproc.h"
#include "tests/unit/check.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/record.h"
#include "toolkit/lib/sink.h"

static char scratch[] = "build/check/record.XXXXXX";
static int dirfd = -1;
static _Alignas(IO_BLOCK) unsigned char arena[2 * IO_BLOCK];

/* The record of a clock in this state, as one line. The caller frees it. */
static char *clock_text(int state, const struct timex *timex)
{
	struct json *doc = json_new();
	struct err err;
	char *text;

	if (!doc)
		abort();
	record_clock_state(doc, json_root(doc), state, timex);
	text = json_text(doc, false, NULL, &err);
	json_free(doc);
	return text;
}

static void clock_that_is_disciplined(void)
{
	struct timex timex = { .status = STA_PLL | STA_NANO,
			       .offset = -1234567,
			       .maxerror = 2500,
			       .esterror = 17,
			       .tai = 37 };
	char *text = clock_text(TIME_OK, &timex);

	CHECK_STR(text, "{\"clock\":{\"synchronised\":true,\"offset_ns\":-1234567,"
			"\"max_error_us\":2500,\"estimated_error_us\":17,"
			"\"tai_offset_s\":37}}");
	free(text);
	/* A leap second that waits is no disorder. */
	text = clock_text(TIME_INS, &timex);
	CHECK(text && strstr(text, "\"synchronised\":true"));
	free(text);
	timex.status = STA_PLL;
	text = clock_text(TIME_OK, &timex);
	CHECK(text && strstr(text, "\"offset_ns\":-1234567000,"));
	free(text);
}

static void clock_that_is_not(void)
{
	struct timex timex = { .status = STA_UNSYNC, .maxerror = 16000000 };
	char *text = clock_text(TIME_OK, &timex);

	CHECK(text && strstr(text, "\"synchronised\":false"));
	free(text);
	timex.status = 0;
	text = clock_text(TIME_ERROR, &timex);
	CHECK(text && strstr(text, "\"synchronised\":false"));
	free(text);
}

static void write_text(const char *name, const char *text)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || io_pwrite(fd, text, strlen(text), 0) < 0)
		abort();
	close(fd);
}

static bool five_levels(void)
{
	static char notes[32768], text[VMCOREINFO_MAX];

	record_vmcoreinfo(dirfd, notes, sizeof(notes), text);
	return record_five_level_paging(dirfd, text);
}

static void five_levels_by_vmcoreinfo(void)
{
	if (fakeproc_write(dirfd, FAKE_IOMEM, 0) < 0 ||
	    fakeproc_add_vmcoreinfo(dirfd, "OSRELEASE=6.1\n"
					   "NUMBER(pgtable_l5_enabled)=1\n") < 0)
		abort();
	CHECK(five_levels());
	if (fakeproc_write(dirfd, FAKE_IOMEM, 0) < 0 ||
	    fakeproc_add_vmcoreinfo(dirfd, "NUMBER(pgtable_l5_enabled)=0\n") < 0)
		abort();
	/* What the kernel says of itself counts, not what the processor could do. */
	write_text("cpuinfo", "processor\t: 0\nflags\t\t: fpu la57\n\n");
	CHECK(!five_levels());
}

static void five_levels_by_processor_flags(void)
{
	unlinkat(dirfd, "kcore", 0);
	unlinkat(dirfd, "cpuinfo", 0);
	CHECK(!five_levels());
	write_text("cpuinfo", "processor\t: 0\nflags\t\t: fpu la57 sse\nbugs\t: a\n");
	CHECK(five_levels());
	write_text("cpuinfo", "processor\t: 0\nflags\t\t: fpu sse la57\n\n");
	CHECK(five_levels());
	write_text("cpuinfo",
		   "flags are above\nflags\t\t: fpu la578 xla57\nbugs\t: la57\n");
	CHECK(!five_levels());
}

static void open_sink(struct sink *sink)
{
	struct err err;

	if (sink_open(sink, dirfd, "image", arena, sizeof(arena), 0, false, &err) < 0) {
		printf("  %s\n", err.text);
		abort();
	}
}

static void room_for_ranges_and_not_for_holes(void)
{
	static struct ranges ranges = { 2, { { 100, 0xfffff }, { 1ull << 40, 0 } } };
	struct sink sink;
	struct err err;
	struct stat st;

	ranges.at[1].end = ranges.at[1].start + 0x1000ff;
	open_sink(&sink);
	CHECK(sink_reserve_ranges(&sink, &ranges, &err) == 0);
	CHECK(fstat(sink.fd, &st) == 0);
	/* 1 MiB, and 1 MiB and one block; the file system may add blocks of its own. */
	CHECK(st.st_size == 0);
	CHECK(st.st_blocks * 512 >= 0x201000 && st.st_blocks * 512 < 0x240000);
	sink_remove(&sink);
}

static void no_room_for_ranges(void)
{
	static struct ranges ranges = { 2,
					{ { 0, 0xfffff }, { 1ull << 40, 1ull << 50 } } };
	struct sink sink;
	struct err err = { 0 };
	struct stat st;

	open_sink(&sink);
	CHECK(sink_reserve_ranges(&sink, &ranges, &err) < 0);
	CHECK(err.kind == ERR_FAILED);
	/* 1 MiB and 2^50 - 2^40 bytes, and the last block. */
	CHECK(strstr(err.text,
		     "the volume is too small: image needs 1124800396267520 bytes, "));
	CHECK(strstr(err.text, " are free"));
	CHECK(fstat(sink.fd, &st) == 0 && st.st_blocks == 0);
	sink_remove(&sink);
}

int main(void)
{
	if (!mkdtemp(scratch) || (dirfd = open(scratch, O_RDONLY | O_DIRECTORY)) < 0) {
		perror(scratch);
		return 5;
	}
	RUN(clock_that_is_disciplined);
	RUN(clock_that_is_not);
	RUN(five_levels_by_vmcoreinfo);
	RUN(five_levels_by_processor_flags);
	RUN(room_for_ranges_and_not_for_holes);
	RUN(no_room_for_ranges);
	unlinkat(dirfd, "iomem", 0);
	unlinkat(dirfd, "cpuinfo", 0);
	close(dirfd);
	rmdir(scratch);
	return DONE();
}
