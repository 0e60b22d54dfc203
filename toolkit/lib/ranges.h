/*
 * Ranges of physical memory: which bytes are RAM, by the kernel's own resource tree.
 */
#ifndef FVOL_RANGES_H
#define FVOL_RANGES_H

#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

/* Both ends INCLUSIVE, in bytes, as /proc/iomem and the LiME format have them. */
struct range {
	uint64_t start;
	uint64_t end;
};

/* Hot-plugged memory shows one range a block, so hundreds are ordinary. */
#define RANGES_MAX 4096

struct ranges {
	size_t count;
	struct range at[RANGES_MAX];
};

/* Bytes in one range and in all of them. */
uint64_t range_bytes(const struct range *range);
uint64_t ranges_bytes(const struct ranges *ranges);

/*
 * Reads the "System RAM" ranges of DIR/iomem, nested ones too (virtio-mem and kmem stand
 * under their device), ascending, a range inside one already taken left out. All zeros
 * instead of addresses is what the kernel shows without CAP_SYS_ADMIN: ERR_REFUSED. Lines
 * that overlap, run backwards or do not parse are ERR_FAILED: a range that is guessed
 * would be a claim.
 */
int ranges_read_iomem(int proc_dirfd, struct ranges *ranges, struct err *err);

/* The same from an open file, a copy of iomem. */
int ranges_read_fd(int fd, struct ranges *ranges, struct err *err);

#endif
