#include "toolkit/lib/isf.h"

#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/base64.h"
#include "toolkit/lib/isf_types.h"

/* The text being made. After the first error nothing more is written. */
struct out {
	isf_put put;
	void *context;
	struct err *err;
	uint64_t total;
	bool failed;
	size_t fill;
	char buf[32 * 1024];
};

struct writer {
	const struct isf_input *input;
	struct isf_types types;
	uint32_t *variables; /* ids of VARs, ordered by name */
	size_t variables_count;
	struct isf_result *result;
	struct out out;
};

static void flush(struct out *out)
{
	if (!out->failed && out->fill)
		out->failed = out->put(out->context, out->buf, out->fill, out->err) < 0;
	out->total += out->fill;
	out->fill = 0;
}

static void raw(struct out *out, const char *text, size_t len)
{
	while (len) {
		size_t room = sizeof(out->buf) - out->fill, n = len < room ? len : room;

		memcpy(out->buf + out->fill, text, n);
		out->fill += n;
		text += n;
		len -= n;
		if (out->fill == sizeof(out->buf))
			flush(out);
	}
}

static void put(struct out *out, const char *text)
{
	raw(out, text, strlen(text));
}

/* Printable ASCII, all that names are allowed to be, as a string. */
static void put_string(struct out *out, const char *text)
{
	raw(out, "\"", 1);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			raw(out, "\\", 1);
		raw(out, text, 1);
	}
	raw(out, "\"", 1);
}

static void put_u64(struct out *out, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	raw(out, digits + at, sizeof(digits) - at);
}

static void put_i64(struct out *out, int64_t value)
{
	if (value < 0)
		raw(out, "-", 1);
	put_u64(out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

static void put_base64(struct out *out, const char *data, size_t len)
{
	char text[BASE64_SIZE(48)];

	for (size_t i = 0; i < len; i += 48)
		raw(out, text,
		    base64_encode(data + i, len - i < 48 ? len - i : 48, text));
}

static void put_name(struct writer *w, uint32_t id)
{
	char name[ISF_NAME_SIZE];

	isf_types_name(&w->types, id, name);
	put_string(&w->out, name);
}

/* A comma in front of all but the first, then the key. */
static void put_key(struct writer *w, uint32_t id, uint64_t *count)
{
	put(&w->out, (*count)++ ? ",\n" : "\n");
	put_name(w, id);
	put(&w->out, ":");
}

/* What a chain of pointers and arrays ends in. */
static void put_last(struct writer *w, uint32_t id, const struct btf_type *type)
{
	static const char *const kinds[] = {
		[BTF_INT] = "base",    [BTF_FLOAT] = "base", [BTF_STRUCT] = "struct",
		[BTF_UNION] = "union", [BTF_ENUM] = "enum",  [BTF_ENUM64] = "enum",
		[BTF_FWD] = "struct",
	};

	if (type->kind == BTF_FUNC_PROTO || type->kind == BTF_FUNC) {
		put(&w->out, "{\"kind\":\"function\"}");
	} else if (!kinds[type->kind]) {
		put(&w->out, "{\"kind\":\"base\",\"name\":\"void\"}");
	} else {
		put(&w->out, "{\"kind\":\"");
		put(&w->out,
		    type->kind == BTF_FWD && type->flag ? "union" : kinds[type->kind]);
		put(&w->out, "\",\"name\":");
		if (type->kind == BTF_FWD)
			put_string(&w->out, type->name);
		else
			put_name(w, id);
		put(&w->out, "}");
	}
}

static void put_array(struct writer *w, uint32_t count)
{
	put(&w->out, "{\"kind\":\"array\",\"count\":");
	put_u64(&w->out, count);
	put(&w->out, ",\"subtype\":");
}

static void put_type(struct writer *w, uint32_t id)
{
	const struct btf *btf = w->input->btf;
	unsigned open = 0;

	for (;; open++) {
		struct btf_type type = btf_type(btf, id = btf_strip(btf, id));
		uint32_t count;

		if (type.kind == BTF_PTR) {
			put(&w->out, "{\"kind\":\"pointer\",\"subtype\":");
			id = type.target;
		} else if (type.kind == BTF_ARRAY) {
			id = btf_array(&type, &count);
			put_array(w, count);
		} else {
			put_last(w, id, &type);
			break;
		}
	}
	while (open--)
		put(&w->out, "}");
}

static void put_base_type(struct writer *w, const char *kind, uint64_t size, bool sign)
{
	put(&w->out, "{\"size\":");
	put_u64(&w->out, size);
	put(&w->out,
	    sign ? ",\"signed\":true,\"kind\":\"" : ",\"signed\":false,\"kind\":\"");
	put(&w->out, kind);
	put(&w->out, "\",\"endian\":\"little\"}");
}

static void put_base_types(struct writer *w)
{
	const struct btf *btf = w->input->btf;
	uint64_t *count = &w->result->base_types;

	put(&w->out, "\"base_types\":{\n\"pointer\":");
	put_base_type(w, "int", 8, false);
	put(&w->out, ",\n\"void\":");
	put_base_type(w, "void", 0, false);
	*count = 2;
	for (uint32_t id = 1; id < btf->count; id++) {
		struct btf_type type = btf_type(btf, id);
		struct btf_int how;
		const char *kind = "int";

		if (type.kind != BTF_INT && type.kind != BTF_FLOAT)
			continue;
		put_key(w, id, count);
		if (type.kind == BTF_FLOAT) {
			put_base_type(w, "float", type.size, true);
			continue;
		}
		how = btf_int(&type);
		if (how.encoding & BTF_INT_BOOL)
			kind = "bool";
		else if (type.size == 1 &&
			 (how.encoding & BTF_INT_CHAR || strstr(type.name, "char")))
			kind = "char";
		put_base_type(w, kind, type.size, how.encoding & BTF_INT_SIGNED);
	}
	put(&w->out, "\n}");
}

static bool is_composite(const struct btf *btf, uint32_t id)
{
	enum btf_kind kind = btf_type(btf, btf_strip(btf, id)).kind;

	return kind == BTF_STRUCT || kind == BTF_UNION;
}

static void put_member_type(struct writer *w, const struct btf_member *member)
{
	if (!member->bits) {
		put_type(w, member->type);
		return;
	}
	put(&w->out, "{\"kind\":\"bitfield\",\"bit_position\":");
	put_u64(&w->out, member->bit_off % 8);
	put(&w->out, ",\"bit_length\":");
	put_u64(&w->out, member->bits);
	put(&w->out, ",\"type\":");
	put_type(w, member->type);
	put(&w->out, "}");
}

static void put_user_type(struct writer *w, const struct btf_type *type)
{
	const struct btf *btf = w->input->btf;
	bool first = true;

	put(&w->out, type->kind == BTF_UNION ? "{\"kind\":\"union\",\"size\":"
					     : "{\"kind\":\"struct\",\"size\":");
	put_u64(&w->out, type->size);
	put(&w->out, ",\"fields\":{");
	for (uint32_t i = 0; i < type->vlen; i++) {
		struct btf_member member = btf_member(btf, type, i);
		bool anonymous = !member.name[0];

		/* Without a name and members of its own it is only there to fill. */
		if (anonymous && !is_composite(btf, member.type))
			continue;
		put(&w->out, first ? "\n " : ",\n ");
		first = false;
		if (anonymous) {
			put(&w->out, "\"unnamed_field_");
			put_u64(&w->out, i);
			put(&w->out, "\"");
		} else {
			put_string(&w->out, member.name);
		}
		put(&w->out, ":{\"type\":");
		put_member_type(w, &member);
		put(&w->out, ",\"offset\":");
		put_u64(&w->out, member.bit_off / 8);
		put(&w->out, anonymous ? ",\"anonymous\":true}" : "}");
	}
	put(&w->out, "}}");
}

static void put_user_types(struct writer *w)
{
	const struct btf *btf = w->input->btf;

	put(&w->out, "\"user_types\":{");
	for (uint32_t id = 1; id < btf->count; id++) {
		struct btf_type type = btf_type(btf, id);

		if ((type.kind != BTF_STRUCT && type.kind != BTF_UNION) ||
		    !(w->input->all || isf_types_wanted(&w->types, id)))
			continue;
		put_key(w, id, &w->result->user_types);
		put_user_type(w, &type);
	}
	put(&w->out, "\n}");
}

/* The name of the base type of an enumeration, which must be one of base_types. */
static const char *enum_base(const struct writer *w, uint32_t size, bool sign)
{
	static const char *const names[4][2] = {
		{ "unsigned char", "signed char" },
		{ "short unsigned int", "short int" },
		{ "unsigned int", "int" },
		{ "long unsigned int", "long int" },
	};
	const char *name = names[size == 8 ? 3 : size == 4 ? 2 : size == 2][sign];
	uint32_t id = isf_types_find(&w->types, name);
	struct btf_type type = btf_type(w->input->btf, id);

	/* A pointer's is an unsigned number of 8 bytes; nothing better there. */
	return id && type.kind == BTF_INT && type.size == size ? name : "pointer";
}

static void put_enum(struct writer *w, const struct btf_type *type)
{
	const struct btf *btf = w->input->btf;
	bool sign = btf_enum_signed(btf, type);

	put(&w->out, "{\"size\":");
	put_u64(&w->out, type->size);
	put(&w->out, ",\"base\":");
	put_string(&w->out, enum_base(w, type->size, sign));
	put(&w->out, ",\"constants\":{");
	for (uint32_t i = 0; i < type->vlen; i++) {
		uint64_t value;

		put(&w->out, i ? ",\n " : "\n ");
		put_string(&w->out, btf_enum_value(btf, type, i, &value));
		put(&w->out, ":");
		if (sign)
			put_i64(&w->out, (int64_t)value);
		else
			put_u64(&w->out, value);
	}
	put(&w->out, "}}");
}

static void put_enums(struct writer *w)
{
	const struct btf *btf = w->input->btf;

	put(&w->out, "\"enums\":{");
	for (uint32_t id = 1; id < btf->count; id++) {
		struct btf_type type = btf_type(btf, id);

		if ((type.kind != BTF_ENUM && type.kind != BTF_ENUM64) ||
		    !(w->input->all || isf_types_wanted(&w->types, id)))
			continue;
		put_key(w, id, &w->result->enums);
		put_enum(w, &type);
	}
	put(&w->out, "\n}");
}

/* What a description of isf_known[] ends in, or 0 when this kernel has it not. */
static uint32_t known_id(const struct writer *w, const char *text)
{
	text += strspn(text, "*[]0123456789");
	return isf_types_find(&w->types, text);
}

static void put_known(struct writer *w, const char *text)
{
	unsigned open = 0;

	for (; *text == '*' || *text == '['; open++) {
		if (*text == '*') {
			put(&w->out, "{\"kind\":\"pointer\",\"subtype\":");
			text++;
		} else {
			put_array(w, (uint32_t)strtoul(text + 1, NULL, 10));
			text = strchr(text, ']') + 1;
		}
	}
	put_type(w, known_id(w, text));
	while (open--)
		put(&w->out, "}");
}

static const struct isf_known *find_known(const char *symbol)
{
	size_t low = 0, high = isf_known_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(isf_known[mid].symbol, symbol);

		if (order == 0)
			return &isf_known[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static int by_name(const void *a, const void *b, void *btf)
{
	return strcmp(btf_type(btf, *(const uint32_t *)a).name,
		      btf_type(btf, *(const uint32_t *)b).name);
}

static int list_variables(struct writer *w, struct err *err)
{
	const struct btf *btf = w->input->btf;

	for (uint32_t id = 1; id < btf->count; id++)
		w->variables_count += btf_type(btf, id).kind == BTF_VAR;
	w->variables = calloc(w->variables_count + 1, sizeof(w->variables[0]));
	if (!w->variables)
		return err_set(err, ERR_FAILED, "no memory for %zu variables",
			       w->variables_count);
	w->variables_count = 0;
	for (uint32_t id = 1; id < btf->count; id++)
		if (btf_type(btf, id).kind == BTF_VAR)
			w->variables[w->variables_count++] = id;
	qsort_r(w->variables, w->variables_count, sizeof(w->variables[0]), by_name,
		(void *)btf);
	return 0;
}

/* The type that BTF gives the variable of that name, or 0. */
static uint32_t variable_type(const struct writer *w, const char *symbol)
{
	size_t low = 0, high = w->variables_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct btf_type type = btf_type(w->input->btf, w->variables[mid]);
		int order = strcmp(type.name, symbol);

		if (order == 0)
			return type.target;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return 0;
}

static void put_symbol(struct writer *w, const char *name,
		       const struct symtab_entry *entry)
{
	const struct isf_known *known = find_known(name);
	uint32_t variable = variable_type(w, name);

	put(&w->out, w->result->symbols++ ? ",\n" : "\n");
	put_string(&w->out, name);
	put(&w->out, ":{\"address\":");
	put_u64(&w->out, entry->addr);
	if (known && (known_id(w, known->type) || strstr(known->type, "void"))) {
		put(&w->out, ",\"type\":");
		put_known(w, known->type);
	} else if (variable) {
		put(&w->out, ",\"type\":");
		put_type(w, variable);
	}
	if (strcmp(name, "linux_banner") == 0) {
		put(&w->out, ",\"constant_data\":\"");
		put_base64(&w->out, w->input->banner, w->input->banner_len);
		put(&w->out, "\"");
	}
	put(&w->out, "}");
}

static bool is_data(char type)
{
	return type && strchr("dDbBrRvVaA", type);
}

/*
 * Of symbols that share a name the one to write: a variable before a function where the
 * name is known to be a variable's, else the one at the lowest address.
 */
static const struct symtab_entry *choose(const struct symtab *tab, size_t first,
					 size_t end)
{
	const char *name = symtab_name(tab, &tab->entries[first]);

	if (end - first > 1 && find_known(name))
		for (size_t i = first; i < end; i++)
			if (is_data(tab->entries[i].type))
				return &tab->entries[i];
	return &tab->entries[first];
}

static void put_symbols(struct writer *w)
{
	static const struct symtab_entry nowhere = { 0 };
	const struct symtab *tab = w->input->symbols;
	size_t end;

	put(&w->out, "\"symbols\":{");
	for (size_t i = 0; i < tab->count; i = end) {
		const char *name = symtab_name(tab, &tab->entries[i]);

		for (end = i + 1; end < tab->count; end++)
			if (strcmp(symtab_name(tab, &tab->entries[end]), name) != 0)
				break;
		if (w->input->all || !isf_is_noise(name))
			put_symbol(w, name, choose(tab, i, end));
	}
	/* The file is found by its text; the address is in result->missing then. */
	if (!symtab_find(tab, "linux_banner"))
		put_symbol(w, "linux_banner", &nowhere);
	put(&w->out, "\n}");
}

/* Wants what analysis uses, and what the written symbols have as type. */
static int want_types(struct writer *w, struct err *err)
{
	for (size_t i = 0; isf_required_types[i]; i++) {
		const char *name = isf_required_types[i];
		uint32_t id = isf_types_find(&w->types, name);

		if (!id || !is_composite(w->input->btf, id))
			return err_set(err, ERR_FAILED,
				       "the kernel's types have no struct %s, without "
				       "which Volatility reads no symbol file",
				       name);
		isf_types_want(&w->types, id);
	}
	for (size_t i = 0; isf_used_types[i]; i++)
		isf_types_want(&w->types, isf_types_find(&w->types, isf_used_types[i]));
	for (size_t i = 0; i < isf_known_count; i++)
		isf_types_want(&w->types, known_id(w, isf_known[i].type));
	for (size_t i = 0; i < w->variables_count; i++)
		isf_types_want(&w->types, w->variables[i]);
	return 0;
}

static void find_missing(const struct writer *w)
{
	struct isf_result *result = w->result;

	for (const struct isf_need *need = isf_needs; need->any[0]; need++) {
		bool found = false;

		for (size_t i = 0; i < 4 && need->any[i]; i++)
			found |= symtab_find(w->input->symbols, need->any[i]) != NULL;
		if (!found && result->missing_count < ISF_MISSING_MAX)
			result->missing[result->missing_count++] = need->any[0];
	}
}

static void put_document(struct writer *w)
{
	put(&w->out, "{\"metadata\":{\"format\":\"6.2.0\",\"producer\":{\"name\":\"fvol "
		     "symbols\",\"version\":\"" FVOL_VERSION "\"}},\n");
	put_base_types(w);
	put(&w->out, ",\n");
	put_user_types(w);
	put(&w->out, ",\n");
	put_enums(w);
	put(&w->out, ",\n");
	put_symbols(w);
	put(&w->out, "}\n");
	flush(&w->out);
}

int isf_write(const struct isf_input *input, isf_put put_piece, void *context,
	      struct isf_result *result, struct err *err)
{
	struct writer *w = calloc(1, sizeof(*w));
	int rc = -1;

	*result = (struct isf_result){ 0 };
	if (!w)
		return err_set(err, ERR_FAILED, "no memory to write symbols");
	w->input = input;
	w->result = result;
	w->out.put = put_piece;
	w->out.context = context;
	w->out.err = err;
	if (isf_types_open(&w->types, input->btf, err) < 0)
		goto out;
	if (list_variables(w, err) < 0 || want_types(w, err) < 0)
		goto close;
	find_missing(w);
	put_document(w);
	result->json_bytes = w->out.total;
	rc = w->out.failed ? -1 : 0;
close:
	isf_types_close(&w->types);
out:
	free(w->variables);
	free(w);
	return rc;
}
