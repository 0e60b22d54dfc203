/*
 * Physical memory through /proc/kcore: an ELF core whose PT_LOAD segments are the
 * kernel's virtual ranges, those of the direct map with their physical address.
 * Source of the facts: fs/proc/kcore.c.
 */
#ifndef FVOL_KCORE_H
#define FVOL_KCORE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/ranges.h"

struct kcore_segment {
	uint64_t phys; /* first byte's physical address */
	uint64_t len_bytes;
	uint64_t file_off; /* where that byte stands in the file */
};

struct kcore {
	int fd;
	uint64_t base; /* of the direct map: virtual minus physical address */
	size_t count;
	struct kcore_segment at[RANGES_MAX];
};

/*
 * Opens DIR/kcore and finds the segments of the direct map: those whose virtual and
 * physical addresses differ by the one amount that covers most of ranges (the segments of
 * kernel text, vmalloc and vmemmap differ by others, and carry 0 or -1 as physical
 * address on many kernels). ERR_REFUSED when the kernel has no kcore or does not let us
 * open it.
 */
int kcore_open(struct kcore *kcore, int proc_dirfd, const struct ranges *ranges,
	       struct err *err);

/*
 * Reads up to len bytes at a physical address. Returns the count, short at the end of a
 * segment or where the kernel gave less; 0 when no segment holds phys; -1 with errno set
 * when the kernel refused.
 */
ssize_t kcore_read(const struct kcore *kcore, uint64_t phys, void *buf, size_t len);

/* How many bytes from phys on no segment holds (0: phys is held), at most len. */
uint64_t kcore_hole(const struct kcore *kcore, uint64_t phys, uint64_t len);

void kcore_close(struct kcore *kcore);

#endif
