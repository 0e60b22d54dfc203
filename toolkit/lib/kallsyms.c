#include "toolkit/lib/kallsyms.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/le.h"

#define TOKENS 256
/* A token is a piece of a name. */
#define TOKEN_TABLE_MAX (TOKENS * 128)
#define READ_BYTES 4096

/* Reads on through a table whose length is not known. */
struct stream {
	struct kernview *view;
	uint64_t va; /* of what is read next */
	size_t at, fill;
	unsigned char buf[READ_BYTES];
};

struct tokens {
	unsigned char table[TOKEN_TABLE_MAX + 1];
	uint16_t index[TOKENS];
};

/* How the numbers of the table are meant. */
enum meaning {
	WHOLE,	     /* u64, the address */
	FROM_PLACE,  /* i32, from its own place on */
	FROM_BASE,   /* u32 */
	WITH_PERCPU, /* i32; what is not negative is an address */
};

struct addresses {
	unsigned char *raw;
	enum meaning meaning;
	uint64_t base; /* relative_base, or where the table stands */
};

/* By the addresses that VMCOREINFO tells from 6.0 on. Returns false when it does not. */
static bool told(const struct vmcoreinfo *info, struct kallsyms_tables *tables)
{
	*tables = (struct kallsyms_tables){ 0 };
	vmcoreinfo_symbol(info, "kallsyms_relative_base", &tables->relative_base);
	return (vmcoreinfo_symbol(info, "kallsyms_offsets", &tables->offsets) ||
		vmcoreinfo_symbol(info, "kallsyms_addresses", &tables->addresses)) &&
	       vmcoreinfo_symbol(info, "kallsyms_num_syms", &tables->num_syms) &&
	       vmcoreinfo_symbol(info, "kallsyms_names", &tables->names) &&
	       vmcoreinfo_symbol(info, "kallsyms_token_table", &tables->token_table) &&
	       vmcoreinfo_symbol(info, "kallsyms_token_index", &tables->token_index);
}

static int read_tokens(struct kernview *view, const struct kallsyms_tables *tables,
		       struct tokens *tokens, struct err *err)
{
	unsigned char index[2 * TOKENS];
	uint64_t left = kernview_left(view, tables->token_table);
	size_t len = left < TOKEN_TABLE_MAX ? (size_t)left : TOKEN_TABLE_MAX;

	if (kernview_read(view, tables->token_index, index, sizeof(index), err) < 0 ||
	    kernview_read(view, tables->token_table, tokens->table, len, err) < 0)
		return -1;
	tokens->table[len] = '\0';
	for (size_t i = 0; i < TOKENS; i++) {
		tokens->index[i] = (uint16_t)get_le(index + 2 * i, 2);
		if (tokens->index[i] > len)
			return err_set(err, ERR_FAILED, "token %zu is beyond its table",
				       i);
	}
	return 0;
}

static int next_byte(struct stream *stream, struct err *err)
{
	if (stream->at == stream->fill) {
		uint64_t left = kernview_left(stream->view, stream->va);

		stream->fill = left < READ_BYTES ? (size_t)left : READ_BYTES;
		stream->at = 0;
		if (!stream->fill || kernview_read(stream->view, stream->va, stream->buf,
						   stream->fill, err) < 0)
			return err_set(
				err, ERR_FAILED,
				"the names end outside of the kernel, at 0x%" PRIx64,
				stream->va);
		stream->va += stream->fill;
	}
	return stream->buf[stream->at++];
}

/* Unpacks one name, its nm letter in front. Returns the length or -1. */
static int next_name(struct stream *stream, const struct tokens *tokens,
		     char name[SYMTAB_NAME_MAX + 1], struct err *err)
{
	int len = next_byte(stream, err), out = 0;

	/* Since 6.1 a length of 128 and more has two bytes, ULEB128. */
	if (len >= 0x80) {
		int high = next_byte(stream, err);

		len = high < 0 ? -1 : (len & 0x7f) | high << 7;
	}
	if (len < 0)
		return -1;
	while (len--) {
		const unsigned char *token;
		int number = next_byte(stream, err);

		if (number < 0)
			return -1;
		for (token = tokens->table + tokens->index[number]; *token; token++) {
			if (out > SYMTAB_NAME_MAX)
				return err_set(err, ERR_FAILED, "a name is too long");
			name[out++] = (char)*token;
		}
	}
	return out;
}

/* Reads the numbers of count symbols and tells how they are meant. */
static int read_addresses(struct kernview *view, const struct kallsyms_tables *tables,
			  uint32_t count, struct addresses *addresses, struct err *err)
{
	unsigned char base[8];
	size_t each = tables->offsets ? 4 : 8;

	addresses->meaning = WHOLE;
	addresses->raw = malloc(count * each);
	if (!addresses->raw)
		return err_sys(err, ENOMEM, "%u symbols", count);
	if (kernview_read(view, tables->offsets ? tables->offsets : tables->addresses,
			  addresses->raw, count * each, err) < 0)
		return -1;
	if (!tables->offsets)
		return 0;
	addresses->meaning = FROM_PLACE;
	addresses->base = tables->offsets;
	if (!tables->relative_base)
		return 0;
	if (kernview_read(view, tables->relative_base, base, sizeof(base), err) < 0)
		return -1;
	addresses->meaning = FROM_BASE;
	addresses->base = tables->base ? tables->base : get_le(base, sizeof(base));
	/* CONFIG_KALLSYMS_ABSOLUTE_PERCPU, of x86_64 until 6.15. */
	for (size_t i = 0; i < count; i++)
		if (addresses->raw[4 * i + 3] & 0x80)
			addresses->meaning = WITH_PERCPU;
	return 0;
}

static uint64_t address_of(const struct addresses *addresses, size_t i)
{
	uint64_t raw;

	if (addresses->meaning == WHOLE)
		return get_le(addresses->raw + 8 * i, 8);
	raw = get_le(addresses->raw + 4 * i, 4);
	if (addresses->meaning == FROM_BASE)
		return addresses->base + raw;
	if (addresses->meaning == FROM_PLACE)
		return addresses->base + 4 * i + (uint64_t)(int64_t)(int32_t)raw;
	/* kernel/kallsyms.c: relative_base - 1 - offset, of the negative ones. */
	return raw & 0x80000000u ? addresses->base - 1 + (UINT64_C(0x100000000) - raw)
				 : raw;
}

/* What of the table can be held against other facts. */
static int check_symbol(struct kernview *view, const char *name, size_t len,
			uint64_t addr, struct err *err)
{
	char banner[sizeof(KALLSYMS_BANNER) + VMCOREINFO_RELEASE_MAX + 1];
	const char *release = view->info ? view->info->release : "";
	size_t head = sizeof(KALLSYMS_BANNER) - 1, more = strlen(release);

	if (len == 6 && memcmp(name, "_stext", 6) == 0 && view->info &&
	    view->info->stext && addr != view->info->stext)
		return err_set(err, ERR_FAILED,
			       "kallsyms has _stext at 0x%" PRIx64
			       ", VMCOREINFO at 0x%" PRIx64,
			       addr, view->info->stext);
	if (len != 12 || memcmp(name, "linux_banner", 12) != 0)
		return 0;
	if (kernview_read(view, addr, banner, head + more + 1, err) < 0)
		return -1;
	if (memcmp(banner, KALLSYMS_BANNER, head) != 0 ||
	    memcmp(banner + head, release, more) != 0 ||
	    (more && banner[head + more] != ' '))
		return err_set(
			err, ERR_FAILED,
			"no banner of this release stands at linux_banner, 0x%" PRIx64,
			addr);
	return 0;
}

static int decode_all(struct stream *stream, const struct tokens *tokens,
		      const struct addresses *addresses, uint32_t count,
		      struct symtab *tab, struct err *err)
{
	char name[SYMTAB_NAME_MAX + 1];
	uint64_t last = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t addr = address_of(addresses, i);
		int len = next_name(stream, tokens, name, err);

		if (len < 0)
			return err_prefix(err, "symbol %u of %u", i, count);
		if (len < 2)
			return err_set(err, ERR_FAILED, "symbol %u of %u has no name", i,
				       count);
		if (addr < last)
			return err_set(err, ERR_FAILED,
				       "symbol %u of %u stands below the one before it",
				       i, count);
		last = addr;
		if (check_symbol(stream->view, name + 1, (size_t)len - 1, addr, err) < 0)
			return -1;
		if (symtab_add(tab, name + 1, (size_t)len - 1, addr, name[0], err) < 0)
			return err_prefix(err, "symbol %u of %u", i, count);
	}
	return 0;
}

int kallsyms_decode(struct kernview *view, const struct kallsyms_tables *tables,
		    struct symtab *tab, struct err *err)
{
	struct addresses addresses = { 0 };
	struct stream stream = { .view = view, .va = tables->names };
	struct tokens tokens;
	unsigned char number[4];
	uint32_t count;
	int rc = -1;

	if (kernview_read(view, tables->num_syms, number, sizeof(number), err) < 0 ||
	    read_tokens(view, tables, &tokens, err) < 0)
		return err_prefix(err, "kallsyms");
	count = (uint32_t)get_le(number, sizeof(number));
	if (!count || count > SYMTAB_COUNT_MAX)
		return err_set(err, ERR_FAILED, "kallsyms cannot have %u symbols", count);
	if (read_addresses(view, tables, count, &addresses, err) == 0)
		rc = decode_all(&stream, &tokens, &addresses, count, tab, err);
	free(addresses.raw);
	return rc < 0 ? err_prefix(err, "kallsyms") : 0;
}

int kallsyms_find(struct kernview *view, struct symtab *tab, struct err *err)
{
	struct kallsyms_tables tables;

	if (!(view->info && told(view->info, &tables)) &&
	    kallsyms_search(view, &tables, err) < 0)
		return -1;
	return kallsyms_decode(view, &tables, tab, err);
}
