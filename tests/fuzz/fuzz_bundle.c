#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "toolkit/compress/listing.h"
#include "toolkit/compress/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A bundle that unpacks to more is not read to its end here. */
#define PLAIN_MAX (32u << 20)

static int read_all(struct tar *tar, struct listing *listing, struct err *err)
{
	static uint8_t buf[65536];
	struct tar_entry entry;
	uint64_t whole = 0;
	ssize_t n;
	int more;

	while ((more = tar_read_entry(tar, &entry, err)) > 0) {
		struct listed *listed;

		/* What leaves the directory is refused by the reader. */
		if (entry.path[0] == '/' || strstr(entry.path, "/../") ||
		    strncmp(entry.path, "../", 3) == 0)
			abort();
		if (entry.size_bytes > PLAIN_MAX)
			return -1;
		listed = listing_add(listing, &entry, err);
		if (!listed)
			return -1;
		while ((n = tar_read_data(tar, buf, sizeof(buf), err)) > 0) {
			whole += (uint64_t)n;
			if (whole > PLAIN_MAX || (uint64_t)n > entry.size_bytes)
				return -1;
			if (listed->sums)
				memcpy(listed->sums, buf, (size_t)n);
		}
		if (n < 0)
			return -1;
	}
	return more;
}

/* Any bytes as a bundle: read to the end, or an error with a sentence. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct listing listing = { 0 };
	size_t checked, sums;
	struct err err = { 0 };
	static int fd = -1;
	struct tar *tar;

	if (fd < 0)
		fd = memfd_create("bundle", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, len, 0) != (ssize_t)len)
		abort();
	tar = tar_read_open(fd, &err);
	if (tar && read_all(tar, &listing, &err) == 0) {
		listing_sort(&listing);
		if (listing_unique(&listing, &err) == 0)
			listing_check_sums(&listing, &checked, &sums, &err);
	} else if (!tar && !err.text[0]) {
		abort();
	}
	tar_free(tar);
	listing_free(&listing);
	return 0;
}
