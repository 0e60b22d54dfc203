/*
 * A symbol file (isf.h) of one kernel, from whatever there is of it, as a file that is
 * there whole or not at all: NAME.json.xz.
 */
#ifndef FVOL_SYMBOLFILE_H
#define FVOL_SYMBOLFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/isf.h"
#include "toolkit/lib/symtab.h"
#include "toolkit/lib/vmcoreinfo.h"
#include "toolkit/lib/vmlinux.h"

/* What a file is made of; all borrowed but the symbols. */
struct symbolfile_parts {
	const unsigned char *btf; /* NULL: not there */
	size_t btf_len;
	struct symtab symbols; /* canonical addresses; freed by symbolfile_free() */
	const char *banner;    /* with its newline; NULL: not there */
	size_t banner_len;
	char build_id[2 * VMLINUX_BUILD_ID_MAX + 1]; /* hex digits; "": not known */
	uint16_t machine;			     /* EM_; 0: not known */
	uint64_t kaslr_shift; /* that was taken off the addresses */
	bool all;	      /* see isf.h */

	/* What banner points to, when it had to be copied. */
	char banner_copy[VMLINUX_BANNER_MAX];
};

struct symbolfile_report {
	char release[128];
	char banner[VMLINUX_BANNER_MAX]; /* without its newline */
	char build_id[2 * VMLINUX_BUILD_ID_MAX + 1];
	uint16_t machine;
	struct isf_result isf;
	uint64_t file_bytes;
};

/*
 * Takes parts out of a kernel: types, build id, banner; and the symbols, from system_map
 * (text of a System.map; NULL or a packager's stub: from the kernel's own kallsyms). The
 * kernel must stay open. parts is zeroed by the caller. Returns 0 or -1;
 * symbolfile_free() is due in both cases.
 */
int symbolfile_from_kernel(struct symbolfile_parts *parts, const struct vmlinux *kernel,
			   const char *system_map, size_t system_map_len,
			   struct err *err);

/*
 * Takes parts out of the texts of a capture's bundle: BTF, /proc/kallsyms, VMCOREINFO
 * (NULL: not there; the shift is told by _text then, on x86_64) and /proc/version. All
 * borrowed.
 */
struct symbolfile_bundle {
	const char *btf, *kallsyms, *vmcoreinfo, *version;
	size_t btf_len, kallsyms_len, vmcoreinfo_len, version_len;
};
int symbolfile_from_bundle(struct symbolfile_parts *parts,
			   const struct symbolfile_bundle *bundle, struct err *err);

/*
 * Takes what VMCOREINFO tells of a running kernel into parts, whose symbols stand there
 * already, sorted and with their shift; the banner is copied.
 */
int symbolfile_from_told(struct symbolfile_parts *parts, const struct vmcoreinfo *info,
			 const char *banner, size_t banner_len, struct err *err);

/*
 * Writes the file to fd, as .xz or plain. ERR_FAILED names what is not there, or says
 * that a signal came (interrupt.h). Returns 0 or -1.
 */
int symbolfile_write_fd(struct symbolfile_parts *parts, int fd, bool plain,
			struct symbolfile_report *report, struct err *err);

/*
 * Writes dirfd/name: NAME.partial first, made durable, then renamed over the file that
 * has the name; over anything but a file it is not. On failure there is nothing new.
 */
int symbolfile_write(struct symbolfile_parts *parts, int dirfd, const char *name,
		     bool plain, struct symbolfile_report *report, struct err *err);

void symbolfile_free(struct symbolfile_parts *parts);

#endif
