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
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/mountdev.h"
#include "toolkit/lib/sums.h"

#define MANIFEST_MAX (16 * 1024 * 1024)

static int check_mount(int dirfd, dev_t *dev, struct err *err)
{
	struct statvfs flags;

	if (mountdev_of_mount(dirfd, dev, err) < 0)
		return -1;
	if (fstatvfs(dirfd, &flags) < 0)
		return err_sys(err, errno, "examining the mount");
	if (!(flags.f_flag & ST_NOSUID) || !(flags.f_flag & ST_NODEV) ||
	    !(flags.f_flag & ST_NOATIME))
		return err_set(err, ERR_FAILED, "not mounted nosuid,nodev,noatime");
	return 0;
}

static int check_superblock(dev_t dev, struct err *err)
{
	static _Alignas(IO_BLOCK) unsigned char block[IO_BLOCK];
	char path[MOUNTDEV_PATH];
	int fd = mountdev_open(dev, O_DIRECT, path, err);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = io_pread(fd, block, sizeof(block), 0);
	if (n != (ssize_t)sizeof(block))
		err_sys(err, n < 0 ? errno : EIO, "reading %s", path);
	io_close(&fd);
	if (n != (ssize_t)sizeof(block))
		return -1;
	return mountdev_check_super(block + EXT4_SUPER_OFF, VOLUME_LABEL, path, err);
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

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int check_file(int dirfd, const struct sums_entry *entry, struct err *err)
{
	/* Small: this runs before the capture, in pages that it should find. */
	static _Alignas(IO_BLOCK) unsigned char buf[8 * IO_BLOCK];
	uint8_t digest[SHA256_LEN];
	int fd = io_open_direct(dirfd, entry->name, false, err);
	int rc;

	if (fd < 0)
		return -1;
	rc = sums_hash_in(fd, buf, sizeof(buf), digest, err);
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
	dev_t dev;
	int rc = -1;

	if (dirfd < 0)
		return err_sys(err, errno, "opening %s", dir);
	if (check_mount(dirfd, &dev, err) == 0 && check_superblock(dev, err) == 0 &&
	    (!expect->serial || check_serial(dev, expect->serial, err) == 0) &&
	    check_manifest(dirfd, expect, files, err) == 0)
		rc = 0;
	else
		err_prefix(err, "%s", dir);
	io_close(&dirfd);
	return rc;
}
