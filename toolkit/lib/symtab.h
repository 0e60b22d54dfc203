/*
 * The symbols of a kernel: name, address and nm's letter, out of /proc/kallsyms, a
 * System.map, or a kernel's own tables. A kernel has 100,000 to 300,000 of them, so that
 * all names stand in one block and an entry is 16 bytes.
 */
#ifndef FVOL_SYMTAB_H
#define FVOL_SYMTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

/* Bounds for what a hostile file may claim; a kernel of 2026 has 250,000 and 5 MB. */
#define SYMTAB_COUNT_MAX (4u << 20)
#define SYMTAB_NAMES_MAX (128u << 20)
/* KSYM_NAME_LEN of include/linux/kallsyms.h since 6.1. */
#define SYMTAB_NAME_MAX 511

struct symtab_entry {
	uint64_t addr;
	uint32_t name_off; /* in names, ended by a NUL */
	char type;	   /* as in nm; 0: not known */
};

/* Zeroed it is an empty table. Freed by symtab_free(), also after a failure. */
struct symtab {
	struct symtab_entry *entries;
	size_t count;
	char *names;
	size_t names_bytes;
	size_t entries_room; /* in entries */
	size_t names_room;   /* in bytes */
	bool sorted;
};

/*
 * Copies one symbol to the end. name is printable ASCII of 1 to SYMTAB_NAME_MAX bytes
 * without blanks, not ended by a NUL; another name is ERR_FAILED. A name may be there
 * already (static symbols are many times). Returns 0, or -1 with the table unchanged.
 */
int symtab_add(struct symtab *tab, const char *name, size_t len, uint64_t addr, char type,
	       struct err *err);

/* Sorts by name, then by address. Adding makes it unsorted again. */
void symtab_sort(struct symtab *tab);

/*
 * The symbol of that name with the lowest address, or NULL. After symtab_sort(). Good
 * until the table changes.
 */
const struct symtab_entry *symtab_find(const struct symtab *tab, const char *name);

/* The name of an entry, ended by a NUL; good until the table changes. */
static inline const char *symtab_name(const struct symtab *tab,
				      const struct symtab_entry *entry)
{
	return tab->names + entry->name_off;
}

/*
 * Adds what len bytes of text in the form of /proc/kallsyms or System.map say: "ADDRESS
 * TYPE NAME" a line, with or without a NUL at the end. Symbols of modules ("[ext4]") are
 * left out. A line of another form, and a text in which every address is zero
 * (kptr_restrict), are ERR_FAILED with the number of the line. Returns 0, or -1 with some
 * of them added.
 */
int symtab_parse_text(struct symtab *tab, const char *text, size_t len, struct err *err);

/* Takes shift off every address of the kernel's half (bit 63 set): KASLR undone. */
void symtab_unshift(struct symtab *tab, uint64_t shift);

void symtab_free(struct symtab *tab);

#endif
