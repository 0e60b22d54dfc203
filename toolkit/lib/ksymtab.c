#include "toolkit/lib/ksymtab.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/le.h"

/* A name stands in strings of other tables (BTF, initcalls), too. */
#define PLACES_MAX (KSYMTAB_NAMES_MAX * 8)
/* Of include/linux/export.h: value, name and, since 5.4, namespace. */
#define STRIDE 12
#define STRIDE_OLD 8
/* What the image has behind its file (bss) at most. */
#define BSS_MAX (64u << 20)

struct place {
	size_t off;
	size_t name; /* index */
};

struct search {
	const struct kernview_segment *segment;
	struct place places[PLACES_MAX];
	size_t count;
	/* Which offsets, by their low bits, may be one of the places. */
	unsigned char maybe[8192];
	uint64_t found[KSYMTAB_NAMES_MAX]; /* addresses; 0: none */
	bool torn[KSYMTAB_NAMES_MAX];	   /* more than one */
};

static void note_place(struct search *s, size_t off, size_t name)
{
	if (s->count == PLACES_MAX)
		return;
	s->places[s->count++] = (struct place){ off, name };
	s->maybe[off >> 3 & 8191] |= (unsigned char)(1u << (off & 7));
}

/* The first two bytes of a name, as one of the bits of begins. */
static unsigned beginning(const unsigned char *name)
{
	return ((unsigned)name[0] << 8 | name[1]) & 0x7fff;
}

/* Notes where each name that tab has not stands as a whole string: in one pass. */
static void find_names(struct search *s, const char *const *names, size_t count,
		       const struct symtab *tab)
{
	const unsigned char *data = s->segment->data;
	size_t len = (size_t)s->segment->len_bytes;
	unsigned char begins[0x8000 / 8] = { 0 };

	for (size_t i = 0; i < count; i++) {
		unsigned bit = beginning((const unsigned char *)names[i]);

		if (!symtab_find(tab, names[i]))
			begins[bit / 8] |= (unsigned char)(1u << bit % 8);
	}
	for (size_t at = 1; at + 2 < len; at++) {
		unsigned bit = beginning(data + at);

		if (data[at - 1] || !data[at] || !(begins[bit / 8] & 1u << bit % 8))
			continue;
		for (size_t i = 0; i < count; i++) {
			size_t size = strlen(names[i]) + 1;

			if (size <= len - at && memcmp(data + at, names[i], size) == 0 &&
			    !symtab_find(tab, names[i]))
				note_place(s, at, i);
		}
	}
}

/* Where a relative offset at off leads, or SIZE_MAX when it is outside. */
static size_t follow(const struct search *s, size_t off)
{
	size_t len = (size_t)s->segment->len_bytes;
	int64_t target;

	if (off > len || len - off < 4)
		return SIZE_MAX;
	target = (int64_t)off + (int32_t)get_le(s->segment->data + off, 4);
	return target >= 0 && (uint64_t)target < len ? (size_t)target : SIZE_MAX;
}

/* Is there a symbol's name, which begins where another string ends? */
static bool is_name(const struct search *s, size_t off)
{
	const unsigned char *data = s->segment->data;
	size_t len = (size_t)s->segment->len_bytes, n = 0;

	if (off == 0 || off == SIZE_MAX || data[off - 1] != '\0')
		return false;
	while (off + n < len && n < SYMTAB_NAME_MAX && data[off + n] > ' ' &&
	       data[off + n] <= '~')
		n++;
	return n > 0 && off + n < len && data[off + n] == '\0';
}

/* Do entries stand before and behind this one? name_off is the field's. */
static bool in_a_row(const struct search *s, size_t name_off, size_t stride)
{
	return name_off >= stride && is_name(s, follow(s, name_off - stride)) &&
	       is_name(s, follow(s, name_off + stride));
}

static void look_at(struct search *s, size_t name_off, size_t target)
{
	int64_t value;
	uint64_t addr;

	for (size_t i = 0; i < s->count; i++) {
		size_t name = s->places[i].name;

		if (s->places[i].off != target || (!in_a_row(s, name_off, STRIDE) &&
						   !in_a_row(s, name_off, STRIDE_OLD)))
			continue;
		value = (int64_t)name_off - 4 +
			(int32_t)get_le(s->segment->data + name_off - 4, 4);
		if (value < 0 || (uint64_t)value >= s->segment->len_bytes + BSS_MAX)
			continue;
		addr = s->segment->va + (uint64_t)value;
		s->torn[name] |= s->found[name] && s->found[name] != addr;
		s->found[name] = addr;
	}
}

static void search_segment(struct search *s, const char *const *names, size_t count,
			   const struct symtab *tab)
{
	size_t len = (size_t)s->segment->len_bytes;

	s->count = 0;
	memset(s->maybe, 0, sizeof(s->maybe));
	find_names(s, names, count, tab);
	for (size_t at = STRIDE; s->count && at + 4 <= len; at += 4) {
		size_t target = at + (size_t)(int32_t)get_le(s->segment->data + at, 4);

		if (s->maybe[target >> 3 & 8191] & 1u << (target & 7))
			look_at(s, at, target);
	}
}

int ksymtab_add(const struct kernview *view, const char *const *names, size_t count,
		struct symtab *tab, struct err *err)
{
	struct search *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (!s)
		return err_set(err, ERR_FAILED, "no memory to look for exported symbols");
	if (count > KSYMTAB_NAMES_MAX)
		count = KSYMTAB_NAMES_MAX;
	for (size_t i = 0; i < view->count; i++) {
		s->segment = &view->segments[i];
		if (s->segment->data)
			search_segment(s, names, count, tab);
	}
	for (size_t i = 0; i < count && rc == 0; i++)
		if (s->found[i] && !s->torn[i])
			rc = symtab_add(tab, names[i], strlen(names[i]), s->found[i], 'D',
					err);
	symtab_sort(tab);
	free(s);
	return rc;
}
