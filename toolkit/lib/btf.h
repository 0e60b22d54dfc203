/*
 * Reads the types of a kernel out of its BTF (Documentation/bpf/btf.rst of Linux), which
 * may come from a hostile host. btf_open() checks every length, reference, name and size
 * once; afterwards nothing can fail. A type costs four bytes of index, no more. Only
 * BTF that stands alone: a module's, which is split from its kernel's, is refused.
 */
#ifndef FVOL_BTF_H
#define FVOL_BTF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

#define BTF_MAGIC_BYTES "\x9f\xeb\x01"
/* BTF_MAX_TYPE and BTF_MAX_NAME_OFFSET of include/uapi/linux/btf.h. */
#define BTF_TYPES_MAX 0xfffffu
#define BTF_STRINGS_MAX 0xffffffu
#define BTF_BYTES_MAX (64u << 20)
/* Pointers, arrays, typedefs and qualifiers one inside the other. */
#define BTF_CHAIN_MAX 64

enum btf_kind {
	BTF_VOID,
	BTF_INT,
	BTF_PTR,
	BTF_ARRAY,
	BTF_STRUCT,
	BTF_UNION,
	BTF_ENUM,
	BTF_FWD,
	BTF_TYPEDEF,
	BTF_VOLATILE,
	BTF_CONST,
	BTF_RESTRICT,
	BTF_FUNC,
	BTF_FUNC_PROTO,
	BTF_VAR,
	BTF_DATASEC,
	BTF_FLOAT,
	BTF_DECL_TAG,
	BTF_TYPE_TAG,
	BTF_ENUM64,
};

/* Of an INT's encoding. */
#define BTF_INT_SIGNED 1
#define BTF_INT_CHAR 2
#define BTF_INT_BOOL 4

struct btf {
	const unsigned char *types; /* borrowed, as all of it */
	const char *strings;
	uint32_t *offs;	    /* in types, by id; ids are 1 to count - 1, 0 is void */
	uint32_t count;	    /* of ids, with 0 */
	uint32_t types_len; /* bytes */
	uint32_t strings_len;
	bool signs_enums; /* some enum says that it is signed: pahole was new enough */
};

/* One type; name is "" for none. */
struct btf_type {
	enum btf_kind kind;
	bool flag;	 /* kind_flag */
	uint32_t vlen;	 /* members, values, parameters */
	uint32_t size;	 /* bytes; of INT, STRUCT, UNION, ENUM, ENUM64, FLOAT, DATASEC */
	uint32_t target; /* the id referred to; the others */
	const char *name;
	const unsigned char *extra;
};

struct btf_member {
	const char *name; /* "": anonymous */
	uint32_t type;
	uint32_t bit_off; /* from the beginning of the structure */
	uint32_t bits;	  /* width of a bitfield; 0: it is none */
};

struct btf_int {
	unsigned encoding; /* BTF_INT_ */
	unsigned bits, bit_off;
};

/*
 * Checks len bytes of BTF, which stay the caller's and must stay as they are. Returns 0,
 * and btf_close() is due; or -1 (ERR_FAILED, with the type's number) and it is not.
 */
int btf_open(struct btf *btf, const void *data, size_t len, struct err *err);
void btf_close(struct btf *btf);

/*
 * How many bytes the BTF that begins at data has, from its header alone, or 0 when len
 * bytes do not hold one.
 */
size_t btf_measure(const void *data, size_t len);

/* The type of an id below count. */
struct btf_type btf_type(const struct btf *btf, uint32_t id);

/* index < vlen, of a STRUCT or UNION. */
struct btf_member btf_member(const struct btf *btf, const struct btf_type *type,
			     uint32_t index);

/* A value of an ENUM or ENUM64. Read as signed when *is_signed is set. */
const char *btf_enum_value(const struct btf *btf, const struct btf_type *type,
			   uint32_t index, uint64_t *value);
bool btf_enum_signed(const struct btf *btf, const struct btf_type *type);

struct btf_int btf_int(const struct btf_type *type);

/* Of an ARRAY. */
uint32_t btf_array(const struct btf_type *type, uint32_t *count);

/* The id behind typedefs, qualifiers and type tags. */
uint32_t btf_strip(const struct btf *btf, uint32_t id);

#endif
