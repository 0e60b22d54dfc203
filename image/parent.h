/*
 * The image that a new one follows: the release before it. What has not changed keeps its
 * blocks, its inode and the identity of the file system, so that a snapshot made upon the
 * parent's snapshot has few blocks to send. Nothing of it is believed before all of it
 * was verified.
 */
#ifndef FVOL_IMAGE_PARENT_H
#define FVOL_IMAGE_PARENT_H

#include "image/ext4.h"
#include "image/tree.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

struct parent_node {
	char *path;
	struct ext4_stat st;
	uint32_t ino;
	uint8_t digest[SHA256_LEN]; /* of a file that the MANIFEST names */
};

struct parent {
	struct ext4_volume *volume;
	struct ext4_facts facts;
	struct parent_node *nodes; /* ascending by path; "" is the root */
	size_t count;
	size_t room;
};

/*
 * Verifies and reads the image at path. ERR_NO when it is not as it was built: evidence
 * or anything unnamed stands in it, or it was not unmounted. *parent is to be closed in
 * any case.
 */
int parent_open(const char *path, struct parent *parent, struct err *err);
void parent_close(struct parent *parent);

/* The node of a path, or NULL. */
const struct parent_node *parent_find(const struct parent *parent, const char *path);

/* Adds everything but what each build makes anew to a tree (tree_inherit()). */
int parent_inherit(const struct parent *parent, struct tree *tree, struct err *err);

/* The blocks of a node, in order; the caller frees the runs. ERR_NO when it has holes. */
int parent_map(const struct parent *parent, const struct parent_node *node,
	       struct ext4_map *map, struct err *err);

#endif
