#include "toolkit/lib/mountdev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/le.h"

int mountdev_of_mount(int dirfd, dev_t *dev, struct err *err)
{
	struct statfs fs;
	struct stat here, parent;

	if (fstatfs(dirfd, &fs) < 0 || fstat(dirfd, &here) < 0 ||
	    fstatat(dirfd, "..", &parent, 0) < 0)
		return err_sys(err, errno, "examining the mount");
	if (here.st_dev == parent.st_dev)
		return err_set(err, ERR_FAILED, "not a mount point");
	if (fs.f_type != EXT4_MAGIC)
		return err_set(err, ERR_FAILED, "not an ext4 file system");
	*dev = here.st_dev;
	return 0;
}

/* The disk's name in /dev, from the kernel's own uevent of the device number. */
static int device_path(dev_t dev, char path[MOUNTDEV_PATH], struct err *err)
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
	if (snprintf(path, MOUNTDEV_PATH, "/dev/%s", name) >= MOUNTDEV_PATH)
		return err_set(err, ERR_FAILED, "the device's name is too long");
	return 0;
}

int mountdev_open(dev_t dev, int flags, char path[MOUNTDEV_PATH], struct err *err)
{
	struct stat st;
	int fd;

	if (device_path(dev, path, err) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
	if (fd < 0)
		return err_sys(err, errno, "opening %s", path);
	if (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != dev) {
		io_close(&fd);
		return err_set(err, ERR_FAILED, "%s is not the disk that is mounted",
			       path);
	}
	return fd;
}

int mountdev_settle(int dirfd, int fd, struct err *err)
{
	char path[MOUNTDEV_PATH];
	struct err ignored;
	struct stat st;
	int disk;

	/*
	 * The journal keeps the blocks of a transaction until later ones end, and then
	 * looks through them no further than to one that is in use again. The second
	 * takes the file's inode out of that list, the third finds all of it at rest.
	 */
	for (int i = 0; i < 3; i++)
		if (futimens(fd, NULL) < 0 || syncfs(dirfd) < 0)
			return err_sys(err, errno, "writing to the volume");
	if (fstat(dirfd, &st) < 0 ||
	    (disk = mountdev_open(st.st_dev, 0, path, &ignored)) < 0)
		return 0;
	posix_fadvise(disk, 0, 0, POSIX_FADV_DONTNEED);
	io_close(&disk);
	return 0;
}

int mountdev_check_super(const unsigned char super[EXT4_SUPER_BYTES], const char *label,
			 const char *path, struct err *err)
{
	if (super[EXT4_SUPER_MAGIC_OFF] != (EXT4_MAGIC & 0xff) ||
	    super[EXT4_SUPER_MAGIC_OFF + 1] != EXT4_MAGIC >> 8 ||
	    strncmp((const char *)super + EXT4_SUPER_LABEL, label,
		    EXT4_SUPER_LABEL_LEN) != 0)
		return err_set(err, ERR_FAILED, "%s does not carry the label %s", path,
			       label);
	return 0;
}

int mountdev_check_mounted(int dirfd, const unsigned char super[EXT4_SUPER_BYTES],
			   const char *path, struct err *err)
{
	/* linux fs/ext4/super.c, ext4_statfs(). */
	uint64_t id = get_le(super + EXT4_SUPER_UUID, 8) ^
		      get_le(super + EXT4_SUPER_UUID + 8, 8);
	uint32_t halves[2] = { (uint32_t)id, (uint32_t)(id >> 32) };
	struct statfs fs;

	if (fstatfs(dirfd, &fs) < 0)
		return err_sys(err, errno, "examining the mount");
	_Static_assert(sizeof(fs.f_fsid) == sizeof(halves), "two words of 32 bits");
	if (memcmp(&fs.f_fsid, halves, sizeof(halves)) == 0)
		return 0;
	return err_set(err, ERR_FAILED, "the file system on %s is not the one mounted",
		       path);
}
