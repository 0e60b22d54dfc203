/* What the files of the program symbols share. */
#ifndef FVOL_SYMBOLS_H
#define FVOL_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/symbolfile.h"

struct options {
	/* One of them. */
	const char *package, *vmlinux, *bundle, *dump, *check;
	/* Instead of what the kernel has itself. */
	const char *system_map, *types_module;
	const char *format; /* of dump; NULL: told by its first bytes */
	const char *output;
	bool all, plain, json;
};

/* What parts point into. Zeroed it may be freed. */
struct loaded {
	struct symbolfile_parts parts;
	struct vmlinux kernel;
	char *files[5];
	size_t files_count;
};

/* Reads the source that opt names. loaded_free() is due in both cases. */
int load_source(const struct options *opt, struct loaded *loaded, struct err *err);
void loaded_free(struct loaded *loaded);

/* Reads a whole file, which belongs to loaded then. Returns NULL on failure. */
char *load_file(struct loaded *loaded, int dirfd, const char *path, size_t max_bytes,
		size_t *len, struct err *err);

/* Takes parts out of a memory image alone. */
int load_dump(const char *image, const char *format, struct loaded *loaded,
	      struct err *err);

/*
 * The DWARF of a module as BTF, by the program pahole of this machine. The bytes belong
 * to loaded.
 */
int load_types_module(const char *module, struct loaded *loaded, struct err *err);

/*
 * Holds a symbol file (.json or .json.xz) against the rules of ISF 6.2.0 and what
 * Volatility needs. Returns 0; -1 with ERR_NO and the first rule that it breaks; or
 * another error when it cannot be read.
 */
struct check_report {
	size_t base_types, user_types, enums, symbols;
	char banner[VMLINUX_BANNER_MAX];
};
int check_file(const char *path, struct check_report *report, struct err *err);

#endif
