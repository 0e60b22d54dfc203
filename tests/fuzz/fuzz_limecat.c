#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/limecat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is found is for this kernel, of a bounded size, and its text ends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct limecat_module module;
	struct err err = { 0 };
	int rc = limecat_find((const char *)data, len, "x86_64", "6.1.0", &module, &err);

	if (rc < 0 && (err.kind != ERR_FAILED || err.text[0] == '\0'))
		abort();
	if (rc == 1 &&
	    (!memchr(module.vermagic, '\0', sizeof(module.vermagic)) ||
	     strncmp(module.vermagic, "6.1.0 ", 6) != 0 || !module.size_bytes ||
	     module.size_bytes > LIMECAT_MODULE_BYTES_MAX))
		abort();
	return 0;
}
