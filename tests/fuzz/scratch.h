/* A directory of this process in memory, for targets that read a file by name. */
#ifndef FVOL_FUZZ_SCRATCH_H
#define FVOL_FUZZ_SCRATCH_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char scratch_path[64];

static void scratch_remove(void)
{
	int dirfd = open(scratch_path, O_RDONLY | O_DIRECTORY);

	unlinkat(dirfd, "iomem", 0);
	unlinkat(dirfd, "kcore", 0);
	close(dirfd);
	rmdir(scratch_path);
}

static int scratch_dir(void)
{
	static int dirfd = -1;

	if (dirfd < 0) {
		snprintf(scratch_path, sizeof(scratch_path), "/dev/shm/fvol-fuzz-XXXXXX");
		if (!mkdtemp(scratch_path))
			abort();
		dirfd = open(scratch_path, O_RDONLY | O_DIRECTORY);
		atexit(scratch_remove);
	}
	return dirfd;
}

static void scratch_write(const char *name, const uint8_t *data, size_t len)
{
	int fd = openat(scratch_dir(), name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	close(fd);
}

#endif
