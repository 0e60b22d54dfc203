#include "image/ext4.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* These rely on sys/types.h. */
#include <et/com_err.h>
#include <ext2fs/ext2fs.h>

#include "image/ext4_impl.h"

#define FLEX_LOG 4 /* 16 groups, as mke2fs */

/*
 * With a journal, by measurement (Linux 6.18, loop device, this image of 1 GiB): a mount
 * and an unmount write 16 sectors with it and without, as after mke2fs; 64 MiB past the
 * page cache and 40 small files, each synced, 134,096 sectors with it and 132,096
 * without, 1.5 % more. Cut off there, e2fsck needs 2 repairs with it and 9 without, and
 * finds all 42 entries in both. The price is small, and each step of growing,
 * which changes descriptors, is done whole or not at all. What a cut leaves in the
 * journal alone is read from there by our own reader (replay.h).
 *
 * 16 MiB. It never grows with the volume, and need not: the load is a few large files
 * whose data does not pass through it. A transaction may take a quarter of it, 1024
 * blocks; growing asks for at least one for each reserved descriptor block, see below.
 */
#define JOURNAL_BLOCKS 4096

/*
 * Growing within the reserved descriptor blocks is what cloud root volumes do at first
 * boot, the best tried path in the kernel, and this is what mke2fs reserves: 127 blocks
 * (with the one in use, 128) of 64 descriptors of 128 MiB, so 1 TiB. Beyond it the kernel
 * turns to meta_bg by itself (ext4_convert_meta_bg(), Linux 3.7). Not the 1024 that it
 * would take: each new backup group rewrites them all, 84 MiB on the way to 64 GiB
 * instead of 8, and with this journal ext4_flex_group_add() then fails with ENOSPC: it
 * asks for 1030 blocks of 1024.
 */
#define RESERVED_GDT_BLOCKS 127

/*
 * Growth copies the number of inodes in a group, and the kernel writes zeros over each
 * new table: 128 KiB in 128 MiB, while memory is being captured. An evidence volume
 * holds few, large files; 64 GiB still have a quarter of a million.
 */
#define INODES_PER_GROUP 512

struct ext4_new {
	ext2_filsys fs;
	int64_t epoch;
	/* The file system when nothing stands in it, for the copies: see put_copies(). */
	struct ext2_super_block empty_super;
	unsigned char *empty_descs;
};

static void set_superblock(struct ext4_new *new)
{
	struct ext2_super_block *super = new->fs->super;

	new->fs->now = new->epoch;
	new->fs->flags2 |= EXT2_FLAG2_USE_FAKE_TIME;
	ext2fs_set_tstamp(super, s_mkfs_time, new->epoch);
	ext2fs_set_tstamp(super, s_lastcheck, new->epoch);
	super->s_checkinterval = 0;
	super->s_max_mnt_count = -1;
	super->s_checksum_type = EXT2_CRC32C_CHKSUM;
	super->s_def_hash_version = EXT2_HASH_HALF_MD4;
	/* Not what the compiler's char happens to be. */
	super->s_flags = (super->s_flags & ~(__u32)EXT2_FLAGS_UNSIGNED_HASH) |
			 EXT2_FLAGS_SIGNED_HASH;
	memcpy(super->s_volume_name, EXT4_LABEL, sizeof(EXT4_LABEL));
}

static uint32_t inodes_per_group(const struct ext4_shape *shape, uint64_t groups)
{
	uint32_t per_group = INODES_PER_GROUP;

	/* As many again stay free for evidence before the volume has grown. */
	while (per_group < BLOCKS_PER_GROUP && per_group * groups < 2ULL * shape->inodes)
		per_group *= 2;
	return per_group;
}

/*
 * What has its place whatever the files are: journal and resize inode. Behind the tables,
 * so that it does not move from one release to the next.
 */
static errcode_t add_own(struct ext4_new *new)
{
	blk64_t goal = 0;
	errcode_t code = ext2fs_create_resize_inode(new->fs);

	if (!code)
		code = ext2fs_find_first_zero_block_bitmap2(
			new->fs->block_map, 0, ext2fs_blocks_count(new->fs->super) - 1,
			&goal);
	/* LAZYINIT: the file is new, its blocks are zero without being written. */
	if (!code)
		code = ext2fs_add_journal_inode2(new->fs, JOURNAL_BLOCKS, goal,
						 EXT2_MKJOURNAL_LAZYINIT |
							 EXT2_MKJOURNAL_NO_MNT_CHECK);
	return code == ENOENT ? EXT2_ET_TOOSMALL : code;
}

/* Remembers what is now in memory as what the copies are to hold. */
static errcode_t keep_empty(struct ext4_new *new)
{
	ext2_filsys fs = new->fs;
	size_t len = (size_t)fs->desc_blocks * fs->blocksize;

	/*
	 * Zero as the tables are, INODE_ZEROED tells the kernel so: otherwise each mount
	 * would start its ext4lazyinit thread and write them all.
	 */
	for (dgrp_t group = 0; group < fs->group_desc_count; group++)
		ext2fs_bg_flags_set(fs, group, EXT2_BG_INODE_ZEROED);
	new->empty_descs = malloc(len);
	if (!new->empty_descs)
		return EXT2_ET_NO_MEMORY;
	memcpy(new->empty_descs, fs->group_desc, len);
	/*
	 * As the kernel counts it (ext4_calculate_overhead()): all that is used now but
	 * the block of the resize inode. With another number the first mount writes this
	 * one into every copy of the superblock.
	 */
	fs->super->s_overhead_clusters = (__u32)(ext2fs_blocks_count(fs->super) -
						 ext2fs_free_blocks_count(fs->super) - 1);
	new->empty_super = *fs->super;
	return 0;
}

static errcode_t lay_out(struct ext4_new *new, const char *path,
			 struct ext2_super_block *param)
{
	errcode_t code = ext2fs_initialize(path, EXT2_FLAG_64BITS, param, unix_io_manager,
					   &new->fs);

	if (code) {
		new->fs = NULL;
		return code;
	}
	set_superblock(new);
	code = ext2fs_allocate_tables(new->fs);
	if (code)
		return code;
	for (uint32_t ino = 1; ino < EXT4_LOST_FOUND; ino++)
		if (ino != EXT4_ROOT)
			ext2fs_inode_alloc_stats2(new->fs, ino, 1, 0);
	code = add_own(new);
	return code ? code : keep_empty(new);
}

struct ext4_new *ext4_create(const char *path, const struct ext4_shape *shape,
			     struct err *err)
{
	uint64_t blocks = shape->size_bytes / EXT4_BLOCK;
	uint64_t groups = (blocks + BLOCKS_PER_GROUP - 1) / BLOCKS_PER_GROUP;
	uint64_t inodes =
		groups * (shape->inodes_per_group ? shape->inodes_per_group
						  : inodes_per_group(shape, groups));
	struct ext2_super_block param = {
		.s_rev_level = EXT2_DYNAMIC_REV,
		.s_log_block_size = BLOCK_LOG,
		.s_inode_size = INODE_SIZE,
		.s_log_groups_per_flex = FLEX_LOG,
		.s_reserved_gdt_blocks = RESERVED_GDT_BLOCKS,
		.s_errors = EXT2_ERRORS_RO, /* a faulty volume takes no more evidence */
		.s_feature_compat = COMPAT,
		.s_feature_incompat = INCOMPAT,
		.s_feature_ro_compat = RO_COMPAT,
	};
	struct ext4_new *new = calloc(1, sizeof(*new));
	errcode_t code;

	if (!new) {
		err_set(err, ERR_FAILED, "out of memory");
		return NULL;
	}
	ext2fs_blocks_count_set(&param, blocks);
	param.s_inodes_count = inodes > UINT32_MAX ? UINT32_MAX : (uint32_t)inodes;
	new->epoch = shape->epoch;
	code = lay_out(new, path, &param);
	if (!code)
		return new;
	ext4_fault(err, code, "laying out the file system");
	if (code == EXT2_ET_TOOSMALL || code == EXT2_ET_TOO_MANY_INODES ||
	    code == EXT2_ET_BLOCK_ALLOC_FAIL)
		err_set(err, ERR_FAILED, "the image is too small for ext4");
	ext4_abandon(new);
	return NULL;
}

uint64_t ext4_free_blocks(const struct ext4_new *new)
{
	return ext2fs_free_blocks_count(new->fs->super);
}

int ext4_first_free(const struct ext4_new *new, uint64_t *block, struct err *err)
{
	blk64_t found;
	errcode_t code = ext2fs_find_first_zero_block_bitmap2(
		new->fs->block_map, 0, ext2fs_blocks_count(new->fs->super) - 1, &found);

	if (code)
		return err_set(err, ERR_FAILED, "the image is too small");
	*block = found;
	return 0;
}

static int add_run(struct ext4_map *map, uint64_t block, uint64_t blocks, struct err *err)
{
	struct ext4_run *grown = reallocarray(map->runs, map->count + 1, sizeof(*grown));

	if (!grown)
		return err_set(err, ERR_FAILED, "out of memory");
	map->runs = grown;
	map->runs[map->count++] = (struct ext4_run){ block, (uint32_t)blocks };
	return 0;
}

/* The first free blocks from *start on, at most `most` of them. */
static errcode_t find_free(ext2_filsys fs, blk64_t from, uint64_t most, blk64_t *start,
			   blk64_t *end)
{
	uint64_t last = ext2fs_blocks_count(fs->super) - 1;
	errcode_t code;

	if (from > last)
		return ENOENT;
	code = ext2fs_find_first_zero_block_bitmap2(fs->block_map, from, last, start);
	if (code)
		return code;
	*end = *start + most > last + 1 ? last + 1 : *start + most;
	code = ext2fs_find_first_set_block_bitmap2(fs->block_map, *start, *end - 1, end);
	return code == ENOENT ? 0 : code;
}

int ext4_reserve(struct ext4_new *new, uint64_t *from, uint64_t len_bytes,
		 struct ext4_map *map, struct err *err)
{
	uint64_t want = len_bytes / EXT4_BLOCK + (len_bytes % EXT4_BLOCK != 0);
	bool again = *from == 0;

	*map = (struct ext4_map){ 0 };
	while (want) {
		uint64_t most = want < EXT_INIT_MAX_LEN ? want : EXT_INIT_MAX_LEN;
		blk64_t start, end;
		errcode_t code = find_free(new->fs, *from, most, &start, &end);

		if (code == ENOENT && !again) {
			again = true;
			*from = 0;
			continue;
		}
		if (code) {
			if (code == ENOENT)
				err_set(err, ERR_FAILED, "the image is too small");
			else
				ext4_fault(err, code, "searching free blocks");
			goto fail;
		}
		if (add_run(map, start, end - start, err) < 0)
			goto fail;
		ext2fs_block_alloc_stats_range(new->fs, start, (blk_t)(end - start), 1);
		*from = end;
		want -= end - start;
	}
	return 0;
fail:
	free(map->runs);
	*map = (struct ext4_map){ 0 };
	return -1;
}

bool ext4_take(struct ext4_new *new, const struct ext4_map *map)
{
	uint64_t blocks = ext2fs_blocks_count(new->fs->super);

	for (size_t i = 0; i < map->count; i++) {
		const struct ext4_run *run = &map->runs[i];

		if (run->block >= blocks || run->blocks > blocks - run->block ||
		    run->blocks > EXT_INIT_MAX_LEN ||
		    !ext2fs_test_block_bitmap_range2(new->fs->block_map, run->block,
						     run->blocks)) {
			/* What was taken so far is free again. */
			while (i--)
				ext2fs_block_alloc_stats_range(new->fs,
							       map->runs[i].block,
							       map->runs[i].blocks, -1);
			return false;
		}
		ext2fs_block_alloc_stats_range(new->fs, run->block, run->blocks, 1);
	}
	return true;
}

void ext4_seal_as(struct ext4_new *new, const struct ext4_identity *identity)
{
	struct ext2_super_block *super = new->fs->super;

	memcpy(super->s_uuid, identity->uuid, sizeof(super->s_uuid));
	memcpy(super->s_hash_seed, identity->hash_seed, sizeof(super->s_hash_seed));
	ext2fs_init_csum_seed(new->fs);
}

void ext4_seal(struct ext4_new *new, const uint8_t seed[EXT4_SEED_LEN])
{
	struct ext4_identity identity;

	memcpy(identity.uuid, seed, sizeof(identity.uuid));
	/* RFC 9562, version 8: a UUID whose bits its maker defines. */
	identity.uuid[6] = (identity.uuid[6] & 0x0f) | 0x80;
	identity.uuid[8] = (identity.uuid[8] & 0x3f) | 0x80;
	memcpy(identity.hash_seed, seed + sizeof(identity.uuid),
	       sizeof(identity.hash_seed));
	ext4_seal_as(new, &identity);
}

/* Not ext2fs_inode_xtime_set(): in 1.47.2 it drops the upper four bits (0xfffffff). */
static void set_times(struct ext2_inode_large *inode, int64_t epoch)
{
	uint32_t low = (uint32_t)epoch;
	uint32_t extra = (uint32_t)((epoch - (int32_t)low) >> 32) & EXT4_EPOCH_MASK;

	inode->i_extra_isize = sizeof(*inode) - EXT2_GOOD_OLD_INODE_SIZE;
	inode->i_atime = inode->i_ctime = inode->i_mtime = inode->i_crtime = low;
	inode->i_atime_extra = inode->i_ctime_extra = extra;
	inode->i_mtime_extra = inode->i_crtime_extra = extra;
}

static errcode_t put_extents(struct ext4_new *new, uint32_t ino,
			     struct ext2_inode_large *inode, const struct ext4_map *map)
{
	ext2_extent_handle_t handle;
	struct ext2fs_extent extent = { 0 };
	errcode_t code =
		ext2fs_extent_open2(new->fs, ino, (struct ext2_inode *)inode, &handle);

	if (code)
		return code;
	for (size_t i = 0; !code && i < map->count; i++) {
		extent.e_pblk = map->runs[i].block;
		extent.e_len = map->runs[i].blocks;
		code = ext2fs_extent_insert(handle, EXT2_EXTENT_INSERT_AFTER, &extent);
		extent.e_lblk += extent.e_len;
	}
	ext2fs_extent_free(handle);
	return code;
}

int ext4_put_inode(struct ext4_new *new, const struct ext4_inode *inode,
		   const struct ext4_map *map, struct err *err)
{
	struct ext2_inode_large raw = {
		.i_mode = (__u16)((inode->dir ? LINUX_S_IFDIR : LINUX_S_IFREG) |
				  inode->mode),
		.i_links_count = (__u16)inode->links,
		.i_flags = EXT4_EXTENTS_FL,
	};
	struct ext2_inode *small = (struct ext2_inode *)&raw;
	blk64_t blocks = 0;
	errcode_t code;

	set_times(&raw, new->epoch);
	for (size_t i = 0; i < map->count; i++)
		blocks += map->runs[i].blocks;
	code = ext2fs_inode_size_set(new->fs, small, (ext2_off64_t)inode->size_bytes);
	if (!code)
		code = ext2fs_iblk_set(new->fs, small, blocks);
	if (!code)
		code = put_extents(new, inode->ino, &raw, map);
	if (!code)
		code = ext2fs_write_inode_full(new->fs, inode->ino, small, sizeof(raw));
	if (code)
		return ext4_fault(err, code, "writing an inode");
	ext2fs_inode_alloc_stats2(new->fs, inode->ino, 1, inode->dir);
	return 0;
}

int ext4_put_dirblock(struct ext4_new *new, uint32_t ino, uint64_t block,
		      unsigned char bytes[DIRBLOCK_SIZE], struct err *err)
{
	errcode_t code = ext2fs_write_dir_block4(new->fs, block, bytes, 0, ino);

	return code ? ext4_fault(err, code, "writing a directory") : 0;
}

/* What libext2fs makes itself carries times in its own manner. */
static errcode_t stamp(struct ext4_new *new, uint32_t ino)
{
	struct ext2_inode_large inode;
	errcode_t code = ext2fs_flush_icache(new->fs);

	/*
	 * From the disk: in 1.47.2 an inode with a wrong checksum, as these have after
	 * the seal, takes the place of another in the cache under that one's number.
	 */
	if (!code)
		code = ext2fs_read_inode_full(new->fs, ino, (struct ext2_inode *)&inode,
					      sizeof(inode));
	if (code)
		return code;
	set_times(&inode, new->epoch);
	return ext2fs_write_inode_full(new->fs, ino, (struct ext2_inode *)&inode,
				       sizeof(inode));
}

/*
 * Superblock and descriptors stand in some groups once more, for e2fsck when the first
 * ones are lost; it counts everything anew then. The copies say what does not change from
 * one release to the next, as after mke2fs and a mount: nobody has to send them again.
 */
static errcode_t put_copies(struct ext4_new *new)
{
	ext2_filsys fs = new->fs;
	struct ext2_super_block super = *fs->super;
	size_t len = (size_t)fs->desc_blocks * fs->blocksize;
	errcode_t (*write_bitmaps)(ext2_filsys fs) = fs->write_bitmaps;
	unsigned char *descs = malloc(len);
	errcode_t code;

	if (!descs)
		return EXT2_ET_NO_MEMORY;
	memcpy(descs, fs->group_desc, len);
	memcpy(fs->group_desc, new->empty_descs, len);
	*fs->super = new->empty_super;
	memcpy(fs->super->s_uuid, super.s_uuid, sizeof(super.s_uuid));
	memcpy(fs->super->s_hash_seed, super.s_hash_seed, sizeof(super.s_hash_seed));
	for (dgrp_t group = 0; group < fs->group_desc_count; group++)
		ext2fs_group_desc_csum_set(fs, group);
	fs->write_bitmaps = NULL;
	code = ext2fs_flush2(fs, EXT2_FLAG_FLUSH_NO_SYNC);
	fs->write_bitmaps = write_bitmaps;
	memcpy(fs->group_desc, descs, len);
	*fs->super = super;
	free(descs);
	fs->flags |= EXT2_FLAG_MASTER_SB_ONLY;
	ext2fs_mark_super_dirty(fs);
	return code;
}

int ext4_finish(struct ext4_new *new, struct err *err)
{
	errcode_t code;

	/* These two were written before the seal, which their checksums start from. */
	new->fs->flags |= EXT2_FLAG_IGNORE_CSUM_ERRORS;
	code = stamp(new, EXT2_RESIZE_INO);
	if (!code)
		code = stamp(new, EXT2_JOURNAL_INO);
	new->fs->flags &= ~EXT2_FLAG_IGNORE_CSUM_ERRORS;
	if (!code)
		code = put_copies(new);
	for (dgrp_t group = 0; !code && group < new->fs->group_desc_count; group++)
		ext2fs_group_desc_csum_set(new->fs, group);
	/* Durable is what the caller makes it, once for data and all of this. */
	if (!code)
		code = ext2fs_close2(new->fs, EXT2_FLAG_FLUSH_NO_SYNC);
	if (!code) {
		new->fs = NULL;
		ext4_abandon(new);
		return 0;
	}
	ext4_fault(err, code, "writing the file system");
	ext4_abandon(new);
	return -1;
}

void ext4_abandon(struct ext4_new *new)
{
	if (!new)
		return;
	if (new->fs)
		ext2fs_free(new->fs);
	free(new->empty_descs);
	free(new);
}
