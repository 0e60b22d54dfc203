#include "toolkit/lib/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "toolkit/lib/catversion.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/mountdev.h"
#include "toolkit/lib/mountinfo.h"
#include "toolkit/lib/nvmeid.h"
#include "toolkit/lib/sums.h"

#define MANIFEST_MAX (16 * 1024 * 1024)

/* The table of mounts, beside what the directory itself tells. */
static int check_table(int dirfd, dev_t dev, struct err *err)
{
	char link[32], point[PATH_MAX];
	ssize_t len;
	int fd, rc;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	len = readlink(link, point, sizeof(point) - 1);
	if (len < 0)
		return err_sys(err, errno, "reading %s", link);
	point[len] = '\0';
	fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "opening /proc/self/mountinfo");
	rc = mountinfo_check(fd, point, dev, err);
	io_close(&fd);
	return rc;
}

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
	return check_table(dirfd, *dev, err);
}

/* The node that the script found by its serial or content must be the disk mounted. */
static int check_device(dev_t dev, const char *device, struct err *err)
{
	struct stat st;

	if (stat(device, &st) < 0)
		return err_sys(err, errno, "examining %s", device);
	if (S_ISBLK(st.st_mode) && st.st_rdev == dev)
		return 0;
	return err_set(err, ERR_NO, "mounted is the disk %u:%u, which is not %s",
		       major(dev), minor(dev), device);
}

static int check_superblock(int dirfd, int fd, const char *path, struct err *err)
{
	static _Alignas(IO_BLOCK) unsigned char block[IO_BLOCK];
	ssize_t n = io_pread(fd, block, sizeof(block), 0);

	if (n != (ssize_t)sizeof(block))
		return err_sys(err, n < 0 ? errno : EIO, "reading %s", path);
	if (mountdev_check_super(block + EXT4_SUPER_OFF, VOLUME_LABEL, path, err) < 0)
		return -1;
	return mountdev_check_mounted(dirfd, block + EXT4_SUPER_OFF, path, err);
}

/* sysfs pads the serial with blanks; a partition's disk is one directory up. */
static int sysfs_serial(dev_t dev, char text[128], struct err *err)
{
	static const char *const places[] = { "device/serial", "../device/serial" };
	char path[96];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(dev),
			 minor(dev), places[i]);
		if (io_read_text(AT_FDCWD, path, text, 128, NULL, err) < 0)
			continue;
		text[strcspn(text, " \n")] = '\0';
		return 0;
	}
	return -1;
}

static int check_serial(dev_t dev, const struct nvmeid *id, const char *serial,
			struct err *err)
{
	char text[128];

	if (sysfs_serial(dev, text, err) < 0)
		return err_prefix(err, "the mounted disk shows no serial");
	if (strcmp(text, serial) != 0)
		return err_set(err, ERR_NO, "the mounted disk has another serial (%s)",
			       text);
	if (id && strcmp(id->serial, serial) != 0)
		return err_set(err, ERR_NO,
			       "the mounted disk identifies itself with another serial "
			       "(%s) than sysfs shows",
			       id->serial);
	return 0;
}

/* Who the disk is: its own answer where it can be asked, and the kernel's. */
static int check_identity(dev_t dev, int fd, const struct volume_expect *expect,
			  struct volume_seen *seen, struct err *err)
{
	static _Alignas(IO_BLOCK) unsigned char page[NVMEID_BYTES];
	char wanted[NVMEID_NAME_MAX + 1];
	struct nvmeid id;
	struct err unasked;
	bool answered = nvmeid_ask(fd, page, &unasked) == 0;

	if (answered && nvmeid_read(page, &id, err) < 0)
		return -1;
	if (expect->serial &&
	    check_serial(dev, answered ? &id : NULL, expect->serial, err) < 0)
		return -1;
	seen->name_shown = answered && id.device_name[0];
	if (!expect->device_name || !seen->name_shown)
		return 0;
	if (!nvmeid_normal_name(expect->device_name, strlen(expect->device_name), wanted))
		return err_set(err, ERR_USAGE, "'%s' is no device name",
			       expect->device_name);
	if (strcmp(id.device_name, wanted) == 0)
		return 0;
	return err_set(err, ERR_NO, "the mounted disk was attached as %s, not as %s",
		       id.device_name, wanted);
}

static int check_disk(int dirfd, dev_t dev, const struct volume_expect *expect,
		      struct volume_seen *seen, struct err *err)
{
	char path[MOUNTDEV_PATH];
	int fd, rc = -1;

	if (expect->device && check_device(dev, expect->device, err) < 0)
		return -1;
	fd = mountdev_open(dev, O_DIRECT, path, err);
	if (fd < 0)
		return -1;
	if (check_superblock(dirfd, fd, path, err) == 0 &&
	    check_identity(dev, fd, expect, seen, err) == 0)
		rc = 0;
	io_close(&fd);
	return rc;
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

/* What check_files() remembers of the two files about the catalogue. */
struct numbers {
	uint64_t catalogue; /* 0: the volume has none */
	uint64_t least;
};

/*
 * The numbers stand in the first block. It is read once more than it is hashed, so this
 * is no proof against whoever can write the volume now: capture, which uses the
 * catalogue, looks at the number in the very bytes that it hashes.
 */
static int read_number(int dirfd, const char *name, struct numbers *numbers,
		       struct err *err)
{
	static _Alignas(IO_BLOCK) char block[IO_BLOCK];
	uint64_t ignored;
	int fd = io_open_direct(dirfd, name, false, err);
	int rc = -1;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = io_pread(fd, block, sizeof(block), 0);
	block[n < 0 ? 0 : (size_t)n < sizeof(block) ? (size_t)n : sizeof(block) - 1] = 0;
	if (n < 0)
		err_sys(err, errno, "reading");
	else if (strcmp(name, CATVERSION_FILE) == 0)
		rc = catversion_of_file(block, &ignored, &numbers->least, err);
	else
		rc = catversion_of_catalogue(block, &numbers->catalogue, err);
	io_close(&fd);
	return rc < 0 ? err_prefix(err, "%s", name) : 0;
}

static int check_numbers(const struct numbers *numbers, uint64_t least, struct err *err)
{
	if (least < numbers->least)
		least = numbers->least;
	if (!numbers->catalogue || numbers->catalogue >= least)
		return 0;
	return err_set(err, ERR_NO,
		       "the catalogue of modules has version %" PRIu64
		       ", older than %" PRIu64 ", the least that is accepted",
		       numbers->catalogue, least);
}

static int check_files(int dirfd, const char *manifest, size_t len_bytes,
		       const struct volume_expect *expect, size_t *files, struct err *err)
{
	static struct sums_entry entry;
	struct numbers numbers = { 0, 0 };
	size_t pos = 0, line = 0, tools = 0;
	char bin[32];
	int more;

	snprintf(bin, sizeof(bin), "bin/%s/", expect->arch);
	*files = 0;
	while ((more = sums_next(manifest, len_bytes, &pos, &line, &entry, err)) > 0) {
		bool number = strcmp(entry.name, CATVERSION_CATALOGUE) == 0 ||
			      strcmp(entry.name, CATVERSION_FILE) == 0;
		bool tool =
			has_prefix(entry.name, bin) || has_prefix(entry.name, "scripts/");

		if (!number && !tool)
			continue;
		if (check_file(dirfd, &entry, err) < 0 ||
		    (number && read_number(dirfd, entry.name, &numbers, err) < 0))
			return -1;
		++*files;
		tools += tool;
	}
	if (more < 0)
		return err_prefix(err, "MANIFEST");
	if (!tools)
		return err_set(err, ERR_FAILED, "MANIFEST lists no tool for %s",
			       expect->arch);
	return check_numbers(&numbers, expect->catalogue_least, err);
}

/* Reads the MANIFEST, which must have that hash; the caller frees it. NULL on failure. */
static char *read_manifest(int dirfd, const char *manifest_sha256, size_t *len_bytes,
			   struct err *err)
{
	uint8_t want[SHA256_LEN], digest[SHA256_LEN];
	char *text;
	int fd;

	if (!sha256_from_hex(manifest_sha256, want)) {
		err_set(err, ERR_USAGE, "the manifest's hash is not 64 hex digits");
		return NULL;
	}
	fd = io_open_direct(dirfd, "MANIFEST", false, err);
	if (fd < 0)
		return NULL;
	text = io_read_direct(fd, MANIFEST_MAX, len_bytes, err);
	io_close(&fd);
	if (!text) {
		err_prefix(err, "MANIFEST");
		return NULL;
	}
	/* The very bytes that were hashed are the ones that are believed. */
	sha256(text, *len_bytes, digest);
	if (memcmp(digest, want, sizeof(want)) == 0)
		return text;
	err_set(err, ERR_NO, "MANIFEST is not the one of this release");
	free(text);
	return NULL;
}

int volume_listed(int dirfd, const char *manifest_sha256, const char *name,
		  uint8_t digest[SHA256_LEN], struct err *err)
{
	static struct sums_entry entry;
	size_t len_bytes, pos = 0, line = 0;
	char *text = read_manifest(dirfd, manifest_sha256, &len_bytes, err);
	int more;

	if (!text)
		return -1;
	while ((more = sums_next(text, len_bytes, &pos, &line, &entry, err)) > 0)
		if (strcmp(entry.name, name) == 0)
			break;
	free(text);
	if (more < 0)
		return err_prefix(err, "MANIFEST");
	if (more == 0)
		return err_set(err, ERR_NO, "MANIFEST does not list %s", name);
	memcpy(digest, entry.digest, SHA256_LEN);
	return 0;
}

static int check_manifest(int dirfd, const struct volume_expect *expect, size_t *files,
			  struct err *err)
{
	size_t len_bytes;
	char *text = read_manifest(dirfd, expect->manifest_sha256, &len_bytes, err);
	int rc;

	if (!text)
		return -1;
	rc = check_files(dirfd, text, len_bytes, expect, files, err);
	free(text);
	return rc;
}

int volume_check(const char *dir, const struct volume_expect *expect,
		 struct volume_seen *seen, struct err *err)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dev_t dev;
	int rc = -1;

	if (dirfd < 0)
		return err_sys(err, errno, "opening %s", dir);
	if (check_mount(dirfd, &dev, err) == 0 &&
	    check_disk(dirfd, dev, expect, seen, err) == 0 &&
	    check_manifest(dirfd, expect, &seen->files, err) == 0)
		rc = 0;
	else
		err_prefix(err, "%s", dir);
	io_close(&dirfd);
	return rc;
}
