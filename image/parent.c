#include "image/parent.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/manifest.h"
#include "image/verify.h"
#include "image/walk.h"

struct reading {
	struct parent *parent;
	struct manifest manifest;
};

static int keep(void *arg, const struct walk_entry *entry, struct err *err)
{
	struct reading *reading = arg;
	struct parent *parent = reading->parent;
	const struct manifest_line *line = manifest_find(&reading->manifest, entry->path);
	struct parent_node *node;

	if (entry->fault)
		return err_set(err, ERR_NO, "/%s %s", entry->path, entry->fault);
	if (!line && !S_ISDIR(entry->st.mode) && !manifest_omits(entry->path))
		return err_set(err, ERR_NO, "/%s is not of the image as it was built",
			       entry->path);
	if (parent->count == parent->room) {
		size_t room = parent->room ? 2 * parent->room : 256;

		node = reallocarray(parent->nodes, room, sizeof(*node));
		if (!node)
			return err_set(err, ERR_FAILED, "out of memory");
		parent->nodes = node;
		parent->room = room;
	}
	node = &parent->nodes[parent->count];
	*node = (struct parent_node){ .path = strdup(entry->path),
				      .st = entry->st,
				      .ino = entry->ino };
	if (!node->path)
		return err_set(err, ERR_FAILED, "out of memory");
	if (line)
		memcpy(node->digest, line->digest, SHA256_LEN);
	parent->count++;
	return WALK_ON;
}

static int keep_root(struct reading *reading, struct err *err)
{
	struct walk_entry root = { .path = "", .name = "", .ino = EXT4_ROOT };

	if (ext4_stat(reading->parent->volume, EXT4_ROOT, &root.st, err) < 0)
		return -1;
	return keep(reading, &root, err);
}

static int by_path(const void *left, const void *right)
{
	return strcmp(((const struct parent_node *)left)->path,
		      ((const struct parent_node *)right)->path);
}

static int read_all(struct parent *parent, const uint8_t manifest_sha256[SHA256_LEN],
		    struct err *err)
{
	struct reading reading = { .parent = parent };
	int rc = -1;

	if (verify_manifest(parent->volume, manifest_sha256, NULL, &reading.manifest,
			    err) == 0)
		rc = keep_root(&reading, err) < 0
			     ? -1
			     : walk(parent->volume, EXT4_ROOT, "", keep, &reading, err);
	manifest_free(&reading.manifest);
	if (rc == 0)
		qsort(parent->nodes, parent->count, sizeof(*parent->nodes), by_path);
	return rc;
}

int parent_open(const char *path, struct parent *parent, struct err *err)
{
	struct verify_request request = { .path = path };
	struct verify_result result;

	*parent = (struct parent){ 0 };
	if (verify_volume(&request, &result, err) < 0)
		return -1;
	if (result.needs_recovery)
		return err_set(err, ERR_NO, "%s: was not unmounted", path);
	parent->volume = ext4_open(path, err);
	if (!parent->volume)
		return err_prefix(err, "%s", path);
	ext4_facts(parent->volume, &parent->facts);
	if (read_all(parent, result.manifest_sha256, err) < 0)
		return err_prefix(err, "%s", path);
	return 0;
}

void parent_close(struct parent *parent)
{
	for (size_t i = 0; i < parent->count; i++)
		free(parent->nodes[i].path);
	free(parent->nodes);
	ext4_close(parent->volume);
	*parent = (struct parent){ 0 };
}

const struct parent_node *parent_find(const struct parent *parent, const char *path)
{
	const struct parent_node key = { .path = (char *)path };

	if (parent->count == 0)
		return NULL;
	return bsearch(&key, parent->nodes, parent->count, sizeof(key), by_path);
}

int parent_inherit(const struct parent *parent, struct tree *tree, struct err *err)
{
	for (size_t i = 0; i < parent->count; i++) {
		const struct parent_node *node = &parent->nodes[i];
		bool dir = S_ISDIR(node->st.mode);

		if (!*node->path || manifest_made(node->path) ||
		    strcmp(node->path, "lost+found") == 0)
			continue;
		if (tree_inherit(tree, node->path, &node->st, dir ? 0 : node->ino,
				 node->digest, err) < 0)
			return -1;
	}
	return 0;
}

struct mapping {
	struct ext4_map *map;
	uint64_t next;
	uint64_t blocks; /* of the file's size */
};

static int add_span(void *arg, const struct ext4_span *span, struct err *err)
{
	struct mapping *mapping = arg;
	struct ext4_run *grown;

	if (span->file_block != mapping->next ||
	    span->blocks > mapping->blocks - mapping->next)
		return err_set(err, ERR_NO, "its blocks are not those of its size");
	grown = reallocarray(mapping->map->runs, mapping->map->count + 1, sizeof(*grown));
	if (!grown)
		return err_set(err, ERR_FAILED, "out of memory");
	mapping->map->runs = grown;
	grown[mapping->map->count++] =
		(struct ext4_run){ span->block, (uint32_t)span->blocks };
	mapping->next += span->blocks;
	return 0;
}

int parent_map(const struct parent *parent, const struct parent_node *node,
	       struct ext4_map *map, struct err *err)
{
	struct mapping mapping = { .map = map };
	struct ext4_stat st;

	*map = (struct ext4_map){ 0 };
	mapping.blocks = node->st.size_bytes / EXT4_BLOCK +
			 (node->st.size_bytes % EXT4_BLOCK != 0);
	if (ext4_spans(parent->volume, node->ino, &st, add_span, &mapping, err) == 0) {
		if (mapping.next == mapping.blocks)
			return 0;
		err_set(err, ERR_NO, "it has holes");
	}
	free(map->runs);
	*map = (struct ext4_map){ 0 };
	return err_prefix(err, "/%s", node->path);
}
