/* What describes the files of a volume, counted over again: a small e2fsck that changes
 * nothing. It reads by the bounded reads of ext4_read.c alone. */
#include "image/ext4.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* This relies on sys/types.h. */
#include <ext2fs/ext2fs.h>

#include "image/ext4_impl.h"

struct checking {
	ext2_filsys fs;
	ext2fs_block_bitmap used; /* by what was seen so far */
	uint64_t used_blocks;
	uint64_t used_inodes;
	ext2_ino_t ino; /* the one that is looked at */
};

static int take(struct checking *checking, blk64_t block, uint64_t blocks,
		struct err *err)
{
	uint64_t all = ext2fs_blocks_count(checking->fs->super);

	if (block == 0 || block >= all || blocks == 0 || blocks > all - block)
		return err_set(err, ERR_NO, "inode %u has blocks outside the volume",
			       checking->ino);
	/* The test takes 32 bits of blocks, as an extent has 15. */
	if (blocks > EXT_INIT_MAX_LEN ||
	    !ext2fs_test_block_bitmap_range2(checking->used, block, (blk_t)blocks))
		return err_set(err, ERR_NO,
			       "inode %u has blocks that belong to another, too",
			       checking->ino);
	ext2fs_mark_block_bitmap_range2(checking->used, block, (blk_t)blocks);
	return 0;
}

static int take_extents(struct checking *checking, struct ext2_inode_large *inode,
			struct err *err)
{
	const struct ext3_extent_header *root = (const void *)inode->i_block;
	ext2_extent_handle_t handle;
	struct ext2fs_extent extent;
	errcode_t code;
	int rc = 0;

	/* Five levels is the kernel's limit (EXT4_MAX_EXTENT_DEPTH). */
	if (root->eh_depth > 5)
		return err_set(err, ERR_NO, "inode %u has too deep a tree of extents",
			       checking->ino);
	code = ext2fs_extent_open2(checking->fs, checking->ino,
				   (struct ext2_inode *)inode, &handle);
	if (code)
		return ext4_fault(err, code, "reading extents");
	code = ext2fs_extent_get(handle, EXT2_EXTENT_ROOT, &extent);
	while (!code && rc == 0) {
		bool leaf = extent.e_flags & EXT2_EXTENT_FLAGS_LEAF;

		/* A node of the tree is seen going down and once more coming up. */
		if (!(extent.e_flags & EXT2_EXTENT_FLAGS_SECOND_VISIT))
			rc = take(checking, extent.e_pblk, leaf ? extent.e_len : 1, err);
		if (rc == 0)
			code = ext2fs_extent_get(handle, EXT2_EXTENT_NEXT, &extent);
	}
	ext2fs_extent_free(handle);
	if (rc == 0 && code && code != EXT2_ET_EXTENT_NO_NEXT &&
	    code != EXT2_ET_NO_CURRENT_NODE)
		return ext4_fault(err, code, "reading extents");
	return rc;
}

static int take_inode(struct checking *checking, struct ext2_inode_large *inode,
		      struct err *err)
{
	struct ext2_inode *small = (struct ext2_inode *)inode;
	blk64_t attributes = ext2fs_file_acl_block(checking->fs, small);

	/* Several files may share one block of attributes. */
	if (attributes && attributes < ext2fs_blocks_count(checking->fs->super))
		ext2fs_mark_block_bitmap2(checking->used, attributes);
	/* The kernel empties it when it grows a volume beyond what was reserved. */
	if (checking->ino == EXT2_RESIZE_INO && !inode->i_blocks &&
	    !ext2fs_has_feature_resize_inode(checking->fs->super))
		return 0;
	if (checking->ino == EXT2_RESIZE_INO)
		return take(checking, inode->i_block[EXT2_DIND_BLOCK], 1, err);
	if (inode->i_flags & EXT4_EXTENTS_FL)
		return take_extents(checking, inode, err);
	if (!ext2fs_inode_has_valid_blocks2(checking->fs, small) || !inode->i_blocks)
		return 0;
	return err_set(err, ERR_NO, "inode %u is not mapped by extents", checking->ino);
}

static int check_inode(struct checking *checking, struct ext2_inode_large *inode,
		       struct err *err)
{
	bool own = checking->ino < EXT4_LOST_FOUND && checking->ino != EXT4_ROOT;
	bool used = ext2fs_test_inode_bitmap2(checking->fs->inode_map, checking->ino);

	if (own && !used)
		return err_set(err, ERR_NO, "ext4's own inode %u is marked free",
			       checking->ino);
	if (!own && used != (inode->i_links_count != 0))
		return err_set(err, ERR_NO, "inode %u is %s, but marked %s",
			       checking->ino, used ? "free" : "in use",
			       used ? "in use" : "free");
	checking->used_inodes += used;
	if (!used || (own && !inode->i_links_count && !inode->i_blocks))
		return 0;
	return take_inode(checking, inode, err);
}

static int scan_inodes(struct checking *checking, struct err *err)
{
	struct ext2_inode_large inode;
	ext2_inode_scan scan;
	errcode_t code = ext2fs_open_inode_scan(checking->fs, 0, &scan);
	int rc = 0;

	if (code)
		return ext4_fault(err, code, "reading the inodes");
	while (rc == 0) {
		code = ext2fs_get_next_inode_full(
			scan, &checking->ino, (struct ext2_inode *)&inode, sizeof(inode));
		if (code || checking->ino == 0)
			break;
		rc = check_inode(checking, &inode, err);
	}
	ext2fs_close_inode_scan(scan);
	if (code)
		rc = ext4_fault(err, code, "reading the inodes");
	return rc;
}

/* Superblocks, descriptors, bitmaps and tables. */
static int take_own(struct checking *checking, struct err *err)
{
	ext2_filsys fs = checking->fs;
	uint64_t all = ext2fs_blocks_count(fs->super);

	for (dgrp_t group = 0; group < fs->group_desc_count; group++) {
		blk64_t table = ext2fs_inode_table_loc(fs, group);
		blk64_t bitmaps[] = { ext2fs_block_bitmap_loc(fs, group),
				      ext2fs_inode_bitmap_loc(fs, group) };

		if (!(fs->flags & EXT2_FLAG_IGNORE_CSUM_ERRORS) &&
		    !ext2fs_group_desc_csum_verify(fs, group))
			return err_set(err, ERR_NO,
				       "the descriptor of group %u has a wrong checksum",
				       group);
		if (bitmaps[0] >= all || bitmaps[1] >= all || table >= all ||
		    fs->inode_blocks_per_group > all - table)
			return err_set(err, ERR_NO, "group %u lies outside the volume",
				       group);
		ext2fs_reserve_super_and_bgd(fs, group, checking->used);
		ext2fs_mark_block_bitmap2(checking->used, bitmaps[0]);
		ext2fs_mark_block_bitmap2(checking->used, bitmaps[1]);
		ext2fs_mark_block_bitmap_range2(checking->used, table,
						fs->inode_blocks_per_group);
	}
	return 0;
}

/* Where the run of equal bits at `at` ends in a bitmap; the end of all when it does. */
static blk64_t run_end(ext2fs_block_bitmap map, blk64_t at, blk64_t last, bool set)
{
	blk64_t end;
	errcode_t code = set ? ext2fs_find_first_zero_block_bitmap2(map, at, last, &end)
			     : ext2fs_find_first_set_block_bitmap2(map, at, last, &end);

	return code ? last + 1 : end;
}

static int compare(struct checking *checking, struct err *err)
{
	ext2_filsys fs = checking->fs;
	blk64_t last = ext2fs_blocks_count(fs->super) - 1;
	blk64_t at = 0;
	bool set = false;

	while (at <= last) {
		blk64_t end = run_end(checking->used, at, last, set);

		if (run_end(fs->block_map, at, last, set) != end)
			return err_set(err, ERR_NO,
				       "the bitmaps do not say which blocks are in use");
		if (set)
			checking->used_blocks += end - at;
		at = end;
		set = !set;
	}
	if (ext2fs_free_blocks_count(fs->super) != last + 1 - checking->used_blocks ||
	    fs->super->s_free_inodes_count !=
		    fs->super->s_inodes_count - checking->used_inodes)
		return err_set(err, ERR_NO, "the counts of what is free are wrong");
	return 0;
}

int ext4_check(struct ext4_volume *volume, struct err *err)
{
	struct checking checking = { .fs = ext4_handle(volume) };
	errcode_t code;
	int rc = -1;

	code = ext2fs_allocate_block_bitmap(checking.fs, "used", &checking.used);
	if (code)
		return ext4_fault(err, code, "checking");
	if (take_own(&checking, err) < 0)
		goto out;
	code = ext2fs_read_bitmaps(checking.fs);
	if (code) {
		ext4_fault(err, code, "reading the bitmaps");
		goto out;
	}
	if (scan_inodes(&checking, err) == 0 && compare(&checking, err) == 0)
		rc = 0;
out:
	ext2fs_free_block_bitmap(checking.used);
	return rc;
}
