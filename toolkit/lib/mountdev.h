/*
 * The disk under a mounted file system, found without asking any program or table of the
 * host but the kernel: a directory's device number leads to /sys/dev/block.
 */
#ifndef FVOL_MOUNTDEV_H
#define FVOL_MOUNTDEV_H

#include <stddef.h>
#include <sys/types.h>

#include "toolkit/lib/err.h"

/*
 * What is needed of ext4's superblock, which stands at byte 1024 of the disk; offsets are
 * within it. linux Documentation/filesystems/ext4/super.rst.
 */
#define EXT4_SUPER_OFF 1024
#define EXT4_SUPER_BYTES 1024
#define EXT4_SUPER_BLOCKS_LO 0x4
#define EXT4_SUPER_LOG_BLOCK 0x18
#define EXT4_SUPER_BLOCKS_PER_GROUP 0x20
#define EXT4_SUPER_MAGIC_OFF 0x38
#define EXT4_SUPER_STATE 0x3a
#define EXT4_SUPER_INCOMPAT 0x60
#define EXT4_SUPER_UUID 0x68
#define EXT4_SUPER_LABEL 0x78
#define EXT4_SUPER_LABEL_LEN 16
#define EXT4_SUPER_BLOCKS_HI 0x150
#define EXT4_MAGIC 0xef53

/* Room for a name in /dev. */
#define MOUNTDEV_PATH 64

/*
 * Fills *dev when dirfd is the root of a mounted ext4; a directory inside one, or another
 * file system, is an error.
 */
int mountdev_of_mount(int dirfd, dev_t *dev, struct err *err);

/*
 * Opens the disk dev for reading, with more flags of open(2), and writes its name to
 * path. The node in /dev is the host's: it is proven to be that disk. Returns the
 * descriptor or -1.
 */
int mountdev_open(dev_t dev, int flags, char path[MOUNTDEV_PATH], struct err *err);

/*
 * Makes durable what the file system of dirfd holds, of which fd is an open file whose
 * times may change, and lets go of what the kernel then keeps of the disk in memory and
 * nobody uses: a bitmap for each 128 MiB that was reserved is one page. That is best
 * effort; failing to write is not (-1, ERR_FAILED).
 */
int mountdev_settle(int dirfd, int fd, struct err *err);

/*
 * Says whether a superblock is ext4's and carries label. path is for the sentence.
 * Returns 0 when it is, else -1 (ERR_FAILED).
 */
int mountdev_check_super(const unsigned char super[EXT4_SUPER_BYTES], const char *label,
			 const char *path, struct err *err);

/*
 * Says whether super, read from the disk itself, is the superblock of the file system
 * that dirfd is on: the kernel answers statfs with an id made of the UUID. Returns 0 or
 * -1 (ERR_FAILED).
 */
int mountdev_check_mounted(int dirfd, const unsigned char super[EXT4_SUPER_BYTES],
			   const char *path, struct err *err);

#endif
