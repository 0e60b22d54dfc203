#include "toolkit/lib/limecat.h"

#include <string.h>

#include "toolkit/lib/json.h"

static bool is(const struct json_value *object, const char *key, const char *want)
{
	const char *text = json_str(json_get(object, key));

	return text && strcmp(text, want) == 0;
}

/* The word of vermagic, whole: "modversions" of "6.1.0 SMP mod_unload modversions ". */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
		if ((at == text || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

static int take(const struct json_value *entry, const char *release,
		struct limecat_module *module, struct err *err)
{
	const char *vermagic = json_str(json_get(entry, "vermagic"));
	const char *sha256 = json_str(json_get(entry, "sha256"));
	size_t len = strlen(release);

	memset(module, 0, sizeof(*module));
	if (!sha256 || strlen(sha256) != 2 * SHA256_LEN ||
	    !sha256_from_hex(sha256, module->sha256))
		return err_set(err, ERR_FAILED, "the module's entry has no SHA-256");
	if (!json_u64(json_get(entry, "size"), &module->size_bytes) ||
	    !module->size_bytes || module->size_bytes > LIMECAT_MODULE_BYTES_MAX)
		return err_set(err, ERR_FAILED, "the module's entry has no good size");
	if (!vermagic || strlen(vermagic) >= sizeof(module->vermagic))
		return err_set(err, ERR_FAILED, "the module's entry has no vermagic");
	if (strncmp(vermagic, release, len) != 0 || vermagic[len] != ' ')
		return err_set(err, ERR_FAILED, "the module's vermagic is not %s's",
			       release);
	memcpy(module->vermagic, vermagic, strlen(vermagic) + 1);
	module->modversions = has_word(vermagic, "modversions");
	module->tested = json_true(json_get(entry, "tested"));
	return 1;
}

int limecat_find(const char *text, size_t len_bytes, const char *arch,
		 const char *release, struct limecat_module *module, struct err *err)
{
	struct json_read *doc = json_parse(text, len_bytes, err);
	const struct json_value *modules;
	uint64_t format;
	int rc = 0;

	if (!doc)
		return -1;
	modules = json_get(json_top(doc), "modules");
	if (!json_u64(json_get(json_top(doc), "format"), &format) || format != 1)
		rc = err_set(err, ERR_FAILED, "not a catalogue of format 1");
	for (size_t i = 0; rc == 0 && i < json_len(modules); i++) {
		const struct json_value *entry = json_at(modules, i);

		if (is(entry, "arch", arch) && is(entry, "release", release))
			rc = take(entry, release, module, err);
	}
	json_read_free(doc);
	return rc;
}
