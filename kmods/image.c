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
#define SYSTEM_MAP_BYTES_MAX (64u << 20)
/* Where packages have a file; the first that is there counts. */
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

/* file's data stay NULL when the package has none of the places. */
static int read_file(const struct kernel *kernel, const char *packages,
		     const char *const places[PLACES], struct package_file *file,
		     struct err *err)
{
	char names[PLACES][MODULE_RELEASE_SIZE + 32];
	const char *patterns[PLACES + 1] = { NULL };
	int fd, rc;

	for (size_t i = 0; i < PLACES; i++) {
		snprintf(names[i], sizeof(names[i]), places[i], kernel->release);
		patterns[i] = names[i];
	}
	file->patterns = patterns;
	fd = as_file(kernel, packages, err);
	if (fd < 0)
		return -1;
	rc = package_read(fd, file, 1, err);
	io_close(&fd);
	if (rc == 0)
		return 0;
	free(file->data);
	file->data = NULL;
	return err_prefix(err, "%s", kernel->image->file);
}

int image_read(const struct kernel *kernel, const char *packages, unsigned char **data,
	       size_t *len_bytes, struct err *err)
{
	static const char *const places[PLACES] = { "boot/vmlinuz-%s",
						    "usr/lib/modules/%s/vmlinuz",
						    "lib/modules/%s/vmlinuz" };
	struct package_file file = { .max_bytes = KERNEL_BYTES_MAX };

	*data = NULL;
	if (read_file(kernel, packages, places, &file, err) < 0)
		return -1;
	if (!file.data)
		return err_set(err, ERR_FAILED, "%s: it has no kernel of this release",
			       kernel->image->file);
	*data = file.data;
	*len_bytes = file.len;
	return 0;
}

int image_read_map(const struct kernel *kernel, const char *packages, char **text,
		   size_t *len_bytes, struct err *err)
{
	static const char *const places[PLACES] = { "boot/System.map-%s",
						    "usr/lib/modules/%s/System.map",
						    "lib/modules/%s/System.map" };
	struct package_file file = { .max_bytes = SYSTEM_MAP_BYTES_MAX };

	*text = NULL;
	if (read_file(kernel, packages, places, &file, err) < 0)
		return -1;
	*text = (char *)file.data;
	*len_bytes = file.len;
	return 0;
}
