/*
 * The kernel out of what a machine boots. The files are those of the fuzz corpus, which
 * tests/symbols/mkkernel.py made: each holds small.btf, a build id, and two banners.
 */
#include <stdlib.h>

#include "tests/unit/check.h"
#include "toolkit/lib/vmlinux.h"

#define CORPUS "tests/fuzz/corpus/vmlinux/"

static char file[65536], small[8192];
static size_t file_len, small_len;

static size_t load(const char *path, char *data, size_t size)
{
	FILE *in = fopen(path, "rb");
	size_t len = in ? fread(data, 1, size, in) : 0;

	if (in)
		fclose(in);
	return len;
}

static void check_kernel(const char *name, unsigned machine, bool unpacked)
{
	struct vmlinux kernel;
	struct err err = { 0 };
	char path[128], release[32], short_release[8];

	snprintf(path, sizeof(path), CORPUS "%s", name);
	file_len = load(path, file, sizeof(file));
	CHECK(vmlinux_open(&kernel, file, file_len, &err) == 0);
	CHECK_STR(err.text, "");
	CHECK(kernel.machine == machine);
	CHECK(kernel.elf == (machine == 62));
	CHECK(!!kernel.map == unpacked);
	CHECK(kernel.btf_len == small_len && memcmp(kernel.btf, small, small_len) == 0);
	/* Of a vDSO's and the kernel's the kernel's; of the draft and the banner the
	 * banner.
	 */
	CHECK(kernel.build_id_len == 20 && kernel.build_id[19] == 19);
	CHECK(kernel.banner &&
	      memcmp(kernel.banner + kernel.banner_len - 11, "#1 SMP now\n", 11) == 0);
	CHECK(vmlinux_release(kernel.banner, kernel.banner_len, release,
			      sizeof(release)));
	CHECK_STR(release, "6.1.0-test");
	CHECK(!vmlinux_release(kernel.banner, kernel.banner_len, short_release,
			       sizeof(short_release)));
	vmlinux_close(&kernel);
}

static void test_x86_in_every_packing(void)
{
	check_kernel("vmlinux", 62, false);
	check_kernel("bzimage-gzip", 62, true);
	check_kernel("bzimage-xz", 62, true);
	check_kernel("bzimage-lzma", 62, true);
	check_kernel("bzimage-zstd", 62, true);
	check_kernel("bzimage-lz4", 62, true);
}

static void test_arm64_in_every_form(void)
{
	check_kernel("image", 183, false);
	check_kernel("image-gzip", 183, true);
	check_kernel("zboot-gzip", 183, true);
	check_kernel("zboot-xz", 183, true);
}

static void refused(const char *name, size_t cut, size_t at, char value, const char *why)
{
	struct vmlinux kernel;
	struct err err = { 0 };
	char path[128];

	snprintf(path, sizeof(path), CORPUS "%s", name);
	file_len = load(path, file, sizeof(file));
	if (at)
		file[at] = value;
	CHECK(vmlinux_open(&kernel, file, file_len - cut, &err) < 0);
	CHECK_STR(err.text, why);
}

static void test_damage_is_named(void)
{
	refused("bzimage-gzip", 100, 0, 0, "the bzImage is cut off");
	refused("zboot-gzip", 100, 0, 0, "the zboot image is cut off");
	refused("image-gzip", 100, 0, 0,
		"unpacking the kernel: gzip data that end too early");
	refused("bzimage-gzip", 0, 1300, 'x', "unpacking the kernel: damaged gzip data");
	refused("bzimage-xz", 0, 1300, 'x', "unpacking the kernel: damaged xz data");
	refused("bzimage-lz4", 0, 1040 + 6, 1,
		"unpacking the kernel: lz4 data that end too early");
	refused("bzimage-gzip", 0, 1040, 'B',
		"the kernel is packed by a method that is not known");
	refused("bzimage-gzip", 0, 0x207, 1,
		"a bzImage older than Linux 2.6.26 (boot protocol)");
	refused("vmlinux", 0, 18, 3,
		"a kernel of another machine than x86_64 and aarch64");
	refused("vmlinux", 0, 1, 'e', "neither a bzImage, an arm64 Image nor a vmlinux");
}

static void test_a_method_that_is_not_supported_is_named(void)
{
	struct vmlinux kernel;
	struct err err = { 0 };

	file_len = load(CORPUS "bzimage-gzip", file, sizeof(file));
	memcpy(file + 1040, "BZh", 3);
	CHECK(vmlinux_open(&kernel, file, file_len, &err) < 0);
	CHECK_STR(err.text, "the kernel is packed by bzip2, which is not supported");
}

static void test_banners(void)
{
	static const char *const none[] = {
		"Linux version 6.1 (x) #1 SMP",	    /* no end */
		"Linux version %s (x) #1 SMP\n",    /* the format of /proc/version */
		"Linux version 6.1 (x) # SMP\n",    /* a draft */
		"Linux version 6.1 (x)\1 #1 SMP\n", /* not text */
		"linux version 6.1 (x) #1 SMP\n",
	};
	size_t len;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		CHECK(!vmlinux_find_banner(none[i], strlen(none[i]), &len));
	CHECK(vmlinux_find_banner("Linux version 5 #2\nmore", 23, &len) && len == 19);
}

int main(void)
{
	small_len = load("tests/fuzz/corpus/btf/small", small, sizeof(small));
	RUN(test_x86_in_every_packing);
	RUN(test_arm64_in_every_form);
	RUN(test_damage_is_named);
	RUN(test_a_method_that_is_not_supported_is_named);
	RUN(test_banners);
	return DONE();
}
