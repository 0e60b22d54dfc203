#include "kmods/image.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kmods/trees.h"
#include "kmods/unpack.h"

static bool want_kernel(const char *path, uint64_t size_bytes)
{
	const char *slash = strrchr(path, '/');

	(void)size_bytes;
	/* boot/vmlinuz-X, or usr/lib/modules/X/vmlinuz of later packages. */
	return strncmp(slash ? slash + 1 : path, "vmlinuz", 7) == 0;
}

int image_unpack(const struct kernel *kernel, const char *packages, int dirfd,
		 char name[TREE_PATH_SIZE], struct err *err)
{
	static const char *const places[] = { "boot/vmlinuz-%s",
					      "usr/lib/modules/%s/vmlinuz",
					      "lib/modules/%s/vmlinuz" };
	struct stat st;
	size_t len;
	char *data;
	int rc;

	if (package_read_locked(packages, kernel->image, &data, &len, err) < 0)
		return -1;
	rc = unpack_select(data, len, kernel->image->file, dirfd, want_kernel, err);
	free(data);
	for (size_t i = 0; rc == 0 && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(name, TREE_PATH_SIZE, places[i], kernel->release);
		if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			return 0;
	}
	return rc < 0 ? -1
		      : err_set(err, ERR_FAILED, "%s has no kernel of this release",
				kernel->image->file);
}
