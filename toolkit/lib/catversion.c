#include "toolkit/lib/catversion.h"

#include <string.h>

/* The largest whole number that every JSON reader keeps exactly. */
#define VERSION_MAX (1ULL << 53)

static const char *take_number(const char *text, uint64_t *value)
{
	const char *p = text;

	*value = 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		*value = *value * 10 + (uint64_t)(*p - '0');
		if (*value > VERSION_MAX)
			return NULL;
	}
	return p > text && *text != '0' ? p : NULL;
}

bool catversion_parse(const char *text, uint64_t *version)
{
	const char *end = take_number(text, version);

	return end && *end == '\0';
}

int catversion_of_catalogue(const char *text, uint64_t *version, struct err *err)
{
	static const char before[] = "{\n  \"format\": 2,\n  \"catalogue_version\": ";
	const char *end = NULL;

	if (strncmp(text, before, strlen(before)) == 0)
		end = take_number(text + strlen(before), version);
	if (!end || *end != ',')
		return err_set(err, ERR_FAILED,
			       "not a catalogue of format 2 as kmods writes it");
	return 0;
}

int catversion_of_file(const char *text, uint64_t *version, uint64_t *least,
		       struct err *err)
{
	static const char *const names[] = { "version ", "least " };
	uint64_t *const values[] = { version, least };
	unsigned line = 0;

	*version = *least = 0;
	for (const char *p = text; *p; p++) {
		line++;
		if (*p == '#')
			p += strcspn(p, "\n");
		for (size_t i = 0; i < 2 && *p != '\n'; i++) {
			size_t len = strlen(names[i]);

			if (strncmp(p, names[i], len) != 0 || *values[i] != 0)
				continue;
			p = take_number(p + len, values[i]);
			if (!p)
				return err_set(err, ERR_FAILED, "line %u: no number",
					       line);
		}
		if (*p == '\0')
			break;
		if (*p != '\n')
			return err_set(err, ERR_FAILED,
				       "line %u is not \"version N\" or \"least N\"",
				       line);
	}
	if (*version == 0 || *least == 0 || *least > *version)
		return err_set(err, ERR_FAILED,
			       "it needs a version and a least one, no higher");
	return 0;
}
