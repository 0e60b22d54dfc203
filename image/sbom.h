/*
 * /SBOM.spdx.json: what the volume is made of, as SPDX 2.3 in JSON: our tools, the
 * libraries that are linked into them, where modules and certificates come from, and
 * every file with its SHA-256 and SHA-1 but the SBOM itself, the MANIFEST and its
 * signature. The same contents give the same bytes.
 *
 * It is made from two lists. SOURCES is deps/sources.list: lines
 *	NAME VERSION FILE SHA256 LICENCE USED-BY ORIGIN...
 * PARTS says what of it is where on the volume:
 *	tool NAME LIBRARY...       a program of ours, with what is linked into it
 *	package NAME VERSION FILE SHA256 LICENCE ORIGIN
 *	contains NAME GLOB...      files of that package, "*" never matching a slash
 *	source-of NAME GLOB...     files that were made from that package
 * Globs are matched against paths without their first slash.
 */
#ifndef FVOL_IMAGE_SBOM_H
#define FVOL_IMAGE_SBOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/ext4.h"
#include "image/tree.h"
#include "toolkit/lib/err.h"

enum sbom_field {
	SBOM_NAME,
	SBOM_VERSION,
	SBOM_LICENCE,
	SBOM_FILE,	/* of the source archive, as is SBOM_SHA256 */
	SBOM_SHA256,	/* 64 hex digits */
	SBOM_ORIGIN,	/* an address */
	SBOM_LINKS,	/* names, separated by blanks */
	SBOM_CONTAINS,	/* globs, likewise */
	SBOM_SOURCE_OF, /* likewise */
	SBOM_FIELDS
};

struct sbom_package {
	char *text[SBOM_FIELDS]; /* "" where there is none */
	bool tool;		 /* of ours */
};

struct sbom {
	struct sbom_package *packages;
	size_t count;
};

/* Has something been loaded? */
bool sbom_wanted(const struct sbom *sbom);

/* Reads the two lists below rootfd. *sbom is to be freed in any case. */
int sbom_load(struct sbom *sbom, int rootfd, const char *sources, const char *parts,
	      struct err *err);

/* The same from the SBOM of an image, whose bytes are already known to be ours. */
int sbom_load_old(struct sbom *sbom, struct ext4_volume *volume, struct err *err);

/*
 * The document for a settled tree whose digests are set; it has the same length when they
 * are not. The caller frees it. NULL on failure.
 */
char *sbom_write(const struct sbom *sbom, const struct tree *tree, int64_t epoch,
		 size_t *len_bytes, struct err *err);

void sbom_free(struct sbom *sbom);

#endif
