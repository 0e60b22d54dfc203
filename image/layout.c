#include "image/layout.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/manifest.h"

#define LOST_FOUND "lost+found"

/* Of an EBS snapshot, in blocks: what is sent when one byte of it has changed. */
#define SNAPSHOT_BLOCK (512 * 1024 / EXT4_BLOCK)

/* Room behind the texts, so that with some modules more they are still in one place. */
#define ROOM_BLOCKS 32

struct numbering {
	bool *used; /* inodes from EXT4_LOST_FOUND on */
	size_t count;
	size_t next;
};

static uint32_t next_free(struct numbering *numbering)
{
	while (numbering->used[numbering->next])
		numbering->next++;
	numbering->used[numbering->next] = true;
	return EXT4_LOST_FOUND + (uint32_t)numbering->next;
}

/* What had a number keeps it. */
static void keep_number(struct numbering *numbering, struct tree_node *node,
			const struct parent *parent)
{
	const struct parent_node *old = parent ? parent_find(parent, node->path) : NULL;
	size_t at = old ? old->ino - EXT4_LOST_FOUND : 0;

	if (!old || old->ino < EXT4_LOST_FOUND || at >= numbering->count ||
	    numbering->used[at])
		return;
	numbering->used[at] = true;
	node->ino = old->ino;
}

int layout_number(struct tree *tree, const struct parent *parent, struct err *err)
{
	struct numbering numbering = { .count = tree->count };
	struct tree_node *signature = tree_find(tree, MANIFEST_SIGNATURE);

	if (parent && parent->facts.inodes > numbering.count)
		numbering.count = parent->facts.inodes;
	numbering.used = calloc(numbering.count + tree->count, sizeof(bool));
	if (!numbering.used)
		return err_set(err, ERR_FAILED, "out of memory");
	tree->nodes[0].ino = EXT4_ROOT;
	tree_find(tree, LOST_FOUND)->ino = EXT4_LOST_FOUND;
	numbering.used[0] = true;
	for (size_t i = 1; i < tree->count; i++)
		if (!tree->nodes[i].ino)
			keep_number(&numbering, &tree->nodes[i], parent);
	for (size_t i = 1; i < tree->count; i++)
		if (!tree->nodes[i].ino && &tree->nodes[i] != signature)
			tree->nodes[i].ino = next_free(&numbering);
	/* The signature has the last one, so that it changes no other. */
	if (signature && !signature->ino)
		signature->ino = next_free(&numbering);
	free(numbering.used);
	return 0;
}

/* What differs in every release: of the build, and the catalogue of modules. */
static bool is_text(const struct tree_node *node)
{
	static const char catalogue[] = "kmods/catalogue.json";

	return manifest_made(node->path) ||
	       strncmp(node->path, catalogue, sizeof(catalogue) - 1) == 0;
}

static uint64_t blocks_of(const struct tree_node *node)
{
	return node->size_bytes / EXT4_BLOCK + (node->size_bytes % EXT4_BLOCK != 0);
}

/*
 * May the node stay where the parent has it? Files of the same bytes, and directories and
 * texts of as many blocks, which are written over.
 */
static bool may_stay(const struct tree_node *node, const struct parent_node *old)
{
	uint64_t old_blocks =
		old->st.size_bytes / EXT4_BLOCK + (old->st.size_bytes % EXT4_BLOCK != 0);

	if (node->dir != S_ISDIR(old->st.mode) || old_blocks != blocks_of(node))
		return false;
	return node->dir || is_text(node) ||
	       (old->st.size_bytes == node->size_bytes &&
		memcmp(old->digest, node->digest, SHA256_LEN) == 0);
}

static int stay(struct tree *tree, const struct parent *parent, struct ext4_new *ext4,
		uint64_t *end, struct err *err)
{
	for (size_t i = 0; i < tree->count; i++) {
		struct tree_node *node = &tree->nodes[i];
		const struct parent_node *old = parent_find(parent, node->path);
		struct ext4_map map;

		if (!old || !node->size_bytes)
			continue;
		if (parent_map(parent, old, &map, err) < 0)
			return -1;
		if (!node->dir && !is_text(node) && map.count)
			for (size_t j = 0; j < map.count; j++)
				if (map.runs[j].block + map.runs[j].blocks > *end)
					*end = map.runs[j].block + map.runs[j].blocks;
		if (may_stay(node, old) && ext4_take(ext4, &map))
			node->map = map;
		else
			free(map.runs);
	}
	return 0;
}

static int place(struct tree *tree,
		 bool (*wanted)(const struct tree *tree, const struct tree_node *node),
		 struct ext4_new *ext4, uint64_t *from, struct err *err)
{
	for (size_t i = 0; i < tree->count; i++) {
		struct tree_node *node = &tree->nodes[i];

		if (!node->map.count && node->size_bytes && wanted(tree, node) &&
		    ext4_reserve(ext4, from, node->size_bytes, &node->map, err) < 0)
			return err_prefix(err, "/%s", node->path);
	}
	return 0;
}

static bool is_signature(const struct tree_node *node)
{
	return strcmp(node->path, MANIFEST_SIGNATURE) == 0;
}

/* Directories that hold others: a new kernel is a name in one of them. */
static bool wants_upper(const struct tree *tree, const struct tree_node *node)
{
	for (size_t i = node->dir ? node->first_child : TREE_NONE; i != TREE_NONE;
	     i = tree->nodes[i].next_sibling)
		if (tree->nodes[i].dir)
			return true;
	return false;
}

static bool wants_text(const struct tree *tree, const struct tree_node *node)
{
	(void)tree;
	return !node->dir && is_text(node) && !is_signature(node);
}

static bool wants_signature(const struct tree *tree, const struct tree_node *node)
{
	(void)tree;
	return is_signature(node);
}

static bool wants_dir(const struct tree *tree, const struct tree_node *node)
{
	(void)tree;
	return node->dir;
}

static bool wants_data(const struct tree *tree, const struct tree_node *node)
{
	(void)tree;
	return !node->dir && !is_text(node);
}

static uint64_t round_up(uint64_t block)
{
	return (block + SNAPSHOT_BLOCK - 1) / SNAPSHOT_BLOCK * SNAPSHOT_BLOCK;
}

/* Where new data begins behind a parent's: in its last block of a snapshot or after it,
 * whichever touches fewer. */
static uint64_t behind(const struct tree *tree, uint64_t end)
{
	uint64_t need = 0;

	for (size_t i = 0; i < tree->count; i++)
		if (wants_data(tree, &tree->nodes[i]) && !tree->nodes[i].map.count)
			need += blocks_of(&tree->nodes[i]);
	return round_up(end % SNAPSHOT_BLOCK + need) > round_up(need) ? round_up(end)
								      : end;
}

/* Where the front begins: with the root, which is its first directory. */
static int find_front(struct ext4_new *ext4, const struct parent *parent, uint64_t *front,
		      struct err *err)
{
	struct ext4_map root;

	if (parent) {
		if (parent_map(parent, parent_find(parent, ""), &root, err) < 0)
			return -1;
		*front = root.count ? root.runs[0].block : 0;
		free(root.runs);
		return 0;
	}
	if (ext4_first_free(ext4, front, err) < 0)
		return -1;
	/* In one block of a snapshot, if the image is not so small that each one counts.
	 */
	if (ext4_free_blocks(ext4) > 8 * SNAPSHOT_BLOCK)
		*front = round_up(*front);
	return 0;
}

int layout_place(struct tree *tree, const struct parent *parent, struct ext4_new *ext4,
		 struct err *err)
{
	uint64_t front, data = 0;

	if (parent && stay(tree, parent, ext4, &data, err) < 0)
		return -1;
	if (find_front(ext4, parent, &front, err) < 0 ||
	    place(tree, wants_upper, ext4, &front, err) < 0 ||
	    place(tree, wants_text, ext4, &front, err) < 0)
		return -1;
	if (parent) {
		if (place(tree, wants_signature, ext4, &front, err) < 0 ||
		    place(tree, wants_dir, ext4, &front, err) < 0)
			return -1;
		data = behind(tree, data);
		return place(tree, wants_data, ext4, &data, err);
	}
	/* With a block for the signature, whether there is one or not. */
	data = front + 1 + ROOM_BLOCKS;
	if (place(tree, wants_signature, ext4, &front, err) < 0 ||
	    place(tree, wants_dir, ext4, &data, err) < 0)
		return -1;
	return place(tree, wants_data, ext4, &data, err);
}
