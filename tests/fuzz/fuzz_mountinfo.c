/* The mount table is the host's word, and so is what a disk identifies itself with. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "toolkit/lib/mountinfo.h"
#include "toolkit/lib/nvmeid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void identify(const uint8_t *data, size_t len)
{
	static unsigned char page[NVMEID_BYTES];
	struct nvmeid id;
	struct err err;

	memset(page, 0, sizeof(page));
	memcpy(page, data, len < 64 ? len : 64);
	if (len > 64)
		memcpy(page + 3072, data + 64, len - 64 < 32 ? len - 64 : 32);
	if (nvmeid_read(page, &id, &err) < 0)
		return;
	/* Both are printed. */
	for (const char *at = id.serial; *at; at++)
		if (*at <= ' ' || *at > '~')
			abort();
	if (id.device_name[0] && strspn(id.device_name, "abcdefghijklmnopqrstuvwxyz") !=
					 strlen(id.device_name))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static int fd = -1;
	struct err err;

	identify(data, len);
	if (fd < 0 && (fd = memfd_create("mountinfo", 0)) < 0)
		abort();
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    write(fd, data, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	(void)mountinfo_check(fd, "/run/fvol/volume", makedev(259, 3), &err);
	return 0;
}
