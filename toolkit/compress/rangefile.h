/* Ranges of memory that the user names, for images that do not tell theirs. */
#ifndef FVOL_COMPRESS_RANGEFILE_H
#define FVOL_COMPRESS_RANGEFILE_H

#include "toolkit/lib/err.h"
#include "toolkit/lib/ranges.h"

/*
 * Reads a copy of /proc/iomem, or JSON with an array of {"start","end"} in hexadecimal:
 * "range_list" of `compress --info --json`, or "expected" of record.json. Ascending, not
 * empty. Returns 0 or -1.
 */
int rangefile_read(const char *path, struct ranges *ranges, struct err *err);

#endif
