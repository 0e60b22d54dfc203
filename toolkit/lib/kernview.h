/*
 * Bytes of a kernel's image at its own (virtual) addresses, read-only, wherever the image
 * stands: in a vmlinux file, in a raw arm64 Image, or in a dump of memory that it ran in.
 * All of it is hostile: what is asked for and is not there is an error, never a guess.
 */
#ifndef FVOL_KERNVIEW_H
#define FVOL_KERNVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/dumpview.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/vmcoreinfo.h"

/* A kernel image is not larger: 30 to 90 MiB in distributions' kernels. */
#define KERNVIEW_IMAGE_MAX (192u << 20)
#define KERNVIEW_SEGMENTS_MAX 16

/* Bytes that stand together at va. */
struct kernview_segment {
	uint64_t va;
	uint64_t len_bytes;
	const unsigned char *data; /* NULL: still in the dump */
};

/* Zeroed it may be closed. */
struct kernview {
	enum vmcoreinfo_machine machine;
	struct kernview_segment segments[KERNVIEW_SEGMENTS_MAX];
	size_t count;
	/* False: a raw Image, whose address is not known; it is shown at 0 until
	 * kernview_place(). */
	bool placed;

	/* Of a dump, borrowed; else NULL. */
	struct dumpview *dump;
	const struct vmcoreinfo *info;
	unsigned char *loaded; /* owned: the image, read out of the dump */
};

/*
 * A vmlinux: an ELF file of x86_64 or aarch64 with PT_LOAD segments, all in memory
 * (borrowed). What a segment has beyond its bytes in the file (bss) is not shown.
 */
int kernview_open_elf(struct kernview *view, const void *data, size_t len_bytes,
		      struct err *err);

/* An arm64 boot Image (Documentation/arch/arm64/booting.rst), uncompressed (borrowed). */
int kernview_open_image(struct kernview *view, const void *data, size_t len_bytes,
			struct err *err);

/*
 * The kernel that info describes in a dump; both are borrowed. Shows what the dump has
 * from info's _stext on, at most KERNVIEW_IMAGE_MAX. ERR_FAILED when there is nothing:
 * info is not this dump's.
 */
int kernview_open_dump(struct kernview *view, struct dumpview *dump,
		       const struct vmcoreinfo *info, struct err *err);

void kernview_close(struct kernview *view);

/*
 * Copies len bytes from va on; they may not go over the end of a segment. Returns 0, or
 * -1 with buf undefined.
 */
int kernview_read(struct kernview *view, uint64_t va, void *buf, size_t len_bytes,
		  struct err *err);

/* How many bytes there are at va until its segment ends; 0: none. */
uint64_t kernview_left(const struct kernview *view, uint64_t va);

/* Reads a whole image out of a dump, so that ->segments have their data. */
int kernview_load(struct kernview *view, struct err *err);

/* Shows a raw Image at va, where it was linked. */
void kernview_place(struct kernview *view, uint64_t va);

#endif
