/*
 * Images of physical memory for the instruments: a LiME dump under test, or a save made
 * by the hypervisor, read at physical addresses.
 *
 * This is on purpose a reader of its own: it shares no code with the tools it judges.
 */
#ifndef FVOL_VM_MEMIMAGE_H
#define FVOL_VM_MEMIMAGE_H

#include <stddef.h>
#include <stdint.h>

#define MEM_PAGE 4096
#define MEM_SEGMENTS 1024

struct mem_segment {
	uint64_t start; /* first physical address */
	uint64_t len;	/* bytes */
	uint64_t off;	/* where they stand in the file */
};

struct mem_image {
	const unsigned char *bytes; /* the file, mapped */
	uint64_t size;
	int is_lime;
	size_t count;
	struct mem_segment seg[MEM_SEGMENTS]; /* ascending, not overlapping */
};

/* System RAM as /proc/iomem says; count segments whose off is unused. */
struct mem_ranges {
	size_t count;
	struct mem_segment seg[MEM_SEGMENTS];
};

/*
 * Opens a LiME v1 file (it begins with the magic number; every record must be whole and
 * in order, and nothing may follow the last) or a raw save: one that has FILE.map beside
 * it (lines "PHYSICAL LENGTH OFFSET", hex), else one that starts at physical address 0.
 * Complains on standard error as `program` and returns -1 when it is none of these.
 */
int mem_open(struct mem_image *img, const char *program, const char *path);

/*
 * Returns the bytes at a physical address and sets *len to how many follow there without
 * a gap; NULL when the image does not hold that address.
 */
const unsigned char *mem_at(const struct mem_image *img, uint64_t phys, uint64_t *len);

/*
 * Reads the "System RAM" lines (nested ones too, when the line above them is not RAM
 * itself) of a saved /proc/iomem. Complains and returns -1 when there is none or an
 * address is 0-0, which is what an unprivileged reader gets.
 */
int mem_ranges(struct mem_ranges *r, const char *program, const char *path);

#endif
