/*
 * Everything that will stand on the volume, sorted by path: a plan whose trees were
 * walked and whose missing parents were added. The order comes from the paths alone, so
 * that neither the order of the plan nor that of a directory shows in the image.
 */
#ifndef FVOL_IMAGE_TREE_H
#define FVOL_IMAGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/ext4.h"
#include "image/plan.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/sha1.h"
#include "toolkit/lib/sha256.h"

#define TREE_NONE SIZE_MAX

struct tree_node {
	char *path;   /* below the root, no leading '/'; "" is the root */
	char *source; /* below the source root; NULL: a directory or made by the build */
	bool dir;
	bool implied;	  /* a parent that no line of the plan names */
	bool inherited;	  /* of the image that is followed; a line of the plan replaces it
			   */
	uint32_t old_ino; /* a file of that image whose bytes are taken over, or 0 */
	uint32_t mode;	  /* permission bits */
	unsigned line;	  /* of the plan, 0 when it has none */
	uint64_t size_bytes;
	uint8_t digest[SHA256_LEN]; /* set by the build when the file is copied */
	uint8_t sha1[SHA1_LEN];	    /* likewise, where there is an SBOM */
	bool read_back;		    /* likewise: what was written is on the disk */
	uint32_t ino;		    /* set by the build (layout.h), as is map */
	struct ext4_map map;
	size_t first_child;  /* of a directory: an index into nodes, or TREE_NONE */
	size_t next_sibling; /* in order of path, or TREE_NONE */
	size_t parent;	     /* the root is its own parent */
};

struct tree {
	struct tree_node *nodes; /* nodes[0] is the root; a parent before its children */
	size_t count;
	size_t room;
};

/* Adds a node that no plan names. path is copied. Only before tree_settle(). */
int tree_add(struct tree *tree, const char *path, bool dir, uint32_t mode,
	     struct err *err);

/* The same for a node of the image that is followed: old_ino is 0 for a directory. */
int tree_inherit(struct tree *tree, const char *path, const struct ext4_stat *st,
		 uint32_t old_ino, const uint8_t digest[SHA256_LEN], struct err *err);

/*
 * Adds what the plan names; sources are looked up below rootfd and must be regular
 * files. A tree in which anything else stands is an error, not something left out.
 */
int tree_collect(struct tree *tree, const struct plan *plan, int rootfd, struct err *err);

/*
 * Adds missing parents, sorts, links parents and children. A path that two lines name
 * and a file that is also a directory are errors with the numbers of the lines. What is
 * inherited gives way to a line that names the same.
 */
int tree_settle(struct tree *tree, struct err *err);

void tree_free(struct tree *tree);

/* The node of a path, or NULL. Only after tree_settle(). */
struct tree_node *tree_find(const struct tree *tree, const char *path);

/* The last name of a path. */
const char *tree_name(const struct tree_node *node);

#endif
