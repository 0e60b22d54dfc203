/* What the volume's checker reads of disk and mount: Identify pages, the mount table. */
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/mountdev.h"
#include "toolkit/lib/mountinfo.h"
#include "toolkit/lib/nvmeid.h"

static unsigned char page[NVMEID_BYTES];
static struct nvmeid id;

static void put(size_t off, const char *text, size_t width, char padding)
{
	memset(page + off, padding, width);
	memcpy(page + off, text, strlen(text));
}

/* As an EBS volume answers; the name with or without /dev/, padded by blanks or NULs. */
static void make_page(const char *name, char padding)
{
	memset(page, 0, sizeof(page));
	page[0] = 0x0f;
	page[1] = 0x1d;
	put(4, "vol0123456789abcdef0", 20, ' ');
	put(24, "Amazon Elastic Block Store", 40, ' ');
	put(3072, name, 32, padding);
}

static void identify_of_ebs(void)
{
	static const char *const names[][2] = {
		{ "/dev/sdf", "sdf" },	  { "sdf", "sdf" },	  { "xvdf", "sdf" },
		{ "/dev/xvdba", "sdba" }, { "/dev/sda1", "sda" }, { "xvda", "sda" },
	};
	struct err err;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		make_page(names[i][0], i % 2 ? ' ' : '\0');
		CHECK(nvmeid_read(page, &id, &err) == 0);
		CHECK(id.ebs);
		CHECK_STR(id.serial, "vol0123456789abcdef0");
		CHECK_STR(id.device_name, names[i][1]);
	}
}

static void identify_of_others(void)
{
	struct err err;

	/* Only of an EBS volume is anything known of the vendor's area. */
	make_page("/dev/sdf", ' ');
	put(24, "Amazon EC2 NVMe Instance Storage", 40, ' ');
	CHECK(nvmeid_read(page, &id, &err) == 0);
	CHECK(!id.ebs);
	CHECK_STR(id.device_name, "");
	make_page("/dev/sdf", ' ');
	page[0] = 0x36;
	CHECK(nvmeid_read(page, &id, &err) == 0);
	CHECK(!id.ebs);
	CHECK_STR(id.device_name, "");
	/* 20 bytes of the serial and no NUL; here fewer. */
	put(4, "QM00001", 20, ' ');
	CHECK(nvmeid_read(page, &id, &err) == 0);
	CHECK_STR(id.serial, "QM00001");
	put(4, "vol\x1b[2J", 20, ' ');
	CHECK(nvmeid_read(page, &id, &err) < 0);
	CHECK_STR(err.text, "the disk's serial is not printable");
	make_page("../../etc/passwd", ' ');
	CHECK(nvmeid_read(page, &id, &err) == 0);
	CHECK(id.ebs);
	CHECK_STR(id.device_name, "");
}

static void names(void)
{
	static const char *const bad[] = {
		"",	   "sd",       "/dev/",	  "nvme1n1",	  "sdF",  "sdabc",
		"sda123",  "sdf/../x", "xvd",	  "/dev/dev/sdf", "sdf ", "sd1",
		"xvdf1p1", "/sdf",     "dev/sdf", "ephemeral0",
	};
	char out[NVMEID_NAME_MAX + 1];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(out, 'x', sizeof(out));
		CHECK(!nvmeid_normal_name(bad[i], strlen(bad[i]), out));
		CHECK_STR(out, "");
	}
	CHECK(nvmeid_normal_name("sdf\0garbage", 11, out));
	CHECK_STR(out, "sdf");
}

#define POINT "/run/fvol/volume"
#define OURS                                                                             \
	"97 25 259:3 / /run/fvol/volume rw,nosuid,nodev,noatime shared:57 - ext4 "       \
	"/dev/nvme1n1 rw,commit=60\n"
#define ROOT                                                                             \
	"1 0 259:1 / / rw,relatime - ext4 /dev/root rw\n"                                \
	"25 1 0:22 / /run rw,nosuid,nodev - tmpfs tmpfs rw,size=1000k\n"

/* The sentence for a table, or "" when it is accepted. */
static const char *judge(const char *text)
{
	static struct err err;
	int fd = memfd_create("mountinfo", 0);
	int rc;

	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	rc = mountinfo_check(fd, POINT, makedev(259, 3), &err);
	close(fd);
	return rc == 0 ? "" : err.text;
}

static void mount_table(void)
{
	CHECK_STR(judge(ROOT OURS), "");
	CHECK_STR(judge(ROOT OURS "98 1 0:40 / /run/fvol/volume2 rw - tmpfs x rw\n"), "");
	CHECK_STR(judge(ROOT "97 25 259:3 / /run/fvol/volume nodev,noatime,ro,nosuid - "
			     "ext4 /dev/nvme1n1 ro\n"),
		  "");
	CHECK_STR(judge(ROOT), "the mount table does not name it");
	CHECK_STR(judge(""), "the mount table does not name it");
	CHECK_STR(judge(ROOT OURS OURS), "several file systems are mounted on it");
	CHECK_STR(judge(ROOT OURS "98 97 0:40 / /run/fvol/volume/bin rw - tmpfs x rw\n"),
		  "something is mounted inside it, on /run/fvol/volume/bin");
	CHECK_STR(judge(ROOT OURS
			"98 97 0:40 / /run/fvol/volume/a\\040b rw - tmpfs x rw\n"),
		  "something is mounted inside it, on /run/fvol/volume/a b");
	/* The same mount point, written otherwise. */
	CHECK_STR(judge(ROOT OURS "98 97 0:40 / /run\\057fvol/volume rw - tmpfs x rw\n"),
		  "several file systems are mounted on it");
}

static void mount_table_of_another(void)
{
	CHECK_STR(
		judge("97 25 259:4 / /run/fvol/volume nosuid,nodev,noatime - ext4 x rw\n"),
		"the mount table names the device 259:4, not 259:3");
	CHECK_STR(judge("97 25 259:3 /sub /run/fvol/volume nosuid,nodev,noatime - ext4 x "
			"rw\n"),
		  "a directory of the disk is mounted, not the whole");
	CHECK_STR(
		judge("97 25 259:3 / /run/fvol/volume nosuid,nodev,noatime - xfs x rw\n"),
		"the mount table says it is no ext4");
	CHECK_STR(judge("97 25 259:3 / /run/fvol/volume nosuid,nodev - ext4 x rw\n"),
		  "mounted without noatime");
	CHECK_STR(
		judge("97 25 259:3 / /run/fvol/volume nosuid2,nodev,noatime - ext4 x rw\n"),
		"mounted without nosuid");
}

static void mount_table_damaged(void)
{
	static char big[64 * 1024];

	CHECK_STR(judge("97\n" OURS), "the mount table has a damaged line");
	CHECK_STR(judge("97 25 259:3x / / rw - ext4 x rw\n" OURS),
		  "the mount table has a damaged line");
	CHECK_STR(judge("97 25 259:3 / / rw shared:1\n" OURS),
		  "the mount table has a damaged line");
	CHECK_STR(judge(OURS "97 25 259:3 / / rw - ext4 x r"),
		  "the mount table ends within a line");
	memset(big, 'x', sizeof(big) - 1);
	CHECK_STR(judge(big), "the mount table has an endless line");
	/* Longer than a piece that is read at a time. */
	memcpy(big, "1 0 0:9 / /", 11);
	strcpy(big + 20000, " rw - tmpfs x rw\n" OURS);
	CHECK_STR(judge(big), "");
}

/* The id that statfs tells is not that of a made-up superblock. */
static void mounted_file_system(void)
{
	unsigned char super[EXT4_SUPER_BYTES] = { 0 };
	struct err err;

	memcpy(super + EXT4_SUPER_UUID, "not this machine", 16);
	CHECK(mountdev_check_mounted(STDIN_FILENO, super, "/dev/x", &err) < 0);
	CHECK_STR(err.text, "the file system on /dev/x is not the one mounted");
}

int main(void)
{
	RUN(identify_of_ebs);
	RUN(identify_of_others);
	RUN(names);
	RUN(mount_table);
	RUN(mount_table_of_another);
	RUN(mount_table_damaged);
	RUN(mounted_file_system);
	return DONE();
}
