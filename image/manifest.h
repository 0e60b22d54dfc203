/*
 * MANIFEST: the SHA-256 of every file on the volume, in the format of sha256sum, sorted
 * by path, so that "cd VOLUME && sha256sum -c MANIFEST" agrees. It names neither itself
 * nor its signature.
 */
#ifndef FVOL_IMAGE_MANIFEST_H
#define FVOL_IMAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/tree.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define MANIFEST_NAME "MANIFEST"
#define MANIFEST_SIGNATURE "MANIFEST.sig"
#define MANIFEST_SBOM "SBOM.spdx.json"
#define MANIFEST_MAX (16 * 1024 * 1024) /* bytes; some 100,000 files */

/* The names in the root that are not in MANIFEST. */
bool manifest_omits(const char *path);

/* Is it a file that each build makes anew? */
bool manifest_made(const char *path);

/* The text for a settled tree, or only its length when text is NULL. Returns bytes. */
size_t manifest_write(const struct tree *tree, char *text);

struct manifest_line {
	char *path;
	uint8_t digest[SHA256_LEN];
	/* For the verifier: */
	bool seen;
	uint32_t ino;
	uint64_t size_bytes;
	char *fault; /* freed by manifest_free() */
};

struct manifest {
	struct manifest_line *lines; /* ascending by path */
	size_t count;
};

/*
 * Reads text, which may be hostile: paths must be good ones (path.h), ascending and
 * unique. Returns -1 with ERR_NO and the line's number; then *manifest is empty.
 */
int manifest_parse(const char *text, size_t len_bytes, struct manifest *manifest,
		   struct err *err);
void manifest_free(struct manifest *manifest);

/* Returns the line of path or NULL. */
struct manifest_line *manifest_find(const struct manifest *manifest, const char *path);

#endif
