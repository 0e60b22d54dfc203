/*
 * The source of a module, LiME's or our own (kmods/types), held in memory: what was
 * hashed is what is compiled.
 */
#ifndef FVOL_KMODS_LIME_H
#define FVOL_KMODS_LIME_H

#include <stddef.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define LIME_FILES_MAX 64

struct lime_file {
	char name[64];
	char *data;
	size_t len_bytes;
};

struct lime {
	char version[32];
	struct lime_file files[LIME_FILES_MAX]; /* sorted by name */
	size_t count;
	char kbuild[2048]; /* our makefile for it */
	/*
	 * The content digest: SHA-256 over the lines "HEX  NAME\n" that sha256sum prints
	 * for *.c and *.h, sorted as bytes. Equal for every packaging of the same source.
	 */
	char sha256[SHA256_HEX_SIZE];
};

/*
 * Reads *.c and *.h of a directory, which become one module NAME.ko. lime_free()
 * afterwards, also on failure.
 */
int lime_read(const char *dir, const char *name, const char *version, struct lime *lime,
	      struct err *err);
void lime_free(struct lime *lime);

/* Writes the source and the makefile into a new, empty directory. */
int lime_write(const struct lime *lime, int dirfd, struct err *err);

#endif
