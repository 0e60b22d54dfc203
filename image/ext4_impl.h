/*
 * What the halves of ext4 (making: ext4_make.c, reading: ext4_read.c) agree on
 * with the check (ext4_check.c). The macros need libext2fs, which only these include.
 */
#ifndef FVOL_IMAGE_EXT4_IMPL_H
#define FVOL_IMAGE_EXT4_IMPL_H

#include "toolkit/lib/err.h"

#define BLOCK_LOG (12 - EXT2_MIN_BLOCK_LOG_SIZE)
#define INODE_SIZE 256
#define BLOCKS_PER_GROUP (8 * EXT4_BLOCK) /* one bitmap block */

/* Kernels from 3.10 (RHEL 7) mount this read-write: no orphan_file, no csum_seed. */
#define COMPAT                                                                           \
	(EXT2_FEATURE_COMPAT_RESIZE_INODE | EXT2_FEATURE_COMPAT_DIR_INDEX |              \
	 EXT2_FEATURE_COMPAT_EXT_ATTR)
#define INCOMPAT                                                                         \
	(EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |                \
	 EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_FLEX_BG)
#define RO_COMPAT                                                                        \
	(EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |       \
	 EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_DIR_NLINK |           \
	 EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE | EXT4_FEATURE_RO_COMPAT_METADATA_CSUM)

/* Puts libext2fs's words for code behind the sentence that is in err. Returns -1. */
int ext4_fault(struct err *err, long code, const char *doing);

/* libext2fs's handle of a volume (ext2_filsys), which stays the volume's. */
struct ext4_volume;
void *ext4_handle(struct ext4_volume *volume);

#endif
