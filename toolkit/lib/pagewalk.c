#include "toolkit/lib/pagewalk.h"

#include <inttypes.h>

#include "toolkit/lib/le.h"

#define PAGE_BYTES 4096
#define ENTRIES 512
#define TOP_SHIFT 39
#define PAGE_SHIFT 12
/* Of an entry. x86: Intel SDM 3A 4.5; arm64: Arm ARM D8.3. Both have bit 0 for valid. */
#define VALID 1u
#define X86_LARGE 0x80u
#define ARM_TABLE 2u
#define X86_ADDRESS UINT64_C(0x000ffffffffff000)
#define ARM_ADDRESS UINT64_C(0x0000fffffffff000)

static int find_tables(const struct kernview *view, uint64_t *phys, struct err *err)
{
	uint64_t page_bytes, bits = 48, tables;

	if (!view->info || !vmcoreinfo_symbol(view->info, "swapper_pg_dir", &tables) ||
	    !vmcoreinfo_number(view->info, "PAGESIZE", &page_bytes))
		return err_set(err, ERR_FAILED,
			       "VMCOREINFO does not tell where page tables are");
	if (view->machine == VMCOREINFO_AARCH64 &&
	    !vmcoreinfo_number(view->info, "NUMBER(VA_BITS)", &bits))
		bits = 0;
	if (page_bytes != PAGE_BYTES || bits != 48 || view->info->five_level_paging)
		return err_set(err, ERR_FAILED,
			       "page tables of another form than 4 levels of 4 KiB");
	*phys = tables - view->info->image_offset;
	return 0;
}

/* Returns 0 with the physical address of va, or -1. */
static int walk(struct kernview *view, uint64_t va, uint64_t *phys, struct err *err)
{
	bool x86 = view->machine == VMCOREINFO_X86_64;
	uint64_t table = 0;

	if (find_tables(view, &table, err) < 0)
		return -1;
	for (unsigned int shift = TOP_SHIFT;; shift -= 9) {
		uint64_t inside = (UINT64_C(1) << shift) - 1, entry, to;
		unsigned char raw[8];
		bool leaf;

		if (dumpview_read(view->dump, table + 8 * (va >> shift & (ENTRIES - 1)),
				  raw, sizeof(raw), err) < 0)
			return -1;
		entry = get_le(raw, sizeof(raw));
		if (!(entry & VALID))
			return err_set(err, ERR_FAILED, "0x%" PRIx64 " is not mapped",
				       va);
		leaf = shift == PAGE_SHIFT ||
		       (shift < TOP_SHIFT &&
			(x86 ? (entry & X86_LARGE) != 0 : !(entry & ARM_TABLE)));
		to = entry & (x86 ? X86_ADDRESS : ARM_ADDRESS);
		if (leaf) {
			*phys = (to & ~inside) | (va & inside);
			return 0;
		}
		table = to;
	}
}

int pagewalk_read(struct kernview *view, uint64_t va, void *buf, size_t len_bytes,
		  struct err *err)
{
	unsigned char *to = buf;

	if (kernview_left(view, va) >= len_bytes)
		return kernview_read(view, va, buf, len_bytes, err);
	if (!view->dump)
		return err_set(err, ERR_FAILED, "0x%" PRIx64 " is not in the image", va);
	while (len_bytes) {
		size_t n = PAGE_BYTES - va % PAGE_BYTES;
		uint64_t phys = 0;

		n = n < len_bytes ? n : len_bytes;
		if (walk(view, va, &phys, err) < 0 ||
		    dumpview_read(view->dump, phys, to, n, err) < 0)
			return -1;
		va += n;
		to += n;
		len_bytes -= n;
	}
	return 0;
}
