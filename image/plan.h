/*
 * The plan: a text file that says what stands where on the volume.
 *
 *	# comment
 *	dir  MODE DEST           an empty directory, or the mode of one that is not empty
 *	file MODE DEST SOURCE    one file
 *	tree DEST SOURCE         every regular file below SOURCE, mode 0644
 *
 * MODE is four octal digits. DEST begins with '/', the root of the volume. SOURCE is
 * relative to the source root. Words are separated by blanks and hold none themselves.
 * Directories that no line names are made with mode 0755.
 */
#ifndef FVOL_IMAGE_PLAN_H
#define FVOL_IMAGE_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

enum plan_kind { PLAN_DIR, PLAN_FILE, PLAN_TREE };

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
};

/*
 * Reads a plan of len bytes, no NUL needed. Returns 0, or -1 with the number of the bad
 * line in err; then *plan is empty. The caller frees it with plan_free().
 */
int plan_parse(const char *text, size_t len_bytes, struct plan *plan, struct err *err);
void plan_free(struct plan *plan);

#endif
