/*
 * A disk with one bad byte: linked into the image program, which takes this for pread()
 * and, in libext2fs, for pread64(). FLIP=OFFSET is the byte that comes back otherwise
 * from a file named *.partial; not where the library reads what it is about to change, or
 * the byte would be written bad and come back good.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t __real_pread(int fd, void *buf, size_t len, off_t off);
ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t off);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t off);

ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t off)
{
	const char *text = getenv("FLIP");
	off_t at = text ? atoll(text) : -1;
	ssize_t n = __real_pread(fd, buf, len, off);
	char link[64], name[4096];
	int flags = fcntl(fd, F_GETFL);
	ssize_t name_len;

	if (n <= 0 || at < off || at >= off + n ||
	    (flags & (O_RDWR | O_DIRECT)) == O_RDWR)
		return n;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	name_len = readlink(link, name, sizeof(name) - 1);
	if (name_len > 8 && memcmp(name + name_len - 8, ".partial", 8) == 0)
		((char *)buf)[at - off] ^= 1;
	return n;
}

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t off)
{
	return __wrap_pread(fd, buf, len, off);
}
