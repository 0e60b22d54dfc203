#include "kmods/repo_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmods/file.h"
#include "kmods/lock.h"
#include "kmods/modcheck.h"
#include "kmods/repo.h"
#include "kmods/tree.h"
#include "toolkit/lib/dirlist.h"

/* A full build tree of a distribution's kernel has about 100,000 files. */
#define TREE_FILES_MAX 400000u
#define TREE_FILE_BYTES_MAX (1u << 30)

struct digesting {
	struct sha256 sum;
	uint64_t bytes;
	unsigned files;
};

static int walk(struct digesting *d, int dirfd, const char *prefix, unsigned depth,
		struct err *err);

static int take_link(struct digesting *d, int dirfd, const char *name, const char *path,
		     struct err *err)
{
	char text[PATH_MAX], line[2 * PATH_MAX + 8];
	ssize_t n = readlinkat(dirfd, name, text, sizeof(text) - 1);

	if (n < 0)
		return err_sys(err, errno, "reading the link %.200s", path);
	text[n] = '\0';
	snprintf(line, sizeof(line), "l %s %s", path, text);
	sha256_update(&d->sum, line, strlen(line) + 1);
	return 0;
}

static int take_file(struct digesting *d, int dirfd, const char *name, const char *path,
		     const struct stat *st, struct err *err)
{
	char hex[SHA256_HEX_SIZE], line[PATH_MAX + 80], *data;
	size_t len;

	if (file_read(dirfd, name, TREE_FILE_BYTES_MAX, &data, &len, err) < 0)
		return -1;
	file_digest(data, len, hex);
	free(data);
	d->bytes += len;
	snprintf(line, sizeof(line), "%c %s %s", st->st_mode & 0111 ? 'x' : 'f', path,
		 hex);
	sha256_update(&d->sum, line, strlen(line) + 1);
	return 0;
}

static int take_name(struct digesting *d, int dirfd, const char *prefix, const char *name,
		     unsigned depth, struct err *err)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, rc;

	if ((size_t)snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "/" : "",
			     name) >= sizeof(path))
		return err_set(err, ERR_FAILED, "a name in it is too long");
	if (++d->files > TREE_FILES_MAX)
		return err_set(err, ERR_FAILED, "more than %u files", TREE_FILES_MAX);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "examining %.200s", path);
	if (S_ISLNK(st.st_mode))
		return take_link(d, dirfd, name, path, err);
	if (S_ISREG(st.st_mode))
		return take_file(d, dirfd, name, path, &st, err);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_FAILED, "%.200s is neither file nor link", path);
	if (depth == TREE_DEPTH_MAX)
		return err_set(err, ERR_FAILED, "more than %d levels", TREE_DEPTH_MAX);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "opening %.200s", path);
	rc = walk(d, fd, path, depth + 1, err);
	close(fd);
	return rc;
}

static int walk(struct digesting *d, int dirfd, const char *prefix, unsigned depth,
		struct err *err)
{
	struct dirlist names = { 0 };
	int rc = dirlist_read(dirfd, &names, err);

	for (size_t i = 0; rc == 0 && i < names.count; i++)
		rc = take_name(d, dirfd, prefix, names.names[i], depth, err);
	dirlist_free(&names);
	return rc;
}

int tree_digest(const char *path, char sha256[SHA256_HEX_SIZE], uint64_t *size_bytes,
		struct err *err)
{
	struct digesting d = { .bytes = 0 };
	uint8_t digest[SHA256_LEN];
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return err_sys(err, errno, "opening %.200s", path);
	sha256_init(&d.sum);
	rc = walk(&d, fd, "", 0, err);
	close(fd);
	if (rc < 0)
		return err_prefix(err, "%.200s", path);
	sha256_final(&d.sum, digest);
	sha256_to_hex(digest, sha256);
	*size_bytes = d.bytes;
	return 0;
}

/* Reads which kernel the tree is for, and checks the architecture. Returns 0 or -1. */
static int read_release(const char *path, const struct arch *arch,
			char release[MODULE_RELEASE_SIZE], struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = -1;
	char *text = NULL;
	size_t len;

	if (fd < 0)
		return err_sys(err, errno, "opening %.200s", path);
	if (file_read(fd, "include/config/auto.conf", 4 << 20, &text, &len, err) < 0)
		goto out;
	if (!strstr(text, arch->config)) {
		err_set(err, ERR_FAILED, "it is not for %s", arch->name);
		goto out;
	}
	rc = modcheck_release(fd, release, err);
out:
	free(text);
	close(fd);
	return rc < 0 ? err_prefix(err, "%.200s", path) : 0;
}

static int list_packages(const struct repo_context *c, const struct source *s,
			 const struct arch *arch, struct packages *packages,
			 struct err *err)
{
	struct repo_package p = { .role = LOCK_TREE };
	char path[REPO_ORIGIN_SIZE];

	(void)c;
	if (repo_location(s, arch, path, err) < 0 || tree_buildable(path, err) < 0 ||
	    read_release(path, arch, p.release, err) < 0 ||
	    tree_digest(path, p.sha256, &p.size_bytes, err) < 0)
		return -1;
	snprintf(p.name, sizeof(p.name), "kernel-tree");
	snprintf(p.version, sizeof(p.version), "%.63s", p.release);
	snprintf(p.arch, sizeof(p.arch), "%.15s", arch->name);
	snprintf(p.flavour, sizeof(p.flavour), "tree");
	memcpy(p.origin, path, sizeof(path));
	return packages_add(packages, &p, err);
}

const struct repo_ops repo_tree = { .kind = "tree", .packages = list_packages };
