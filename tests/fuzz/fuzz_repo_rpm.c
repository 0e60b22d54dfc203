/* repomd.xml or primary.xml: whatever it is, both readers see it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kmods/repo_rpm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct packages packages = { 0 };
	struct rpm_index index;
	struct err err = { 0 };

	if (rpm_read_repomd((const char *)data, len, &index, &err) == 0 &&
	    (strlen(index.sha256) != 64 || index.path[0] == '\0'))
		abort();
	rpm_read_primary(data, len, 1 << 20, "http://h/x", NULL, "x86_64", &packages,
			 &err);
	for (size_t i = 0; i < packages.count; i++) {
		const struct repo_package *p = &packages.list[i];

		if (!lock_plain(p->name) || !lock_plain(p->version) ||
		    strlen(p->sha256) != 64 ||
		    strncmp(p->origin, "http://h/x/", 11) != 0 ||
		    strstr(p->origin, "/../"))
			abort();
	}
	packages_free(&packages);
	return 0;
}
