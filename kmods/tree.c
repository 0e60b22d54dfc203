#include "kmods/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

int tree_normal(const char *raw, char path[TREE_PATH_SIZE], struct err *err)
{
	size_t len = 0;
	unsigned depth = 0;

	if (raw[0] == '/')
		return err_set(err, ERR_FAILED, "the name is absolute");
	while (*raw) {
		size_t n = strcspn(raw, "/");

		if (n == 2 && raw[0] == '.' && raw[1] == '.')
			return err_set(err, ERR_FAILED, "the name leads upward (..)");
		for (size_t i = 0; i < n; i++) {
			if ((unsigned char)raw[i] < 0x20 || raw[i] == 0x7f)
				return err_set(err, ERR_FAILED,
					       "the name has control bytes");
		}
		if (n > 0 && !(n == 1 && raw[0] == '.')) {
			if (n > NAME_MAX || len + n + 2 > TREE_PATH_SIZE)
				return err_set(err, ERR_FAILED, "the name is too long");
			if (++depth > TREE_DEPTH_MAX)
				return err_set(err, ERR_FAILED,
					       "the name has more than %d levels",
					       TREE_DEPTH_MAX);
			if (len > 0)
				path[len++] = '/';
			memcpy(path + len, raw, n);
			len += n;
		}
		raw += n;
		raw += *raw == '/';
	}
	path[len] = '\0';
	return 0;
}

/* Opens the directory name below dirfd. Returns the descriptor or -1. */
static int step(int dirfd, const char *name, bool make, struct err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dirfd, name, flags);

	if (fd < 0 && errno == ENOENT && make) {
		if (mkdirat(dirfd, name, 0755) < 0 && errno != EEXIST)
			return err_sys(err, errno, "making directory %s", name);
		fd = openat(dirfd, name, flags);
	}
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(err, ERR_FAILED,
			       "the name leads through %s, which is not a directory",
			       name);
	if (fd < 0)
		return err_sys(err, errno, "opening directory %s", name);
	return fd;
}

int tree_parent(int rootfd, const char *path, bool make, char name[NAME_MAX + 1],
		struct err *err)
{
	int fd = fcntl(rootfd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(err, errno, "duplicating a descriptor");
	for (;;) {
		size_t n = strcspn(path, "/");
		int next;

		if (n == 0 || n > NAME_MAX) {
			close(fd);
			return err_set(err, ERR_FAILED, "the name is empty or too long");
		}
		memcpy(name, path, n);
		name[n] = '\0';
		if (path[n] == '\0')
			return fd;
		path += n + 1;
		next = step(fd, name, make, err);
		close(fd);
		if (next < 0)
			return -1;
		fd = next;
	}
}

int tree_mkdir(int rootfd, const char *path, struct err *err)
{
	char name[NAME_MAX + 1];
	int dir, rc;

	if (path[0] == '\0')
		return 0;
	dir = tree_parent(rootfd, path, true, name, err);
	if (dir < 0)
		return -1;
	rc = io_mkdir(dir, name, 0755, err);
	close(dir);
	return rc;
}

int tree_open(const char *path, struct err *err)
{
	char part[PATH_MAX];
	size_t len = strlen(path);
	int fd;

	if (len == 0 || len >= sizeof(part))
		return err_set(err, ERR_FAILED, "the name of a directory is %s",
			       len ? "too long" : "empty");
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return err_sys(err, errno, "making directory %s", part);
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "opening directory %s", path);
	return fd;
}

static int remove_level(int dirfd, const char *name, unsigned depth, struct err *err)
{
	struct dirent *d;
	DIR *dir;
	int fd;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(err, errno, "removing %s", name);
	/* More than an unpacked tree can have: what a build made in it included. */
	if (depth > 2 * TREE_DEPTH_MAX)
		return err_set(err, ERR_FAILED, "removing %s: too deep", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		err_sys(err, errno, "opening directory %s", name);
		io_close(&fd);
		return -1;
	}
	while (errno = 0, (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (remove_level(fd, d->d_name, depth + 1, err) < 0) {
			closedir(dir);
			return -1;
		}
	}
	if (errno != 0) {
		err_sys(err, errno, "reading directory %s", name);
		closedir(dir);
		return -1;
	}
	closedir(dir);
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, errno, "removing directory %s", name);
	return 0;
}

int tree_remove(int dirfd, const char *name, struct err *err)
{
	return remove_level(dirfd, name, 0, err);
}

int tree_open_scratch(const char *path, char resolved[PATH_MAX], struct err *err)
{
	int fd = tree_open(path, err);

	if (fd < 0)
		return -1;
	if (!realpath(path, resolved))
		err_sys(err, errno, "resolving %s", path);
	else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		err_set(err, ERR_FAILED, "another build is at work in %s", resolved);
	else
		return fd;
	close(fd);
	return -1;
}

int tree_new_dir(int dirfd, const char *name, struct err *err)
{
	int fd;

	if (tree_remove(dirfd, name, err) < 0 || io_mkdir(dirfd, name, 0755, err) < 0)
		return -1;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "opening directory %s", name) : fd;
}

int tree_buildable(const char *path, struct err *err)
{
	for (const char *p = path; *p; p++) {
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') &&
		    !(*p >= '0' && *p <= '9') && !strchr("/._+-", *p))
			return err_set(
				err, ERR_FAILED,
				"%.200s: kernels cannot be built below a name with '%c'",
				path, *p);
	}
	return 0;
}
