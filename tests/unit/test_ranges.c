#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/ranges.h"

static struct ranges ranges;
static struct err err;

/* Reads text as iomem of a directory of its own. */
static int read_iomem(const char *text, size_t len)
{
	char dir[] = "/tmp/fvol-ranges-XXXXXX";
	int dirfd, fd, rc;

	if (!mkdtemp(dir) || (dirfd = open(dir, O_RDONLY | O_DIRECTORY)) < 0)
		abort();
	fd = openat(dirfd, "iomem", O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		abort();
	close(fd);
	err = (struct err){ 0 };
	rc = ranges_read_iomem(dirfd, &ranges, &err);
	unlinkat(dirfd, "iomem", 0);
	close(dirfd);
	rmdir(dir);
	return rc;
}

#define READ(text) read_iomem(text, strlen(text))

static void ends_are_inclusive(void)
{
	CHECK(READ("00001000-0009fbff : System RAM\n00100000-3fffffff : System RAM\n") ==
	      0);
	CHECK(ranges.count == 2);
	CHECK(ranges.at[0].start == 0x1000 && ranges.at[0].end == 0x9fbff);
	CHECK(ranges_bytes(&ranges) == 0x9ec00 + 0x3ff00000);
}

static void nested_ram_counts_once(void)
{
	CHECK(READ("00100000-3fffffff : System RAM\n"
		   "  01000000-01ffffff : Kernel code\n"
		   "  02000000-02ffffff : System RAM\n"
		   "140000000-1bfffffff : virtio0\n"
		   "  140000000-147ffffff : System RAM (virtio_mem)\n"
		   "1c0000000-1ffffffff : dax0.0\n"
		   "  1c0000000-1ffffffff : System RAM (kmem)\n") == 0);
	CHECK(ranges.count == 3);
	CHECK(ranges.at[1].start == 0x140000000 && ranges.at[2].end == 0x1ffffffff);
}

static void other_names_are_not_ram(void)
{
	CHECK(READ("00100000-001fffff : System RAMdisk\n00200000-002fffff : System RAM\n"
		   "00300000-003fffff : Reserved\n") == 0);
	CHECK(ranges.count == 1 && ranges.at[0].start == 0x200000);
}

static void hidden_addresses_are_refused(void)
{
	CHECK(READ("00000000-00000000 : System RAM\n00000000-00000000 : Reserved\n") < 0);
	CHECK(err.kind == ERR_REFUSED);
}

static void bad_text_is_an_error(void)
{
	static const char *const bad[] = {
		"",
		"00100000-001fffff : Reserved\n",
		"00100000-001fffff : System RAM",
		"00100000 001fffff : System RAM\n",
		"0010000g-001fffff : System RAM\n",
		"-001fffff : System RAM\n",
		"00200000-001fffff : System RAM\n",
		"00100000-002fffff : System RAM\n00200000-003fffff : System RAM\n",
		"00200000-002fffff : System RAM\n00100000-001fffff : System RAM\n",
		"11112222333344445-11112222333344446 : System RAM\n",
		"\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(READ(bad[i]) < 0);
		CHECK(err.kind == ERR_FAILED && err.text[0]);
	}
	CHECK(read_iomem("00100000-001fffff : System\0RAM\n", 31) < 0);
}

static void long_input_is_bounded(void)
{
	size_t line = strlen("00000000000-00000000fff : System RAM\n");
	size_t lines = RANGES_MAX + 1;
	char *text = malloc(lines * line + 1);

	for (size_t i = 0; i < lines; i++)
		snprintf(text + i * line, line + 1, "%08zx000-%08zxfff : System RAM\n",
			 2 * i + 1, 2 * i + 1);
	CHECK(read_iomem(text, RANGES_MAX * line) == 0);
	CHECK(ranges.count == RANGES_MAX);
	CHECK(read_iomem(text, lines * line) < 0);
	memset(text, 'a', 5000);
	CHECK(read_iomem(text, 5000) < 0);
	free(text);
}

int main(void)
{
	RUN(ends_are_inclusive);
	RUN(nested_ram_counts_once);
	RUN(other_names_are_not_ram);
	RUN(hidden_addresses_are_refused);
	RUN(bad_text_is_an_error);
	RUN(long_input_is_bounded);
	return DONE();
}
