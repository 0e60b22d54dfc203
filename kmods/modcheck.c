#include "kmods/modcheck.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmods/file.h"

#define CONFIG_BYTES_MAX (4u << 20)
#define SYMVERS_BYTES_MAX (64u << 20)
#define UTSRELEASE "include/generated/utsrelease.h"
#define RELEASE_DEFINE "#define UTS_RELEASE \""

/* auto.conf has a line NAME=y for each option that is built in. */
static bool is_set(const char *config, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = config; (p = strstr(p, name)) != NULL; p += n) {
		if ((p == config || p[-1] == '\n') && strncmp(p + n, "=y\n", 3) == 0)
			return true;
	}
	return false;
}

int modcheck_vermagic(const struct arch *arch, const char *release, const char *config,
		      char vermagic[VERMAGIC_SIZE], struct err *err)
{
	const char *preempt = "";

	if (is_set(config, "CONFIG_RANDSTRUCT") ||
	    is_set(config, "CONFIG_GCC_PLUGIN_RANDSTRUCT"))
		return err_set(err, ERR_FAILED,
			       "its kernel's structures are laid out at random");
	/* PREEMPT_BUILD since 5.13; before it PREEMPT said the same. */
	if (is_set(config, "CONFIG_PREEMPT_BUILD"))
		preempt = "preempt ";
	else if (is_set(config, "CONFIG_PREEMPT_RT"))
		preempt = "preempt_rt ";
	else if (is_set(config, "CONFIG_PREEMPT"))
		preempt = "preempt ";
	if (snprintf(vermagic, VERMAGIC_SIZE, "%s %s%s%s%s%s", release,
		     is_set(config, "CONFIG_SMP") ? "SMP " : "", preempt,
		     is_set(config, "CONFIG_MODULE_UNLOAD") ? "mod_unload " : "",
		     is_set(config, "CONFIG_MODVERSIONS") ? "modversions " : "",
		     arch->vermagic) >= VERMAGIC_SIZE)
		return err_set(err, ERR_FAILED, "its vermagic is too long");
	return 0;
}

/* One line of Module.symvers: 0xCRC, a tab, the symbol, a tab. */
static bool take_line(const char *line, uint32_t *crc, const char **name, size_t *len)
{
	char *end;
	unsigned long value;

	if (strncmp(line, "0x", 2) != 0)
		return false;
	value = strtoul(line + 2, &end, 16);
	if (end != line + 10 || *end != '\t')
		return false;
	*crc = (uint32_t)value;
	*name = end + 1;
	*len = strcspn(*name, "\t\n");
	return true;
}

int modcheck_versions(const struct modinfo *info, const char *symvers, bool modversions,
		      struct err *err)
{
	bool found[MODINFO_VERSIONS_MAX] = { false };

	if (modversions != (info->version_count > 0))
		return err_set(err, ERR_FAILED, "it has %s checksums of symbols",
			       modversions ? "no" : "unwanted");
	for (const char *line = symvers; line && modversions;
	     line = strchr(line, '\n'), line += line != NULL) {
		const char *name;
		uint32_t crc;
		size_t len;

		if (!take_line(line, &crc, &name, &len))
			continue;
		for (size_t i = 0; i < info->version_count; i++) {
			const struct modversion *v = &info->versions[i];

			if (strlen(v->name) != len || memcmp(v->name, name, len) != 0)
				continue;
			if (v->crc != crc)
				return err_set(
					err, ERR_FAILED,
					"it takes %s with the checksum 0x%08" PRIx32
					", its kernel has it with 0x%08" PRIx32,
					v->name, v->crc, crc);
			found[i] = true;
		}
	}
	for (size_t i = 0; i < info->version_count; i++) {
		if (!found[i])
			return err_set(err, ERR_FAILED,
				       "it takes %s, which its kernel does not have",
				       info->versions[i].name);
	}
	return 0;
}

int modcheck_release(int headersfd, char release[MODULE_RELEASE_SIZE], struct err *err)
{
	char *text, *at;
	size_t len;

	if (file_read(headersfd, UTSRELEASE, 1 << 16, &text, &len, err) < 0)
		return -1;
	at = strstr(text, RELEASE_DEFINE);
	len = at ? strcspn(at + strlen(RELEASE_DEFINE), "\"\n") : 0;
	release[0] = '\0';
	if (len < MODULE_RELEASE_SIZE)
		snprintf(release, MODULE_RELEASE_SIZE, "%.*s", (int)len,
			 at ? at + strlen(RELEASE_DEFINE) : "");
	free(text);
	return lock_plain(release)
		       ? 0
		       : err_set(err, ERR_FAILED, UTSRELEASE " says no usable release");
}

/* LOCALVERSION may have made it another. */
static int check_release(const struct kernel *kernel, int headersfd, struct err *err)
{
	char release[MODULE_RELEASE_SIZE];

	if (modcheck_release(headersfd, release, err) < 0)
		return -1;
	return strcmp(release, kernel->release) == 0
		       ? 0
		       : err_set(err, ERR_FAILED,
				 "its headers are of another release than %s",
				 kernel->release);
}

static int check_vermagic(const struct kernel *kernel, int headersfd,
			  const struct modinfo *info, bool *modversions, struct err *err)
{
	char want[VERMAGIC_SIZE], *config;
	size_t len;
	int rc;

	if (check_release(kernel, headersfd, err) < 0 ||
	    file_read(headersfd, "include/config/auto.conf", CONFIG_BYTES_MAX, &config,
		      &len, err) < 0)
		return -1;
	rc = modcheck_vermagic(kernel->arch, kernel->release, config, want, err);
	*modversions = is_set(config, "CONFIG_MODVERSIONS");
	free(config);
	if (rc == 0 && strcmp(want, info->vermagic) != 0)
		rc = err_set(err, ERR_FAILED,
			     "lime.ko has the vermagic \"%s\", its kernel has \"%s\"",
			     info->vermagic, want);
	return rc;
}

int modcheck(const struct kernel *kernel, int headersfd, const struct modinfo *info,
	     struct err *err)
{
	bool modversions;
	char *symvers;
	size_t len;
	int rc;

	if (info->machine != kernel->arch->machine)
		return err_set(err, ERR_FAILED, "lime.ko is for ELF machine %u, not %s",
			       info->machine, kernel->arch->name);
	if (strcmp(info->name, "lime") != 0)
		return err_set(err, ERR_FAILED, "lime.ko calls itself %s", info->name);
	if (check_vermagic(kernel, headersfd, info, &modversions, err) < 0 ||
	    file_read(headersfd, "Module.symvers", SYMVERS_BYTES_MAX, &symvers, &len,
		      err) < 0)
		return -1;
	rc = modcheck_versions(info, symvers, modversions, err);
	free(symvers);
	return rc < 0 ? err_prefix(err, "lime.ko") : 0;
}
