/*
 * fsdiff: what changed on a root disk, apart from what was allowed to.
 *
 * Both images are of the same file system, the second later, each written back (see
 * vm.sh, vm_disksave). Every block that differs is attributed. The journal, the
 * bookkeeping that the allowed subtrees cause, and the superblock's counters and times
 * are tolerated; all else is printed: a byte in any file or free block, an access time, a
 * byte of padding.
 */
#include "fsimage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "fsdiff"
#define ALLOW_MAX 8
#define SUPER_OFFSET 1024
#define SUPER_SIZE 1024

static struct fs_image before, after;

static struct {
	unsigned long long blocks, journal, bookkeeping, allowed, outside;
} count;

struct field {
	uint32_t at, len; /* bytes */
	const char *name;
};

static void outside(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void outside(const char *fmt, ...)
{
	va_list ap;

	count.outside++;
	printf("outside: ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static const unsigned char *block_of(const struct fs_image *img, uint64_t block)
{
	return img->bytes + block * img->block_size;
}

static const char *name_of(uint32_t ino)
{
	if (after.path[ino])
		return ino == 2 ? "/" : after.path[ino];
	if (before.path[ino])
		return before.path[ino];
	return after.inode_used[ino] || before.inode_used[ino] ? "(no name)" : "(free)";
}

/* Returns the first byte in [from, to) that differs and is in none of the fields, or to.
 */
static uint32_t differs(const unsigned char *b, const unsigned char *a, uint32_t from,
			uint32_t to, const struct field *tolerated)
{
	for (uint32_t i = from; i < to; i++) {
		const struct field *f = tolerated;

		if (b[i] == a[i])
			continue;
		while (f && f->len && !(i >= from + f->at && i < from + f->at + f->len))
			f++;
		if (!f || !f->len)
			return i;
	}
	return to;
}

static void check_super(uint64_t block)
{
	static const struct field tolerated[] = {
		{ 0x00c, 8, "free blocks and inodes" },
		{ 0x02c, 4, "mount time" },
		{ 0x030, 4, "write time" },
		{ 0x034, 2, "mount count" },
		{ 0x03a, 2, "state" },
		{ 0x060, 1, "features" }, /* only `needs recovery', see below */
		{ 0x088, 64, "last mounted on" },
		{ 0x0e8, 4, "last orphan" },
		{ 0x158, 4, "free blocks, high" },
		{ 0x178, 8, "kilobytes written" },
		{ 0x248, 4, "overhead" },
		{ 0x274, 2, "write and mount time, high" },
		{ 0x3fc, 4, "checksum" },
		{ 0, 0, NULL },
	};
	const unsigned char *b = block_of(&before, block), *a = block_of(&after, block);
	uint32_t at = block ? 0 : SUPER_OFFSET;
	uint32_t end = at + SUPER_SIZE;
	uint32_t i;

	/* With small blocks the superblock fills its own; else the boot block stands
	 * before. */
	if ((i = differs(b, a, 0, at, NULL)) < at)
		outside("boot block, byte %u", i);
	if ((i = differs(b, a, at, end, tolerated)) < end)
		outside("superblock, byte 0x%x", i - at);
	else if ((b[at + 0x60] ^ a[at + 0x60]) & ~0x4)
		outside("superblock, features");
	else
		count.bookkeeping++;
	if ((i = differs(b, a, end, after.block_size, NULL)) < after.block_size)
		outside("after the superblock, byte %u of block %llu", i,
			(unsigned long long)block);
}

static uint32_t get16(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

/* A descriptor's counter: low half, and the high half where descriptors are wide. */
static uint32_t counter(const unsigned char *d, uint32_t low, uint32_t high)
{
	return get16(d + low) | (after.desc_size >= 64 ? get16(d + high) << 16 : 0);
}

/* Whether the counters of a group's descriptor are what its bitmaps say. */
static int counters_agree(uint32_t g, const unsigned char *d)
{
	uint32_t free_blocks = 0, free_inodes = 0, dirs = 0;
	uint64_t first = after.first_block + (uint64_t)g * after.blocks_per_group;

	for (uint64_t b = first; b < first + after.blocks_per_group && b < after.blocks;
	     b++)
		free_blocks += !after.block_used[b];
	for (uint32_t i = 1; i <= after.inodes_per_group; i++) {
		uint32_t ino = g * after.inodes_per_group + i;
		free_inodes += !after.inode_used[ino];
		dirs += after.is_dir[ino];
	}
	return counter(d, 0x0c, 0x2c) == free_blocks &&
	       counter(d, 0x0e, 0x2e) == free_inodes && counter(d, 0x10, 0x30) == dirs;
}

static void check_descriptors(uint64_t block)
{
	static const struct field tolerated[] = {
		{ 0x0c, 2, "free blocks" },
		{ 0x0e, 2, "free inodes" },
		{ 0x10, 2, "directories" },
		{ 0x12, 2, "flags" },
		{ 0x18, 4, "bitmap sums" },
		{ 0x1c, 2, "unused inodes" },
		{ 0x1e, 2, "checksum" },
		{ 0x2c, 2, "free blocks, high" },
		{ 0x2e, 2, "free inodes, high" },
		{ 0x30, 2, "directories, high" },
		{ 0x32, 2, "unused inodes, high" },
		{ 0x38, 4, "bitmap sums, high" },
		{ 0, 0, NULL },
	};
	const unsigned char *b = block_of(&before, block), *a = block_of(&after, block);
	uint32_t per_block = after.block_size / after.desc_size;

	for (uint32_t i = 0; i < per_block; i++) {
		uint64_t g = (block - after.descriptors) * per_block + i;
		uint32_t at = i * after.desc_size, end = at + after.desc_size;

		if (!memcmp(b + at, a + at, after.desc_size))
			continue;
		if (g >= after.groups)
			outside("after the last group descriptor");
		else if (differs(b, a, at, end, tolerated) < end)
			outside("group %llu: descriptor", (unsigned long long)g);
		else if (!counters_agree((uint32_t)g, a + at))
			outside("group %llu: counters that the bitmaps do not bear out",
				(unsigned long long)g);
		else
			count.bookkeeping++;
	}
}

/*
 * The bits themselves are compared for the whole disk (see check_bits), as libext2fs
 * reads them; here only the rest of a bitmap block can still hide a change.
 */
static void check_bitmap(uint64_t block, int of_inodes)
{
	const unsigned char *b = block_of(&before, block), *a = block_of(&after, block);
	uint32_t bits = of_inodes ? after.inodes_per_group : after.blocks_per_group;

	for (uint32_t g = 0; g < after.groups; g++) {
		const struct fs_group *was = &before.group[g];
		if (block != (of_inodes ? was->inode_bitmap : was->block_bitmap))
			continue;
		/* First use of the group: the whole block was filled in. */
		if (of_inodes ? was->inode_uninit : was->block_uninit)
			break;
		if (differs(b, a, bits / 8, after.block_size, NULL) < after.block_size) {
			outside("group %u: after the %s bitmap", g,
				of_inodes ? "inode" : "block");
			return;
		}
	}
	count.bookkeeping++;
}

/* Whether a change to this inode is allowed: in use, and inside whenever it is in use. */
static int inode_allowed(uint32_t ino)
{
	return (before.inode_used[ino] || after.inode_used[ino]) &&
	       (!before.inode_used[ino] || before.inside[ino]) &&
	       (!after.inode_used[ino] || after.inside[ino]);
}

static void report_inode(uint32_t ino, const unsigned char *b, const unsigned char *a)
{
	static const struct field parts[] = {
		{ 0x00, 4, "mode or owner" },
		{ 0x04, 4, "size" },
		{ 0x08, 4, "access time" },
		{ 0x0c, 4, "change time" },
		{ 0x10, 4, "modification time" },
		{ 0x14, 4, "deletion time" },
		{ 0x1a, 2, "links" },
		{ 0x1c, 4, "blocks" },
		{ 0x20, 4, "flags" },
		{ 0x28, 60, "block map" },
		{ 0x64, 24, "generation or attributes" },
		{ 0x80, 12, "checksum or nanoseconds" },
		{ 0x8c, 4, "access time, nanoseconds" },
		{ 0x90, 16, "creation time or version" },
		{ 0xa0, 0x60, "attributes" },
	};
	char list[400] = "";
	size_t used = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].at + parts[i].len > after.inode_size ||
		    !memcmp(b + parts[i].at, a + parts[i].at, parts[i].len))
			continue;
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
					 used ? ", " : "", parts[i].name);
	}
	outside("inode %u %s: %s", ino, name_of(ino), used ? list : "other bytes");
}

static void check_inode_table(uint64_t block)
{
	const unsigned char *b = block_of(&before, block), *a = block_of(&after, block);
	uint32_t per_block = after.block_size / after.inode_size;

	for (uint32_t g = 0; g < after.groups; g++) {
		uint64_t first = after.group[g].inode_table;
		if (block < first || block >= first + after.inode_table_blocks)
			continue;
		for (uint32_t i = 0; i < per_block; i++) {
			uint64_t index = (block - first) * per_block + i;
			uint32_t at = i * after.inode_size;

			if (!memcmp(b + at, a + at, after.inode_size))
				continue;
			if (index >= after.inodes_per_group) {
				outside("group %u: after the last inode", g);
				continue;
			}
			uint32_t ino = (uint32_t)(g * after.inodes_per_group + index + 1);
			if (inode_allowed(ino))
				count.allowed++;
			else
				report_inode(ino, b + at, a + at);
		}
		return;
	}
}

static void check_data(uint64_t block)
{
	uint32_t was = before.owner[block], is = after.owner[block];
	const unsigned char *b = block_of(&before, block), *a = block_of(&after, block);
	uint32_t at = differs(b, a, 0, after.block_size, NULL);

	if (was == FS_JOURNAL_INODE && is == FS_JOURNAL_INODE) {
		count.journal++;
		return;
	}
	if ((was || is) && (!was || before.inside[was]) && (!is || after.inside[is])) {
		count.allowed++;
		return;
	}
	if (!was && !is)
		outside("free block %llu, byte %u", (unsigned long long)block, at);
	else
		outside("block %llu, byte %u: inode %u %s", (unsigned long long)block, at,
			is ? is : was, name_of(is ? is : was));
}

static void check_block(uint64_t block)
{
	count.blocks++;
	/* The fixed places are the same in both: the geometry was compared. */
	switch (after.owner[block]) {
	case OWNER_SUPER:
		check_super(block);
		break;
	case OWNER_DESCRIPTORS:
		check_descriptors(block);
		break;
	case OWNER_BLOCK_BITMAP:
		check_bitmap(block, 0);
		break;
	case OWNER_INODE_BITMAP:
		check_bitmap(block, 1);
		break;
	case OWNER_INODE_TABLE:
		check_inode_table(block);
		break;
	case OWNER_BACKUP:
		outside("block %llu: backup of superblock or descriptors",
			(unsigned long long)block);
		break;
	default:
		check_data(block);
	}
}

static void check_bits(void)
{
	for (uint64_t b = 0; b < after.blocks; b++) {
		if (before.block_used[b] == after.block_used[b])
			continue;
		const struct fs_image *img = after.block_used[b] ? &after : &before;
		uint32_t owner = img->owner[b];
		if (owner == OWNER_NOBODY || owner >= OWNER_FIRST || !img->inside[owner])
			outside("block %llu: bit in the bitmap", (unsigned long long)b);
	}
	for (uint32_t ino = 1; ino <= after.inodes; ino++)
		if (before.inode_used[ino] != after.inode_used[ino] &&
		    !inode_allowed(ino))
			outside("inode %u %s: bit in the bitmap", ino, name_of(ino));
}

static int same_geometry(void)
{
	if (before.size != after.size || before.block_size != after.block_size ||
	    before.blocks != after.blocks || before.inodes != after.inodes ||
	    before.inode_size != after.inode_size ||
	    before.desc_size != after.desc_size || before.groups != after.groups ||
	    before.first_block != after.first_block ||
	    before.inodes_per_group != after.inodes_per_group ||
	    before.descriptors != after.descriptors)
		return 0;
	for (uint64_t b = 0; b < after.blocks; b++)
		if ((before.owner[b] >= OWNER_FIRST || after.owner[b] >= OWNER_FIRST) &&
		    before.owner[b] != after.owner[b])
			return 0;
	return 1;
}

static int usage(void)
{
	fputs("usage: fsdiff BEFORE AFTER [--allow DIRECTORY]...\n"
	      "Attributes every block that differs between two images of one ext4; prints\n"
	      "`outside: ...' for each change outside the allowed subtrees, and a summary.\n"
	      "Exit: 0 no change outside; 1 changes outside; 2 usage; 5 unreadable.\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *allow[ALLOW_MAX + 1] = { NULL };
	int allows = 0;

	if (argc < 3)
		return usage();
	for (int i = 3; i < argc; i += 2) {
		if (strcmp(argv[i], "--allow") || i + 1 == argc ||
		    argv[i + 1][0] != '/' || allows == ALLOW_MAX)
			return usage();
		allow[allows++] = argv[i + 1];
	}
	if (fs_open(&before, PROGRAM, argv[1], allow) < 0 ||
	    fs_open(&after, PROGRAM, argv[2], allow) < 0)
		return 5;
	if (!same_geometry()) {
		fputs(PROGRAM ": the images are not of one and the same file system\n",
		      stderr);
		return 5;
	}
	for (uint64_t b = 0; b < after.blocks; b++)
		if (memcmp(block_of(&before, b), block_of(&after, b), after.block_size))
			check_block(b);
	uint64_t end = after.blocks * after.block_size;
	if (memcmp(before.bytes + end, after.bytes + end, after.size - end))
		outside("after the end of the file system");
	check_bits();
	printf("blocks=%llu journal=%llu bookkeeping=%llu allowed=%llu outside=%llu\n",
	       count.blocks, count.journal, count.bookkeeping, count.allowed,
	       count.outside);
	if (fflush(stdout) || ferror(stdout))
		return 5;
	return count.outside ? 1 : 0;
}
