#include "toolkit/lib/symtab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool printable(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return true;
}

/* Makes room for one more entry and len more bytes of names. */
static int make_room(struct symtab *tab, size_t len, struct err *err)
{
	if (tab->count == tab->entries_room) {
		size_t room = tab->entries_room ? tab->entries_room * 2 : 4096;
		void *grown = realloc(tab->entries, room * sizeof(tab->entries[0]));

		if (!grown)
			return err_sys(err, ENOMEM, "%zu symbols", room);
		tab->entries = grown;
		tab->entries_room = room;
	}
	if (tab->names_room - tab->names_bytes < len) {
		size_t room = tab->names_room ? tab->names_room * 2 : 64 * 1024;
		char *grown = realloc(tab->names, room);

		if (!grown)
			return err_sys(err, ENOMEM, "names of %zu symbols", tab->count);
		tab->names = grown;
		tab->names_room = room;
	}
	return 0;
}

int symtab_add(struct symtab *tab, const char *name, size_t len, uint64_t addr, char type,
	       struct err *err)
{
	if (len == 0 || len > SYMTAB_NAME_MAX || !printable(name, len))
		return err_set(err, ERR_FAILED, "what should be a symbol's name is none");
	if (tab->count >= SYMTAB_COUNT_MAX || tab->names_bytes > SYMTAB_NAMES_MAX)
		return err_set(err, ERR_FAILED, "more symbols than a kernel has: %zu",
			       tab->count);
	if (make_room(tab, len + 1, err) < 0)
		return -1;
	memcpy(tab->names + tab->names_bytes, name, len);
	tab->names[tab->names_bytes + len] = '\0';
	tab->entries[tab->count++] = (struct symtab_entry){
		.addr = addr, .name_off = (uint32_t)tab->names_bytes, .type = type
	};
	tab->names_bytes += len + 1;
	tab->sorted = false;
	return 0;
}

static int compare(const void *a, const void *b, void *names)
{
	const struct symtab_entry *x = a, *y = b;
	int order = strcmp((char *)names + x->name_off, (char *)names + y->name_off);

	if (order)
		return order;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

void symtab_sort(struct symtab *tab)
{
	if (!tab->sorted && tab->count)
		qsort_r(tab->entries, tab->count, sizeof(tab->entries[0]), compare,
			tab->names);
	tab->sorted = true;
}

const struct symtab_entry *symtab_find(const struct symtab *tab, const char *name)
{
	size_t low = 0, high = tab->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(symtab_name(tab, &tab->entries[mid]), name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == tab->count || strcmp(symtab_name(tab, &tab->entries[low]), name) != 0)
		return NULL;
	return &tab->entries[low];
}

/* Takes hex digits, at most 16. Returns how many there were. */
static size_t take_hex(const char *text, size_t len, uint64_t *value)
{
	size_t at = 0;

	*value = 0;
	for (; at < len && at < 17; at++) {
		char c = text[at];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;

		if (digit < 0)
			break;
		*value = *value << 4 | (uint64_t)digit;
	}
	return at <= 16 ? at : 0;
}

/* One line without its end. Returns -1 when it has another form. */
static int parse_line(struct symtab *tab, const char *line, size_t len, uint64_t *seen,
		      struct err *err)
{
	uint64_t addr;
	size_t digits = take_hex(line, len, &addr), name, end;

	if (!digits || len < digits + 4 || line[digits] != ' ' ||
	    line[digits + 2] != ' ' || !printable(line + digits + 1, 1))
		return err_set(err, ERR_FAILED, "not an address, a letter and a name");
	name = end = digits + 3;
	while (end < len && line[end] != '\t' && line[end] != ' ')
		end++;
	*seen |= addr;
	/* kallsyms has "\t[module]" behind the symbols of modules, and of bpf and ftrace.
	 */
	if (len - end > 3 && line[end + 1] == '[' && line[len - 1] == ']')
		return 0;
	if (end != len)
		return err_set(err, ERR_FAILED, "something stands behind the name");
	return symtab_add(tab, line + name, end - name, addr, line[digits + 1], err);
}

int symtab_parse_text(struct symtab *tab, const char *text, size_t len, struct err *err)
{
	size_t number = 0;
	uint64_t seen = 0;

	if (len && text[len - 1] == '\0')
		len--;
	for (size_t at = 0; at < len;) {
		const char *newline = memchr(text + at, '\n', len - at);
		size_t line_len = newline ? (size_t)(newline - (text + at)) : len - at;

		number++;
		if (line_len && parse_line(tab, text + at, line_len, &seen, err) < 0)
			return err_prefix(err, "line %zu", number);
		at += line_len + 1;
	}
	if (number == 0)
		return err_set(err, ERR_FAILED, "no symbols, it is empty");
	if (!seen)
		return err_set(err, ERR_FAILED,
			       "every address is zero: the kernel hid them "
			       "(kernel.kptr_restrict)");
	return 0;
}

void symtab_unshift(struct symtab *tab, uint64_t shift)
{
	for (size_t i = 0; i < tab->count; i++)
		if (tab->entries[i].addr >> 63)
			tab->entries[i].addr -= shift;
	tab->sorted = tab->sorted && !shift;
}

void symtab_free(struct symtab *tab)
{
	free(tab->entries);
	free(tab->names);
	*tab = (struct symtab){ 0 };
}
