#include "kmods/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmods/file.h"
#include "kmods/tree.h"
#include "toolkit/lib/io.h"

/* HASH.PID.partial while it is being written. */
#define PARTIAL ".partial"

/* The process that was writing it is gone. */
static bool left_over(const char *name)
{
	size_t n = strlen(name), suffix = strlen(PARTIAL);
	const char *dot = strchr(name, '.');
	long pid;

	if (n <= suffix || strcmp(name + n - suffix, PARTIAL) != 0 || !dot)
		return false;
	pid = strtol(dot + 1, NULL, 10);
	return pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

int store_open(const char *path, struct err *err)
{
	int fd = tree_open(path, err), dup;
	struct dirent *d;
	DIR *dir;

	if (fd < 0)
		return -1;
	dup = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = dup < 0 ? NULL : fdopendir(dup);
	if (!dir) {
		err_sys(err, errno, "reading %s", path);
		io_close(&dup);
		close(fd);
		return -1;
	}
	while ((d = readdir(dir)) != NULL) {
		struct err ignored;

		if (left_over(d->d_name))
			tree_remove(fd, d->d_name, &ignored);
	}
	closedir(dir);
	return fd;
}

/* What module says of the file of that name. */
static const char *digest_of(const struct module *module, const char *file)
{
	return strcmp(file, SYMBOLS_FILE) == 0 ? module->symbols_sha256 : module->sha256;
}

int store_get(int storefd, const char *key, const char *file, const char *arch,
	      const char *release, struct module *module, struct err *err)
{
	char path[SHA256_HEX_SIZE + 64];
	struct catalogue cat = { 0 };
	const struct module *found;
	struct err ignored;
	bool good = false;

	if (faccessat(storefd, key, F_OK, 0) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "examining %s", key);
	snprintf(path, sizeof(path), "%s/" CATALOGUE_FILE, key);
	if (catalogue_read(storefd, path, &cat, &ignored) == 0 &&
	    (found = catalogue_find(&cat, arch, release)) != NULL) {
		*module = *found;
		snprintf(path, sizeof(path), "%s/%s", key, file);
		good = file_known(storefd, path, SYMBOLS_BYTES_MAX,
				  digest_of(module, file));
	}
	catalogue_free(&cat);
	if (good)
		return 1;
	return tree_remove(storefd, key, err);
}

static int fill(int dirfd, const char *file, const void *data, size_t len_bytes,
		const struct module *module, struct err *err)
{
	struct catalogue cat = { 0 };
	int rc = -1;

	if (file_put(dirfd, file, data, len_bytes, 0644, false, err) == 0 &&
	    catalogue_set(&cat, module, err) == 0 &&
	    catalogue_write(dirfd, &cat, true, err) == 0)
		rc = 0;
	catalogue_free(&cat);
	return rc;
}

int store_put(int storefd, const char *key, const char *file, const void *data,
	      size_t len_bytes, const struct module *module, struct err *err)
{
	char partial[SHA256_HEX_SIZE + 48];
	struct err ignored;
	int fd, rc;

	snprintf(partial, sizeof(partial), "%s.%ld" PARTIAL, key, (long)getpid());
	fd = tree_new_dir(storefd, partial, err);
	if (fd < 0)
		return -1;
	rc = fill(fd, file, data, len_bytes, module, err);
	io_close(&fd);
	if (rc == 0 && renameat(storefd, partial, storefd, key) < 0 &&
	    errno != ENOTEMPTY && errno != EEXIST)
		rc = err_sys(err, errno, "renaming %s", partial);
	if (rc == 0)
		rc = io_sync_dir(storefd, err);
	tree_remove(storefd, partial, &ignored);
	return rc < 0 ? err_prefix(err, "the store") : 0;
}

int store_place(int storefd, const char *key, const char *file, int dirfd,
		const struct module *module, struct err *err)
{
	const char *sha256 = digest_of(module, file);
	char path[SHA256_HEX_SIZE + 64], *data;
	size_t len;
	int rc;

	if (file_known(dirfd, file, SYMBOLS_BYTES_MAX, sha256))
		return 0;
	snprintf(path, sizeof(path), "%s/%s", key, file);
	if (!file_read_known(storefd, path, SYMBOLS_BYTES_MAX, sha256, &data, &len))
		return err_set(err, ERR_FAILED, "%s of the store changed", path);
	rc = file_put(dirfd, file, data, len, 0644, false, err);
	free(data);
	return rc < 0 ? -1 : 1;
}
