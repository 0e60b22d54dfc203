/*
 * Grows a mounted ext4 to the size of its device, for tests in a guest that has no
 * resize2fs: growfs MOUNTPOINT DEVICE. Prints how long the kernel took.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <time.h>

#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

int main(int argc, char **argv)
{
	struct timespec start, end;
	struct statfs fs;
	uint64_t bytes, blocks;
	int dir, device;

	if (argc != 3)
		return 2;
	dir = open(argv[1], O_RDONLY | O_DIRECTORY);
	device = open(argv[2], O_RDONLY);
	if (dir < 0 || device < 0 || fstatfs(dir, &fs) < 0 ||
	    ioctl(device, (int)BLKGETSIZE64, &bytes) < 0) {
		perror("growfs");
		return 5;
	}
	blocks = bytes / (uint64_t)fs.f_bsize;
	clock_gettime(CLOCK_MONOTONIC, &start);
	if (ioctl(dir, (int)EXT4_IOC_RESIZE_FS, &blocks) < 0) {
		perror("growfs: EXT4_IOC_RESIZE_FS");
		return 5;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (fstatfs(dir, &fs) < 0)
		return 5;
	printf("%llu blocks in %lld ms, %llu to use\n", (unsigned long long)blocks,
	       (long long)(end.tv_sec - start.tv_sec) * 1000 +
		       (end.tv_nsec - start.tv_nsec) / 1000000,
	       (unsigned long long)fs.f_blocks);
	return 0;
}
