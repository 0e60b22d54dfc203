/*
 * Finds kallsyms' tables in an image that tells no addresses. scripts/kallsyms.c writes
 * them one behind the other, each aligned to 8 (or 4) bytes:
 *   4.20 to 6.3  offsets or addresses, relative_base, num_syms, names, markers,
 *                (6.2 on: seqs_of_names), token_table, token_index
 *   6.4 on       num_syms, names, markers, token_table, token_index, offsets,
 *                relative_base (7.x: none), seqs_of_names
 * markers has a u32 for every 256th symbol: where in names it stands. So a table of
 * tokens is believed when its index says the same as its strings, names when they end at
 * the markers and each marker agrees, offsets when they ascend.
 */
#include <inttypes.h>
#include <string.h>

#include "toolkit/lib/kallsyms.h"
#include "toolkit/lib/le.h"

#define TOKENS 256
#define FIRST_DIGIT '0'
#define PER_MARKER 256
/* A symbol takes 2 to 514 bytes of names. */
#define MARKER_STEP_MIN (2 * PER_MARKER)
#define MARKER_STEP_MAX (514 * PER_MARKER)
/* Of 3 bytes a symbol. */
#define SEQS_MAX (3 * SYMTAB_COUNT_MAX)
/* A kernel has 20,000 symbols and more; few markers would be found anywhere. */
#define MARKERS_MIN 4
#define PADDING_MAX 64
/*
 * Names and markers that are looked at: a hostile image can be full of what begins well.
 * An honest one takes its number of symbols and three bytes more for each.
 */
#define WORK_MAX (64u << 20)

/* A segment, and what was found in it as offsets from its beginning. */
struct area {
	const unsigned char *data;
	size_t len;
	size_t num_syms, names, markers, token_table, token_index;
	uint32_t count;
	uint64_t *work; /* left of WORK_MAX */
};

/* Takes from what work is left. Returns false when it is used up. */
static bool worth(const struct area *area, uint64_t steps)
{
	*area->work -= steps < *area->work ? steps : *area->work;
	return *area->work != 0;
}

static uint32_t u32_at(const struct area *area, size_t at)
{
	return (uint32_t)get_le(area->data + at, 4);
}

static size_t align_up(size_t at, size_t to)
{
	return (at + to - 1) / to * to;
}

/* Does an index at `at` say where the strings are? first is that of FIRST_DIGIT. */
static bool index_fits(struct area *area, size_t at, size_t first)
{
	const unsigned char *index = area->data + at;
	size_t start = first - (size_t)get_le(index + 2 * FIRST_DIGIT, 2);

	if (get_le(index, 2) != 0 || start > first)
		return false;
	for (size_t i = 1; i < TOKENS; i++) {
		size_t from = (size_t)get_le(index + 2 * i - 2, 2);
		size_t to = (size_t)get_le(index + 2 * i, 2);

		if (from >= to || start + to > at ||
		    strnlen((const char *)area->data + start + from, to - from) !=
			    to - from - 1)
			return false;
	}
	area->token_table = start;
	area->token_index = at;
	return true;
}

/* The strings "0" to "9" stand at `first`: is that a table of tokens with its index? */
static bool tokens_fit(struct area *area, size_t first)
{
	size_t end = first;

	for (size_t i = FIRST_DIGIT; i < TOKENS; i++) {
		const unsigned char *nul =
			end < area->len ? memchr(area->data + end, 0, area->len - end)
					: NULL;

		if (!nul)
			return false;
		end = (size_t)(nul - area->data) + 1;
		if (end - first > UINT16_MAX)
			return false;
	}
	for (size_t at = align_up(end, 2); at <= end + PADDING_MAX; at += 2)
		if (at + 2 * TOKENS <= area->len && index_fits(area, at, first))
			return true;
	return false;
}

/* Do count names from `names` on agree with the markers and end right before them? */
static bool names_fit(struct area *area, size_t names, uint32_t count)
{
	size_t at = names;

	for (uint32_t i = 0; i < count; i++) {
		size_t len;

		if (i % PER_MARKER == 0 &&
		    at - names != u32_at(area, area->markers + i / PER_MARKER * 4))
			return false;
		if (at + 2 > area->markers || !worth(area, 1))
			return false;
		len = area->data[at++];
		if (len >= 0x80)
			len = (len & 0x7f) | (size_t)area->data[at++] << 7;
		if (!len || len > area->markers - at)
			return false;
		at += len;
	}
	return area->markers - at < PADDING_MAX;
}

/* Names end where `markers` markers begin: finds where they begin, by their number. */
static bool find_names(struct area *area, size_t markers)
{
	uint32_t last = u32_at(area, area->markers + 4 * (markers - 1));
	size_t high, low;

	if (last > area->markers)
		return false;
	high = area->markers - last;
	low = high > MARKER_STEP_MAX + PADDING_MAX ? high - MARKER_STEP_MAX - PADDING_MAX
						   : 8;
	for (size_t names = align_up(low, 4); names + 2 <= high; names += 4) {
		for (size_t back = 4; back <= 8 && back <= names; back += 4) {
			uint32_t count = u32_at(area, names - back);

			if (count <= SYMTAB_COUNT_MAX &&
			    (count + PER_MARKER - 1) / PER_MARKER == markers &&
			    names_fit(area, names, count)) {
				area->num_syms = names - back;
				area->names = names;
				area->count = count;
				return true;
			}
		}
	}
	return false;
}

/* How many ascending markers stand at `at`, no further than end. */
static size_t count_markers(const struct area *area, size_t at, size_t end)
{
	size_t n = 1;

	if (at + 4 > end || u32_at(area, at) != 0)
		return 0;
	for (; at + 4 * n + 4 <= end; n++) {
		uint32_t step = u32_at(area, at + 4 * n) - u32_at(area, at + 4 * n - 4);

		if (step < MARKER_STEP_MIN || step > MARKER_STEP_MAX)
			break;
	}
	return n;
}

/* Goes back from the tokens to the markers, over seqs_of_names if there are any. */
static bool find_markers(struct area *area)
{
	size_t end = area->token_table, low = end > SEQS_MAX ? end - SEQS_MAX : 4;

	for (size_t at = end / 4 * 4; at >= low + 4; at -= 4) {
		size_t markers = count_markers(area, at - 4, end);

		if (!worth(area, 1 + markers))
			return false;
		if (markers < MARKERS_MIN)
			continue;
		/* For find_names(), which tries this many places. */
		if (!worth(area, MARKER_STEP_MAX / 4))
			return false;
		area->markers = at - 4;
		/* What follows the last one may look like one more. */
		for (size_t n = markers; n >= MARKERS_MIN && n + 2 > markers; n--)
			if (find_names(area, n))
				return true;
	}
	return false;
}

/* Do offsets from their own places ascend? */
static bool places_fit(const struct area *area, size_t at)
{
	int64_t last = INT64_MIN;

	if (at > area->len || area->len - at < 4 * (size_t)area->count)
		return false;
	for (uint32_t i = 0; i < area->count; i++) {
		int64_t place =
			4 * (int64_t)i + (int32_t)u32_at(area, at + 4 * (size_t)i);

		if (place < last)
			return false;
		last = place;
	}
	/* Zeros ascend as well. */
	return last != 4 * (int64_t)(area->count - 1);
}

/* Do offsets from a base ascend, in either of the two ways that they are meant? */
static bool offsets_fit(const struct area *area, size_t at)
{
	size_t falls = 0, falls_percpu = 0;
	uint64_t last = 0, last_percpu = 0;

	if (at > area->len || area->len - at < 4 * (size_t)area->count)
		return false;
	for (uint32_t i = 0; i < area->count; i++) {
		uint64_t raw = u32_at(area, at + 4 * (size_t)i);
		uint64_t percpu = raw & 0x80000000u ? UINT64_C(0x200000000) - raw : raw;

		falls += raw < last || raw & 0x80000000u;
		falls_percpu += percpu < last_percpu;
		last = raw;
		last_percpu = percpu;
	}
	return last != 0 && (!falls || !falls_percpu);
}

static bool addresses_fit(const struct area *area, size_t at)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < area->count; i++) {
		uint64_t addr = get_le(area->data + at + 8 * (size_t)i, 8);

		if (addr < last)
			return false;
		last = addr;
	}
	return last >> 63;
}

/* The tables of numbers, behind the tokens' index or before num_syms. */
static bool find_numbers(const struct area *area, uint64_t va,
			 struct kallsyms_tables *tables)
{
	size_t bytes = align_up(4 * (size_t)area->count, 8), whole = 8 * area->count;
	size_t behind = align_up(area->token_index + 2 * TOKENS, 8);

	tables->offsets = tables->relative_base = tables->addresses = 0;
	if (area->len - behind >= bytes + 8 && offsets_fit(area, behind)) {
		tables->offsets = va + behind;
		tables->relative_base = va + behind + bytes;
		return true;
	}
	if (area->num_syms >= bytes + 8 &&
	    offsets_fit(area, area->num_syms - 8 - bytes)) {
		tables->relative_base = va + area->num_syms - 8;
		tables->offsets = tables->relative_base - bytes;
		return true;
	}
	behind = area->token_index + 2 * TOKENS;
	if (places_fit(area, behind)) {
		tables->offsets = va + behind;
		return true;
	}
	if (area->num_syms >= whole && addresses_fit(area, area->num_syms - whole)) {
		tables->addresses = va + area->num_syms - whole;
		return true;
	}
	return false;
}

static bool search_segment(const struct kernview_segment *segment,
			   struct kallsyms_tables *tables, uint64_t *work)
{
	static const unsigned char digits[] =
		"0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	struct area area = { .data = segment->data,
			     .len = (size_t)segment->len_bytes,
			     .work = work };

	for (size_t at = 0; at < area.len; at++) {
		const unsigned char *found =
			memmem(area.data + at, area.len - at, digits, sizeof(digits));

		if (!found)
			return false;
		at = (size_t)(found - area.data);
		if (!tokens_fit(&area, at) || !find_markers(&area) ||
		    !find_numbers(&area, segment->va, tables))
			continue;
		tables->num_syms = segment->va + area.num_syms;
		tables->names = segment->va + area.names;
		tables->token_table = segment->va + area.token_table;
		tables->token_index = segment->va + area.token_index;
		return true;
	}
	return false;
}

/* R_AARCH64_RELATIVE of the ELF ABI: where, what, and the value to put there. */
#define RELA_BYTES 24
#define RELA_RELATIVE 1027

/* KIMAGE_VADDR, where an Image begins, has this alignment; the first symbol is near. */
#define IMAGE_ALIGN (2u << 20)

/* Fewer empty lists than this are chance: a kernel has 1,500. */
#define LISTS_MIN 16

/* The relocation of the u64 at offset `at`, whose value is near where the Image begins.
 */
static uint64_t relocated(const struct kernview_segment *image, uint64_t at,
			  uint64_t *value)
{
	for (uint64_t i = 0; i + RELA_BYTES <= image->len_bytes; i += 8) {
		const unsigned char *rela = image->data + i;
		uint64_t base = get_le(rela, 8) - at;

		*value = get_le(rela + 16, 8);
		if (get_le(rela + 8, 8) == RELA_RELATIVE && base % IMAGE_ALIGN == 0 &&
		    *value - base < IMAGE_ALIGN && *value % 4096 == 0)
			return base;
	}
	return 0;
}

/*
 * An empty list, LIST_HEAD_INIT, holds its own address twice: where the Image begins by
 * most of them (the majority vote of Boyer and Moore).
 */
static uint64_t by_lists(const struct kernview_segment *image)
{
	uint64_t base = 0, votes = 0, count = 0;

	for (uint64_t i = 0; i + 16 <= image->len_bytes; i += 8) {
		uint64_t value = get_le(image->data + i, 8), own = value - i;

		if (!(value >> 63) || own % IMAGE_ALIGN ||
		    get_le(image->data + i + 8, 8) != value)
			continue;
		if (!votes)
			base = own;
		votes = own == base ? votes + 1 : votes - 1;
		count += own == base;
	}
	return count >= LISTS_MIN ? base : 0;
}

/*
 * Where a raw Image was linked. With relocations as RELR, or applied, addresses are in
 * place: relative_base, which is that of the first symbol, and empty lists. With RELA
 * they are zero there, and in the relocations.
 */
static uint64_t link_address(const struct kernview_segment *image,
			     struct kallsyms_tables *tables)
{
	uint64_t value = 0;

	if (!tables->relative_base)
		return by_lists(image);
	value = get_le(image->data + tables->relative_base, 8);
	return value ? value / IMAGE_ALIGN * IMAGE_ALIGN
		     : relocated(image, tables->relative_base, &tables->base);
}

static int place(struct kernview *view, struct kallsyms_tables *tables, struct err *err)
{
	uint64_t va = tables->offsets ? link_address(&view->segments[0], tables) : 0;

	if (!(va >> 63))
		return err_set(err, ERR_FAILED,
			       "the Image does not tell where it was linked");
	kernview_place(view, va);
	tables->num_syms += va;
	tables->names += va;
	tables->token_table += va;
	tables->token_index += va;
	tables->offsets += va;
	if (tables->relative_base)
		tables->relative_base += va;
	return 0;
}

int kallsyms_search(struct kernview *view, struct kallsyms_tables *tables,
		    struct err *err)
{
	uint64_t work = WORK_MAX;

	*tables = (struct kallsyms_tables){ 0 };
	if (kernview_load(view, err) < 0)
		return -1;
	for (size_t i = 0; i < view->count; i++)
		if (search_segment(&view->segments[i], tables, &work))
			return view->placed ? 0 : place(view, tables, err);
	return err_set(err, ERR_FAILED,
		       "the kernel has no kallsyms tables of a known form");
}
