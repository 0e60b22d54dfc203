#include "kmods/hostprogs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmods/file.h"
#include "kmods/tree.h"
#include "toolkit/lib/dirlist.h"
#include "toolkit/lib/io.h"

#define PROGRAM_BYTES_MAX (64u << 20)
#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static bool is_elf_program(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	char magic[4];
	bool elf = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		   (st.st_mode & 0111) && io_pread(fd, magic, 4, 0) == 4 &&
		   memcmp(magic, "\177ELF", 4) == 0;

	io_close(&fd);
	return elf;
}

static int replace_program(int from, const char *path, int dirfd, const char *name,
			   struct err *err)
{
	struct err why;
	char *data;
	size_t len;
	int rc;

	if (file_read(from, path, PROGRAM_BYTES_MAX, &data, &len, &why) < 0)
		return unlinkat(dirfd, name, 0) < 0
			       ? err_sys(err, errno, "removing %s", path)
			       : 0;
	rc = file_put(dirfd, name, data, len, 0755, false, err);
	free(data);
	return rc;
}

/* prefix is the name of to_dir below the headers. */
static int replace_below(int from, int to_dir, const char *prefix, unsigned depth,
			 struct err *err)
{
	struct dirlist names = { 0 };
	int rc = dirlist_read(to_dir, &names, err);

	for (size_t i = 0; rc == 0 && i < names.count; i++) {
		const char *name = names.names[i];
		char path[TREE_PATH_SIZE];
		int fd;

		if ((size_t)snprintf(path, sizeof(path), "%s/%s", prefix, name) >=
		    sizeof(path)) {
			rc = err_set(err, ERR_FAILED, "the name %s is too long", name);
			break;
		}
		fd = openat(to_dir, name, DIRECTORY);
		if (fd >= 0 && depth < TREE_DEPTH_MAX)
			rc = replace_below(from, fd, path, depth + 1, err);
		else if (fd < 0 && is_elf_program(to_dir, name))
			rc = replace_program(from, path, to_dir, name, err);
		io_close(&fd);
	}
	dirlist_free(&names);
	return rc;
}

int hostprogs_replace(int from, int to, struct err *err)
{
	static const char *const below[] = { "scripts", "tools" };

	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
		int fd = openat(to, below[i], DIRECTORY), rc;

		if (fd < 0)
			continue;
		rc = replace_below(from, fd, below[i], 0, err);
		close(fd);
		if (rc < 0)
			return -1;
	}
	return 0;
}
