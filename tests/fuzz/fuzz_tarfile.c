#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/tarfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Any bytes as the archive of a symbol bundle: what is found stands inside it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const names[] = { "symbols/btf", "symbols/version", "" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const void *found = NULL;
		size_t found_len = 0, off;

		if (tarfile_find(data, len, names[i], &found, &found_len) != 1)
			continue;
		off = (size_t)((const uint8_t *)found - data);
		if (off < TARFILE_BLOCK || off > len || found_len > len - off)
			abort();
	}
	return 0;
}
