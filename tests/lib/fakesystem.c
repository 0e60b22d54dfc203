#include "tests/lib/fakesystem.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/triagelines.h"

struct triage fake;
struct options fake_options;
struct err fake_err;
static char path_of[64];

static int made(int parent, const char *name)
{
	int fd;

	if (mkdirat(parent, name, 0755) < 0 ||
	    (fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		abort();
	return fd;
}

void fake_begin(void)
{
	int fd;

	fake_end();
	strcpy(path_of, "/dev/shm/fvol-system.XXXXXX");
	if (!mkdtemp(path_of) || (fd = open(path_of, O_RDONLY | O_DIRECTORY)) < 0)
		abort();
	fake_options = (struct options){ 0 };
	fake = (struct triage){ .opt = &fake_options,
				.capabilities = UINT64_MAX,
				.detachedfd = -1 };
	fake.procfd = made(fd, "proc");
	fake.sysfd = made(fd, "sys");
	fake.rootfd = made(fd, "root");
	close(fd);
	triage_lines_clear();
}

static int removed(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fake_end(void)
{
	if (!path_of[0])
		return;
	nftw(path_of, removed, 16, FTW_DEPTH | FTW_PHYS);
	path_of[0] = '\0';
	close(fake.procfd);
	close(fake.sysfd);
	close(fake.rootfd);
	census_free(&fake.census);
	census_free(&fake.units);
}

void fake_file(int dirfd, const char *path, const void *bytes, size_t len_bytes)
{
	char part[512];
	int fd;

	for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (slash > path)
			mkdirat(dirfd, part, 0755);
	}
	fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, bytes, len_bytes) != (ssize_t)len_bytes)
		abort();
	close(fd);
}

void fake_text(int dirfd, const char *path, const char *text)
{
	fake_file(dirfd, path, text, strlen(text));
}
