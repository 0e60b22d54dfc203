#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/catversion.h"
#include "toolkit/lib/limecat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct limecat_kernel kernels[] = {
	{ "x86_64", "6.1.0", "", "", 0 },
	{ "x86_64", "6.1.0", "0123456789abcdef", "Linux version 6.1.0 #1 SMP x", 3 },
	{ "aarch64", "6.1.0", "00", "Linux version 6.1.0 #1 SMP PREEMPT_RT x", 1 },
};

/* The numbers are read out of the same files by other code: neither runs out of it. */
static void read_numbers(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);
	uint64_t version, least;
	struct err err = { 0 };

	if (!text)
		abort();
	memcpy(text, data, len);
	text[len] = '\0';
	if (catversion_of_catalogue(text, &version, &err) == 0 && !version)
		abort();
	if (catversion_of_file(text, &version, &least, &err) == 0 &&
	    (!version || !least || least > version))
		abort();
	free(text);
}

/* What is found is for this kernel, of a bounded size, and its text ends; what is not has
 * a reason. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
		struct limecat_module module;
		struct err err = { 0 };
		int rc =
			limecat_find((const char *)data, len, &kernels[i], &module, &err);

		if (rc < 1 && err.text[0] == '\0')
			abort();
		if (rc < 0 && err.kind != ERR_FAILED)
			abort();
		if (rc == 0 && err.kind != ERR_NO && err.kind != ERR_REFUSED)
			abort();
		if (rc == 1 &&
		    (!memchr(module.vermagic, '\0', sizeof(module.vermagic)) ||
		     strncmp(module.vermagic, "6.1.0 ", 6) != 0 || !module.size_bytes ||
		     module.size_bytes > LIMECAT_MODULE_BYTES_MAX))
			abort();
	}
	read_numbers(data, len);
	return 0;
}
