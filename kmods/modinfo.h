/*
 * What a kernel module says of itself: machine, .modinfo and the build id. The bytes are
 * not trusted. The ELF library is included by modinfo.c alone.
 */
#ifndef FVOL_KMODS_MODINFO_H
#define FVOL_KMODS_MODINFO_H

#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

struct modinfo {
	uint16_t machine; /* EM_ of elf.h */
	char name[64];
	char vermagic[128];
	char srcversion[64]; /* empty when the module has none */
	char build_id[129];  /* hex digits, empty when the module has none */
};

/*
 * data is one relocatable 64-bit little-endian ELF file. Name and vermagic must be there;
 * a field that stands twice with other bytes, is not printable or does not fit is
 * ERR_FAILED. Returns 0, or -1 with info unspecified.
 */
int modinfo_read(const void *data, size_t len_bytes, struct modinfo *info,
		 struct err *err);

#endif
