#include "toolkit/lib/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void io_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

ssize_t io_pread(int fd, void *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n =
			pread(fd, (char *)buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int io_pwrite(int fd, const void *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, (const char *)buf + done, len - done,
				   (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0) {
			errno = EIO;
			return -1;
		}
		done += (size_t)n;
	}
	return 0;
}

int io_read_text(int dirfd, const char *path, char *buf, size_t size, size_t *len_bytes,
		 struct err *err)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = 0;

	if (fd < 0)
		return err_sys(err, errno, "opening %s", path);
	while (len < size) {
		/* read(), not pread(): files of /proc and /sys may refuse an offset. */
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(err, errno, "reading %s", path);
			close(fd);
			return -1;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	if (len == size)
		return err_set(err, ERR_FAILED, "%s is larger than %zu bytes", path,
			       size - 1);
	buf[len] = '\0';
	if (len_bytes)
		*len_bytes = len;
	return 0;
}

int io_open_direct(int dirfd, const char *path, bool follow, struct err *err)
{
	/* O_NONBLOCK: a FIFO in the place of the file must not hold us for ever. */
	int flags =
		O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW);
	struct stat st;
	int fd = openat(dirfd, path, flags | O_DIRECT);

	if (fd < 0 && errno == EINVAL)
		fd = openat(dirfd, path, flags);
	if (fd < 0)
		return err_sys(err, errno, "opening %s", path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return err_set(err, ERR_FAILED, "%s is not a regular file", path);
}

char *io_read_direct(int fd, size_t max_bytes, size_t *len_bytes, struct err *err)
{
	struct stat st;
	size_t size;
	ssize_t n;
	char *buf;

	if (fstat(fd, &st) < 0) {
		err_sys(err, errno, "examining a file");
		return NULL;
	}
	if (st.st_size < 0 || (uint64_t)st.st_size > max_bytes) {
		err_set(err, ERR_FAILED, "larger than %zu bytes", max_bytes);
		return NULL;
	}
	/* Room for one block more than the file has, so that the end is seen. */
	size = ((size_t)st.st_size / IO_BLOCK + 2) * IO_BLOCK;
	buf = aligned_alloc(IO_BLOCK, size);
	if (!buf) {
		err_sys(err, ENOMEM, "reading a file");
		return NULL;
	}
	do
		n = pread(fd, buf, size, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 || n != st.st_size) {
		if (n < 0)
			err_sys(err, errno, "reading a file");
		else
			err_set(err, ERR_FAILED, "changed its length while it was read");
		free(buf);
		return NULL;
	}
	buf[n] = '\0';
	*len_bytes = (size_t)n;
	return buf;
}

int io_replaceable(int dirfd, const char *name, struct err *err)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return S_ISREG(st.st_mode)
			       ? 0
			       : err_set(err, ERR_FAILED,
					 "%.200s is no regular file and is not replaced",
					 name);
	return errno == ENOENT ? 0 : err_sys(err, errno, "examining %.200s", name);
}

int io_sync_dir(int dirfd, struct err *err)
{
	if (fsync(dirfd) < 0)
		return err_sys(err, errno, "making a directory durable");
	return 0;
}

int io_mkdir(int dirfd, const char *path, mode_t mode, struct err *err)
{
	struct stat st;

	if (mkdirat(dirfd, path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(err, errno, "making directory %s", path);
	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "examining %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_FAILED, "%s is not a directory", path);
	return 0;
}

int io_close_stdout(struct err *err)
{
	if (fflush(stdout) != 0 || ferror(stdout) ||
	    (fclose(stdout) != 0 && errno != EBADF))
		return err_sys(err, errno, "writing to standard output");
	return 0;
}
