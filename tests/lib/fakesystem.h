/* Trees that stand in for /proc, /sys and /, for what triage reads of them. */
#ifndef FVOL_TESTS_FAKESYSTEM_H
#define FVOL_TESTS_FAKESYSTEM_H

#include <stddef.h>

#include "toolkit/triage/triage.h"

extern struct triage fake;
extern struct options fake_options;
extern struct err fake_err;

/* A fresh system: proc, sys and root are empty directories, nothing was recorded. */
void fake_begin(void);
/* Removes all of it. */
void fake_end(void);
/* Writes a file below dirfd; directories on the way are made. */
void fake_file(int dirfd, const char *path, const void *bytes, size_t len_bytes);
void fake_text(int dirfd, const char *path, const char *text);

#endif
