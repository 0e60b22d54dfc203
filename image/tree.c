#include "image/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/path.h"
#include "toolkit/lib/io.h"

#define DIR_MODE 0755
#define FILE_MODE 0644

static struct tree_node *push(struct tree *tree, char *path, struct err *err)
{
	if (tree->count == tree->room) {
		size_t room = tree->room ? 2 * tree->room : 64;
		struct tree_node *grown =
			path ? reallocarray(tree->nodes, room, sizeof(*grown)) : NULL;

		if (grown) {
			tree->nodes = grown;
			tree->room = room;
		}
	}
	if (!path || tree->count == tree->room) {
		free(path);
		err_set(err, ERR_FAILED, "out of memory");
		return NULL;
	}
	tree->nodes[tree->count] = (struct tree_node){ .path = path,
						       .first_child = TREE_NONE,
						       .next_sibling = TREE_NONE };
	return &tree->nodes[tree->count++];
}

int tree_add(struct tree *tree, const char *path, bool dir, uint32_t mode,
	     struct err *err)
{
	struct tree_node *node = push(tree, strdup(path), err);

	if (!node)
		return -1;
	node->dir = dir;
	node->mode = mode;
	return 0;
}

int tree_inherit(struct tree *tree, const char *path, const struct ext4_stat *st,
		 uint32_t old_ino, const uint8_t digest[SHA256_LEN], struct err *err)
{
	struct tree_node *node;

	if (tree_add(tree, path, S_ISDIR(st->mode), st->mode & 0777, err) < 0)
		return -1;
	node = &tree->nodes[tree->count - 1];
	node->inherited = true;
	if (!node->dir) {
		node->old_ino = old_ino;
		node->size_bytes = st->size_bytes;
		memcpy(node->digest, digest, SHA256_LEN);
	}
	return 0;
}

static char *join(const char *dir, const char *name)
{
	char *path;

	if (asprintf(&path, "%s%s%s", dir, *dir ? "/" : "", name) < 0)
		return NULL;
	return path;
}

/* Takes ownership of path and source. */
static int add_file(struct tree *tree, int dirfd, const char *name, char *path,
		    char *source, uint32_t mode, unsigned line, struct err *err)
{
	struct tree_node *node = push(tree, path, err);
	struct stat st;

	if (!node || !source) {
		free(source);
		return err_set(err, ERR_FAILED, "out of memory");
	}
	node->source = source;
	node->mode = mode;
	node->line = line;
	if (fstatat(dirfd, name, &st, 0) < 0)
		return err_sys(err, errno, "%s", source);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FAILED, "%s is not a regular file", source);
	node->size_bytes = (uint64_t)st.st_size;
	return 0;
}

static int add_tree(struct tree *tree, int dirfd, const char *dest, const char *source,
		    unsigned line, size_t depth, struct err *err);

static int add_member(struct tree *tree, int dirfd, const char *name, const char *dest,
		      const char *source, unsigned line, size_t depth, struct err *err)
{
	const char *fault = path_name_fault(name, strlen(name));
	char *to = join(dest, name);
	char *from = join(source, name);
	struct stat st;
	int rc = -1;

	if (!to || !from) {
		err_set(err, ERR_FAILED, "out of memory");
		goto out;
	}
	if (!fault)
		fault = path_fault(to);
	if (fault) {
		err_set(err, ERR_FAILED, "%s %s", from, fault);
		goto out;
	}
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		err_sys(err, errno, "%s", from);
		goto out;
	}
	if (S_ISDIR(st.st_mode)) {
		int fd = openat(dirfd, name,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0) {
			err_sys(err, errno, "%s", from);
			goto out;
		}
		rc = add_tree(tree, fd, to, from, line, depth + 1, err);
	} else if (S_ISREG(st.st_mode)) {
		rc = add_file(tree, dirfd, name, to, from, FILE_MODE, line, err);
		to = from = NULL;
	} else {
		err_set(err, ERR_FAILED, "%s is neither a regular file nor a directory",
			from);
	}
out:
	free(to);
	free(from);
	return rc;
}

/* Takes ownership of dirfd. Directories come into being as parents of their files. */
static int add_tree(struct tree *tree, int dirfd, const char *dest, const char *source,
		    unsigned line, size_t depth, struct err *err)
{
	DIR *dir = fdopendir(dirfd);
	struct dirent *entry;
	int rc = -1;

	if (!dir) {
		err_sys(err, errno, "%s", source);
		close(dirfd);
		return -1;
	}
	if (depth > PATH_DEPTH_MAX) {
		err_set(err, ERR_FAILED, "%s is deeper than %d names", source,
			PATH_DEPTH_MAX);
		goto out;
	}
	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry && errno) {
			err_sys(err, errno, "reading directory %s", source);
			goto out;
		}
		if (!entry)
			break;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (add_member(tree, dirfd, entry->d_name, dest, source, line, depth,
			       err) < 0)
			goto out;
	}
	rc = 0;
out:
	closedir(dir);
	return rc;
}

static int collect_line(struct tree *tree, const struct plan_line *line, int rootfd,
			struct err *err)
{
	int fd;

	switch (line->kind) {
	case PLAN_DIR:
		if (tree_add(tree, line->dest, true, line->mode, err) < 0)
			return -1;
		tree->nodes[tree->count - 1].line = line->line;
		return 0;
	case PLAN_FILE:
		return add_file(tree, rootfd, line->source, strdup(line->dest),
				strdup(line->source), line->mode, line->line, err);
	case PLAN_TREE:
		fd = openat(rootfd, line->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(err, errno, "%s", line->source);
		return add_tree(tree, fd, line->dest, line->source, line->line, 1, err);
	}
	return err_set(err, ERR_FAILED, "an unknown kind of line");
}

int tree_collect(struct tree *tree, const struct plan *plan, int rootfd, struct err *err)
{
	for (size_t i = 0; i < plan->count; i++)
		if (collect_line(tree, &plan->lines[i], rootfd, err) < 0)
			return err_prefix(err, "line %u", plan->lines[i].line);
	return 0;
}

static int by_path(const void *left, const void *right)
{
	const struct tree_node *a = left;
	const struct tree_node *b = right;
	int order = strcmp(a->path, b->path);

	if (order)
		return order;
	if (a->implied != b->implied)
		return a->implied ? 1 : -1;
	if (a->inherited != b->inherited)
		return a->inherited ? 1 : -1;
	return a->line < b->line ? -1 : a->line > b->line;
}

static int add_parents(struct tree *tree, struct err *err)
{
	size_t named = tree->count;

	for (size_t i = 0; i < named; i++) {
		const char *path = tree->nodes[i].path;

		for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
			char *parent = strndup(tree->nodes[i].path, (size_t)(p - path));
			struct tree_node *node = push(tree, parent, err);

			if (!node)
				return -1;
			node->dir = true;
			node->implied = true;
			node->mode = DIR_MODE;
		}
	}
	return 0;
}

static void node_free(struct tree_node *node)
{
	free(node->path);
	free(node->source);
	free(node->map.runs);
}

/* Keeps one of each path; the nodes are sorted, explicit before implied. */
static int unite(struct tree *tree, struct err *err)
{
	size_t kept = 0;

	for (size_t i = 1; i < tree->count; i++) {
		struct tree_node *node = &tree->nodes[i];
		struct tree_node *last = &tree->nodes[kept];

		if (strcmp(node->path, last->path) != 0) {
			struct tree_node moved = *node;

			node->path = node->source = NULL;
			tree->nodes[++kept] = moved;
			continue;
		}
		if (node->inherited && node->dir != last->dir)
			return err_set(err, ERR_FAILED,
				       "line %u: /%s is a %s in the image", last->line,
				       last->path, node->dir ? "directory" : "file");
		if (!node->implied && !node->inherited)
			return err_set(err, ERR_FAILED,
				       last->line ? "line %u: /%s is already the "
						    "destination of line %u"
						  : "line %u: /%s is made by the build",
				       node->line, node->path, last->line);
		if (!last->dir && !node->inherited)
			return err_set(err, ERR_FAILED,
				       "line %u: /%s is a file, but other lines put "
				       "files below it",
				       last->line, last->path);
		node_free(node);
		node->path = node->source = NULL;
	}
	for (size_t i = kept + 1; i < tree->count; i++)
		node_free(&tree->nodes[i]);
	tree->count = kept + 1;
	return 0;
}

static size_t find(const struct tree *tree, const char *path, size_t len)
{
	size_t low = 0;
	size_t high = tree->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strncmp(tree->nodes[middle].path, path, len);

		if (order == 0)
			order = tree->nodes[middle].path[len] ? 1 : 0;
		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return TREE_NONE;
}

int tree_settle(struct tree *tree, struct err *err)
{
	if (add_parents(tree, err) < 0)
		return -1;
	/* The root: its path sorts first, nothing names it. */
	if (tree_add(tree, "", true, DIR_MODE, err) < 0)
		return -1;
	qsort(tree->nodes, tree->count, sizeof(*tree->nodes), by_path);
	if (unite(tree, err) < 0)
		return -1;
	for (size_t i = tree->count; i-- > 1;) {
		struct tree_node *node = &tree->nodes[i];
		size_t len = (size_t)(tree_name(node) - node->path);

		node->parent = find(tree, node->path, len ? len - 1 : 0);
		if (node->parent == TREE_NONE)
			return err_set(err, ERR_FAILED, "/%s has no parent", node->path);
		node->next_sibling = tree->nodes[node->parent].first_child;
		tree->nodes[node->parent].first_child = i;
	}
	return 0;
}

struct tree_node *tree_find(const struct tree *tree, const char *path)
{
	size_t index = find(tree, path, strlen(path));

	return index == TREE_NONE ? NULL : &tree->nodes[index];
}

void tree_free(struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		node_free(&tree->nodes[i]);
	free(tree->nodes);
	*tree = (struct tree){ 0 };
}

const char *tree_name(const struct tree_node *node)
{
	const char *slash = strrchr(node->path, '/');

	return slash ? slash + 1 : node->path;
}
