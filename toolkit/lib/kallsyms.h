/*
 * The symbols that a Linux kernel carries in its own image, which /proc/kallsyms shows:
 * names packed with a table of 256 tokens, and 32-bit offsets of their addresses.
 * Decodes them out of a vmlinux or a dump, from 4.20 on. The tables are hostile.
 * Source: scripts/kallsyms.c, which writes them, and kernel/kallsyms.c.
 */
#ifndef FVOL_KALLSYMS_H
#define FVOL_KALLSYMS_H

#include "toolkit/lib/err.h"
#include "toolkit/lib/kernview.h"
#include "toolkit/lib/symtab.h"

/* Where the tables stand, as addresses of the view. */
struct kallsyms_tables {
	uint64_t num_syms;	/* u32 */
	uint64_t names;		/* of each symbol a length and that many tokens */
	uint64_t token_table;	/* 256 strings */
	uint64_t token_index;	/* 256 u16: where each of them begins */
	uint64_t offsets;	/* i32 of each symbol; 0: there are addresses */
	uint64_t relative_base; /* u64; 0: each offset counts from its own place (7.x) */
	uint64_t base;		/* its value, if not in place but relocated; else 0 */
	uint64_t addresses;	/* u64 of each symbol; 0: there are offsets */
};

/*
 * By content: the tokens' table by its shape, the others by how they must stand around
 * it. Loads the image of a dump; places a raw Image. ERR_FAILED when there are none.
 */
int kallsyms_search(struct kernview *view, struct kallsyms_tables *tables,
		    struct err *err);

/*
 * Adds all symbols to tab, in the kernel's order, which is that of addresses. They are
 * believed when every name decodes, addresses ascend, _stext is where VMCOREINFO has it,
 * and linux_banner, if it is one of them, names an address with a banner. Returns 0, or
 * -1 with some of them added.
 */
int kallsyms_decode(struct kernview *view, const struct kallsyms_tables *tables,
		    struct symtab *tab, struct err *err);

/* kallsyms_decode() of tables that are told, or else found by content. */
int kallsyms_find(struct kernview *view, struct symtab *tab, struct err *err);

/* What each banner begins with; behind it stand the release and a blank. */
#define KALLSYMS_BANNER "Linux version "

#endif
