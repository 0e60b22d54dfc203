/*
 * The symbols that modules may use are in a table of their own, __ksymtab: of each the
 * distances of its value, its name and its namespace from where they are written (struct
 * kernel_symbol of include/linux/export.h, since 4.19 on x86_64 and arm64). No relocation
 * is needed to read it, so that it does as well in a kernel's file.
 */
#include <ctype.h>
#include <string.h>

#include "toolkit/lib/findsyms.h"
#include "toolkit/lib/le.h"

#define ENTRY_BYTES 12
#define NAME_OFF 4
/* KSYM_NAME_LEN since 6.1; names of Rust are long. */
#define NAME_BYTES_MAX 512
/* A kernel has 10,000; so few would be chance. */
#define ENTRIES_MIN 64

struct table {
	const struct kernview_segment *segment;
	uint64_t first, count; /* an offset in the segment, and entries */
};

/* What the distance written at `at` leads to, as an address. */
static uint64_t target(const struct kernview_segment *segment, uint64_t at)
{
	return segment->va + at +
	       (uint64_t)(int64_t)(int32_t)get_le(segment->data + at, 4);
}

/* The name of the entry at `at`, or NULL when there is no entry. */
static const char *entry_name(const struct kernview_segment *segment, uint64_t at,
			      size_t *len)
{
	const char *name;
	uint64_t off, room;

	if (at > segment->len_bytes || segment->len_bytes - at < ENTRY_BYTES)
		return NULL;
	off = target(segment, at + NAME_OFF) - segment->va;
	if (off >= segment->len_bytes)
		return NULL;
	name = (const char *)segment->data + off;
	room = segment->len_bytes - off;
	room = room < NAME_BYTES_MAX ? room : NAME_BYTES_MAX;
	*len = strnlen(name, (size_t)room);
	if (!*len || *len == room || isdigit((unsigned char)name[0]))
		return NULL;
	for (size_t i = 0; i < *len; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '.')
			return NULL;
	return name;
}

/* The table around the entry at `at`. */
static bool measure(const struct kernview_segment *segment, uint64_t at,
		    struct table *table)
{
	uint64_t end = at;
	size_t len;

	while (at >= ENTRY_BYTES && entry_name(segment, at - ENTRY_BYTES, &len))
		at -= ENTRY_BYTES;
	while (entry_name(segment, end, &len))
		end += ENTRY_BYTES;
	*table = (struct table){ segment, at, (end - at) / ENTRY_BYTES };
	return table->count >= ENTRIES_MIN;
}

/* By the entry of init_task, which every kernel exports. */
static bool find_table(const struct kernview_segment *segment, struct table *table)
{
	static const char name[] = "\0init_task";
	uint64_t from = 0;

	while (from < segment->len_bytes) {
		const unsigned char *hit =
			memmem(segment->data + from, (size_t)(segment->len_bytes - from),
			       name, sizeof(name));

		if (!hit)
			return false;
		from = (uint64_t)(hit - segment->data) + 1;
		for (uint64_t at = NAME_OFF; at + 8 <= segment->len_bytes; at += 4)
			if (target(segment, at) == segment->va + from &&
			    measure(segment, at - NAME_OFF, table))
				return true;
	}
	return false;
}

static int add_entries(const struct kernview *view, const struct table *table,
		       struct symtab *tab, size_t *added, struct err *err)
{
	const struct symtab_entry *stext = symtab_find(tab, "_stext"),
				  *etext = symtab_find(tab, "_etext");
	/* Adding moves the table's entries. */
	uint64_t from = stext ? stext->addr : 0, to = etext ? etext->addr : 0;
	size_t known = tab->count;

	for (uint64_t i = 0; i < table->count; i++) {
		uint64_t at = table->first + i * ENTRY_BYTES;
		uint64_t addr = target(table->segment, at);
		struct symtab before = *tab;
		const char *name;
		size_t len;

		/* Code has its symbols; per-CPU variables are not in the image. Zeros
		 * (bss) stand behind what a file has of it. */
		if ((addr >= from && addr < to) ||
		    addr - view->segments[0].va >= KERNVIEW_IMAGE_MAX)
			continue;
		name = entry_name(table->segment, at, &len);
		before.count = known;
		if (!name || symtab_find(&before, name))
			continue;
		if (symtab_add(tab, name, len, addr, 'D', err) < 0)
			return -1;
		++*added;
	}
	symtab_sort(tab);
	return 0;
}

int findsyms_exported(struct kernview *view, struct symtab *tab, size_t *added,
		      struct err *err)
{
	struct table table;

	*added = 0;
	if (kernview_load(view, err) < 0)
		return -1;
	symtab_sort(tab);
	for (size_t i = 0; i < view->count; i++)
		if (find_table(&view->segments[i], &table))
			return add_entries(view, &table, tab, added, err);
	return 0;
}
