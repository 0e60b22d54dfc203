#include "toolkit/lib/isf_types.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WANTED 1
#define NAME_TAKEN 2

static bool is_composite(enum btf_kind kind)
{
	return kind == BTF_STRUCT || kind == BTF_UNION;
}

static bool is_defined(enum btf_kind kind)
{
	return is_composite(kind) || kind == BTF_ENUM || kind == BTF_ENUM64;
}

static uint32_t hash(const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return h ^ h >> 15;
}

static const char *plain_name(const struct isf_types *types, uint32_t id)
{
	if (types->named_by[id])
		id = types->named_by[id];
	return btf_type(types->btf, id).name;
}

/* Where the name stands in the table, or the free place where it would. */
static uint32_t place(const struct isf_types *types, const char *name)
{
	uint32_t at = hash(name) & types->mask;

	while (types->table[at] && strcmp(plain_name(types, types->table[at]), name) != 0)
		at = (at + 1) & types->mask;
	return at;
}

/* Gives id its name, unless another type has it. */
static void take_name(struct isf_types *types, uint32_t id)
{
	uint32_t at = place(types, plain_name(types, id));

	if (types->table[at])
		types->flags[id] |= NAME_TAKEN;
	else
		types->table[at] = id;
}

static void name_all(struct isf_types *types)
{
	const struct btf *btf = types->btf;

	for (uint32_t id = 1; id < btf->count; id++) {
		struct btf_type type = btf_type(btf, id);

		if ((is_defined(type.kind) || type.kind == BTF_INT ||
		     type.kind == BTF_FLOAT) &&
		    type.name[0])
			take_name(types, id);
	}
	for (uint32_t id = 1; id < btf->count; id++) {
		struct btf_type type = btf_type(btf, id), target;

		if (type.kind != BTF_TYPEDEF || !type.name[0])
			continue;
		target = btf_type(btf, type.target);
		if (is_defined(target.kind) && !target.name[0] &&
		    !types->named_by[type.target]) {
			types->named_by[type.target] = id;
			take_name(types, type.target);
		}
	}
	/* Other typedefs only so that they are found: they have no entry in the file. */
	for (uint32_t id = 1; id < btf->count; id++)
		if (btf_type(btf, id).kind == BTF_TYPEDEF)
			take_name(types, id);
}

int isf_types_open(struct isf_types *types, const struct btf *btf, struct err *err)
{
	uint32_t slots = 1024;

	while (slots < btf->count * 2)
		slots *= 2;
	*types = (struct isf_types){ .btf = btf, .mask = slots - 1 };
	types->named_by = calloc(btf->count, sizeof(types->named_by[0]));
	types->flags = calloc(btf->count, sizeof(types->flags[0]));
	types->table = calloc(slots, sizeof(types->table[0]));
	types->todo = calloc(btf->count, sizeof(types->todo[0]));
	if (!types->named_by || !types->flags || !types->table || !types->todo) {
		isf_types_close(types);
		return err_sys(err, ENOMEM, "the names of %u types", btf->count);
	}
	name_all(types);
	return 0;
}

void isf_types_close(struct isf_types *types)
{
	free(types->named_by);
	free(types->flags);
	free(types->table);
	free(types->todo);
	*types = (struct isf_types){ 0 };
}

uint32_t isf_types_find(const struct isf_types *types, const char *name)
{
	return types->table[place(types, name)];
}

/* The definition that a declaration (FWD) stands for, or 0. */
static uint32_t defined_by(const struct isf_types *types, uint32_t fwd)
{
	struct btf_type type = btf_type(types->btf, fwd);
	uint32_t id = isf_types_find(types, type.name);

	if (id && type.name[0] &&
	    btf_type(types->btf, id).kind == (type.flag ? BTF_UNION : BTF_STRUCT))
		return id;
	return 0;
}

bool isf_types_wanted(const struct isf_types *types, uint32_t id)
{
	return types->flags[id] & WANTED;
}

/* Each type is put on the list at most once: it has a place for each. */
static void want_one(struct isf_types *types, uint32_t id, uint32_t *count)
{
	if (id == 0 || types->flags[id] & WANTED)
		return;
	types->flags[id] |= WANTED;
	types->todo[(*count)++] = id;
}

void isf_types_want(struct isf_types *types, uint32_t first)
{
	const struct btf *btf = types->btf;
	uint32_t count = 0, elements;

	want_one(types, first, &count);
	while (count) {
		uint32_t id = types->todo[--count];
		struct btf_type type = btf_type(btf, id);

		if (is_composite(type.kind))
			for (uint32_t i = 0; i < type.vlen; i++)
				want_one(types, btf_member(btf, &type, i).type, &count);
		else if (type.kind == BTF_ARRAY)
			want_one(types, btf_array(&type, &elements), &count);
		else if (type.kind == BTF_FWD)
			want_one(types, defined_by(types, id), &count);
		else if (type.kind != BTF_FUNC && type.kind != BTF_FUNC_PROTO)
			want_one(types, type.target, &count);
	}
}

void isf_types_name(const struct isf_types *types, uint32_t id, char name[ISF_NAME_SIZE])
{
	const char *plain = plain_name(types, id);

	if (!plain[0] || strlen(plain) > ISF_NAME_SIZE - 16)
		snprintf(name, ISF_NAME_SIZE, "unnamed_%u", id);
	else if (types->flags[id] & NAME_TAKEN)
		snprintf(name, ISF_NAME_SIZE, "%s___%u", plain, id);
	else
		strcpy(name, plain);
}
