/*
 * ext4 without a kernel: making a new file system in a file, and reading one that may
 * be hostile. ext4_make.c, ext4_read.c and ext4_check.c alone include libext2fs;
 * whoever replaces it opens these.
 * Blocks are 4 KiB throughout.
 *
 * Error kinds: ERR_NO when the structure of the volume is at fault or some of it is not
 * there (the answer to "is this what we made" is no), ERR_FAILED when the system is
 * (reading, memory, space).
 */
#ifndef FVOL_IMAGE_EXT4_H
#define FVOL_IMAGE_EXT4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/dirblock.h"
#include "toolkit/lib/err.h"

#define EXT4_BLOCK 4096
#define EXT4_LABEL "FVOL"
#define EXT4_ROOT 2
#define EXT4_LOST_FOUND 11 /* the first inode that is free for use */
#define EXT4_SEED_LEN 32

/*
 * ---- Making. All calls in this order: create, take and reserve..., seal, put...,
 * finish.
 */

struct ext4_new;

/* Consecutive blocks of a file, in order. */
struct ext4_run {
	uint64_t block;
	uint32_t blocks;
};

struct ext4_map {
	struct ext4_run *runs; /* freed by the caller */
	size_t count;
};

struct ext4_shape {
	uint64_t size_bytes;	   /* a multiple of EXT4_BLOCK */
	int64_t epoch;		   /* every time in the image */
	uint32_t inodes;	   /* how many the tree needs, ext4's own ten included */
	uint32_t inodes_per_group; /* of an image that is to be followed; 0: by inodes */
};

/*
 * Lays out a file system in path, an existing file of size_bytes zero bytes, with its
 * journal: places that follow from the size and the number of inodes alone. Returns NULL
 * on failure.
 */
struct ext4_new *ext4_create(const char *path, const struct ext4_shape *shape,
			     struct err *err);

/* Blocks left for files and directories. */
uint64_t ext4_free_blocks(const struct ext4_new *new);

int ext4_first_free(const struct ext4_new *new, uint64_t *block, struct err *err);

/*
 * Takes the next free blocks from *from on for len_bytes, and once more from 0 when there
 * are not enough; *from is moved behind them. The caller writes the data there itself. A
 * length of 0 gives an empty map.
 */
int ext4_reserve(struct ext4_new *new, uint64_t *from, uint64_t len_bytes,
		 struct ext4_map *map, struct err *err);

/* Takes just these blocks. Returns false, nothing taken, when they are not all free. */
bool ext4_take(struct ext4_new *new, const struct ext4_map *map);

/*
 * Sets UUID and hash seed from 32 bytes. Every checksum of ext4 starts from the UUID:
 * so data first, then the seal, then what describes the data.
 */
void ext4_seal(struct ext4_new *new, const uint8_t seed[EXT4_SEED_LEN]);

struct ext4_identity {
	uint8_t uuid[16];
	uint8_t hash_seed[16]; /* of directories with an index, which the kernel makes */
};

/* The same with an identity that is given. */
void ext4_seal_as(struct ext4_new *new, const struct ext4_identity *identity);

struct ext4_inode {
	uint32_t ino;
	bool dir;
	uint32_t mode; /* permission bits */
	uint32_t links;
	uint64_t size_bytes;
};

int ext4_put_inode(struct ext4_new *new, const struct ext4_inode *inode,
		   const struct ext4_map *map, struct err *err);

/* Writes a packed block of the directory whose inode is already put. */
int ext4_put_dirblock(struct ext4_new *new, uint32_t ino, uint64_t block,
		      unsigned char bytes[DIRBLOCK_SIZE], struct err *err);

/* Writes everything, not yet to the disk. Frees new, also on failure. */
int ext4_finish(struct ext4_new *new, struct err *err);

void ext4_abandon(struct ext4_new *new);

/* ---- Reading. Bounded: no volume makes a call read more than a few times its size. ----
 */

struct ext4_volume;

/*
 * Opens a file or block device read-only. Refuses what this project does not make:
 * another label, block size or feature. Returns NULL on failure.
 */
struct ext4_volume *ext4_open(const char *path, struct err *err);
void ext4_close(struct ext4_volume *volume);

/*
 * The journal holds changes that were not written back: the volume was pulled. What it
 * has committed is read from there (replay.h), as far as that can be done.
 */
bool ext4_needs_recovery(const struct ext4_volume *volume);

/* What the superblock says. */
struct ext4_facts {
	struct ext4_identity identity;
	uint64_t size_bytes;
	int64_t epoch; /* when it was made */
	uint32_t inodes;
	uint32_t inodes_per_group;
	uint32_t reserved_gdt_blocks;
	uint32_t journal_blocks; /* 0: no journal */
	uint32_t compat, incompat, ro_compat;
};

void ext4_facts(const struct ext4_volume *volume, struct ext4_facts *facts);

/*
 * Checks what describes the files: checksums of descriptors, bitmaps and every inode in
 * use, that no block belongs to two of them, and that the bitmaps and their counts say
 * the same. Only where the journal is empty. ERR_NO with the first fault.
 */
int ext4_check(struct ext4_volume *volume, struct err *err);

struct ext4_stat {
	uint32_t mode; /* type and permission bits as in struct stat */
	uint64_t size_bytes;
	int64_t mtime;
};

int ext4_stat(struct ext4_volume *volume, uint32_t ino, struct ext4_stat *st,
	      struct err *err);

struct ext4_span {
	uint64_t file_block;
	uint64_t block;
	uint64_t blocks;
};

/*
 * Fills *st, then calls fn for each written extent of a file or directory: they ascend,
 * do not overlap and lie within the volume, but may lie beyond the file's size. Holes
 * and reserved, unwritten parts are left out. Stops when fn returns other than 0, and
 * returns that.
 */
int ext4_spans(struct ext4_volume *volume, uint32_t ino, struct ext4_stat *st,
	       int (*fn)(void *arg, const struct ext4_span *span, struct err *err),
	       void *arg, struct err *err);

/*
 * Reads blocks past the page cache where the system can; buf is aligned to EXT4_BLOCK.
 * May be called by several threads at once; the other calls may not.
 */
int ext4_fetch(struct ext4_volume *volume, uint64_t block, size_t blocks, void *buf,
	       struct err *err);

/* Reads a block of the directory ino and checks its checksum. */
int ext4_fetch_dirblock(struct ext4_volume *volume, uint32_t ino, uint64_t block,
			unsigned char bytes[DIRBLOCK_SIZE], struct err *err);

#endif
