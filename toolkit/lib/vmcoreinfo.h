/*
 * VMCOREINFO: the text in which a Linux kernel tells crash tools about itself (kernel
 * release, build id, addresses of a few symbols, how its image is mapped). It stands in a
 * page of its own in memory, and in a note of /proc/kcore. From a host it is hostile.
 * Source: Documentation/admin-guide/kdump/vmcoreinfo.rst.
 */
#ifndef FVOL_VMCOREINFO_H
#define FVOL_VMCOREINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

/* Long enough for the text of every kernel so far: they have a page of 4 KiB. */
#define VMCOREINFO_MAX 8192

#define VMCOREINFO_RELEASE_MAX 64 /* __NEW_UTS_LEN */
/* In hexadecimal digits: 20 bytes in every kernel, 64 at most. */
#define VMCOREINFO_BUILD_ID_MAX 128

/* How a kernel maps its image, and with it which architecture it is for. */
enum vmcoreinfo_machine {
	VMCOREINFO_X86_64,
	VMCOREINFO_AARCH64,
};

struct vmcoreinfo {
	char text[VMCOREINFO_MAX]; /* ended by a NUL */
	size_t len;
	char release[VMCOREINFO_RELEASE_MAX + 1];
	char build_id[VMCOREINFO_BUILD_ID_MAX + 1]; /* "" before 5.9 */
	enum vmcoreinfo_machine machine;
	/* What KASLR added to the addresses of the image. */
	uint64_t kaslr_shift;
	/*
	 * Physical address = virtual address - image_offset (modulo 2^64), for what
	 * stands in the kernel's image. x86_64: __START_KERNEL_map - phys_base; arm64:
	 * kimage_voffset.
	 */
	uint64_t image_offset;
	uint64_t stext; /* of _stext; 0: not told */
	bool five_level_paging;
};

/*
 * The value of the line "NAME=value", name without the '=': where it stands in text and
 * how long it is. NULL when there is no such line.
 */
const char *vmcoreinfo_line(const char *text, size_t len, const char *name,
			    size_t *value_len);

/*
 * Takes len bytes apart; what follows a NUL is not looked at. ERR_FAILED when a line that
 * every kernel has is missing or not a number; info is then undefined.
 */
int vmcoreinfo_parse(struct vmcoreinfo *info, const char *text, size_t len,
		     struct err *err);

/* The address on the line SYMBOL(name). Returns false when there is none. */
bool vmcoreinfo_symbol(const struct vmcoreinfo *info, const char *name, uint64_t *addr);

/* The decimal number on the line `name`, as "OFFSET(list_head.next)". */
bool vmcoreinfo_number(const struct vmcoreinfo *info, const char *name, uint64_t *value);

#endif
