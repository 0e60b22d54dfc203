#include <stdlib.h>
#include <string.h>

#include "kmods/modinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is taken from a module goes into the catalogue and to a terminal as it is. */
static void check_text(const char *text, size_t size)
{
	if (!memchr(text, '\0', size))
		abort();
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7e)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct modinfo info;
	struct err err = { 0 };

	if (modinfo_read(data, len, &info, &err) < 0) {
		if (err.kind != ERR_FAILED || err.text[0] == '\0')
			abort();
		return 0;
	}
	if (info.name[0] == '\0' || info.vermagic[0] == '\0')
		abort();
	check_text(info.name, sizeof(info.name));
	check_text(info.vermagic, sizeof(info.vermagic));
	check_text(info.srcversion, sizeof(info.srcversion));
	check_text(info.build_id, sizeof(info.build_id));
	if (info.version_count > MODINFO_VERSIONS_MAX)
		abort();
	for (size_t i = 0; i < info.version_count; i++)
		check_text(info.versions[i].name, sizeof(info.versions[i].name));
	return 0;
}
