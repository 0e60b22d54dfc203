/*
 * An ext4 image with every block and inode attributed to its owner: what fsdiff compares.
 * fsimage.c is the one file that knows libext2fs.
 */
#ifndef FVOL_VM_FSIMAGE_H
#define FVOL_VM_FSIMAGE_H

#include <stddef.h>
#include <stdint.h>

#define FS_JOURNAL_INODE 8

/* Owners of a block: 0 nobody, an inode number, or one of these. */
enum fs_owner {
	OWNER_NOBODY = 0,
	OWNER_FIRST = 0xffffff00u,
	OWNER_SUPER = OWNER_FIRST,
	OWNER_BACKUP, /* of superblock or group descriptors */
	OWNER_DESCRIPTORS,
	OWNER_BLOCK_BITMAP,
	OWNER_INODE_BITMAP,
	OWNER_INODE_TABLE,
};

struct fs_group {
	uint64_t block_bitmap, inode_bitmap, inode_table; /* block numbers */
	int block_uninit; /* the bitmap on the disk is not in use yet */
	int inode_uninit;
};

struct fs_image {
	const unsigned char *bytes; /* the file, mapped */
	uint64_t size;
	uint32_t block_size, inode_size, desc_size;
	uint64_t blocks;
	uint32_t first_block, blocks_per_group;
	uint32_t inodes, inodes_per_group, inode_table_blocks;
	uint32_t groups;
	uint64_t descriptors; /* first block of the primary group descriptors */
	struct fs_group *group;
	uint32_t *owner;	   /* of each block */
	unsigned char *block_used; /* of each block: the bitmap's bit */
	unsigned char *inode_used; /* of each inode, from 1 */
	unsigned char *is_dir;
	unsigned char *inside; /* all the inode's names are in an allowed subtree */
	char **path;	       /* of each inode, NULL when it has no name */
};

/*
 * Reads an image. allow: subtrees by absolute path, NULL-terminated; the named directory
 * itself counts as inside. Complains on standard error as `program` and returns -1 when
 * it is no sound ext4. Nothing is ever freed: a process reads two images and ends.
 */
int fs_open(struct fs_image *img, const char *program, const char *file,
	    const char *const *allow);

#endif
