/*
 * The plan: a text file that says what stands where on the volume.
 *
 *	# comment
 *	dir  MODE DEST           an empty directory, or the mode of one that is not empty
 *	file MODE DEST SOURCE    one file
 *	tree DEST SOURCE         every regular file below SOURCE, mode 0644
 *	label FVOL               the label; mount and capture look for this one
 *	size SIZE                of the file system: bytes, or with suffix K, M, G, T
 *	uuid content             the UUID comes from the MANIFEST (this is the default)
 *	uuid UUID                or is this one
 *	sbom SOURCES PARTS       make SBOM.spdx.json from these two lists (sbom.h)
 *
 * MODE is four octal digits. DEST begins with '/', the root of the volume. SOURCE is
 * relative to the source root. Words are separated by blanks and hold none themselves.
 * Directories that no line names are made with mode 0755. The last four kinds of line
 *stand at most once.
 */
#ifndef FVOL_IMAGE_PLAN_H
#define FVOL_IMAGE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

enum plan_kind { PLAN_DIR, PLAN_FILE, PLAN_TREE };

struct plan_settings {
	uint64_t size_bytes; /* 0: not said */
	bool has_uuid;	     /* else the UUID comes from the MANIFEST, or a parent */
	uint8_t uuid[16];
	char *sbom_sources; /* both NULL: no SBOM is asked for */
	char *sbom_parts;
};

struct plan_line {
	enum plan_kind kind;
	uint32_t mode; /* permission bits */
	char *dest;    /* without the leading '/'; "" is the root (tree only) */
	char *source;  /* NULL for PLAN_DIR */
	unsigned line; /* counted from 1 */
};

struct plan {
	struct plan_line *lines;
	size_t count;
	struct plan_settings settings;
};

/*
 * Reads a plan of len bytes, no NUL needed. Returns 0, or -1 with the number of the bad
 * line in err; then *plan is empty. The caller frees it with plan_free().
 */
int plan_parse(const char *text, size_t len_bytes, struct plan *plan, struct err *err);
void plan_free(struct plan *plan);

/*
 * Reads a size: a decimal number of bytes, or with suffix K, M, G or T; a multiple of
 * 4096 and not 0. Returns NULL, or what is wrong with it as a phrase.
 */
const char *plan_size(const char *text, size_t len, uint64_t *size_bytes);

/* Decimal digits only: strtoull() would take signs and blanks. */
bool plan_number(const char *text, size_t len, uint64_t *value);

#endif
