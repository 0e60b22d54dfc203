/* What a module must be to fit its kernel, what is unpacked, what a guest says. */
#include <stdlib.h>
#include <string.h>

#include "kmods/cpio.h"
#include "kmods/guest.h"
#include "kmods/modcheck.h"
#include "kmods/trees.h"
#include "tests/unit/check.h"

static void vermagic_of_configurations(void)
{
	static const struct {
		const char *arch, *config, *want;
	} cases[] = {
		/* Debian's 6.1 cloud and rt for amd64, 6.12 rt for arm64. */
		{ "x86_64",
		  "CONFIG_SMP=y\nCONFIG_PREEMPT_BUILD=y\nCONFIG_MODULE_UNLOAD=y\n"
		  "CONFIG_MODVERSIONS=y\n",
		  "6.1.0 SMP preempt mod_unload modversions " },
		{ "x86_64",
		  "CONFIG_PREEMPT_RT=y\nCONFIG_SMP=y\nCONFIG_MODULE_UNLOAD=y\n"
		  "CONFIG_MODVERSIONS=y\n",
		  "6.1.0 SMP preempt_rt mod_unload modversions " },
		{ "aarch64",
		  "CONFIG_SMP=y\nCONFIG_PREEMPT_BUILD=y\nCONFIG_PREEMPT_RT=y\n",
		  "6.1.0 SMP preempt aarch64" },
		/* 5.10 */
		{ "x86_64", "CONFIG_PREEMPT=y\n", "6.1.0 preempt " },
		{ "x86_64", "CONFIG_SMP=m\n#CONFIG_SMP=y\nXCONFIG_SMP=y\n", "6.1.0 " },
		{ "x86_64", "CONFIG_PREEMPT_VOLUNTARY=y\nCONFIG_SMP=y\n", "6.1.0 SMP " },
	};
	char vermagic[VERMAGIC_SIZE];
	struct err err = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(modcheck_vermagic(arch_find(cases[i].arch), "6.1.0",
					cases[i].config, vermagic, &err) == 0);
		CHECK_STR(vermagic, cases[i].want);
	}
	CHECK(modcheck_vermagic(arch_find("x86_64"), "6.1.0", "CONFIG_RANDSTRUCT=y\n",
				vermagic, &err) < 0);
	CHECK(strstr(err.text, "at random") != NULL);
}

static void checksums_of_symbols(void)
{
	static const char symvers[] =
		"0x1ba4b1d4\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n"
		"garbage\n0x12\tshort\tvmlinux\n"
		"0x92997ed8\t_printk\tvmlinux\tEXPORT_SYMBOL\t\n"
		"0x00000001\tlast\tkernel/x\tEXPORT_SYMBOL_GPL";
	struct modinfo *info = calloc(1, sizeof(*info));
	struct err err = { 0 };

	info->versions[0] = (struct modversion){ 0x92997ed8, "_printk" };
	info->versions[1] = (struct modversion){ 1, "last" };
	info->version_count = 2;
	CHECK(modcheck_versions(info, symvers, true, &err) == 0);
	info->versions[1].crc = 2;
	CHECK(modcheck_versions(info, symvers, true, &err) < 0);
	CHECK_STR(err.text, "it takes last with the checksum 0x00000002, its kernel has "
			    "it with 0x00000001");
	/* A symbol whose name only begins like one. */
	info->versions[1] = (struct modversion){ 0x1ba4b1d4, "module_lay" };
	CHECK(modcheck_versions(info, symvers, true, &err) < 0);
	CHECK_STR(err.text, "it takes module_lay, which its kernel does not have");
	CHECK(modcheck_versions(info, symvers, false, &err) < 0);
	info->version_count = 0;
	CHECK(modcheck_versions(info, symvers, true, &err) < 0);
	CHECK_STR(err.text, "it has no checksums of symbols");
	CHECK(modcheck_versions(info, symvers, false, &err) == 0);
	free(info);
}

static void what_is_unpacked(void)
{
	static const struct {
		const char *path;
		uint64_t size;
		bool want;
	} cases[] = {
		{ "usr/src/linux-headers-6.1.0-56-common/Makefile", 9, true },
		{ "usr/src/linux-headers-6.1.0-56-common/include/linux/mm.h", 9, true },
		{ "usr/src/linux-headers-6.1.0-56-common/arch/x86/Makefile", 9, true },
		{ "usr/src/linux-headers-6.1.0-56-common/arch/arm64/Makefile", 9, true },
		{ "usr/src/linux-headers-6.1.0-56-common/arch/mips/Makefile", 9, false },
		{ "usr/src/linux-headers-6.1.0-56-common/arch/Kconfig", 9, true },
		{ "usr/src/kernels/6.1.1-2.amzn2023.x86_64/arch/s390/x.h", 9, false },
		{ "usr/src/kernels/6.1.1-2.amzn2023.x86_64/arch/x86/x.h", 9, true },
		{ "usr/src/linux-headers-6.1.0/include/config/SMP", 0, false },
		{ "usr/src/linux-headers-6.1.0/include/config/auto.conf", 5, true },
		{ "usr/src/linux-headers-6.1.0/include/linux/empty.h", 0, true },
		{ "usr/share/doc/x/copyright", 9, false },
		{ "usr/lib/linux-kbuild-6.1/scripts/mod/modpost", 9, true },
		{ "usr/src/x", 9, true },
		{ "usr/src/", 9, true },
		{ "", 0, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (trees_want(cases[i].path, cases[i].size) != cases[i].want)
			printf("  %s\n", cases[i].path);
		CHECK(trees_want(cases[i].path, cases[i].size) == cases[i].want);
	}
}

static void a_guests_word(void)
{
	char words[GUEST_WORDS_SIZE], console[1024];

	CHECK(guest_judge("Booting\nfvol-boot-test: passed, 2 ranges, 5 bytes\r\nx\n",
			  words) == 1);
	CHECK_STR(words, "passed, 2 ranges, 5 bytes");
	CHECK(guest_judge("[ 1.0] fvol-boot-test: failed, no\033[m\n", words) == 0);
	CHECK_STR(words, "failed, no?[m");
	CHECK(guest_judge("", words) < 0);
	CHECK(guest_judge("Kernel panic\n", words) < 0);
	CHECK(guest_judge("fvol-boot-test: passed, 2 ran", words) < 0);
	CHECK(guest_judge("fvol-boot-test: \n", words) < 0);
	CHECK(guest_judge("fvol-boot-test: passedX\n", words) < 0);
	/* The first word counts. */
	CHECK(guest_judge("fvol-boot-test: failed, a\nfvol-boot-test: passed, b\n",
			  words) == 0);
	memset(console, 'x', sizeof(console));
	memcpy(console, "fvol-boot-test: passed, ", 24);
	memcpy(console + sizeof(console) - 2, "\n", 2);
	CHECK(guest_judge(console, words) == 1);
	CHECK(strlen(words) == GUEST_WORDS_SIZE - 1);
}

static void archive_of_a_guest(void)
{
	/* What cpio -o -H newc of GNU writes, but for inode numbers and times. */
	static const char want[] = "070701"
				   "00000001"
				   "000081ed"
				   "00000000"
				   "00000000"
				   "00000001"
				   "00000000"
				   "00000005"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000005"
				   "00000000"
				   "init\0\0"
				   "hello\0\0\0"
				   "070701"
				   "00000002"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000001"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "0000000b"
				   "00000000"
				   "TRAILER!!!\0\0\0\0";
	struct cpio cpio = { 0 };
	struct err err = { 0 };

	CHECK(cpio_add(&cpio, "init", 0755, "hello", 5, &err) == 0);
	CHECK(cpio_end(&cpio, &err) == 0);
	CHECK(cpio.len_bytes == sizeof(want) - 1);
	CHECK(cpio.len_bytes == sizeof(want) - 1 &&
	      memcmp(cpio.data, want, sizeof(want) - 1) == 0);
	free(cpio.data);
}

int main(void)
{
	RUN(vermagic_of_configurations);
	RUN(checksums_of_symbols);
	RUN(what_is_unpacked);
	RUN(a_guests_word);
	RUN(archive_of_a_guest);
	return DONE();
}
