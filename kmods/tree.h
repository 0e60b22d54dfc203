/*
 * Writing names that came out of a package below one directory and nowhere else: each
 * component is opened by itself and never through a symbolic link.
 */
#ifndef FVOL_KMODS_TREE_H
#define FVOL_KMODS_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "toolkit/lib/err.h"

#define TREE_PATH_SIZE 1024 /* with the NUL */
#define TREE_DEPTH_MAX 48

/*
 * Writes raw without "./" and repeated slashes to path; "" stands for the directory
 * itself. An absolute name, "..", control bytes, and names that are too long or too deep
 * are ERR_FAILED with a reason that does not repeat the name. Returns 0 or -1.
 */
int tree_normal(const char *raw, char path[TREE_PATH_SIZE], struct err *err);

/*
 * Opens the directory that holds the last component of a normal path and copies that
 * component to name. Missing directories are made (0755) when make is set. Returns a
 * descriptor which the caller closes, or -1.
 */
int tree_parent(int rootfd, const char *path, bool make, char name[NAME_MAX + 1],
		struct err *err);

/* Makes a directory and those above it; one that is there already is fine. */
int tree_mkdir(int rootfd, const char *path, struct err *err);

/*
 * Makes a directory (with those above it) where the caller names it, through whatever
 * links the machine has, and opens it. Returns the descriptor or -1.
 */
int tree_open(const char *path, struct err *err);

/*
 * Opens a directory as tree_open does, writes its name without links to resolved, and
 * keeps other builds out of it until the descriptor is closed. Returns the descriptor or
 * -1.
 */
int tree_open_scratch(const char *path, char resolved[PATH_MAX], struct err *err);

/* Makes an empty directory in the place of whatever has that name. Returns it open, or
 * -1.
 */
int tree_new_dir(int dirfd, const char *name, struct err *err);

/*
 * Is the name one below which kernels can be built? make and their makefiles split words
 * at most other characters. Says which it has, or returns 0.
 */
int tree_buildable(const char *path, struct err *err);

/* Removes name below dirfd, a directory with all that is in it; absent is fine. */
int tree_remove(int dirfd, const char *name, struct err *err);

#endif
