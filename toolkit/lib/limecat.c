#include "toolkit/lib/limecat.h"

#include <inttypes.h>
#include <string.h>

#include "toolkit/lib/json.h"

/* Entries of one release that are looked at: a few builds of it, not a hostile list. */
#define SAME_RELEASE_MAX 64

static bool is(const struct json_value *object, const char *key, const char *want)
{
	const char *text = json_str(json_get(object, key));

	return text && strcmp(text, want) == 0;
}

/* The word of a line, whole: "modversions" of "6.1.0 SMP mod_unload modversions ". */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
		if ((at == text || at[-1] == ' ') &&
		    (at[len] == ' ' || at[len] == '\n' || at[len] == '\0'))
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
	/* It goes into sentences that are printed. */
	for (const char *p = vermagic; *p; p++) {
		if (*p < 0x20 || *p > 0x7e)
			return err_set(err, ERR_FAILED,
				       "the module's vermagic is not printable");
	}
	if (strncmp(vermagic, release, len) != 0 || vermagic[len] != ' ')
		return err_set(err, ERR_FAILED, "the module's vermagic is not %s's",
			       release);
	memcpy(module->vermagic, vermagic, strlen(vermagic) + 1);
	module->modversions = has_word(vermagic, "modversions");
	module->tested = json_true(json_get(entry, "tested"));
	return 1;
}

/*
 * Does the module's vermagic say of SMP and preemption what the kernel's version does?
 * Both come from the same configuration: include/linux/vermagic.h and init/Makefile's
 * UTS_VERSION. "preempt" is in vermagic for PREEMPT and PREEMPT_DYNAMIC; a real-time
 * kernel is "preempt_rt", since 6.13 "preempt" with lazy preemption.
 */
static bool sounds_alike(const char *vermagic, const char *version)
{
	const char *number = strstr(version, " #");
	bool preempt = has_word(vermagic, "preempt");
	bool rt = has_word(vermagic, "preempt_rt");

	if (!number)
		return true;
	if (has_word(number, "SMP") != has_word(vermagic, "SMP"))
		return false;
	if (has_word(number, "PREEMPT_RT"))
		return preempt || rt;
	if (has_word(number, "PREEMPT") || has_word(number, "PREEMPT_DYNAMIC"))
		return preempt;
	return !preempt && !rt;
}

/* Is this entry of the right release the one for this kernel? 1, 0 with why, -1. */
static int judge(const struct json_value *entry, const struct limecat_kernel *kernel,
		 struct limecat_module *module, struct err *err)
{
	const char *build_id = json_str(json_get(entry, "kernel_build_id"));

	if (take(entry, kernel->release, module, err) < 0)
		return -1;
	if (!build_id || strspn(build_id, "0123456789abcdef") != strlen(build_id))
		return err_set(err, ERR_FAILED,
			       "the module's entry has no good build id of its kernel");
	if (build_id[0] && kernel->build_id[0]) {
		module->by_build_id = true;
		if (strcmp(build_id, kernel->build_id) == 0)
			return 1;
		err_set(err, ERR_NO,
			"the module for %s is for another build of that kernel: build "
			"id %.40s, this kernel has %.40s",
			kernel->release, build_id, kernel->build_id);
		return 0;
	}
	if (sounds_alike(module->vermagic, kernel->version))
		return 1;
	err_set(err, ERR_NO,
		"the module for %s is for another kernel of that name: its vermagic is "
		"\"%s\"",
		kernel->release, module->vermagic);
	return 0;
}

static int search(const struct json_value *modules, const struct limecat_kernel *kernel,
		  struct limecat_module *module, struct err *err)
{
	unsigned same = 0;

	for (size_t i = 0; i < json_len(modules) && same < SAME_RELEASE_MAX; i++) {
		const struct json_value *entry = json_at(modules, i);
		int rc;

		if (!is(entry, "arch", kernel->arch) ||
		    !is(entry, "release", kernel->release))
			continue;
		same++;
		rc = judge(entry, kernel, module, err);
		if (rc != 0)
			return rc;
	}
	if (same == 0)
		err_set(err, ERR_NO, "the catalogue has no module for %s %s",
			kernel->arch, kernel->release);
	return 0;
}

int limecat_find(const char *text, size_t len_bytes, const struct limecat_kernel *kernel,
		 struct limecat_module *module, struct err *err)
{
	struct json_read *doc = json_parse(text, len_bytes, err);
	const struct json_value *top;
	uint64_t format, version;
	int rc = 0;

	if (!doc)
		return -1;
	top = json_top(doc);
	if (!json_u64(json_get(top, "format"), &format) || format != LIMECAT_FORMAT ||
	    !json_u64(json_get(top, "catalogue_version"), &version))
		rc = err_set(err, ERR_FAILED, "not a catalogue of format %d",
			     LIMECAT_FORMAT);
	else if (version < kernel->least)
		err_set(err, ERR_REFUSED,
			"the catalogue has version %" PRIu64 ", older than %" PRIu64
			", the least that is accepted",
			version, kernel->least);
	else
		rc = search(json_get(top, "modules"), kernel, module, err);
	json_read_free(doc);
	return rc;
}
