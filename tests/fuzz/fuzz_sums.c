#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/sums.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read and written again reads the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct sums_entry entry, again;
	static char line[SUMS_LINE_MAX];
	size_t pos = 0, number = 0;
	char *text = malloc(len + 1);
	struct err err;

	memcpy(text, data, len);
	text[len] = '\0';
	while (sums_next(text, len, &pos, &number, &entry, &err) > 0) {
		size_t at = 0, first = 0;
		size_t n = sums_format(entry.digest, entry.name, line);

		if (sums_next(line, n, &at, &first, &again, &err) != 1 || at != n ||
		    strcmp(entry.name, again.name) != 0 ||
		    memcmp(entry.digest, again.digest, SHA256_LEN) != 0)
			abort();
	}
	free(text);
	return 0;
}
