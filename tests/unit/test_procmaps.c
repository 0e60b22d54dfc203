/* /proc/PID/maps, whose paths are anybody's. */
#include <stdlib.h>

#include "tests/unit/check.h"
#include "toolkit/lib/procmaps.h"

static struct procmap map;

/* The first line of a text that ends where its memory does. */
static int first(const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len ? len : 1);
	const char *at = copy;
	static char path[256];
	int rc;

	memcpy(copy, text, len);
	rc = procmaps_next(&at, copy + len, &map);
	if (rc > 0) {
		snprintf(path, sizeof(path), "%.*s", (int)map.path_len, map.path);
		map.path = path;
	}
	free(copy);
	return rc;
}

static void fields(void)
{
	CHECK(first("7f01-7f02ab r-xp 00012000 fd:0a 4711   /usr/lib/lib c.so\n") == 1);
	CHECK(map.start == 0x7f01 && map.end == 0x7f02ab && map.off_bytes == 0x12000);
	CHECK_STR(map.perms, "r-xp");
	CHECK(map.major == 0xfd && map.minor == 10 && map.inode == 4711);
	CHECK_STR(map.path, "/usr/lib/lib c.so");
	CHECK(first("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0      "
		    "[vsyscall]") == 1);
	CHECK(map.start == 0xffffffffff600000);
	CHECK_STR(map.path, "[vsyscall]");
	CHECK(first("1000-2000 rw-s 00000000 00:00 0 \n") == 1);
	CHECK(map.path_len == 0 && map.inode == 0);
	CHECK(first("1000-2000 r-xp 0 00:01 18446744073709551615 /memfd:x (deleted)\n") ==
	      1);
	CHECK(map.inode == UINT64_MAX);
	CHECK_STR(map.path, "/memfd:x (deleted)");
	/* The kernel escapes newlines; a path may look like a line all the same. */
	CHECK(first("1000-2000 r--p 0 00:01 5 /a\\0121000-2000 rwxp 0 0:0 0 \n") == 1);
	CHECK_STR(map.path, "/a\\0121000-2000 rwxp 0 0:0 0 ");
}

static void what_the_kernel_would_not_write(void)
{
	static const char *const lines[] = {
		"x",
		"\n",
		"1000",
		"1000-",
		"1000-2000",
		"1000-2000 r-xp",
		"2000-1000 r-xp 0 0:0 0 ",
		"1000-2000 rqxp 0 0:0 0 ",
		"1000-2000 r-xx 0 0:0 0 ",
		"1000-2000 r-xp 0 0 0 ",
		"-2000 r-xp 0 0:0 0 ",
		"10000000000000000-20000000000000000 r-xp 0 0:0 0 ",
		"1000-2000 r-xp 0 00:00 ",
		"1000-2000 r-xp 0 00:00 /a",
		"1000-2000 r-xp 0 00:00 123456789012345678901 /a",
		"1000-2000 R-xp 0 00:00 0 ",
		"G000-2000 r-xp 0 00:00 0 ",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		CHECK(first(lines[i]) == -1);
		if (check_failures)
			printf("  %s\n", lines[i]);
	}
	CHECK(first("") == 0);
}

static void one_bad_line_costs_no_other(void)
{
	static const char text[] = "1000-2000 r-xp 0 00:00 0 \nnonsense\n\n"
				   "3000-4000 r-xp 0 00:00 7 /b\n";
	const char *at = text, *end = text + strlen(text);

	CHECK(procmaps_next(&at, end, &map) == 1 && map.start == 0x1000);
	CHECK(procmaps_next(&at, end, &map) == -1);
	CHECK(procmaps_next(&at, end, &map) == -1);
	CHECK(procmaps_next(&at, end, &map) == 1 && map.inode == 7 && map.path_len == 2);
	CHECK(procmaps_next(&at, end, &map) == 0);
	CHECK(procmaps_next(&at, end, &map) == 0);
}

int main(void)
{
	RUN(fields);
	RUN(what_the_kernel_would_not_write);
	RUN(one_bad_line_costs_no_other);
	return DONE();
}
