/*
 * What the types of a kernel are called in a symbol file, and which of them are wanted. C
 * has names for structures, unions, enumerations and typedefs apart, may have one name
 * many times (in other source files), and may leave it out; a symbol file has one list.
 */
#ifndef FVOL_ISF_TYPES_H
#define FVOL_ISF_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "toolkit/lib/btf.h"
#include "toolkit/lib/err.h"

#define ISF_NAME_SIZE 320

struct isf_types {
	const struct btf *btf; /* borrowed */
	uint32_t *named_by;    /* by id: the typedef that names what has no name, or 0 */
	unsigned char *flags;  /* by id */
	uint32_t *table;       /* ids by name, hashed; 0: free */
	uint32_t mask;
	uint32_t *todo; /* of isf_types_want(): ids */
};

/* Names all types; none is wanted. isf_types_close() is due after 0 only. */
int isf_types_open(struct isf_types *types, const struct btf *btf, struct err *err);
void isf_types_close(struct isf_types *types);

/*
 * The structure, union, enumeration, typedef or number of that name, or 0. Of many the
 * first, which is the one that has the name to itself.
 */
uint32_t isf_types_find(const struct isf_types *types, const char *name);

/* Wants a type and all that it reaches, also through pointers. */
void isf_types_want(struct isf_types *types, uint32_t id);
bool isf_types_wanted(const struct isf_types *types, uint32_t id);

/*
 * Writes what the structure, union, enumeration or number is called: its name or that of
 * its typedef; NAME___ID when another one has it; unnamed_ID when it has none. What is
 * longer than the buffer takes ID alone.
 */
void isf_types_name(const struct isf_types *types, uint32_t id, char name[ISF_NAME_SIZE]);

#endif
