/*
 * kernels.list: which kernels modules are built for, and where their packages are. Lines
 * of words, '#' begins a comment:
 *   source NAME deb  LOCATION SUITE... [component=C] [OPTION...]
 *   source NAME rpm  LOCATION [OPTION...]
 *   source NAME dir  DIRECTORY
 *   source NAME tree DIRECTORY
 *   kernel SOURCE FLAVOUR ARCH all | newest N | oldest N | RELEASE
 * Options: key=FILE, unsigned, expired, series=PREFIX, kbuild=SOURCE.
 */
#ifndef FVOL_KMODS_LIST_H
#define FVOL_KMODS_LIST_H

#include <stddef.h>

#include "kmods/repo.h"
#include "toolkit/lib/err.h"

#define LIST_LINES_MAX 1024

enum selector { SELECT_ALL, SELECT_NEWEST, SELECT_OLDEST, SELECT_RELEASE };

/* A "kernel" line. */
struct wanted {
	const struct source *source;
	const struct arch *arch;
	char flavour[64]; /* "*": any */
	enum selector selector;
	unsigned count;
	char release[MODULE_RELEASE_SIZE];
	unsigned line;
};

struct list {
	struct source *sources;
	size_t source_count;
	struct wanted *wanted;
	size_t wanted_count;
};

/* Reads and checks a list. list_free() afterwards, also on failure. Returns 0 or -1. */
int list_read(const char *path, struct list *list, struct err *err);
void list_free(struct list *list);

/* Returns NULL when it has no such source. */
const struct source *list_source(const struct list *list, const char *name);

#endif
