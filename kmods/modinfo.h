/*
 * What a kernel module says of itself: machine, .modinfo, the build id and
 * __versions. The bytes are not trusted. The ELF library is included by modinfo.c alone.
 */
#ifndef FVOL_KMODS_MODINFO_H
#define FVOL_KMODS_MODINFO_H

#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

/* LiME needs about sixty symbols of the kernel. */
#define MODINFO_VERSIONS_MAX 1024
#define MODINFO_SYMBOL_SIZE 56 /* include/linux/module.h: MODULE_NAME_LEN */

/* A symbol that the module takes from the kernel, and the checksum of its type. */
struct modversion {
	uint32_t crc;
	char name[MODINFO_SYMBOL_SIZE];
};

struct modinfo {
	uint16_t machine; /* EM_ of elf.h */
	char name[64];
	char vermagic[128];
	char srcversion[64]; /* empty when the module has none */
	char build_id[129];  /* hex digits, empty when the module has none */
	struct modversion versions[MODINFO_VERSIONS_MAX];
	size_t version_count; /* 0 for a kernel without MODVERSIONS */
};

/*
 * data is one relocatable 64-bit little-endian ELF file. Name and vermagic must be there;
 * a field that stands twice with other bytes, is not printable or does not fit is
 * ERR_FAILED. Returns 0, or -1 with info unspecified.
 */
int modinfo_read(const void *data, size_t len_bytes, struct modinfo *info,
		 struct err *err);

#endif
