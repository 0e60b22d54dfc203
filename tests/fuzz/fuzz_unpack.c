#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmods/tree.h"
#include "kmods/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char place[64];
static int place_fd = -1;

static void remove_place(void)
{
	struct err err;

	if (tree_remove(place_fd, "inside", &err) < 0 ||
	    unlinkat(place_fd, "canary", 0) < 0 || rmdir(place) < 0)
		perror(place);
}

/* PLACE/canary stands beside PLACE/inside, into which packages are unpacked. */
static void make_place(void)
{
	int fd;

	snprintf(place, sizeof(place), "/dev/shm/fvol-fuzz-XXXXXX");
	if (!mkdtemp(place))
		abort();
	place_fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(place_fd, "canary", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (place_fd < 0 || fd < 0 || write(fd, "alive", 5) != 5)
		abort();
	close(fd);
	atexit(remove_place);
}

/* Nothing but the two names, and the canary with its one name, length and mode. */
static void check_place(void)
{
	DIR *dir = opendir(place);
	struct dirent *d;
	struct stat st;
	int names = 0;

	while (dir && (d = readdir(dir)) != NULL)
		names++;
	if (!dir || names != 4 || fstatat(place_fd, "canary", &st, 0) < 0 ||
	    st.st_nlink != 1 || st.st_size != 5 || (st.st_mode & 07777) != 0600)
		abort();
	closedir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = { 0 };
	int fd;

	if (place_fd < 0)
		make_place();
	if (tree_remove(place_fd, "inside", &err) < 0 ||
	    mkdirat(place_fd, "inside", 0755) < 0)
		abort();
	fd = openat(place_fd, "inside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		abort();
	if (unpack_package(data, len, "input", fd, &err) < 0 &&
	    (err.kind == ERR_NONE || strncmp(err.text, "input: ", 7) != 0))
		abort();
	close(fd);
	check_place();
	return 0;
}
