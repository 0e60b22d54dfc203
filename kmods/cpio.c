#include "kmods/cpio.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HEADER_BYTES 110
#define PADDED(n) (((n) + 3) & ~(size_t)3)

static int put(struct cpio *cpio, const char *name, mode_t mode, unsigned links,
	       const void *data, size_t len, struct err *err)
{
	size_t name_size = strlen(name) + 1;
	size_t head = PADDED(HEADER_BYTES + name_size), need = head + PADDED(len);
	char *at;

	if (len > UINT32_MAX - 4)
		return err_set(err, ERR_FAILED, "%s is too large for an archive", name);
	if (cpio->size_bytes - cpio->len_bytes < need + 1) {
		char *more = realloc(cpio->data, cpio->len_bytes + need + 1);

		if (!more)
			return err_sys(err, errno, "adding %s to an archive", name);
		cpio->data = more;
		cpio->size_bytes = cpio->len_bytes + need + 1;
	}
	at = cpio->data + cpio->len_bytes;
	memset(at, 0, need);
	/* magic ino mode uid gid nlink mtime filesize devs, rdevs, namesize check */
	snprintf(at, HEADER_BYTES + 1,
		 "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		 ++cpio->count, mode, 0, 0, links, 0, (unsigned)len, 0, 0, 0, 0,
		 (unsigned)name_size, 0);
	memcpy(at + HEADER_BYTES, name, name_size);
	if (len > 0)
		memcpy(at + head, data, len);
	cpio->len_bytes += need;
	return 0;
}

int cpio_add(struct cpio *cpio, const char *name, mode_t mode, const void *data,
	     size_t len_bytes, struct err *err)
{
	return put(cpio, name, S_IFREG | mode, 1, data, len_bytes, err);
}

int cpio_end(struct cpio *cpio, struct err *err)
{
	return put(cpio, "TRAILER!!!", 0, 1, NULL, 0, err);
}
