#include "image/ext4.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* These rely on sys/types.h. */
#include <et/com_err.h>
#include <ext2fs/ext2fs.h>

#include "image/device.h"

#define BLOCK_LOG (12 - EXT2_MIN_BLOCK_LOG_SIZE)
#define INODE_SIZE 256
#define BLOCKS_PER_GROUP (8 * EXT4_BLOCK) /* one bitmap block */
#define FLEX_LOG 4			  /* 16 groups, as mke2fs */

/*
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

struct ext4_new {
	ext2_filsys fs;
	uint64_t next; /* no free block below it */
	int64_t epoch;
};

struct ext4_volume {
	ext2_filsys fs;
	struct struct_io_manager manager; /* unix_io with our reads in front */
	uint64_t budget_blocks;
};

/* Puts libext2fs's words behind the sentence that is in err. */
static int fault(struct err *err, errcode_t code, const char *doing)
{
	/* Below 256 the code is an errno; a short read is the system's, too. */
	bool system = code < 256 || code == EXT2_ET_SHORT_READ ||
		      code == EXT2_ET_NO_MEMORY || code == EXT2_ET_SHORT_WRITE;

	if (code == EXT2_ET_BLOCK_ALLOC_FAIL)
		return err_set(err, ERR_FAILED, "%s: the image is too small", doing);
	initialize_ext2_error_table();
	return err_set(err,
		       code == EACCES || code == EPERM ? ERR_REFUSED
		       : system			       ? ERR_FAILED
						       : ERR_NO,
		       "%s: %s", doing, error_message(code));
}

/* ---- Making ---- */

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

struct ext4_new *ext4_create(const char *path, const struct ext4_shape *shape,
			     struct err *err)
{
	uint64_t blocks = shape->size_bytes / EXT4_BLOCK;
	uint64_t groups = (blocks + BLOCKS_PER_GROUP - 1) / BLOCKS_PER_GROUP;
	uint64_t inodes = groups * inodes_per_group(shape, groups);
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
	code = ext2fs_initialize(path, EXT2_FLAG_64BITS, &param, unix_io_manager,
				 &new->fs);
	if (code) {
		new->fs = NULL;
		goto fail;
	}
	set_superblock(new);
	code = ext2fs_allocate_tables(new->fs);
	if (code)
		goto fail;
	for (uint32_t ino = 1; ino < EXT4_LOST_FOUND; ino++)
		if (ino != EXT4_ROOT)
			ext2fs_inode_alloc_stats2(new->fs, ino, 1, 0);
	return new;
fail:
	fault(err, code, "laying out the file system");
	if (code == EXT2_ET_TOOSMALL || code == EXT2_ET_TOO_MANY_INODES)
		err_set(err, ERR_FAILED, "the image is too small for ext4");
	ext4_abandon(new);
	return NULL;
}

uint64_t ext4_free_blocks(const struct ext4_new *new)
{
	uint64_t free_blocks = ext2fs_free_blocks_count(new->fs->super);
	uint64_t own = JOURNAL_BLOCKS + 1; /* the resize inode's one indirect block */

	return free_blocks < own ? 0 : free_blocks - own;
}

int ext4_reserve(struct ext4_new *new, uint64_t len_bytes, struct ext4_map *map,
		 struct err *err)
{
	uint64_t want = len_bytes / EXT4_BLOCK + (len_bytes % EXT4_BLOCK != 0);
	uint64_t last = ext2fs_blocks_count(new->fs->super) - 1;

	*map = (struct ext4_map){ 0 };
	while (want) {
		uint64_t most = want < EXT_INIT_MAX_LEN ? want : EXT_INIT_MAX_LEN;
		struct ext4_run *grown;
		blk64_t start, end;
		errcode_t code;

		code = ext2fs_find_first_zero_block_bitmap2(new->fs->block_map, new->next,
							    last, &start);
		if (code == ENOENT) {
			err_set(err, ERR_FAILED, "the image is too small");
			goto fail;
		}
		if (!code) {
			end = start + most;
			if (end > last + 1)
				end = last + 1;
			code = ext2fs_find_first_set_block_bitmap2(new->fs->block_map,
								   start, end - 1, &end);
		}
		if (code && code != ENOENT) {
			fault(err, code, "searching free blocks");
			goto fail;
		}
		grown = reallocarray(map->runs, map->count + 1, sizeof(*grown));
		if (!grown) {
			err_set(err, ERR_FAILED, "out of memory");
			goto fail;
		}
		map->runs = grown;
		map->runs[map->count++] =
			(struct ext4_run){ start, (uint32_t)(end - start) };
		ext2fs_block_alloc_stats_range(new->fs, start, (blk_t)(end - start), 1);
		new->next = end;
		want -= end - start;
	}
	return 0;
fail:
	free(map->runs);
	*map = (struct ext4_map){ 0 };
	return -1;
}

void ext4_seal(struct ext4_new *new, const uint8_t seed[EXT4_SEED_LEN])
{
	struct ext2_super_block *super = new->fs->super;

	memcpy(super->s_uuid, seed, sizeof(super->s_uuid));
	/* RFC 9562, version 8: a UUID whose bits its maker defines. */
	super->s_uuid[6] = (super->s_uuid[6] & 0x0f) | 0x80;
	super->s_uuid[8] = (super->s_uuid[8] & 0x3f) | 0x80;
	memcpy(super->s_hash_seed, seed + sizeof(super->s_uuid),
	       sizeof(super->s_hash_seed));
	ext2fs_init_csum_seed(new->fs);
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
		return fault(err, code, "writing an inode");
	ext2fs_inode_alloc_stats2(new->fs, inode->ino, 1, inode->dir);
	return 0;
}

int ext4_put_dirblock(struct ext4_new *new, uint32_t ino, uint64_t block,
		      unsigned char bytes[DIRBLOCK_SIZE], struct err *err)
{
	errcode_t code = ext2fs_write_dir_block4(new->fs, block, bytes, 0, ino);

	return code ? fault(err, code, "writing a directory") : 0;
}

/* What libext2fs makes itself carries times in its own manner. */
static errcode_t stamp(struct ext4_new *new, uint32_t ino)
{
	struct ext2_inode_large inode;
	errcode_t code = ext2fs_read_inode_full(new->fs, ino, (struct ext2_inode *)&inode,
						sizeof(inode));

	if (code)
		return code;
	set_times(&inode, new->epoch);
	return ext2fs_write_inode_full(new->fs, ino, (struct ext2_inode *)&inode,
				       sizeof(inode));
}

int ext4_finish(struct ext4_new *new, struct err *err)
{
	errcode_t code = ext2fs_create_resize_inode(new->fs);

	/* LAZYINIT: the file is new, its blocks are zero without being written. */
	if (!code)
		code = ext2fs_add_journal_inode2(new->fs, JOURNAL_BLOCKS, new->next,
						 EXT2_MKJOURNAL_LAZYINIT |
							 EXT2_MKJOURNAL_NO_MNT_CHECK);
	if (!code)
		code = stamp(new, EXT2_RESIZE_INO);
	if (!code)
		code = stamp(new, EXT2_JOURNAL_INO);
	/*
	 * Zero as the tables are, INODE_ZEROED tells the kernel so: otherwise each mount
	 * would start its ext4lazyinit thread and write them all.
	 */
	for (dgrp_t group = 0; !code && group < new->fs->group_desc_count; group++) {
		ext2fs_bg_flags_set(new->fs, group, EXT2_BG_INODE_ZEROED);
		ext2fs_group_desc_csum_set(new->fs, group);
	}
	if (!code)
		code = ext2fs_close2(new->fs, 0);
	if (!code) {
		free(new);
		return 0;
	}
	fault(err, code, "writing the file system");
	ext4_abandon(new);
	return -1;
}

void ext4_abandon(struct ext4_new *new)
{
	if (!new)
		return;
	if (new->fs)
		ext2fs_free(new->fs);
	free(new);
}

/* ---- Reading ---- */

/*
 * Every read of libext2fs goes through here, so that one budget bounds whatever a
 * crafted extent tree or directory makes it do.
 */
static errcode_t bounded_read64(io_channel channel, unsigned long long block, int count,
				void *data)
{
	struct ext4_volume *volume =
		(struct ext4_volume *)((char *)channel->manager -
				       offsetof(struct ext4_volume, manager));
	/* Negative counts are bytes (the superblock). */
	uint64_t cost = count > 0 ? (uint64_t)count : 1;

	if (cost > volume->budget_blocks)
		return EXT2_ET_EXTENT_CYCLE;
	volume->budget_blocks -= cost;
	return unix_io_manager->read_blk64(channel, block, count, data);
}

static errcode_t bounded_read(io_channel channel, unsigned long block, int count,
			      void *data)
{
	return bounded_read64(channel, block, count, data);
}

static int check_superblock(const struct ext2_super_block *super, uint64_t file_bytes,
			    struct err *err)
{
	uint64_t blocks = ext2fs_blocks_count((struct ext2_super_block *)super);
	uint32_t known =
		INCOMPAT | EXT3_FEATURE_INCOMPAT_RECOVER | EXT2_FEATURE_INCOMPAT_META_BG;

	if (strncmp((const char *)super->s_volume_name, EXT4_LABEL,
		    sizeof(super->s_volume_name)) != 0)
		return err_set(err, ERR_NO, "the label is not " EXT4_LABEL);
	if (super->s_log_block_size != BLOCK_LOG || super->s_inode_size != INODE_SIZE ||
	    super->s_first_ino != EXT4_LOST_FOUND ||
	    super->s_blocks_per_group != BLOCKS_PER_GROUP)
		return err_set(err, ERR_NO,
			       "the geometry is not that of a forensic volume");
	if (super->s_feature_incompat & ~known)
		return err_set(err, ERR_NO,
			       "ext4 features 0x%x are not those of a forensic "
			       "volume",
			       super->s_feature_incompat & ~known);
	if (!(super->s_feature_ro_compat & EXT4_FEATURE_RO_COMPAT_METADATA_CSUM))
		return err_set(err, ERR_NO, "metadata checksums are off");
	if (blocks > file_bytes / EXT4_BLOCK)
		return err_set(
			err, ERR_FAILED,
			"truncated: the file system has %llu blocks, the file %llu",
			(unsigned long long)blocks,
			(unsigned long long)(file_bytes / EXT4_BLOCK));
	return 0;
}

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
/* Whoever makes a hostile volume makes its checksums right: let tests get as far. */
#define OPEN_FLAGS (EXT2_FLAG_64BITS | EXT2_FLAG_IGNORE_CSUM_ERRORS)
#else
#define OPEN_FLAGS EXT2_FLAG_64BITS
#endif

static int open_checked(struct ext4_volume *volume, const char *path, uint64_t file_bytes,
			struct err *err)
{
	errcode_t code;

	/* The superblock alone first: with a crafted one, the rest would take any memory.
	 */
	code = ext2fs_open2(path, "", OPEN_FLAGS | EXT2_FLAG_SUPER_ONLY, 0, 0,
			    unix_io_manager, &volume->fs);
	if (code) {
		volume->fs = NULL;
		return fault(err, code, "reading the superblock");
	}
	if (check_superblock(volume->fs->super, file_bytes, err) < 0)
		return -1;
	ext2fs_free(volume->fs);
	code = ext2fs_open2(path, "", OPEN_FLAGS, 0, 0, unix_io_manager, &volume->fs);
	if (code) {
		volume->fs = NULL;
		return fault(err, code, "reading the group descriptors");
	}
	volume->manager = *unix_io_manager;
	volume->manager.read_blk = bounded_read;
	volume->manager.read_blk64 = bounded_read64;
	volume->fs->io->manager = &volume->manager;
	/* Each block of data and of its description once, with as much again to spare. */
	volume->budget_blocks = 2 * ext2fs_blocks_count(volume->fs->super) +
				volume->fs->super->s_inodes_count + 65536;
	return 0;
}

struct ext4_volume *ext4_open(const char *path, struct err *err)
{
	struct ext4_volume *volume;
	uint64_t file_bytes = 0;

	if (device_size(path, &file_bytes, err) < 0)
		return NULL;
	volume = calloc(1, sizeof(*volume));
	if (!volume) {
		err_set(err, ERR_FAILED, "out of memory");
		return NULL;
	}
	if (open_checked(volume, path, file_bytes, err) == 0)
		return volume;
	ext4_close(volume);
	return NULL;
}

void ext4_close(struct ext4_volume *volume)
{
	if (volume && volume->fs)
		ext2fs_free(volume->fs);
	free(volume);
}

bool ext4_needs_recovery(const struct ext4_volume *volume)
{
	return ext2fs_has_feature_journal_needs_recovery(volume->fs->super);
}

uint64_t ext4_size_bytes(const struct ext4_volume *volume)
{
	return ext2fs_blocks_count(volume->fs->super) * EXT4_BLOCK;
}

static int read_inode(struct ext4_volume *volume, uint32_t ino,
		      struct ext2_inode_large *inode, struct err *err)
{
	errcode_t code;

	if (ino != EXT4_ROOT &&
	    (ino < EXT4_LOST_FOUND || ino > volume->fs->super->s_inodes_count))
		return err_set(err, ERR_NO, "inode number %u is out of range", ino);
	code = ext2fs_read_inode_full(volume->fs, ino, (struct ext2_inode *)inode,
				      sizeof(*inode));
	return code ? fault(err, code, "reading an inode") : 0;
}

static void to_stat(const struct ext2_inode_large *inode, struct ext4_stat *st)
{
	st->mode = inode->i_mode;
	st->size_bytes = EXT2_I_SIZE(inode);
	st->mtime = (int32_t)inode->i_mtime;
	if (inode->i_extra_isize >=
	    offsetof(struct ext2_inode_large, i_crtime) - EXT2_GOOD_OLD_INODE_SIZE)
		st->mtime += (int64_t)(inode->i_mtime_extra & EXT4_EPOCH_MASK) << 32;
}

int ext4_stat(struct ext4_volume *volume, uint32_t ino, struct ext4_stat *st,
	      struct err *err)
{
	struct ext2_inode_large inode;

	if (read_inode(volume, ino, &inode, err) < 0)
		return -1;
	to_stat(&inode, st);
	return 0;
}

static int check_span(const struct ext4_volume *volume, const struct ext4_span *span,
		      uint64_t next, struct err *err)
{
	if (span->file_block < next || span->blocks == 0 || span->block == 0 ||
	    span->block + span->blocks > ext2fs_blocks_count(volume->fs->super))
		return err_set(err, ERR_NO, "its extents overlap or leave the volume");
	return 0;
}

int ext4_spans(struct ext4_volume *volume, uint32_t ino, struct ext4_stat *st,
	       int (*fn)(void *arg, const struct ext4_span *span, struct err *err),
	       void *arg, struct err *err)
{
	const uint32_t strange = EXT4_INLINE_DATA_FL | EXT4_ENCRYPT_FL | EXT4_EA_INODE_FL;
	struct ext2_inode_large inode;
	const struct ext3_extent_header *root = (const void *)inode.i_block;
	ext2_extent_handle_t handle;
	struct ext2fs_extent extent;
	uint64_t next = 0;
	errcode_t code;
	int rc = 0;

	if (read_inode(volume, ino, &inode, err) < 0)
		return -1;
	to_stat(&inode, st);
	/* Five levels is the kernel's limit (EXT4_MAX_EXTENT_DEPTH). */
	if (!(inode.i_flags & EXT4_EXTENTS_FL) || (inode.i_flags & strange) ||
	    root->eh_depth > 5)
		return err_set(err, ERR_NO, "its data is not mapped by extents");
	code = ext2fs_extent_open2(volume->fs, ino, (struct ext2_inode *)&inode, &handle);
	if (code)
		return fault(err, code, "reading the extents");
	code = ext2fs_extent_get(handle, EXT2_EXTENT_ROOT, &extent);
	while (!code && rc == 0) {
		struct ext4_span span = { extent.e_lblk, extent.e_pblk, extent.e_len };

		if (extent.e_flags & EXT2_EXTENT_FLAGS_LEAF) {
			rc = check_span(volume, &span, next, err);
			next = span.file_block + span.blocks;
			if (rc == 0 && !(extent.e_flags & EXT2_EXTENT_FLAGS_UNINIT))
				rc = fn(arg, &span, err);
		}
		if (rc == 0)
			code = ext2fs_extent_get(handle, EXT2_EXTENT_NEXT_LEAF, &extent);
	}
	ext2fs_extent_free(handle);
	if (code && code != EXT2_ET_EXTENT_NO_NEXT)
		return fault(err, code, "reading the extents");
	return rc;
}

int ext4_fetch(struct ext4_volume *volume, uint64_t block, size_t blocks, void *buf,
	       struct err *err)
{
	errcode_t code = io_channel_read_blk64(volume->fs->io, block, (int)blocks, buf);

	return code ? fault(err, code, "reading data") : 0;
}

int ext4_fetch_dirblock(struct ext4_volume *volume, uint32_t ino, uint64_t block,
			unsigned char bytes[DIRBLOCK_SIZE], struct err *err)
{
	errcode_t code = ext2fs_read_dir_block4(volume->fs, block, bytes, 0, ino);

	return code ? fault(err, code, "reading a directory") : 0;
}
