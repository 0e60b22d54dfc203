/* The names in a directory, sorted, so that what is made of them is the same every time.
 */
#ifndef FVOL_DIRLIST_H
#define FVOL_DIRLIST_H

#include <stddef.h>

#include "toolkit/lib/err.h"

struct dirlist {
	char **names; /* by their bytes; without "." and ".." */
	size_t count;
};

/*
 * Reads the directory from its beginning; dirfd stays the caller's. On success the caller
 * frees by dirlist_free(); on failure *list is empty.
 */
int dirlist_read(int dirfd, struct dirlist *list, struct err *err);

/* Frees the names and empties the list. */
void dirlist_free(struct dirlist *list);

#endif
