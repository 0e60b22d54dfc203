/* A deb or rpm of which a kernel is wanted. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/scratch.h"
#include "toolkit/lib/package.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const kernels[] = { "boot/vmlinuz-*", "lib/modules/*/vmlinuz",
					       NULL };
	static const char *const maps[] = { "boot/System.map-*", NULL };
	struct package_file files[] = {
		{ .patterns = kernels, .max_bytes = 1 << 20 },
		{ .patterns = maps, .max_bytes = 4096 },
	};
	struct err err;
	int fd;

	scratch_write("package", data, len);
	fd = openat(scratch_dir(), "package", O_RDONLY);
	package_read(fd, files, 2, &err);
	for (int i = 0; i < 2; i++) {
		if (files[i].len > files[i].max_bytes ||
		    (files[i].data && !memchr(files[i].path, '/', sizeof(files[i].path))))
			abort();
		free(files[i].data);
	}
	close(fd);
	unlinkat(scratch_dir(), "package", 0);
	return 0;
}
