#include "image/device.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int device_size(const char *path, uint64_t *size_bytes, struct err *err)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	off_t size;

	if (fd < 0)
		return err_sys(err, errno, "opening");
	if (fstat(fd, &st) < 0) {
		err_sys(err, errno, "examining");
		close(fd);
		return -1;
	}
	size = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? lseek(fd, 0, SEEK_END) : -1;
	close(fd);
	if (size < 0)
		return err_set(err, ERR_FAILED, "neither a file nor a block device");
	*size_bytes = (uint64_t)size;
	return 0;
}
