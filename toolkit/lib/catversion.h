/*
 * The number of a catalogue of modules, which only grows, and the least one that a
 * release accepts: whoever puts an older, validly signed catalogue back onto a volume is
 * told so. Read without a JSON library, by the program that proves the mounted volume.
 */
#ifndef FVOL_CATVERSION_H
#define FVOL_CATVERSION_H

#include <stdbool.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

/* Both of the volume. */
#define CATVERSION_CATALOGUE "kmods/catalogue.json"
#define CATVERSION_FILE "etc/catalogue.version"

/* A number as the options take it: digits alone, 1 to 2^53. False for anything else. */
bool catversion_parse(const char *text, uint64_t *version);

/*
 * Reads the number out of a catalogue's first bytes: the program kmods writes it, after
 * the format, in front of everything else. text ends with a NUL. ERR_FAILED when it does
 * not stand there.
 */
int catversion_of_catalogue(const char *text, uint64_t *version, struct err *err);

/*
 * Reads kmods/catalogue.version: lines "version N" and "least N", each once, and
 * comments ('#'). least may not exceed version. text ends with a NUL.
 */
int catversion_of_file(const char *text, uint64_t *version, uint64_t *least,
		       struct err *err);

#endif
