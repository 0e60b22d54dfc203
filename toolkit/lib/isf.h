/*
 * Writes a symbol file for Volatility 3 (ISF 6.2.0, schema-6.2.0.json): the structures of
 * one kernel, where its symbols stand and which type they have, and its banner, by which
 * the file is found. JSON, made as it is written: nothing of it is kept in memory.
 */
#ifndef FVOL_ISF_H
#define FVOL_ISF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/btf.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/symtab.h"

struct isf_input {
	const struct btf *btf;
	const struct symtab *symbols; /* sorted, unshifted */
	const char *banner;	      /* as /proc/version has it, with its newline */
	size_t banner_len;
	bool all; /* every type and symbol, not just what analysis is known to use */
};

#define ISF_MISSING_MAX 32

struct isf_result {
	uint64_t base_types, user_types, enums, symbols; /* entries written */
	uint64_t json_bytes;
	/* Symbols that plugins of Volatility cannot work without; static texts. */
	const char *missing[ISF_MISSING_MAX];
	size_t missing_count;
};

/* Where the text goes, piece by piece. Returns 0, or -1 with err set. */
typedef int (*isf_put)(void *context, const void *data, size_t len, struct err *err);

/*
 * Writes the whole document. ERR_FAILED, naming it, when a type is not there without
 * which Volatility does not load the file. Symbols that are not there are in
 * result->missing, and no error. Returns 0 or -1.
 */
int isf_write(const struct isf_input *input, isf_put put, void *context,
	      struct isf_result *result, struct err *err);

/* A symbol whose type BTF does not tell, and that type: "*[4]name" for a pointer to an
 * array of four. */
struct isf_known {
	const char *symbol, *type;
};

extern const struct isf_known isf_known[]; /* ordered by symbol */
extern const size_t isf_known_count;
extern const char *const isf_required_types[]; /* ended by NULL, as the next ones */
extern const char *const isf_used_types[];

/* Without one of a group a part of Volatility has nothing to begin with. */
struct isf_need {
	const char *any[4];
};
extern const struct isf_need isf_needs[]; /* ended by an empty one */

/* Is the symbol one that the compiler or linker made for itself? */
bool isf_is_noise(const char *symbol);

#endif
