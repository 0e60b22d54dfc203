#include "image/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/ext4.h"
#include "image/manifest.h"
#include "image/output.h"
#include "image/plan.h"
#include "image/tree.h"
#include "image/verify.h"
#include "toolkit/lib/io.h"

#define PLAN_MAX (1024 * 1024)
#define COPY_BUFFER (1024 * 1024)

/* As mke2fs makes it: blocks that e2fsck need not allocate on a damaged volume. */
#define LOST_FOUND "lost+found"
#define LOST_FOUND_BLOCKS 4

/* Without dir_nlink's count of 1, which readers of directories have to guess from. */
#define SUBDIRS_MAX 64000

struct build {
	const struct build_request *request;
	struct build_result *result;
	struct tree tree;
	struct output out;
	struct ext4_new *ext4;
	struct ext4_map *maps; /* one for each node of the tree */
	char *manifest;
	size_t manifest_len;
	unsigned char *buffer;
};

/* The directory of trusted keys is a line that the plan does not have. */
static int add_keys(const struct build *build, char *text, size_t *len, struct err *err)
{
	const char *keys = build->request->keys;
	int n;

	if (!keys)
		return 0;
	if (!*keys || keys[strcspn(keys, " \t\n#")])
		return err_set(err, ERR_USAGE,
			       "the directory of keys needs a name without blanks");
	n = snprintf(text + *len, PLAN_MAX - *len, "\ntree /keys %s\n", keys);
	if (n < 0 || (size_t)n >= PLAN_MAX - *len)
		return err_set(err, ERR_FAILED, "the plan is too long");
	*len += (size_t)n;
	return 0;
}

static int load_tree(struct build *build, struct err *err)
{
	struct plan plan = { 0 };
	char *text = malloc(PLAN_MAX);
	size_t len = 0;
	int rootfd = -1;
	int rc = -1;

	if (!text) {
		err_set(err, ERR_FAILED, "out of memory");
		goto out;
	}
	if (io_read_text(AT_FDCWD, build->request->plan, text, PLAN_MAX, &len, err) < 0)
		goto out;
	rootfd = open(build->request->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rootfd < 0) {
		err_sys(err, errno, "opening %s", build->request->root);
		goto out;
	}
	if (add_keys(build, text, &len, err) < 0 ||
	    plan_parse(text, len, &plan, err) < 0 ||
	    tree_collect(&build->tree, &plan, rootfd, err) < 0 ||
	    tree_add(&build->tree, MANIFEST_NAME, false, 0644, err) < 0 ||
	    (build->request->signer &&
	     tree_add(&build->tree, MANIFEST_SIGNATURE, false, 0644, err) < 0) ||
	    tree_add(&build->tree, LOST_FOUND, true, 0700, err) < 0 ||
	    tree_settle(&build->tree, err) < 0) {
		err_prefix(err, "%s", build->request->plan);
		goto out;
	}
	rc = 0;
out:
	plan_free(&plan);
	io_close(&rootfd);
	free(text);
	return rc;
}

static bool is_manifest(const struct tree_node *node)
{
	return strcmp(node->path, MANIFEST_NAME) == 0;
}

static bool is_lost_found(const struct tree_node *node)
{
	return strcmp(node->path, LOST_FOUND) == 0;
}

static bool is_signature(const struct tree_node *node)
{
	return strcmp(node->path, MANIFEST_SIGNATURE) == 0;
}

/* Inode numbers follow the order of the paths: node 1 is 12, or 11 is lost+found. The
 * signature has the last one, so that it changes no other. */
static uint32_t inode_of(const struct tree *tree, size_t index)
{
	bool behind = false;

	if (index == 0)
		return EXT4_ROOT;
	if (is_lost_found(&tree->nodes[index]))
		return EXT4_LOST_FOUND;
	if (is_signature(&tree->nodes[index]))
		return EXT4_LOST_FOUND + (uint32_t)tree->count - 1;
	for (size_t i = 1; i < index && !behind; i++)
		behind = is_signature(&tree->nodes[i]);
	return EXT4_LOST_FOUND + (uint32_t)index - behind;
}

/* All names of a directory; the caller frees them. Returns NULL when memory ran out. */
static struct dirblock_name *names_of(const struct tree *tree, size_t index,
				      size_t *count, uint32_t *subdirs)
{
	const struct tree_node *dir = &tree->nodes[index];
	struct dirblock_name *names;
	size_t total = 2;

	for (size_t i = dir->first_child; i != TREE_NONE; i = tree->nodes[i].next_sibling)
		total++;
	names = calloc(total, sizeof(*names));
	if (!names)
		return NULL;
	names[0] = (struct dirblock_name){ ".", inode_of(tree, index), true };
	names[1] = (struct dirblock_name){ "..", inode_of(tree, dir->parent), true };
	*count = 2;
	*subdirs = 0;
	for (size_t i = dir->first_child; i != TREE_NONE;
	     i = tree->nodes[i].next_sibling) {
		const struct tree_node *child = &tree->nodes[i];

		names[(*count)++] =
			(struct dirblock_name){ tree_name(child), inode_of(tree, i),
						child->dir };
		*subdirs += child->dir;
	}
	return names;
}

/* Sets size_bytes of every directory and of the MANIFEST; checks that all will fit. */
static int measure(struct build *build, struct err *err)
{
	uint64_t free_blocks = ext4_free_blocks(build->ext4);
	uint64_t blocks = 0;

	build->manifest_len = manifest_write(&build->tree, NULL);
	if (build->manifest_len > MANIFEST_MAX)
		return err_set(err, ERR_FAILED, "the MANIFEST would be too long");
	for (size_t i = 0; i < build->tree.count; i++) {
		struct tree_node *node = &build->tree.nodes[i];

		if (node->dir) {
			size_t count, done = 0;
			uint32_t subdirs;
			struct dirblock_name *names =
				names_of(&build->tree, i, &count, &subdirs);

			if (!names)
				return err_set(err, ERR_FAILED, "out of memory");
			for (node->size_bytes = 0; done < count;
			     node->size_bytes += EXT4_BLOCK)
				done += dirblock_pack(NULL, names + done, count - done);
			free(names);
			if (subdirs > SUBDIRS_MAX)
				return err_set(err, ERR_FAILED,
					       "/%s holds more than %d directories",
					       node->path, SUBDIRS_MAX);
		}
		if (is_lost_found(node))
			node->size_bytes = LOST_FOUND_BLOCKS * EXT4_BLOCK;
		if (is_manifest(node))
			node->size_bytes = build->manifest_len;
		if (is_signature(node))
			node->size_bytes = SIGNATURE_MAX;
		blocks += node->size_bytes / EXT4_BLOCK +
			  (node->size_bytes % EXT4_BLOCK != 0);
	}
	if (blocks > free_blocks)
		return err_set(
			err, ERR_FAILED,
			"the image is too small: the plan needs %llu MiB, an image of "
			"%llu MiB has room for %llu",
			(unsigned long long)(blocks * EXT4_BLOCK >> 20) + 1,
			(unsigned long long)build->request->size_bytes >> 20,
			(unsigned long long)(free_blocks * EXT4_BLOCK >> 20));
	return 0;
}

/* Writes len bytes at offset off of a file whose blocks are map. */
static int put_data(struct build *build, const struct ext4_map *map, uint64_t off,
		    const void *data, size_t len, struct err *err)
{
	uint64_t start = 0;
	size_t done = 0;

	for (size_t i = 0; i < map->count && done < len; i++) {
		uint64_t size = (uint64_t)map->runs[i].blocks * EXT4_BLOCK;
		uint64_t inner = off + done - start;

		if (off + done < start + size) {
			uint64_t room = size - inner;
			size_t n = len - done < room ? len - done : (size_t)room;

			if (io_pwrite(build->out.fd, (const char *)data + done, n,
				      map->runs[i].block * EXT4_BLOCK + inner) < 0)
				return err_sys(err, errno, "writing %s",
					       build->out.partial);
			done += n;
		}
		start += size;
	}
	return done == len ? 0 : err_set(err, ERR_FAILED, "data beyond its blocks");
}

static int copy_source(struct build *build, int fd, struct tree_node *node,
		       const struct ext4_map *map, struct err *err)
{
	struct sha256 sha;
	uint64_t off = 0;

	sha256_init(&sha);
	for (;;) {
		ssize_t n = io_pread(fd, build->buffer, COPY_BUFFER, off);

		if (n < 0)
			return err_sys(err, errno, "reading");
		if (off + (uint64_t)n > node->size_bytes ||
		    (n == 0 && off < node->size_bytes))
			return err_set(err, ERR_FAILED,
				       "its size changed during the build");
		sha256_update(&sha, build->buffer, (size_t)n);
		if (put_data(build, map, off, build->buffer, (size_t)n, err) < 0)
			return -1;
		off += (uint64_t)n;
		if (n < COPY_BUFFER)
			break;
	}
	if (off != node->size_bytes)
		return err_set(err, ERR_FAILED, "its size changed during the build");
	sha256_final(&sha, node->digest);
	build->result->files++;
	build->result->data_bytes += off;
	return 0;
}

static int copy_files(struct build *build, struct err *err)
{
	int rootfd = open(build->request->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = -1;

	if (rootfd < 0)
		return err_sys(err, errno, "opening %s", build->request->root);
	for (size_t i = 0; i < build->tree.count; i++) {
		struct tree_node *node = &build->tree.nodes[i];
		int fd;

		if (!node->source)
			continue;
		if (ext4_reserve(build->ext4, node->size_bytes, &build->maps[i], err) < 0)
			goto out;
		fd = openat(rootfd, node->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0) {
			err_sys(err, errno, "%s", node->source);
			goto out;
		}
		rc = copy_source(build, fd, node, &build->maps[i], err);
		close(fd);
		if (rc < 0) {
			err_prefix(err, "%s", node->source);
			goto out;
		}
		rc = -1;
	}
	rc = 0;
out:
	close(rootfd);
	return rc;
}

/* Directories stand first and together: a mount and a look around read few blocks. */
static int reserve_dirs(struct build *build, struct err *err)
{
	for (size_t i = 0; i < build->tree.count; i++)
		if (build->tree.nodes[i].dir &&
		    ext4_reserve(build->ext4, build->tree.nodes[i].size_bytes,
				 &build->maps[i], err) < 0)
			return -1;
	return 0;
}

static int make_manifest(struct build *build, struct err *err)
{
	build->manifest = malloc(build->manifest_len + 1);
	if (!build->manifest)
		return err_set(err, ERR_FAILED, "out of memory");
	manifest_write(&build->tree, build->manifest);
	sha256(build->manifest, build->manifest_len, build->result->manifest_sha256);
	for (size_t i = 0; i < build->tree.count; i++)
		if (is_manifest(&build->tree.nodes[i]))
			return ext4_reserve(build->ext4, build->manifest_len,
					    &build->maps[i], err) < 0
				       ? -1
				       : put_data(build, &build->maps[i], 0,
						  build->manifest, build->manifest_len,
						  err);
	return err_set(err, ERR_FAILED, "the tree has no MANIFEST");
}

static int add_signature(struct build *build, struct err *err)
{
	uint8_t der[SIGNATURE_MAX];
	size_t len, i = 0;

	if (!build->request->signer)
		return 0;
	if (signer_sign(build->request->signer, build->result->manifest_sha256, der, &len,
			build->result->key_id, err) < 0)
		return err_prefix(err, "signing the MANIFEST");
	build->result->is_signed = true;
	while (!is_signature(&build->tree.nodes[i]))
		i++;
	build->tree.nodes[i].size_bytes = len;
	if (ext4_reserve(build->ext4, len, &build->maps[i], err) < 0)
		return -1;
	return put_data(build, &build->maps[i], 0, der, len, err);
}

static int put_dir(struct build *build, size_t index, struct err *err)
{
	const struct tree_node *node = &build->tree.nodes[index];
	const struct ext4_map *map = &build->maps[index];
	unsigned char block[DIRBLOCK_SIZE] __attribute__((aligned(8)));
	struct ext4_inode inode = { inode_of(&build->tree, index), true, node->mode, 0,
				    node->size_bytes };
	size_t count, done = 0;
	uint32_t subdirs;
	struct dirblock_name *names = names_of(&build->tree, index, &count, &subdirs);
	int rc = -1;

	if (!names)
		return err_set(err, ERR_FAILED, "out of memory");
	inode.links = 2 + subdirs;
	/* The checksum of a block is read from its inode's generation: inode first. */
	if (ext4_put_inode(build->ext4, &inode, map, err) < 0)
		goto out;
	for (size_t i = 0; i < map->count; i++)
		for (uint32_t j = 0; j < map->runs[i].blocks; j++) {
			done += dirblock_pack(block, names + done, count - done);
			if (ext4_put_dirblock(build->ext4, inode.ino,
					      map->runs[i].block + j, block, err) < 0)
				goto out;
		}
	rc = done == count ? 0 : err_set(err, ERR_FAILED, "names beyond their blocks");
out:
	free(names);
	return rc;
}

static int put_nodes(struct build *build, struct err *err)
{
	for (size_t i = 0; i < build->tree.count; i++) {
		const struct tree_node *node = &build->tree.nodes[i];
		struct ext4_inode inode = { inode_of(&build->tree, i), false, node->mode,
					    1, node->size_bytes };
		int rc = node->dir ? put_dir(build, i, err)
				   : ext4_put_inode(build->ext4, &inode, &build->maps[i],
						    err);

		if (rc < 0)
			return err_prefix(err, "/%s", node->path);
	}
	return 0;
}

static int write_image(struct build *build, struct err *err)
{
	const struct ext4_shape shape = {
		.size_bytes = build->request->size_bytes,
		.epoch = build->request->epoch,
		.inodes = EXT4_LOST_FOUND + (uint32_t)build->tree.count,
	};
	struct ext4_new *ext4;

	build->buffer = malloc(COPY_BUFFER);
	build->maps = calloc(build->tree.count, sizeof(*build->maps));
	if (!build->buffer || !build->maps)
		return err_set(err, ERR_FAILED, "out of memory");
	build->ext4 = ext4_create(build->out.partial, &shape, err);
	if (!build->ext4)
		return -1;
	if (measure(build, err) < 0 || reserve_dirs(build, err) < 0 ||
	    copy_files(build, err) < 0 || make_manifest(build, err) < 0 ||
	    add_signature(build, err) < 0)
		return -1;
	ext4_seal(build->ext4, build->result->manifest_sha256);
	if (put_nodes(build, err) < 0)
		return -1;
	ext4 = build->ext4;
	build->ext4 = NULL;
	return ext4_finish(ext4, err);
}

static int check_image(struct build *build, struct err *err)
{
	struct verify_result verified;
	size_t named = 0;

	for (size_t i = 0; i < build->tree.count; i++)
		named += !build->tree.nodes[i].dir &&
			 !manifest_omits(build->tree.nodes[i].path);
	if (verify_volume(build->out.partial, build->result->manifest_sha256, NULL,
			  &verified, err) < 0) {
		/* What we have just written is wrong: not an answer, a failure. */
		err->kind = ERR_FAILED;
		return err_prefix(err, "verifying what was written");
	}
	if (verified.files != named || verified.needs_recovery)
		return err_set(err, ERR_FAILED,
			       "verifying what was written: not all is there");
	return 0;
}

int build_image(const struct build_request *request, struct build_result *result,
		struct err *err)
{
	struct build build = { .request = request, .result = result, .out = OUTPUT_NONE };
	int rc = -1;

	*result = (struct build_result){ 0 };
	if (load_tree(&build, err) < 0)
		goto out;
	if (output_open(&build.out, request->out, request->size_bytes, err) < 0)
		goto out;
	if (write_image(&build, err) < 0 || check_image(&build, err) < 0)
		goto out;
	if (request->manifest_out && output_text(request->manifest_out, build.manifest,
						 build.manifest_len, err) < 0)
		goto out;
	rc = output_finish(&build.out, err);
out:
	ext4_abandon(build.ext4);
	output_abandon(&build.out);
	for (size_t i = 0; build.maps && i < build.tree.count; i++)
		free(build.maps[i].runs);
	free(build.maps);
	free(build.manifest);
	free(build.buffer);
	tree_free(&build.tree);
	return rc;
}
