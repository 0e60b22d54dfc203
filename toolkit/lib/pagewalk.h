/*
 * Any address of the kernel's half in a dump, by the kernel's own page tables: what
 * stands outside of its image (allocated memory, modules). For 4 KiB pages and four
 * levels, of x86_64 and arm64 with 48 bits.
 */
#ifndef FVOL_PAGEWALK_H
#define FVOL_PAGEWALK_H

#include "toolkit/lib/kernview.h"

/*
 * Copies len bytes from va on: from the image, or where the tables that VMCOREINFO names
 * (swapper_pg_dir) map it. ERR_FAILED when it is not mapped or not in the dump, or when
 * the kernel has other tables.
 */
int pagewalk_read(struct kernview *view, uint64_t va, void *buf, size_t len_bytes,
		  struct err *err);

#endif
