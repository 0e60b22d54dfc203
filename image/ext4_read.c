#include "image/ext4.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* These rely on sys/types.h. */
#include <et/com_err.h>
#include <ext2fs/ext2fs.h>

#include "image/device.h"
#include "image/ext4_impl.h"
#include "image/replay.h"
#include "toolkit/lib/io.h"

/* Blocks of a journal that are looked at: 1 GiB, ours has 16 MiB. */
#define JOURNAL_MAX (256 * 1024)

struct ext4_volume {
	ext2_filsys fs;
	struct struct_io_manager manager; /* unix_io with our reads in front */
	_Atomic uint64_t budget_blocks;
	int fd; /* for data */
	/* Blocks that the journal has newer, and where the journal is: see replay.h. */
	struct replay replay;
	uint64_t *journal;
	uint32_t journal_blocks;
};

int ext4_fault(struct err *err, long code, const char *doing)
{
	/* Below 256 the code is an errno. A short read is none: the volume ends there. */
	bool system =
		code < 256 || code == EXT2_ET_NO_MEMORY || code == EXT2_ET_SHORT_WRITE;

	if (code == EXT2_ET_BLOCK_ALLOC_FAIL)
		return err_set(err, ERR_FAILED, "%s: the image is too small", doing);
	initialize_ext2_error_table();
	return err_set(err,
		       code == EACCES || code == EPERM ? ERR_REFUSED
		       : system			       ? ERR_FAILED
						       : ERR_NO,
		       "%s: %s", doing, error_message(code));
}

static bool spend(struct ext4_volume *volume, uint64_t cost)
{
	uint64_t left = atomic_load(&volume->budget_blocks);

	do {
		if (cost > left)
			return false;
	} while (!atomic_compare_exchange_weak(&volume->budget_blocks, &left,
					       left - cost));
	return true;
}

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
	errcode_t code;

	/* Negative counts are bytes (the superblock). */
	if (!spend(volume, count > 0 ? (uint64_t)count : 1))
		return EXT2_ET_EXTENT_CYCLE;
	code = unix_io_manager->read_blk64(channel, block, count, data);
	for (int i = 0; !code && volume->replay.count && i < count; i++) {
		const struct replay_entry *entry =
			replay_find(&volume->replay, block + (unsigned)i);
		unsigned char *to = (unsigned char *)data + (size_t)i * EXT4_BLOCK;

		if (!entry)
			continue;
		code = unix_io_manager->read_blk64(channel,
						   volume->journal[entry->number], 1, to);
		replay_restore(entry, to);
	}
	return code;
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
			err, ERR_NO,
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
		return ext4_fault(err, code, "reading the superblock");
	}
	if (check_superblock(volume->fs->super, file_bytes, err) < 0)
		return -1;
	ext2fs_free(volume->fs);
	code = ext2fs_open2(path, "", OPEN_FLAGS, 0, 0, unix_io_manager, &volume->fs);
	if (code) {
		volume->fs = NULL;
		return ext4_fault(err, code, "reading the group descriptors");
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

void ext4_close(struct ext4_volume *volume)
{
	if (!volume)
		return;
	if (volume->fs)
		ext2fs_free(volume->fs);
	io_close(&volume->fd);
	replay_free(&volume->replay);
	free(volume->journal);
	free(volume);
}

void *ext4_handle(struct ext4_volume *volume)
{
	return volume->fs;
}

bool ext4_needs_recovery(const struct ext4_volume *volume)
{
	return ext2fs_has_feature_journal_needs_recovery(volume->fs->super);
}

void ext4_facts(const struct ext4_volume *volume, struct ext4_facts *facts)
{
	struct ext2_super_block *super = volume->fs->super;

	*facts = (struct ext4_facts){
		.size_bytes = ext2fs_blocks_count(super) * EXT4_BLOCK,
		.epoch = ext2fs_get_tstamp(super, s_mkfs_time),
		.inodes = super->s_inodes_count,
		.inodes_per_group = super->s_inodes_per_group,
		.reserved_gdt_blocks = super->s_reserved_gdt_blocks,
		.compat = super->s_feature_compat,
		.incompat = super->s_feature_incompat,
		.ro_compat = super->s_feature_ro_compat,
	};
	/* The copy of the journal's inode: its size is word 16 of 17. */
	if (ext2fs_has_feature_journal(super))
		facts->journal_blocks = super->s_jnl_blocks[16] / EXT4_BLOCK;
	memcpy(facts->identity.uuid, super->s_uuid, sizeof(facts->identity.uuid));
	memcpy(facts->identity.hash_seed, super->s_hash_seed,
	       sizeof(facts->identity.hash_seed));
}

/* ext4's own inodes are no files; what is asked for is the volume's word. */
static int check_number(const struct ext4_volume *volume, uint32_t ino, struct err *err)
{
	if (ino != EXT4_ROOT &&
	    (ino < EXT4_LOST_FOUND || ino > volume->fs->super->s_inodes_count))
		return err_set(err, ERR_NO, "inode number %u is out of range", ino);
	return 0;
}

/*
 * In 1.47.2 an inode with a wrong checksum stays in the cache, in the place and under the
 * number of one that was read before: the next one to ask for that got it as sound.
 */
static int inode_fault(struct ext4_volume *volume, struct err *err, errcode_t code,
		       const char *doing)
{
	ext2fs_flush_icache(volume->fs);
	return ext4_fault(err, code, doing);
}

static int read_inode(struct ext4_volume *volume, uint32_t ino,
		      struct ext2_inode_large *inode, struct err *err)
{
	errcode_t code = ext2fs_read_inode_full(
		volume->fs, ino, (struct ext2_inode *)inode, sizeof(*inode));

	return code ? inode_fault(volume, err, code, "reading an inode") : 0;
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

	if (check_number(volume, ino, err) < 0 ||
	    read_inode(volume, ino, &inode, err) < 0)
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

static int spans_of(struct ext4_volume *volume, uint32_t ino, struct ext4_stat *st,
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
		return ext4_fault(err, code, "reading the extents");
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
		return ext4_fault(err, code, "reading the extents");
	return rc;
}

int ext4_spans(struct ext4_volume *volume, uint32_t ino, struct ext4_stat *st,
	       int (*fn)(void *arg, const struct ext4_span *span, struct err *err),
	       void *arg, struct err *err)
{
	if (check_number(volume, ino, err) < 0)
		return -1;
	return spans_of(volume, ino, st, fn, arg, err);
}

/* Puts what the journal has newer in the place of blocks that were read. */
static int renew(struct ext4_volume *volume, uint64_t block, size_t blocks,
		 unsigned char *buf, struct err *err)
{
	for (size_t i = 0; i < blocks; i++) {
		const struct replay_entry *entry =
			replay_find(&volume->replay, block + i);
		unsigned char *to = buf + i * EXT4_BLOCK;
		ssize_t n;

		if (!entry)
			continue;
		n = io_pread(volume->fd, to, EXT4_BLOCK,
			     volume->journal[entry->number] * EXT4_BLOCK);
		if (n < 0)
			return err_sys(err, errno, "reading the journal");
		if (n != EXT4_BLOCK)
			return err_set(err, ERR_NO, "the journal ends early");
		replay_restore(entry, to);
	}
	return 0;
}

int ext4_fetch(struct ext4_volume *volume, uint64_t block, size_t blocks, void *buf,
	       struct err *err)
{
	ssize_t n;

	if (!spend(volume, blocks))
		return ext4_fault(err, EXT2_ET_EXTENT_CYCLE, "reading data");
	n = io_pread(volume->fd, buf, blocks * EXT4_BLOCK, block * EXT4_BLOCK);
	if (n < 0)
		return err_sys(err, errno, "reading data");
	if ((size_t)n != blocks * EXT4_BLOCK)
		return err_set(err, ERR_NO, "reading data: the volume ends early");
	return volume->replay.count ? renew(volume, block, blocks, buf, err) : 0;
}

static int add_journal_span(void *arg, const struct ext4_span *span, struct err *err)
{
	struct ext4_volume *volume = arg;

	(void)err;
	for (uint64_t i = 0; i < span->blocks; i++)
		if (span->file_block + i < volume->journal_blocks)
			volume->journal[span->file_block + i] = span->block + i;
	return 0;
}

static int read_journal(void *arg, uint32_t number, unsigned char *block, struct err *err)
{
	struct ext4_volume *volume = arg;

	if (number >= volume->journal_blocks || !volume->journal[number])
		return err_set(err, ERR_NO, "the journal has a hole");
	return ext4_fetch(volume, volume->journal[number], 1, block, err);
}

/* Superblock and descriptors are in memory already: their newer versions, too. */
static int renew_own(struct ext4_volume *volume, struct err *err)
{
	unsigned char block[EXT4_BLOCK] __attribute__((aligned(EXT4_BLOCK)));
	const struct ext2_super_block *super = (const void *)(block + 1024);
	ext2_filsys fs = volume->fs;

	/* Inodes that were read with that of the journal. */
	if (ext2fs_flush_icache(fs))
		return err_set(err, ERR_NO, "reading the inodes");
	if (replay_find(&volume->replay, 0)) {
		if (io_channel_read_blk64(fs->io, 0, 1, block))
			return err_set(err, ERR_NO, "reading the superblock");
		/* Grown in the journal alone: what is in memory has another shape. */
		if (ext2fs_blocks_count((struct ext2_super_block *)super) !=
			    ext2fs_blocks_count(fs->super) ||
		    super->s_feature_incompat != fs->super->s_feature_incompat ||
		    super->s_first_meta_bg != fs->super->s_first_meta_bg)
			return err_set(err, ERR_NO, "the volume grows in its journal");
		fs->super->s_free_inodes_count = super->s_free_inodes_count;
		ext2fs_free_blocks_count_set(
			fs->super,
			ext2fs_free_blocks_count((struct ext2_super_block *)super));
	}
	for (unsigned long i = 0; i < fs->desc_blocks; i++) {
		blk64_t at = ext2fs_descriptor_block_loc2(fs, 0, (dgrp_t)i);

		if (!replay_find(&volume->replay, at))
			continue;
		if (io_channel_read_blk64(fs->io, at, 1,
					  (char *)fs->group_desc + i * EXT4_BLOCK))
			return err_set(err, ERR_NO, "reading the descriptors");
	}
	return 0;
}

/*
 * Looks at what the journal has committed. A journal that we cannot read is left aside,
 * as ext4_needs_recovery() tells everyone; only a failure of this machine is one.
 */
static int overlay_journal(struct ext4_volume *volume, struct err *err)
{
	struct replay_log log = { .read = read_journal, .arg = volume };
	struct err why = { 0 };
	struct ext4_stat st;
	int rc = -1;

	volume->journal_blocks = JOURNAL_MAX;
	volume->journal = calloc(JOURNAL_MAX, sizeof(*volume->journal));
	if (!volume->journal)
		return err_set(err, ERR_FAILED, "out of memory");
	if (spans_of(volume, EXT2_JOURNAL_INO, &st, add_journal_span, volume, &why) ==
	    0) {
		log.blocks = st.size_bytes / EXT4_BLOCK < JOURNAL_MAX
				     ? (uint32_t)(st.size_bytes / EXT4_BLOCK)
				     : JOURNAL_MAX;
		rc = replay_read(&log, &volume->replay, &why);
	}
	/* Each entry leads to a block that is there. */
	for (size_t i = 0; rc == 0 && i < volume->replay.count; i++)
		if (!volume->journal[volume->replay.entries[i].number])
			rc = err_set(&why, ERR_NO, "the journal has a hole");
	if (rc == 0)
		rc = renew_own(volume, &why);
	if (rc == 0)
		return 0;
	replay_free(&volume->replay);
	if (why.kind == ERR_NO)
		return 0;
	*err = why;
	return err_prefix(err, "reading the journal");
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
	volume->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_DIRECT);
	if (volume->fd < 0 && errno == EINVAL)
		volume->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (volume->fd < 0)
		err_sys(err, errno, "opening");
	else if (open_checked(volume, path, file_bytes, err) == 0 &&
		 (!ext4_needs_recovery(volume) || overlay_journal(volume, err) == 0))
		return volume;
	ext4_close(volume);
	return NULL;
}

int ext4_fetch_dirblock(struct ext4_volume *volume, uint32_t ino, uint64_t block,
			unsigned char bytes[DIRBLOCK_SIZE], struct err *err)
{
	errcode_t code = ext2fs_read_dir_block4(volume->fs, block, bytes, 0, ino);

	return code ? inode_fault(volume, err, code, "reading a directory") : 0;
}
