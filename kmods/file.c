#include "kmods/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

int file_read(int dirfd, const char *path, size_t max, char **data, size_t *len_bytes,
	      struct err *err)
{
	struct stat st;
	ssize_t n;
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	*data = NULL;
	if (fd < 0)
		return err_sys(err, errno, "opening %s", path);
	if (fstat(fd, &st) < 0) {
		err_sys(err, errno, "examining %s", path);
		goto fail;
	}
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || (size_t)st.st_size > max) {
		err_set(err, ERR_FAILED, "%s is not a regular file of at most %zu bytes",
			path, max);
		goto fail;
	}
	*data = malloc((size_t)st.st_size + 1);
	if (!*data) {
		err_sys(err, errno, "reading %s", path);
		goto fail;
	}
	n = io_pread(fd, *data, (size_t)st.st_size, 0);
	if (n < 0) {
		err_sys(err, errno, "reading %s", path);
		goto fail;
	}
	if (n != st.st_size) {
		err_set(err, ERR_FAILED, "%s became shorter while it was read", path);
		goto fail;
	}
	(*data)[n] = '\0';
	*len_bytes = (size_t)n;
	close(fd);
	return 0;
fail:
	free(*data);
	*data = NULL;
	close(fd);
	return -1;
}

void file_digest(const void *data, size_t len_bytes, char hex[SHA256_HEX_SIZE])
{
	uint8_t digest[SHA256_LEN];

	sha256(data, len_bytes, digest);
	sha256_to_hex(digest, hex);
}

bool file_read_known(int dirfd, const char *path, size_t max, const char *sha256,
		     char **data, size_t *len_bytes)
{
	char hex[SHA256_HEX_SIZE];
	struct err ignored;

	if (file_read(dirfd, path, max, data, len_bytes, &ignored) < 0)
		return false;
	file_digest(*data, *len_bytes, hex);
	if (strcmp(hex, sha256) == 0)
		return true;
	free(*data);
	*data = NULL;
	return false;
}

bool file_known(int dirfd, const char *path, size_t max, const char *sha256)
{
	char *data;
	size_t len;
	bool known = file_read_known(dirfd, path, max, sha256, &data, &len);

	free(data);
	return known;
}

int file_put(int dirfd, const char *name, const void *data, size_t len_bytes, mode_t mode,
	     bool old, struct err *err)
{
	struct timespec epoch[2] = { { .tv_sec = 0 }, { .tv_sec = 0 } };
	char partial[NAME_MAX + 1];
	int n = snprintf(partial, sizeof(partial), "%s.partial", name);
	bool renamed = false;
	int fd, rc = -1;

	if (n < 0 || (size_t)n >= sizeof(partial))
		return err_set(err, ERR_FAILED, "the name %s is too long", name);
	if (unlinkat(dirfd, partial, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "removing %s", partial);
	fd = openat(dirfd, partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, "making %s", partial);
	if (io_pwrite(fd, data, len_bytes, 0) < 0 || fchmod(fd, mode) < 0 ||
	    (old && futimens(fd, epoch) < 0) || fsync(fd) < 0) {
		err_sys(err, errno, "writing %s", partial);
		goto out;
	}
	if (renameat(dirfd, partial, dirfd, name) < 0) {
		err_sys(err, errno, "replacing %s", name);
		goto out;
	}
	renamed = true;
	rc = io_sync_dir(dirfd, err);
out:
	if (close(fd) < 0 && rc == 0)
		rc = err_sys(err, errno, "closing %s", name);
	if (!renamed)
		unlinkat(dirfd, partial, 0);
	return rc;
}
