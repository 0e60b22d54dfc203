#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kmods/pgp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Armor becomes no longer than it was, and is changed in place. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = malloc(len ? len : 1);
	struct err err = { 0 };
	long n;

	memcpy(copy, data, len);
	n = pgp_dearmor(copy, len, &err);
	if (n > (long)len || (n < 0 && err.kind == ERR_NONE))
		abort();
	free(copy);
	return 0;
}
