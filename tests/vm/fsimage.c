#include "fsimage.h"

#include <errno.h>
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
	struct fs_image *img;
	const char *const *allow;
	const char *parent;
	ext2_ino_t *queue; /* directories still to be read */
	size_t queued;
	int failed;
};

static int allowed(const char *path, const char *const *allow)
{
	for (; *allow; allow++) {
		size_t n = strlen(*allow);
		if (!strncmp(path, *allow, n) && (path[n] == '\0' || path[n] == '/'))
			return 1;
	}
	return 0;
}

static int see_entry(ext2_ino_t dir, int entry, struct ext2_dir_entry *de, int offset,
		     int blocksize, char *buf, void *private)
{
	struct walk *w = private;
	struct fs_image *img = w->img;
	ext2_ino_t ino = de->inode;
	char *path;

	(void)dir, (void)offset, (void)blocksize, (void)buf;
	if (entry != DIRENT_OTHER_FILE || ino == 0 || ino > img->inodes)
		return 0;
	if (asprintf(&path, "%s/%.*s", w->parent, ext2fs_dirent_name_len(de), de->name) <
	    0) {
		w->failed = 1;
		return DIRENT_ABORT;
	}
	if (img->path[ino]) {
		/* Another name of a file: inside only when every name is. */
		img->inside[ino] &= allowed(path, w->allow);
		free(path);
		return 0;
	}
	img->path[ino] = path;
	img->inside[ino] = (unsigned char)allowed(path, w->allow);
	if (img->is_dir[ino])
		w->queue[w->queued++] = ino;
	return 0;
}

/* Gives every inode its name. */
static int walk_names(ext2_filsys fs, struct fs_image *img, const char *const *allow)
{
	struct walk w = { .img = img, .allow = allow };

	w.queue = calloc(img->inodes + 1, sizeof(*w.queue));
	if (!w.queue)
		return -1;
	img->path[EXT2_ROOT_INO] = "";
	img->inside[EXT2_ROOT_INO] = 0;
	w.queue[w.queued++] = EXT2_ROOT_INO;
	while (w.queued && !w.failed) {
		ext2_ino_t dir = w.queue[--w.queued];
		w.parent = img->path[dir];
		if (ext2fs_dir_iterate2(fs, dir, 0, NULL, see_entry, &w))
			w.failed = 1;
	}
	free(w.queue);
	return w.failed ? -1 : 0;
}

struct own {
	struct fs_image *img;
	ext2_ino_t ino;
};

static void set_owner(struct fs_image *img, uint64_t block, uint32_t owner)
{
	if (block >= img->blocks)
		return;
	uint32_t now = img->owner[block];
	/* A shared block (extended attributes) belongs to the one who is not allowed. */
	if (now == OWNER_NOBODY || (now < OWNER_FIRST && img->inside[now]))
		img->owner[block] = owner;
}

static int see_block(ext2_filsys fs, blk64_t *block, e2_blkcnt_t count, blk64_t ref,
		     int offset, void *private)
{
	struct own *o = private;

	(void)fs, (void)count, (void)ref, (void)offset;
	set_owner(o->img, *block, o->ino);
	return 0;
}

/* Notes the fixed places of every group. */
static int own_groups(ext2_filsys fs, struct fs_image *img)
{
	for (dgrp_t g = 0; g < fs->group_desc_count; g++) {
		blk64_t super, old_desc, new_desc;

		if (ext2fs_super_and_bgd_loc2(fs, g, &super, &old_desc, &new_desc, NULL))
			return -1;
		struct fs_group *to = &img->group[g];
		to->block_bitmap = ext2fs_block_bitmap_loc(fs, g);
		to->inode_bitmap = ext2fs_inode_bitmap_loc(fs, g);
		to->inode_table = ext2fs_inode_table_loc(fs, g);
		to->block_uninit = ext2fs_bg_flags_test(fs, g, EXT2_BG_BLOCK_UNINIT);
		to->inode_uninit = ext2fs_bg_flags_test(fs, g, EXT2_BG_INODE_UNINIT);
		if (g == 0)
			img->owner[fs->super->s_first_data_block] = OWNER_SUPER;
		else if (super)
			set_owner(img, super, OWNER_BACKUP);
		for (blk64_t i = 0; old_desc && i < fs->desc_blocks; i++)
			set_owner(img, old_desc + i,
				  g ? OWNER_BACKUP : OWNER_DESCRIPTORS);
		if (g == 0)
			img->descriptors = old_desc;
		set_owner(img, to->block_bitmap, OWNER_BLOCK_BITMAP);
		set_owner(img, to->inode_bitmap, OWNER_INODE_BITMAP);
		for (blk64_t i = 0; i < fs->inode_blocks_per_group; i++)
			set_owner(img, to->inode_table + i, OWNER_INODE_TABLE);
	}
	return 0;
}

static int read_inodes(ext2_filsys fs, struct fs_image *img)
{
	struct ext2_inode inode;

	for (ext2_ino_t ino = 1; ino <= img->inodes; ino++) {
		img->inode_used[ino] = !!ext2fs_test_inode_bitmap2(fs->inode_map, ino);
		if (!img->inode_used[ino])
			continue;
		if (ext2fs_read_inode(fs, ino, &inode))
			return -1;
		img->is_dir[ino] = LINUX_S_ISDIR(inode.i_mode);
	}
	return 0;
}

static int own_inodes(ext2_filsys fs, struct fs_image *img)
{
	struct ext2_inode inode;

	for (ext2_ino_t ino = 1; ino <= img->inodes; ino++) {
		struct own o = { img, ino };
		blk64_t acl;

		if (!img->inode_used[ino])
			continue;
		if (ext2fs_read_inode(fs, ino, &inode))
			return -1;
		acl = ext2fs_file_acl_block(fs, &inode);
		if (acl)
			set_owner(img, acl, ino);
		/* Of the reserved inodes the journal and the spare descriptors have
		 * blocks. */
		if (!ext2fs_inode_has_valid_blocks2(fs, &inode))
			continue;
		if (ext2fs_block_iterate3(fs, ino, BLOCK_FLAG_READ_ONLY, NULL, see_block,
					  &o))
			return -1;
	}
	return 0;
}

static int geometry(ext2_filsys fs, struct fs_image *img)
{
	img->block_size = fs->blocksize;
	img->blocks = ext2fs_blocks_count(fs->super);
	img->first_block = fs->super->s_first_data_block;
	img->blocks_per_group = fs->super->s_blocks_per_group;
	img->inodes = fs->super->s_inodes_count;
	img->inodes_per_group = fs->super->s_inodes_per_group;
	img->inode_table_blocks = fs->inode_blocks_per_group;
	img->inode_size = EXT2_INODE_SIZE(fs->super);
	img->desc_size = EXT2_DESC_SIZE(fs->super);
	img->groups = fs->group_desc_count;
	/* Only what a root disk of an instance may have is told apart below. */
	if (ext2fs_has_feature_meta_bg(fs->super) ||
	    ext2fs_has_feature_bigalloc(fs->super) ||
	    img->size / img->block_size < img->blocks)
		return -1;
	img->group = calloc(img->groups, sizeof(*img->group));
	img->owner = calloc(img->blocks, sizeof(*img->owner));
	img->block_used = calloc(img->blocks, 1);
	img->inode_used = calloc(img->inodes + 1ul, 1);
	img->is_dir = calloc(img->inodes + 1ul, 1);
	img->inside = calloc(img->inodes + 1ul, 1);
	img->path = calloc(img->inodes + 1ul, sizeof(*img->path));
	return img->group && img->owner && img->block_used && img->inode_used &&
			       img->is_dir && img->inside && img->path
		       ? 0
		       : -1;
}

static int map_file(struct fs_image *img, const char *file)
{
	struct stat st;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	void *map = MAP_FAILED;
	if (fstat(fd, &st) == 0 && st.st_size > 0)
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return -1;
	img->bytes = map;
	img->size = (uint64_t)st.st_size;
	return 0;
}

int fs_open(struct fs_image *img, const char *program, const char *file,
	    const char *const *allow)
{
	ext2_filsys fs = NULL;
	errcode_t err;

	memset(img, 0, sizeof(*img));
	if (map_file(img, file) < 0) {
		fprintf(stderr, "%s: %s: %s\n", program, file, strerror(errno));
		return -1;
	}
	/* A byte that somebody changed must be found, not refused for its checksum. */
	err = ext2fs_open2(file, NULL, EXT2_FLAG_64BITS | EXT2_FLAG_IGNORE_CSUM_ERRORS, 0,
			   0, unix_io_manager, &fs);
	if (!err)
		err = ext2fs_read_bitmaps(fs);
	if (err || geometry(fs, img) < 0 || read_inodes(fs, img) < 0 ||
	    walk_names(fs, img, allow) < 0 || own_groups(fs, img) < 0 ||
	    own_inodes(fs, img) < 0) {
		fprintf(stderr, "%s: %s: not an ext4 that can be read (%ld)\n", program,
			file, (long)err);
		if (fs)
			ext2fs_free(fs);
		return -1;
	}
	for (uint64_t b = img->first_block; b < img->blocks; b++)
		img->block_used[b] = !!ext2fs_test_block_bitmap2(fs->block_map, b);
	ext2fs_free(fs);
	return 0;
}
