#include "toolkit/lib/btf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/le.h"

#define HEADER_BYTES 24
#define TYPE_BYTES 12
#define MEMBER_BYTES 12
#define PTR_SIZE 8

static uint32_t u32(const unsigned char *at)
{
	return (uint32_t)get_le(at, 4);
}

/* Bytes behind a type's twelve: fixed ones and those for each of vlen. */
static const struct {
	unsigned char fixed, each;
} extras[BTF_ENUM64 + 1] = {
	[BTF_INT] = { 4, 0 },
	[BTF_ARRAY] = { 12, 0 },
	[BTF_STRUCT] = { 0, MEMBER_BYTES },
	[BTF_UNION] = { 0, MEMBER_BYTES },
	[BTF_ENUM] = { 0, 8 },
	[BTF_FUNC_PROTO] = { 0, 8 },
	[BTF_VAR] = { 4, 0 },
	[BTF_DATASEC] = { 0, 12 },
	[BTF_DECL_TAG] = { 4, 0 },
	[BTF_ENUM64] = { 0, 12 },
};

static bool has_size(enum btf_kind kind)
{
	return kind == BTF_INT || kind == BTF_STRUCT || kind == BTF_UNION ||
	       kind == BTF_ENUM || kind == BTF_ENUM64 || kind == BTF_FLOAT ||
	       kind == BTF_DATASEC;
}

static bool is_modifier(enum btf_kind kind)
{
	return kind == BTF_TYPEDEF || kind == BTF_VOLATILE || kind == BTF_CONST ||
	       kind == BTF_RESTRICT || kind == BTF_TYPE_TAG;
}

struct btf_type btf_type(const struct btf *btf, uint32_t id)
{
	const unsigned char *at = btf->types + btf->offs[id];
	struct btf_type type = { .name = "" };
	uint32_t info;

	if (id == 0)
		return type;
	info = u32(at + 4);
	type.name = btf->strings + u32(at);
	type.kind = info >> 24 & 0x1f;
	type.flag = info >> 31;
	type.vlen = info & 0xffff;
	if (has_size(type.kind))
		type.size = u32(at + 8);
	else
		type.target = u32(at + 8);
	type.extra = at + TYPE_BYTES;
	return type;
}

struct btf_int btf_int(const struct btf_type *type)
{
	uint32_t word = u32(type->extra);

	return (struct btf_int){ .encoding = word >> 24 & 0xf,
				 .bits = word & 0xff,
				 .bit_off = word >> 16 & 0xff };
}

uint32_t btf_array(const struct btf_type *type, uint32_t *count)
{
	*count = u32(type->extra + 8);
	return u32(type->extra);
}

uint32_t btf_strip(const struct btf *btf, uint32_t id)
{
	for (;;) {
		struct btf_type type = btf_type(btf, id);

		if (!is_modifier(type.kind))
			return id;
		id = type.target;
	}
}

/* The bytes of a value of that type, or UINT64_MAX when it has no size. */
static uint64_t size_of(const struct btf *btf, uint32_t id)
{
	struct btf_type type = btf_type(btf, btf_strip(btf, id));
	uint64_t total = 1;

	while (type.kind == BTF_ARRAY) {
		uint32_t count, element = btf_array(&type, &count);

		if (__builtin_mul_overflow(total, count, &total))
			return UINT64_MAX;
		type = btf_type(btf, btf_strip(btf, element));
	}
	if (type.kind == BTF_PTR)
		type.size = PTR_SIZE;
	else if (!has_size(type.kind) || type.kind == BTF_DATASEC)
		return UINT64_MAX;
	return __builtin_mul_overflow(total, type.size, &total) ? UINT64_MAX : total;
}

struct btf_member btf_member(const struct btf *btf, const struct btf_type *type,
			     uint32_t index)
{
	const unsigned char *at = type->extra + (size_t)index * MEMBER_BYTES;
	uint32_t off = u32(at + 8);
	struct btf_member member = { .name = btf->strings + u32(at),
				     .type = u32(at + 4),
				     .bit_off = off };
	struct btf_type plain;
	struct btf_int integer;

	if (type->flag) {
		member.bit_off = off & 0xffffff;
		member.bits = off >> 24;
		return member;
	}
	/* Before Linux 5.0 a bitfield was an INT narrower than its bytes. */
	plain = btf_type(btf, btf_strip(btf, member.type));
	if (plain.kind != BTF_INT)
		return member;
	integer = btf_int(&plain);
	if (integer.bits != plain.size * 8 || integer.bit_off) {
		member.bit_off += integer.bit_off;
		member.bits = integer.bits;
	}
	return member;
}

bool btf_enum_signed(const struct btf *btf, const struct btf_type *type)
{
	uint64_t value;

	if (type->flag || type->kind == BTF_ENUM64 || btf->signs_enums)
		return type->flag;
	/* pahole before 1.24 did not tell: what looks negative then is. */
	for (uint32_t i = 0; i < type->vlen; i++) {
		value = get_le(type->extra + (size_t)i * 8 + 4, 4);
		if (value >> 31)
			return true;
	}
	return false;
}

const char *btf_enum_value(const struct btf *btf, const struct btf_type *type,
			   uint32_t index, uint64_t *value)
{
	bool wide = type->kind == BTF_ENUM64;
	const unsigned char *at = type->extra + (size_t)index * (wide ? 12 : 8);

	*value = get_le(at + 4, wide ? 8 : 4);
	if (!wide && btf_enum_signed(btf, type))
		*value = (uint64_t)(int64_t)(int32_t)*value;
	return btf->strings + u32(at);
}

/* Where types and strings stand, from a header whose lengths fit in len. */
struct sections {
	uint32_t types_off, types_len, strings_off, strings_len;
	size_t total;
};

static bool read_header(const unsigned char *at, size_t len, struct sections *s)
{
	uint32_t header_len;
	uint64_t types_end, strings_end;

	if (len < HEADER_BYTES || memcmp(at, BTF_MAGIC_BYTES, 3) != 0)
		return false;
	header_len = u32(at + 4);
	if (header_len < HEADER_BYTES || header_len > 4096 || header_len > len)
		return false;
	s->types_off = u32(at + 8);
	s->types_len = u32(at + 12);
	s->strings_off = u32(at + 16);
	s->strings_len = u32(at + 20);
	types_end = (uint64_t)header_len + s->types_off + s->types_len;
	strings_end = (uint64_t)header_len + s->strings_off + s->strings_len;
	if (types_end > len || strings_end > len || types_end > BTF_BYTES_MAX ||
	    strings_end > BTF_BYTES_MAX)
		return false;
	s->total = types_end > strings_end ? types_end : strings_end;
	s->types_off += header_len;
	s->strings_off += header_len;
	return s->types_len >= TYPE_BYTES && s->strings_len > 1 && s->types_off % 4 == 0;
}

size_t btf_measure(const void *data, size_t len)
{
	struct sections sections;

	return read_header(data, len, &sections) ? sections.total : 0;
}

static int check_strings(const struct btf *btf, struct err *err)
{
	if (btf->strings_len > BTF_STRINGS_MAX || btf->strings[0] != '\0' ||
	    btf->strings[btf->strings_len - 1] != '\0')
		return err_set(err, ERR_FAILED, "the names have no end");
	for (uint32_t i = 0; i < btf->strings_len; i++) {
		char c = btf->strings[i];

		if (c && (c < ' ' || c > '~'))
			return err_set(err, ERR_FAILED, "a name is not text, at byte %u",
				       i);
	}
	return 0;
}

/* Finds where each type begins and how many there are. With offs NULL it only counts. */
static int index_types(struct btf *btf, uint32_t *offs, struct err *err)
{
	uint32_t at = 0, id = 1;

	for (; btf->types_len - at >= TYPE_BYTES; id++) {
		uint32_t info = u32(btf->types + at + 4);
		unsigned kind = info >> 24 & 0x1f;
		uint32_t len;

		if (kind == 0 || kind > BTF_ENUM64)
			return err_set(err, ERR_FAILED, "type %u is of unknown kind %u",
				       id, kind);
		len = TYPE_BYTES + extras[kind].fixed +
		      (uint32_t)extras[kind].each * (info & 0xffff);
		if (len > btf->types_len - at)
			return err_set(err, ERR_FAILED, "type %u is cut off", id);
		if (id > BTF_TYPES_MAX)
			return err_set(err, ERR_FAILED, "more than %u types",
				       BTF_TYPES_MAX);
		if (offs)
			offs[id] = at;
		at += len;
	}
	if (at != btf->types_len)
		return err_set(err, ERR_FAILED, "%u bytes behind the last type",
			       btf->types_len - at);
	btf->count = id;
	return 0;
}

static bool name_ok(const struct btf *btf, uint32_t off)
{
	return off < btf->strings_len;
}

/* The references and names of one type, all against their bounds. */
static bool references_ok(const struct btf *btf, const struct btf_type *type)
{
	const unsigned char *at = type->extra;

	if (!has_size(type->kind) && type->kind != BTF_ARRAY && type->kind != BTF_FWD &&
	    type->target >= btf->count)
		return false;
	if (type->kind == BTF_ARRAY)
		return u32(at) < btf->count && u32(at + 4) < btf->count;
	for (uint32_t i = 0; i < type->vlen; i++, at += extras[type->kind].each) {
		switch (type->kind) {
		case BTF_STRUCT:
		case BTF_UNION:
		case BTF_FUNC_PROTO:
			if (!name_ok(btf, u32(at)) || u32(at + 4) >= btf->count)
				return false;
			break;
		case BTF_ENUM:
		case BTF_ENUM64:
			if (!name_ok(btf, u32(at)))
				return false;
			break;
		case BTF_DATASEC:
			if (u32(at) >= btf->count)
				return false;
			break;
		default:
			return true;
		}
	}
	return true;
}

static bool int_ok(const struct btf_type *type)
{
	struct btf_int integer = btf_int(type);

	return type->size >= 1 && type->size <= 16 &&
	       (type->size & (type->size - 1)) == 0 && integer.bits >= 1 &&
	       integer.bits + integer.bit_off <= type->size * 8;
}

static bool enum_ok(const struct btf_type *type)
{
	return type->size >= 1 && type->size <= 8 && (type->size & (type->size - 1)) == 0;
}

/* Does the chain of pointers, arrays, typedefs and qualifiers from id on end? */
static bool chain_ends(const struct btf *btf, uint32_t id)
{
	for (int i = 0; i < BTF_CHAIN_MAX; i++) {
		struct btf_type type = btf_type(btf, id);
		uint32_t count;

		if (type.kind == BTF_ARRAY)
			id = btf_array(&type, &count);
		else if (type.kind == BTF_PTR || is_modifier(type.kind))
			id = type.target;
		else
			return true;
	}
	return false;
}

/* Every member stands inside its structure. */
static bool members_ok(const struct btf *btf, const struct btf_type *type)
{
	uint64_t size_bits = (uint64_t)type->size * 8;

	for (uint32_t i = 0; i < type->vlen; i++) {
		struct btf_member member = btf_member(btf, type, i);
		uint64_t size = size_of(btf, member.type);
		uint64_t bits = member.bits ? member.bits : size * 8;

		if (size > type->size && !member.bits)
			return false;
		if (size > 16 && member.bits)
			return false;
		if (member.bit_off > size_bits || bits > size_bits - member.bit_off ||
		    (!member.bits && member.bit_off % 8))
			return false;
		if (member.bits && member.bits > size * 8)
			return false;
	}
	return true;
}

static int check_types(struct btf *btf, struct err *err)
{
	for (uint32_t id = 1; id < btf->count; id++) {
		struct btf_type type;

		if (!name_ok(btf, u32(btf->types + btf->offs[id])))
			return err_set(err, ERR_FAILED,
				       "the name of type %u is not there", id);
		type = btf_type(btf, id);
		if (!references_ok(btf, &type))
			return err_set(err, ERR_FAILED,
				       "type %u refers to what is not there", id);
		if ((type.kind == BTF_INT && !int_ok(&type)) ||
		    ((type.kind == BTF_ENUM || type.kind == BTF_ENUM64) &&
		     !enum_ok(&type)))
			return err_set(err, ERR_FAILED, "type %u has an impossible size",
				       id);
		if (type.kind == BTF_ENUM && type.flag)
			btf->signs_enums = true;
	}
	/* References are good from here on, but they may go round in a circle. */
	for (uint32_t id = 1; id < btf->count; id++)
		if (!chain_ends(btf, id))
			return err_set(err, ERR_FAILED, "type %u refers to itself", id);
	for (uint32_t id = 1; id < btf->count; id++) {
		struct btf_type type = btf_type(btf, id);

		if ((type.kind == BTF_STRUCT || type.kind == BTF_UNION) &&
		    !members_ok(btf, &type))
			return err_set(err, ERR_FAILED,
				       "a member of type %u does not fit in it", id);
	}
	return 0;
}

int btf_open(struct btf *btf, const void *data, size_t len, struct err *err)
{
	const unsigned char *bytes = data;
	struct sections s;

	*btf = (struct btf){ 0 };
	if (len >= 2 && bytes[0] == 0xeb && bytes[1] == 0x9f)
		return err_set(err, ERR_FAILED, "BTF of a big-endian machine");
	if (!read_header(bytes, len, &s))
		return err_set(err, ERR_FAILED, "%s",
			       len >= 3 && memcmp(bytes, BTF_MAGIC_BYTES, 3) == 0
				       ? "BTF whose lengths do not fit"
				       : "not BTF");
	btf->types = bytes + s.types_off;
	btf->types_len = s.types_len;
	btf->strings = (const char *)bytes + s.strings_off;
	btf->strings_len = s.strings_len;
	if (check_strings(btf, err) < 0 || index_types(btf, NULL, err) < 0)
		return err_prefix(err, "BTF");
	btf->offs = malloc(btf->count * sizeof(btf->offs[0]));
	if (!btf->offs)
		return err_sys(err, ENOMEM, "%u types", btf->count);
	btf->offs[0] = 0;
	if (index_types(btf, btf->offs, err) < 0 || check_types(btf, err) < 0) {
		btf_close(btf);
		return err_prefix(err, "BTF");
	}
	return 0;
}

void btf_close(struct btf *btf)
{
	free(btf->offs);
	btf->offs = NULL;
}
