/*
 * settle FILE MIB PAGES: reserves so much room for FILE and exits with 0 when
 * mountdev_settle() then takes at least so many pages of the disk below out of memory; 77
 * where the kernel cannot say.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "toolkit/lib/mountdev.h"

/* linux include/uapi/linux/mman.h; since Linux 6.5. */
#define SYS_CACHESTAT 451
struct cachestat_range {
	uint64_t off, len;
};
struct cachestat {
	uint64_t cache, dirty, writeback, evicted, recently_evicted;
};

/* Pages of the disk that are in memory. */
static int resident(int disk)
{
	struct cachestat_range whole = { 0, 0 };
	struct cachestat stat;

	if (syscall(SYS_CACHESTAT, disk, &whole, &stat, 0) == 0)
		return (int)stat.cache;
	perror("cachestat");
	exit(errno == ENOSYS ? 77 : 1);
}

int main(int argc, char **argv)
{
	char path[MOUNTDEV_PATH];
	int fd, disk, before, after;
	struct err err;
	struct stat st;

	if (argc != 4)
		return 2;
	fd = open(argv[1], O_CREAT | O_RDWR, 0600);
	if (fd < 0 || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, atoll(argv[2]) << 20) < 0 ||
	    fstat(fd, &st) < 0) {
		perror(argv[1]);
		return 1;
	}
	disk = mountdev_open(st.st_dev, 0, path, &err);
	if (disk < 0) {
		puts(err.text);
		return 1;
	}
	before = resident(disk);
	if (mountdev_settle(fd, fd, &err) < 0) {
		puts(err.text);
		return 1;
	}
	after = resident(disk);
	printf("%d pages of %s before, %d after\n", before, path, after);
	return before - after < atoi(argv[3]);
}
