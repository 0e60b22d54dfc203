/*
 * Files and directories of a volume that may be hostile: reading one, and walking all.
 */
#ifndef FVOL_IMAGE_WALK_H
#define FVOL_IMAGE_WALK_H

#include <stddef.h>
#include <stdint.h>

#include "image/ext4.h"
#include "toolkit/lib/err.h"

#define WALK_BUFFER (1024 * 1024) /* bytes read at once */

/*
 * Hands the data of a regular file to fn in ascending order of offset, in pieces of at
 * most WALK_BUFFER bytes, cut at the file's size. Holes and unwritten parts are not
 * handed out. Stops when fn returns less than 0.
 */
int walk_read(struct ext4_volume *volume, uint32_t ino,
	      int (*fn)(void *arg, uint64_t off, const void *data, size_t len,
			struct err *err),
	      void *arg, struct err *err);

struct walk_entry {
	const char *path; /* from the root, no leading '/' */
	const char *name; /* its last name */
	size_t depth;	  /* 0: directly in the directory that was asked for */
	uint32_t ino;
	struct ext4_stat st; /* zero when fault is set */
	/*
	 * Not NULL: why the entry must not be used ("has a name with a slash", "is a
	 * directory inside itself", an inode that cannot be read). Such an entry is not
	 * walked into; path may hold any byte then.
	 */
	const char *fault;
};

/* What fn answers. */
#define WALK_ON 0
#define WALK_SKIP 1 /* do not go into this directory */

/*
 * Calls fn for everything below the directory ino, whose own path is `path`, a parent
 * before what it holds. A directory that cannot be read is reported through fn again,
 * with fault set. Stops when fn returns less than 0, or on a failure of the system.
 */
int walk(struct ext4_volume *volume, uint32_t ino, const char *path,
	 int (*fn)(void *arg, const struct walk_entry *entry, struct err *err), void *arg,
	 struct err *err);

/* Finds a path; a leading '/' is accepted, "" and "/" are the root. */
int walk_find(struct ext4_volume *volume, const char *path, uint32_t *ino,
	      struct ext4_stat *st, struct err *err);

#endif
