#include "image/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "image/path.h"

#define HEX_LEN (SHA256_HEX_SIZE - 1)

bool manifest_omits(const char *path)
{
	return strcmp(path, MANIFEST_NAME) == 0 || strcmp(path, MANIFEST_SIGNATURE) == 0;
}

bool manifest_made(const char *path)
{
	return manifest_omits(path) || strcmp(path, MANIFEST_SBOM) == 0;
}

size_t manifest_write(const struct tree *tree, char *text)
{
	size_t len = 0;

	for (size_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		size_t path_len = strlen(node->path);

		if (node->dir || manifest_omits(node->path))
			continue;
		if (text) {
			char hex[SHA256_HEX_SIZE];
			char *to = text + len;

			sha256_to_hex(node->digest, hex);
			memcpy(to, hex, HEX_LEN);
			memcpy(to + HEX_LEN, "  ", 2);
			memcpy(to + HEX_LEN + 2, node->path, path_len);
			to[HEX_LEN + 2 + path_len] = '\n';
		}
		len += HEX_LEN + 2 + path_len + 1;
	}
	return len;
}

static int parse_line(const char *line, size_t len, struct manifest_line *out,
		      struct err *err)
{
	const char *fault;

	if (len <= HEX_LEN + 2 || !sha256_from_hex(line, out->digest) ||
	    memcmp(line + HEX_LEN, "  ", 2) != 0 || memchr(line, '\0', len))
		return err_set(err, ERR_NO, "not a line of sha256sum");
	out->path = strndup(line + HEX_LEN + 2, len - HEX_LEN - 2);
	if (!out->path)
		return err_set(err, ERR_FAILED, "out of memory");
	fault = path_fault(out->path);
	if (fault)
		return err_set(err, ERR_NO, "the path %s", fault);
	if (manifest_omits(out->path))
		return err_set(err, ERR_NO, "it names itself or its signature");
	return 0;
}

int manifest_parse(const char *text, size_t len_bytes, struct manifest *manifest,
		   struct err *err)
{
	size_t room = 0;
	size_t at = 0;

	*manifest = (struct manifest){ 0 };
	for (size_t i = 0; i < len_bytes; i++)
		room += text[i] == '\n';
	manifest->lines = calloc(room + 1, sizeof(*manifest->lines));
	if (!manifest->lines)
		return err_set(err, ERR_FAILED, "out of memory");
	while (at < len_bytes) {
		struct manifest_line *line = &manifest->lines[manifest->count++];
		const char *end = memchr(text + at, '\n', len_bytes - at);
		size_t len = end ? (size_t)(end - text) - at : 0;

		if (!end)
			err_set(err, ERR_NO, "the last line has no end");
		if (!end || parse_line(text + at, len, line, err) < 0)
			goto fail;
		if (manifest->count > 1 && strcmp(line[-1].path, line->path) >= 0) {
			err_set(err, ERR_NO, "the paths do not ascend");
			goto fail;
		}
		at += len + 1;
	}
	return 0;
fail:
	err_prefix(err, "line %zu", manifest->count);
	manifest_free(manifest);
	return -1;
}

void manifest_free(struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->count; i++) {
		free(manifest->lines[i].fault);
		free(manifest->lines[i].path);
	}
	free(manifest->lines);
	*manifest = (struct manifest){ 0 };
}

static int by_path(const void *key, const void *member)
{
	return strcmp(key, ((const struct manifest_line *)member)->path);
}

struct manifest_line *manifest_find(const struct manifest *manifest, const char *path)
{
	if (manifest->count == 0)
		return NULL;
	return bsearch(path, manifest->lines, manifest->count, sizeof(*manifest->lines),
		       by_path);
}
