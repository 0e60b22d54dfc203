#include "image/diff.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/manifest.h"
#include "image/parent.h"
#include "image/verify.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/json.h"

#define CATALOGUE "kmods/catalogue.json"
#define CATALOGUE_MAX (16 * 1024 * 1024)

struct differing {
	struct parent images[2];
	FILE *out;
	struct json *doc; /* NULL: lines for people */
	struct json_node *files, *parameters, *kernels;
	size_t count;
};

/* Begins an entry of one of the three lists. */
static struct json_node *entry(struct differing *differing, struct json_node *list,
			       const char *change, const char *key, const char *name)
{
	struct json_node *node;

	differing->count++;
	if (!differing->doc)
		return NULL;
	node = json_add_object(differing->doc, list, NULL);
	json_add_str(differing->doc, node, "change", change);
	json_add_str(differing->doc, node, key, name);
	return node;
}

static void put_state(struct differing *differing, struct json_node *in, const char *key,
		      const struct parent_node *node)
{
	struct json_node *state;
	char hex[SHA256_HEX_SIZE], mode[8];

	if (!node)
		return;
	state = json_add_object(differing->doc, in, key);
	snprintf(mode, sizeof(mode), "%04o", node->st.mode & 07777);
	json_add_str(differing->doc, state, "mode", mode);
	if (S_ISDIR(node->st.mode))
		return;
	json_add_u64(differing->doc, state, "bytes", node->st.size_bytes);
	if (manifest_omits(node->path))
		return;
	sha256_to_hex(node->digest, hex);
	json_add_str(differing->doc, state, "sha256", hex);
}

static void print_state(FILE *out, const struct parent_node *node)
{
	char hex[SHA256_HEX_SIZE];

	fprintf(out, " %04o", node->st.mode & 07777);
	if (S_ISDIR(node->st.mode))
		return;
	fprintf(out, " %llu bytes", (unsigned long long)node->st.size_bytes);
	if (manifest_omits(node->path))
		return;
	sha256_to_hex(node->digest, hex);
	fprintf(out, " sha256 %s", hex);
}

static void tell_file(struct differing *differing, const struct parent_node *old,
		      const struct parent_node *new)
{
	const char *path = old ? old->path : new->path;
	const char *change = !old ? "added" : !new ? "removed" : "changed";
	struct json_node *node = entry(differing, differing->files, change, "path", path);

	if (node) {
		put_state(differing, node, "from", old);
		put_state(differing, node, "to", new);
		return;
	}
	fprintf(differing->out, "%s /", change);
	cli_put_text(differing->out, path);
	if (S_ISDIR(old ? old->st.mode : new->st.mode))
		fputc('/', differing->out);
	if (old)
		print_state(differing->out, old);
	if (old && new)
		fputs(" ->", differing->out);
	if (new)
		print_state(differing->out, new);
	fputc('\n', differing->out);
}

static bool same_node(const struct parent_node *old, const struct parent_node *new)
{
	if (old->st.mode != new->st.mode)
		return false;
	if (S_ISDIR(old->st.mode))
		return true;
	/* MANIFEST and signature have no digest here: the first follows from the rest,
	 * and another signature of the same MANIFEST is no other release. */
	return (manifest_omits(old->path) || old->st.size_bytes == new->st.size_bytes) &&
	       memcmp(old->digest, new->digest, SHA256_LEN) == 0;
}

static void compare_files(struct differing *differing)
{
	const struct parent *a = &differing->images[0], *b = &differing->images[1];
	size_t i = 0, j = 0;

	while (i < a->count || j < b->count) {
		const struct parent_node *old = i < a->count ? &a->nodes[i] : NULL;
		const struct parent_node *new = j < b->count ? &b->nodes[j] : NULL;
		int order = !old ? 1 : !new ? -1 : strcmp(old->path, new->path);

		if (order == 0 && !same_node(old, new))
			tell_file(differing, old, new);
		if (order < 0)
			tell_file(differing, old, NULL);
		if (order > 0)
			tell_file(differing, NULL, new);
		i += order <= 0;
		j += order >= 0;
	}
}

static void parameter(struct differing *differing, const char *name, uint64_t old,
		      uint64_t new)
{
	struct json_node *node;

	if (old == new)
		return;
	node = entry(differing, differing->parameters, "changed", "parameter", name);
	if (node) {
		json_add_u64(differing->doc, node, "from", old);
		json_add_u64(differing->doc, node, "to", new);
		return;
	}
	fprintf(differing->out, "file system: %s %llu -> %llu\n", name,
		(unsigned long long)old, (unsigned long long)new);
}

static void uuid_text(const uint8_t uuid[16], char text[37])
{
	char *to = text;

	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		to += sprintf(to, "%02x", uuid[i]);
	}
}

static void compare_parameters(struct differing *differing)
{
	const struct ext4_facts *a = &differing->images[0].facts;
	const struct ext4_facts *b = &differing->images[1].facts;

	parameter(differing, "size_bytes", a->size_bytes, b->size_bytes);
	parameter(differing, "made", (uint64_t)a->epoch, (uint64_t)b->epoch);
	parameter(differing, "inodes", a->inodes, b->inodes);
	parameter(differing, "inodes_per_group", a->inodes_per_group,
		  b->inodes_per_group);
	parameter(differing, "journal_blocks", a->journal_blocks, b->journal_blocks);
	parameter(differing, "reserved_gdt_blocks", a->reserved_gdt_blocks,
		  b->reserved_gdt_blocks);
	parameter(differing, "compat", a->compat, b->compat);
	parameter(differing, "incompat", a->incompat, b->incompat);
	parameter(differing, "ro_compat", a->ro_compat, b->ro_compat);
	if (memcmp(a->identity.uuid, b->identity.uuid, sizeof(a->identity.uuid)) != 0) {
		char from[37], to[37];
		struct json_node *node = entry(differing, differing->parameters,
					       "changed", "parameter", "uuid");

		uuid_text(a->identity.uuid, from);
		uuid_text(b->identity.uuid, to);
		if (node) {
			json_add_str(differing->doc, node, "from", from);
			json_add_str(differing->doc, node, "to", to);
		} else {
			fprintf(differing->out, "file system: uuid %s -> %s\n", from, to);
		}
	}
}

/* The catalogue of modules of an image; NULL without an error when it has none. */
static int read_catalogue(const struct parent *image, struct json_read **doc,
			  struct err *err)
{
	char *text;
	size_t len;

	*doc = NULL;
	if (!parent_find(image, CATALOGUE))
		return 0;
	text = verify_read(image->volume, CATALOGUE, CATALOGUE_MAX, &len, err);
	if (!text)
		return -1;
	*doc = json_parse(text, len, err);
	free(text);
	return *doc ? 0 : err_prefix(err, "/" CATALOGUE);
}

static const char *text_of(const struct json_value *module, const char *key)
{
	const char *text = json_str(json_get(module, key));

	return text ? text : "";
}

struct kernel {
	const char *arch;
	const char *release;
};

static int by_kernel(const void *left, const void *right)
{
	const struct kernel *a = left, *b = right;
	int order = strcmp(a->arch, b->arch);

	return order ? order : strcmp(a->release, b->release);
}

/* The kernels of a catalogue, sorted; the caller frees them, the strings are its own. */
static struct kernel *kernels_of(const struct json_read *doc, size_t *count,
				 struct err *err)
{
	const struct json_value *modules =
		doc ? json_get(json_top(doc), "modules") : NULL;
	struct kernel *kernels;

	*count = json_len(modules);
	kernels = calloc(*count + 1, sizeof(*kernels));
	if (!kernels) {
		err_set(err, ERR_FAILED, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < *count; i++) {
		const struct json_value *module = json_at(modules, i);

		kernels[i] = (struct kernel){ text_of(module, "arch"),
					      text_of(module, "release") };
	}
	qsort(kernels, *count, sizeof(*kernels), by_kernel);
	return kernels;
}

static void tell_kernel(struct differing *differing, const struct kernel *kernel,
			const char *change)
{
	struct json_node *node =
		entry(differing, differing->kernels, change, "release", kernel->release);

	if (node) {
		json_add_str(differing->doc, node, "arch", kernel->arch);
		return;
	}
	fprintf(differing->out, "kernel %s: ", change);
	cli_put_text(differing->out, kernel->arch);
	fputc(' ', differing->out);
	cli_put_text(differing->out, kernel->release);
	fputc('\n', differing->out);
}

static int tell_kernels(struct differing *differing, const struct json_read *first,
			const struct json_read *second, struct err *err)
{
	size_t counts[2], i = 0, j = 0;
	struct kernel *old = kernels_of(first, &counts[0], err);
	struct kernel *new = kernels_of(second, &counts[1], err);
	int rc = old && new ? 0 : -1;

	while (rc == 0 && (i < counts[0] || j < counts[1])) {
		int order = i == counts[0]   ? 1
			    : j == counts[1] ? -1
					     : by_kernel(&old[i], &new[j]);

		if (order < 0)
			tell_kernel(differing, &old[i], "removed");
		if (order > 0)
			tell_kernel(differing, &new[j], "added");
		i += order <= 0;
		j += order >= 0;
	}
	free(old);
	free(new);
	return rc;
}

static int compare_kernels(struct differing *differing, struct err *err)
{
	struct json_read *a = NULL, *b = NULL;
	int rc = -1;

	if (read_catalogue(&differing->images[0], &a, err) == 0 &&
	    read_catalogue(&differing->images[1], &b, err) == 0)
		rc = tell_kernels(differing, a, b, err);
	json_read_free(a);
	json_read_free(b);
	return rc;
}

static int start_json(struct differing *differing, struct err *err)
{
	struct json_node *root;

	differing->doc = json_new();
	if (!differing->doc)
		return err_set(err, ERR_FAILED, "out of memory");
	root = json_root(differing->doc);
	differing->files = json_add_array(differing->doc, root, "files");
	differing->parameters = json_add_array(differing->doc, root, "file_system");
	differing->kernels = json_add_array(differing->doc, root, "kernels");
	return 0;
}

static int end_json(struct differing *differing, struct err *err)
{
	size_t len;
	const char *text;

	json_add_bool(differing->doc, json_root(differing->doc), "same",
		      differing->count == 0);
	text = json_text_kept(differing->doc, true, &len, err);
	if (!text)
		return -1;
	fwrite(text, 1, len, differing->out);
	return 0;
}

int diff_images(const char *first, const char *second, bool json, FILE *out,
		struct err *err)
{
	struct differing differing = { .out = out };
	int rc = -1;

	if (parent_open(first, &differing.images[0], err) < 0 ||
	    parent_open(second, &differing.images[1], err) < 0)
		goto out;
	if (json && start_json(&differing, err) < 0)
		goto out;
	compare_files(&differing);
	compare_parameters(&differing);
	if (compare_kernels(&differing, err) < 0 ||
	    (json && end_json(&differing, err) < 0))
		goto out;
	rc = differing.count ? err_set(err, ERR_NO, "%zu differences", differing.count)
			     : 0;
out:
	json_free(differing.doc);
	parent_close(&differing.images[0]);
	parent_close(&differing.images[1]);
	return rc;
}
