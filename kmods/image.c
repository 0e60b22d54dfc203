#include "kmods/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kmods/trees.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/package.h"

/* The largest, arm64's of Debian, has 36 MiB. */
#define KERNEL_BYTES_MAX (192u << 20)
/* Where packages have it; the first that is there counts. */
#define PLACES 3

/* The verified bytes as a file, for a reader of files: what was hashed is what is read.
 */
static int as_file(const struct kernel *kernel, const char *packages, struct err *err)
{
	size_t len;
	char *data;
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "reading an image");
	if (package_load_locked(packages, kernel->image, &data, &len, err) < 0) {
		io_close(&fd);
		return -1;
	}
	if (io_pwrite(fd, data, len, 0) < 0) {
		err_sys(err, errno, "reading %s", kernel->image->file);
		io_close(&fd);
	}
	free(data);
	return fd;
}

int image_read(const struct kernel *kernel, const char *packages, unsigned char **data,
	       size_t *len_bytes, struct err *err)
{
	static const char *const places[PLACES] = { "boot/vmlinuz-%s",
						    "usr/lib/modules/%s/vmlinuz",
						    "lib/modules/%s/vmlinuz" };
	char names[PLACES][MODULE_RELEASE_SIZE + 32];
	const char *patterns[PLACES + 1] = { NULL };
	struct package_file file = { .patterns = patterns,
				     .max_bytes = KERNEL_BYTES_MAX };
	int fd, rc;

	*data = NULL;
	for (size_t i = 0; i < PLACES; i++) {
		snprintf(names[i], sizeof(names[i]), places[i], kernel->release);
		patterns[i] = names[i];
	}
	fd = as_file(kernel, packages, err);
	if (fd < 0)
		return -1;
	rc = package_read(fd, &file, 1, err);
	io_close(&fd);
	if (rc == 0 && !file.data)
		rc = err_set(err, ERR_FAILED, "it has no kernel of this release");
	if (rc < 0) {
		free(file.data);
		return err_prefix(err, "%s", kernel->image->file);
	}
	*data = file.data;
	*len_bytes = file.len;
	return 0;
}
