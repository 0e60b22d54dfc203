/* The archive of the symbol bundle. That any tar reads it is tests/cli's. */
#include <stdlib.h>

#include "tests/unit/check.h"
#include "toolkit/lib/tarfile.h"

static unsigned char archive[8 * TARFILE_BLOCK];

/* Two files, of 600 bytes and of none, and the end. */
static void make(void)
{
	memset(archive, 0, sizeof(archive));
	tarfile_header(archive, "symbols/a", 600, 1795219200);
	memset(archive + TARFILE_BLOCK, 'A', 600);
	tarfile_header(archive + 3 * TARFILE_BLOCK, "symbols/ab", 0, 0);
}

static int find(const char *name, size_t len, size_t *found_len)
{
	const void *data = NULL;
	int rc;

	*found_len = 99;
	rc = tarfile_find(archive, len, name, &data, found_len);
	if (rc == 1)
		CHECK((const unsigned char *)data >= archive + TARFILE_BLOCK);
	return rc;
}

static void headers_are_of_posix(void)
{
	make();
	CHECK_STR((char *)archive, "symbols/a");
	CHECK_STR((char *)archive + 100, "0000600");
	CHECK_STR((char *)archive + 124, "00000001130");
	CHECK_STR((char *)archive + 136, "15300157400");
	CHECK(archive[156] == '0');
	CHECK(memcmp(archive + 257, "ustar\00000", 8) == 0);
	/* Octal, a NUL, a blank: the sum as Python's tarfile has it. */
	CHECK(memcmp(archive + 148, "007615\0 ", 8) == 0);
	tarfile_header(archive, "x", TARFILE_SIZE_MAX, 0);
	CHECK_STR((char *)archive + 124, "77777777777");
}

static void files_are_found(void)
{
	size_t len;

	make();
	CHECK(find("symbols/a", sizeof(archive), &len) == 1 && len == 600);
	CHECK(find("symbols/ab", sizeof(archive), &len) == 1 && len == 0);
	CHECK(find("symbols/abc", sizeof(archive), &len) == 0);
	CHECK(find("symbols", sizeof(archive), &len) == 0);
	/* No regular file: what it is called, it is not. */
	archive[3 * TARFILE_BLOCK + 156] = '2';
	archive[3 * TARFILE_BLOCK + 148 + 5] += 2;
	CHECK(find("symbols/ab", sizeof(archive), &len) == 0);
}

static void damage_is_noticed(void)
{
	size_t len;

	make();
	CHECK(find("symbols/ab", 0, &len) == -1);
	CHECK(find("symbols/ab", TARFILE_BLOCK, &len) == -1);
	CHECK(find("symbols/ab", 3 * TARFILE_BLOCK, &len) == -1);
	CHECK(find("symbols/abc", 4 * TARFILE_BLOCK, &len) == -1);
	archive[0] ^= 1;
	CHECK(find("symbols/ab", sizeof(archive), &len) == -1);
	make();
	/* Longer than the archive, with a sum that holds. */
	tarfile_header(archive, "symbols/a", sizeof(archive), 0);
	CHECK(find("symbols/a", sizeof(archive), &len) == -1);
	tarfile_header(archive, "symbols/a", TARFILE_SIZE_MAX, 0);
	CHECK(find("symbols/a", sizeof(archive), &len) == -1);
	archive[257] = 'U';
	CHECK(find("symbols/a", sizeof(archive), &len) == -1);
}

int main(void)
{
	RUN(headers_are_of_posix);
	RUN(files_are_found);
	RUN(damage_is_noticed);
	return DONE();
}
