#include "image/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/copy.h"
#include "image/ext4.h"
#include "image/layout.h"
#include "image/manifest.h"
#include "image/output.h"
#include "image/parent.h"
#include "image/plan.h"
#include "image/sbom.h"
#include "image/tree.h"
#include "image/verify.h"
#include "toolkit/lib/io.h"

#define PLAN_MAX (1024 * 1024)

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
	struct parent parent; /* all zero: there is none */
	struct plan_settings settings;
	struct sbom sbom; /* empty: none is made */
	uint64_t size_bytes;
	int64_t epoch;
	char *manifest;
	size_t manifest_len;
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

static const struct parent *parent_of(const struct build *build)
{
	return build->parent.volume ? &build->parent : NULL;
}

static int fill_tree(struct build *build, const struct plan *plan, int rootfd,
		     struct err *err)
{
	struct tree *tree = &build->tree;

	if (tree_collect(tree, plan, rootfd, err) < 0 ||
	    (build->request->add && parent_inherit(&build->parent, tree, err) < 0) ||
	    tree_add(tree, MANIFEST_NAME, false, 0644, err) < 0 ||
	    (build->request->signer &&
	     tree_add(tree, MANIFEST_SIGNATURE, false, 0644, err) < 0) ||
	    (sbom_wanted(&build->sbom) &&
	     tree_add(tree, MANIFEST_SBOM, false, 0644, err) < 0) ||
	    tree_add(tree, LOST_FOUND, true, 0700, err) < 0)
		return -1;
	return tree_settle(tree, err);
}

/* The lists that the SBOM is made from: of the plan, or what the parent's says. */
static int load_sbom(struct build *build, int rootfd, struct err *err)
{
	const struct plan_settings *settings = &build->settings;

	if (settings->sbom_sources)
		return sbom_load(&build->sbom, rootfd, settings->sbom_sources,
				 settings->sbom_parts, err);
	if (build->request->add && parent_find(&build->parent, MANIFEST_SBOM))
		return sbom_load_old(&build->sbom, build->parent.volume, err);
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
	    plan_parse(text, len, &plan, err) < 0) {
		err_prefix(err, "%s", build->request->plan);
		goto out;
	}
	build->settings = plan.settings;
	if (load_sbom(build, rootfd, err) < 0)
		goto out;
	if (fill_tree(build, &plan, rootfd, err) < 0) {
		err_prefix(err, "%s", build->request->plan);
		goto out;
	}
	rc = 0;
out:
	build->settings.sbom_sources = build->settings.sbom_parts = NULL;
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
	names[0] = (struct dirblock_name){ ".", dir->ino, true };
	names[1] = (struct dirblock_name){ "..", tree->nodes[dir->parent].ino, true };
	*count = 2;
	*subdirs = 0;
	for (size_t i = dir->first_child; i != TREE_NONE;
	     i = tree->nodes[i].next_sibling) {
		const struct tree_node *child = &tree->nodes[i];

		names[(*count)++] = (struct dirblock_name){ tree_name(child), child->ino,
							    child->dir };
		*subdirs += child->dir;
	}
	return names;
}

/* It is as long as it will be: only hashes are not known yet. */
static int measure_sbom(struct build *build, struct tree_node *node, struct err *err)
{
	size_t len;
	char *text = sbom_write(&build->sbom, &build->tree, build->epoch, &len, err);

	if (!text)
		return -1;
	node->size_bytes = len;
	free(text);
	return 0;
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
		if (strcmp(node->path, MANIFEST_SBOM) == 0 &&
		    measure_sbom(build, node, err) < 0)
			return -1;
		blocks += node->size_bytes / EXT4_BLOCK +
			  (node->size_bytes % EXT4_BLOCK != 0);
	}
	if (blocks > free_blocks)
		return err_set(
			err, ERR_FAILED,
			"the image is too small: the plan needs %llu MiB, an image of "
			"%llu MiB has room for %llu",
			(unsigned long long)(blocks * EXT4_BLOCK >> 20) + 1,
			(unsigned long long)build->size_bytes >> 20,
			(unsigned long long)(free_blocks * EXT4_BLOCK >> 20));
	return 0;
}

static int put_text(struct build *build, const struct tree_node *node, const void *text,
		    size_t len, struct err *err)
{
	const struct copy_to to = { build->out.partial, build->out.fd, false };

	return copy_text(&to, &node->map, text, len, err);
}

static int make_sbom(struct build *build, struct err *err)
{
	struct tree_node *node = tree_find(&build->tree, MANIFEST_SBOM);
	size_t len;
	char *text;
	int rc;

	if (!node)
		return 0;
	text = sbom_write(&build->sbom, &build->tree, build->epoch, &len, err);
	if (!text)
		return -1;
	if (len != node->size_bytes) {
		rc = err_set(err, ERR_FAILED, "the SBOM is not as long as was planned");
	} else {
		sha256(text, len, node->digest);
		rc = put_text(build, node, text, len, err);
	}
	free(text);
	return rc;
}

static int make_manifest(struct build *build, struct err *err)
{
	build->manifest = malloc(build->manifest_len + 1);
	if (!build->manifest)
		return err_set(err, ERR_FAILED, "out of memory");
	manifest_write(&build->tree, build->manifest);
	sha256(build->manifest, build->manifest_len, build->result->manifest_sha256);
	return put_text(build, tree_find(&build->tree, MANIFEST_NAME), build->manifest,
			build->manifest_len, err);
}

static int add_signature(struct build *build, struct err *err)
{
	struct tree_node *node = tree_find(&build->tree, MANIFEST_SIGNATURE);
	uint8_t der[SIGNATURE_MAX];
	size_t len;

	if (!node)
		return 0;
	if (signer_sign(build->request->signer, build->result->manifest_sha256, der, &len,
			build->result->key_id, err) < 0)
		return err_prefix(err, "signing the MANIFEST");
	build->result->is_signed = true;
	node->size_bytes = len;
	return put_text(build, node, der, len, err);
}

static int put_dir(struct build *build, size_t index, struct err *err)
{
	const struct tree_node *node = &build->tree.nodes[index];
	const struct ext4_map *map = &node->map;
	unsigned char block[DIRBLOCK_SIZE] __attribute__((aligned(8)));
	struct ext4_inode inode = { node->ino, true, node->mode, 0, node->size_bytes };
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
		struct ext4_inode inode = { node->ino, false, node->mode, 1,
					    node->size_bytes };
		int rc = node->dir ? put_dir(build, i, err)
				   : ext4_put_inode(build->ext4, &inode, &node->map, err);

		if (rc < 0)
			return err_prefix(err, "/%s", node->path);
	}
	return 0;
}

/* What follows from the contents, unless the plan or the parent says otherwise. */
static void seal(struct build *build)
{
	const struct parent *parent = parent_of(build);
	struct ext4_identity identity;

	if (!parent && !build->settings.has_uuid) {
		ext4_seal(build->ext4, build->result->manifest_sha256);
		return;
	}
	memcpy(identity.hash_seed, build->result->manifest_sha256,
	       sizeof(identity.hash_seed));
	if (parent)
		identity = parent->facts.identity;
	if (build->settings.has_uuid)
		memcpy(identity.uuid, build->settings.uuid, sizeof(identity.uuid));
	ext4_seal_as(build->ext4, &identity);
}

static int write_data(struct build *build, struct err *err)
{
	const struct build_request *request = build->request;
	const struct copy_to to = { build->out.partial, build->out.fd,
				    sbom_wanted(&build->sbom) };
	const struct parent *parent = parent_of(build);

	/* Only with its hash can a file be known to be the parent's. */
	if (parent && copy_hash(&build->tree, request->root, err) < 0)
		return -1;
	if (layout_place(&build->tree, parent, build->ext4, err) < 0)
		return -1;
	return copy_files(&build->tree, request->root, parent, parent != NULL, &to, err);
}

static void count_files(struct build *build)
{
	for (size_t i = 0; i < build->tree.count; i++) {
		const struct tree_node *node = &build->tree.nodes[i];

		if (!node->source && !node->old_ino)
			continue;
		build->result->files++;
		build->result->data_bytes += node->size_bytes;
	}
}

static int write_image(struct build *build, struct err *err)
{
	const struct parent *parent = parent_of(build);
	struct ext4_shape shape = {
		.size_bytes = build->size_bytes,
		.epoch = build->epoch,
		.inodes = EXT4_LOST_FOUND + (uint32_t)build->tree.count,
		.inodes_per_group = parent ? parent->facts.inodes_per_group : 0,
	};
	struct ext4_new *ext4;

	if (parent && parent->facts.inodes < shape.inodes)
		return err_set(err, ERR_FAILED,
			       "the parent has too few inodes: build without it");
	build->ext4 = ext4_create(build->out.partial, &shape, err);
	if (!build->ext4)
		return -1;
	if (layout_number(&build->tree, parent, err) < 0 || measure(build, err) < 0 ||
	    write_data(build, err) < 0 || make_sbom(build, err) < 0 ||
	    make_manifest(build, err) < 0 || add_signature(build, err) < 0)
		return -1;
	seal(build);
	if (put_nodes(build, err) < 0)
		return -1;
	count_files(build);
	ext4 = build->ext4;
	build->ext4 = NULL;
	return ext4_finish(ext4, err);
}

/*
 * The bytes of a file were read back when they were copied: what is left to see is that
 * its name leads to the same blocks.
 */
static bool was_read(const void *arg, const struct manifest_line *line,
		     const struct ext4_span *spans, size_t count,
		     uint8_t digest[SHA256_LEN])
{
	const struct build *build = arg;
	const struct tree_node *node = tree_find(&build->tree, line->path);
	uint64_t at = 0, in_span = 0; /* blocks: of the file, of spans[0] */

	if (!node || !node->read_back || node->ino != line->ino ||
	    node->size_bytes != line->size_bytes)
		return false;
	for (size_t i = 0; i < node->map.count; i++)
		for (uint32_t j = 0; j < node->map.runs[i].blocks; j++, at++) {
			if (!count || spans->file_block + in_span != at ||
			    spans->block + in_span != node->map.runs[i].block + j)
				return false;
			if (++in_span == spans->blocks) {
				spans++;
				count--;
				in_span = 0;
			}
		}
	memcpy(digest, node->digest, SHA256_LEN);
	return count == 0;
}

static int check_image(struct build *build, struct err *err)
{
	const struct verify_request request = {
		.path = build->out.partial,
		.manifest_sha256 = build->result->manifest_sha256,
		.was_read = was_read,
		.arg = build,
	};
	struct verify_result verified;
	size_t named = 0;

	for (size_t i = 0; i < build->tree.count; i++)
		named += !build->tree.nodes[i].dir &&
			 !manifest_omits(build->tree.nodes[i].path);
	if (verify_volume(&request, &verified, err) < 0) {
		/* What we have just written is wrong: not an answer, a failure. */
		err->kind = ERR_FAILED;
		return err_prefix(err, "verifying what was written");
	}
	if (verified.files != named || verified.needs_recovery)
		return err_set(err, ERR_FAILED,
			       "verifying what was written: not all is there");
	return 0;
}

/* Size and time: as asked for, else as the plan or the parent says. */
static int settle_shape(struct build *build, struct err *err)
{
	const struct build_request *request = build->request;
	const struct parent *parent = parent_of(build);

	build->epoch =
		request->epoch < 0 && parent ? parent->facts.epoch : request->epoch;
	build->size_bytes = request->size_bytes	     ? request->size_bytes
			    : parent && request->add ? parent->facts.size_bytes
						     : build->settings.size_bytes;
	if (build->epoch < 0)
		return err_set(err, ERR_USAGE, "which time? --epoch says it");
	if (!build->size_bytes)
		return err_set(err, ERR_USAGE,
			       "which size? --size or a line of the plan says it");
	if (parent && parent->facts.size_bytes != build->size_bytes)
		return err_set(err, ERR_FAILED,
			       "the image that is followed has another size");
	return 0;
}

/* What add is made from stays as it is. */
static int spare_parent(const struct build_request *request, struct err *err)
{
	struct stat old, out;

	if (request->add && stat(request->parent, &old) == 0 &&
	    stat(request->out, &out) == 0 && old.st_dev == out.st_dev &&
	    old.st_ino == out.st_ino)
		return err_set(err, ERR_USAGE, "%s is the old image itself",
			       request->out);
	return 0;
}

int build_image(const struct build_request *request, struct build_result *result,
		struct err *err)
{
	struct build build = { .request = request, .result = result, .out = OUTPUT_NONE };
	int rc = -1;

	*result = (struct build_result){ 0 };
	if (spare_parent(request, err) < 0)
		return -1;
	if (request->parent && parent_open(request->parent, &build.parent, err) < 0)
		goto out;
	if (load_tree(&build, err) < 0 || settle_shape(&build, err) < 0)
		goto out;
	if (output_open(&build.out, request->out, build.size_bytes, err) < 0)
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
	free(build.manifest);
	sbom_free(&build.sbom);
	tree_free(&build.tree);
	parent_close(&build.parent);
	return rc;
}
