#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/kallsyms.h"
#include "toolkit/lib/le.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define VA UINT64_C(0xffffffff81000000)
/* What of the input says where the tables are. */
#define HEAD_BYTES 28

/* Symbols in the order of their addresses, with names; or a sentence. */
static void check(struct kernview *view, int rc, struct symtab *tab,
		  const struct err *err)
{
	if (rc < 0 && !err->text[0])
		abort();
	if (rc == 0 && !tab->count)
		abort();
	for (size_t i = 0; i < tab->count; i++)
		if (!*symtab_name(tab, &tab->entries[i]) ||
		    (i && tab->entries[i].addr < tab->entries[i - 1].addr))
			abort();
	symtab_free(tab);
	kernview_close(view);
}

/* Tables where the input says that they are: in the rest of the input. */
static void told(const uint8_t *data, size_t len)
{
	struct kernview view = { .placed = true, .count = 1 };
	struct symtab tab = { 0 };
	struct err err = { 0 };
	struct kallsyms_tables tables = {
		.num_syms = VA + get_le(data, 4),
		.names = VA + get_le(data + 4, 4),
		.token_table = VA + get_le(data + 8, 4),
		.token_index = VA + get_le(data + 12, 4),
		.offsets = data[26] & 1 ? 0 : VA + get_le(data + 16, 4),
		.addresses = VA + get_le(data + 16, 4),
		.relative_base = data[26] & 2 ? 0 : VA + get_le(data + 20, 4),
	};

	view.segments[0] =
		(struct kernview_segment){ VA, len - HEAD_BYTES, data + HEAD_BYTES };
	check(&view, kallsyms_decode(&view, &tables, &tab, &err), &tab, &err);
}

/* An ELF file or an Image, in which they are searched for. */
static void searched(const uint8_t *data, size_t len)
{
	struct symtab tab = { 0 };
	struct kernview view;
	struct err err = { 0 };
	int rc = kernview_open_elf(&view, data, len, &err);

	if (rc < 0)
		rc = kernview_open_image(&view, data, len, &err);
	if (rc == 0) {
		memset(&err, 0, sizeof(err));
		rc = kallsyms_find(&view, &tab, &err);
	}
	check(&view, rc, &tab, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len > HEAD_BYTES && data[24] == 'T' && data[25] == 'L')
		told(data, len);
	else
		searched(data, len);
	return 0;
}
