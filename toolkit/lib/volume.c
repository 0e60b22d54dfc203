#include "toolkit/lib/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/sums.h"

#define EXT4_MAGIC 0xef53

/* ext4's superblock stands at byte 1024; linux Documentation/filesystems/ext4. */
#define SUPERBLOCK_OFF 1024
#define SUPERBLOCK_MAGIC 0x38
#define SUPERBLOCK_LABEL 0x78
#define SUPERBLOCK_LABEL_LEN 16

#define MANIFEST_MAX (16 * 1024 * 1024)

static int check_mount(int dirfd, struct err *err)
{
	struct statvfs flags;
	struct statfs fs;
	struct stat here, parent;

	if (fstatfs(dirfd, &fs) < 0 || fstatvfs(dirfd, &flags) < 0 ||
	    fstat(dirfd, &here) < 0 || fstatat(dirfd, "..", &parent, 0) < 0)
		return err_sys(err, errno, "examining the mount");
	if (here.st_dev == parent.st_dev)
		return err_set(err, ERR_FAILED, "not a mount point");
	if (fs.f_type != EXT4_MAGIC)
		return err_set(err, ERR_FAILED, "not an ext4 file system");
	if (!(flags.f_flag & ST_NOSUID) || !(flags.f_flag & ST_NODEV) ||
	    !(flags.f_flag & ST_NOATIME))
		return err_set(err, ERR_FAILED, "not mounted nosuid,nodev,noatime");
	return 0;
}

/* The disk's name in /dev, from the kernel's own uevent of the device number. */
static int device_path(dev_t dev, char path[64], struct err *err)
{
	char uevent[64], text[4096], *name;

	snprintf(uevent, sizeof(uevent), "/sys/dev/block/%u:%u/uevent", major(dev),
		 minor(dev));
	if (io_read_text(AT_FDCWD, uevent, text, sizeof(text), NULL, err) < 0)
		return -1;
	name = strstr(text, "DEVNAME=");
	if (!name)
		return err_set(err, ERR_FAILED, "%s names no device", uevent);
	name += strlen("DEVNAME=");
	name[strcspn(name, "\n")] = '\0';
	if (snprintf(path, 64, "/dev/%s", name) >= 64)
		return err_set(err, ERR_FAILED, "the device's name is too long");
	return 0;
}

static int check_superblock(const char *path, dev_t dev, struct err *err)
{
	static _Alignas(IO_BLOCK) unsigned char block[IO_BLOCK];
	const unsigned char *sb = block + SUPERBLOCK_OFF;
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return err_sys(err, errno, "opening %s", path);
	if (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != dev) {
		io_close(&fd);
		return err_set(err, ERR_FAILED, "%s is not the disk that is mounted",
			       path);
	}
	n = io_pread(fd, block, sizeof(block), 0);
	io_close(&fd);
	if (n != (ssize_t)sizeof(block))
		return err_sys(err, n < 0 ? errno : EIO, "reading %s", path);
	if (sb[SUPERBLOCK_MAGIC] != (EXT4_MAGIC & 0xff) ||
	    sb[SUPERBLOCK_MAGIC + 1] != EXT4_MAGIC >> 8 ||
	    strncmp((const char *)sb + SUPERBLOCK_LABEL, VOLUME_LABEL,
		    SUPERBLOCK_LABEL_LEN) != 0)
		return err_set(err, ERR_FAILED, "%s does not carry the label %s", path,
			       VOLUME_LABEL);
	return 0;
}

/* sysfs pads the serial with blanks; a partition's disk is one directory up. */
static int check_serial(dev_t dev, const char *serial, struct err *err)
{
	static const char *const places[] = { "device/serial", "../device/serial" };
	char path[96], text[128];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(dev),
			 minor(dev), places[i]);
		if (io_read_text(AT_FDCWD, path, text, sizeof(text), NULL, err) < 0)
			continue;
		text[strcspn(text, " \n")] = '\0';
		if (strcmp(text, serial) == 0)
			return 0;
		return err_set(err, ERR_FAILED,
			       "the mounted disk has another serial (%s)", text);
	}
	return err_prefix(err, "the mounted disk shows no serial");
}

static int check_device(int dirfd, const char *serial, struct err *err)
{
	struct stat st;
	char path[64];

	if (fstat(dirfd, &st) < 0)
		return err_sys(err, errno, "examining the mount");
	if (device_path(st.st_dev, path, err) < 0 ||
	    check_superblock(path, st.st_dev, err) < 0)
		return -1;
	return serial ? check_serial(st.st_dev, serial, err) : 0;
}

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int check_file(int dirfd, const struct sums_entry *entry, struct err *err)
{
	uint8_t digest[SHA256_LEN];
	int fd = io_open_direct(dirfd, entry->name, false, err);
	int rc;

	if (fd < 0)
		return -1;
	rc = sums_hash_fd(fd, digest, err);
	io_close(&fd);
	if (rc < 0)
		return err_prefix(err, "%s", entry->name);
	if (memcmp(digest, entry->digest, sizeof(digest)) != 0)
		return err_set(err, ERR_NO, "%s is not what MANIFEST lists", entry->name);
	return 0;
}

static int check_files(int dirfd, const char *manifest, size_t len_bytes,
		       const char *arch, size_t *files, struct err *err)
{
	static struct sums_entry entry;
	size_t pos = 0, line = 0;
	char bin[32];
	int more;

	snprintf(bin, sizeof(bin), "bin/%s/", arch);
	*files = 0;
	while ((more = sums_next(manifest, len_bytes, &pos, &line, &entry, err)) > 0) {
		if (!has_prefix(entry.name, bin) && !has_prefix(entry.name, "scripts/"))
			continue;
		if (check_file(dirfd, &entry, err) < 0)
			return -1;
		++*files;
	}
	if (more < 0)
		return err_prefix(err, "MANIFEST");
	if (!*files)
		return err_set(err, ERR_FAILED, "MANIFEST lists no tool for %s", arch);
	return 0;
}

static int check_manifest(int dirfd, const struct volume_expect *expect, size_t *files,
			  struct err *err)
{
	uint8_t want[SHA256_LEN], digest[SHA256_LEN];
	size_t len_bytes;
	char *text;
	int fd, rc;

	if (!sha256_from_hex(expect->manifest_sha256, want))
		return err_set(err, ERR_USAGE,
			       "the manifest's hash is not 64 hex digits");
	fd = io_open_direct(dirfd, "MANIFEST", false, err);
	if (fd < 0)
		return -1;
	text = io_read_direct(fd, MANIFEST_MAX, &len_bytes, err);
	io_close(&fd);
	if (!text)
		return err_prefix(err, "MANIFEST");
	/* The very bytes that were hashed are the ones that are believed. */
	sha256(text, len_bytes, digest);
	if (memcmp(digest, want, sizeof(want)) != 0)
		rc = err_set(err, ERR_NO, "MANIFEST is not the one of this release");
	else
		rc = check_files(dirfd, text, len_bytes, expect->arch, files, err);
	free(text);
	return rc;
}

int volume_check(const char *dir, const struct volume_expect *expect, size_t *files,
		 struct err *err)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int rc = -1;

	if (dirfd < 0)
		return err_sys(err, errno, "opening %s", dir);
	if (check_mount(dirfd, err) == 0 &&
	    check_device(dirfd, expect->serial, err) == 0 &&
	    check_manifest(dirfd, expect, files, err) == 0)
		rc = 0;
	else
		err_prefix(err, "%s", dir);
	io_close(&dirfd);
	return rc;
}
