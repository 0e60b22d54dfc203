#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int element(void *arg, const char *path, const char *text, struct err *err)
{
	size_t *depth = arg;

	(void)err;
	if (!path[0] || strlen(path) >= XML_PATH_SIZE || strlen(text) >= XML_TEXT_SIZE)
		abort();
	(*depth)++;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = { 0 };
	size_t elements = 0;
	int rc = xml_read((const char *)data, len, element, &elements, &err);

	/* A document has an element, a failure a sentence. */
	if (rc == 0 ? !elements : !err.text[0])
		abort();
	return 0;
}
