#include <stdlib.h>
#include <string.h>

#include "kmods/catalogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Names become paths, hashes are compared as text, each entry can be found. */
static void check_entry(const struct catalogue *cat, const struct module *m)
{
	if (!arch_find(m->arch) || !release_is_plain(m->release) ||
	    strchr(m->release, '/') || strlen(m->sha256) != SHA256_HEX_SIZE - 1 ||
	    m->package_count > MODULE_PACKAGES_MAX ||
	    catalogue_find(cat, m->arch, m->release) != m)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct catalogue cat;
	struct err err = { 0 };
	size_t left_out;

	if (catalogue_parse((const char *)data, len, &cat, &left_out, &err) < 0) {
		if (err.kind != ERR_FAILED || err.text[0] == '\0')
			abort();
	} else if (cat.count > CATALOGUE_MODULES_MAX) {
		abort();
	}
	for (size_t i = 0; i < cat.count; i++)
		check_entry(&cat, &cat.modules[i]);
	catalogue_free(&cat);
	return 0;
}
