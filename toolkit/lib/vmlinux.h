/*
 * The kernel inside the file that a machine boots: x86's bzImage, arm64's Image, plain,
 * gzipped or as an EFI zboot, and a vmlinux as it is. What symbol files are made of
 * stands in it: types (BTF), build id, banner. The bytes may be hostile.
 */
#ifndef FVOL_VMLINUX_H
#define FVOL_VMLINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

/* No kernel unpacks to more; one with every driver built in has 120 MiB. */
#define VMLINUX_BYTES_MAX (384u << 20)
#define VMLINUX_BANNER_MAX 512
#define VMLINUX_BUILD_ID_MAX 32

struct vmlinux {
	const unsigned char *data; /* an ELF file, or the raw Image of arm64 */
	size_t len;
	bool elf;
	uint16_t machine; /* EM_X86_64 or EM_AARCH64 of elf.h */

	const unsigned char *btf; /* NULL: the kernel has none */
	size_t btf_len;
	const char *banner; /* linux_banner with its newline, no NUL; NULL: not found */
	size_t banner_len;
	unsigned char build_id[VMLINUX_BUILD_ID_MAX];
	size_t build_id_len; /* 0: it has none, or it cannot be told which it is */

	void *map; /* what was unpacked; NULL: data is the caller's */
	size_t map_bytes;
};

/*
 * Opens len bytes of a kernel, which stay the caller's; they may go when ->map is set.
 * Returns 0, and vmlinux_close() is due; or -1 (ERR_FAILED), with what is in the way
 * ("packed by bzip2").
 */
int vmlinux_open(struct vmlinux *kernel, const void *data, size_t len, struct err *err);
void vmlinux_close(struct vmlinux *kernel);

/*
 * The first banner in len bytes: "Linux version", a release, the number of the build
 * behind a '#', one line. Returns it with its newline, or NULL.
 */
const char *vmlinux_find_banner(const void *data, size_t len, size_t *banner_len);

/* The release in a banner: its third word. Returns false when it does not fit in size. */
bool vmlinux_release(const char *banner, size_t banner_len, char *release, size_t size);

#endif
