/* An archive's Release and, behind the first NUL, its Packages. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kmods/repo_deb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct packages *packages)
{
	for (size_t i = 0; i < packages->count; i++) {
		const struct repo_package *p = &packages->list[i];

		if (!lock_plain(p->name) || !lock_plain(p->version) ||
		    strlen(p->sha256) != 64 || p->origin[0] == '/' ||
		    strpbrk(p->origin, " \t\n") || strstr(p->origin, "/../"))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *end = memchr(data, 0, len);
	struct packages packages = { 0 };
	struct deb_index index = { 0 };
	struct err err = { 0 };

	if (end) {
		deb_release_index((const char *)data, "stable", "main", "amd64", 1,
				  &index, &err);
		len -= (size_t)(end + 1 - data);
		data = end + 1;
	}
	if (deb_read_packages(data, len, 1 << 20, "", NULL, "amd64", &packages, &err) <
		    0 &&
	    err.kind == ERR_NONE)
		abort();
	check(&packages);
	packages_free(&packages);
	return 0;
}
