#include "kmods/names.h"

#include <stdio.h>
#include <string.h>

#include "kmods/lock.h"

#define HEADERS "linux-headers-"
#define IMAGE "linux-image-"
#define KBUILD "linux-kbuild-"

const char *const deb_fields[DEB_FIELDS + 1] = { "Package", "Version",	"Architecture",
						 "Depends", "Filename", "Size",
						 "SHA256",  NULL };

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with)
{
	size_t n = strlen(text), m = strlen(with);

	return n >= m && strcmp(text + n - m, with) == 0;
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static int take(char *to, size_t size, const char *word, const char *what,
		struct err *err)
{
	if (!lock_plain(word) || strlen(word) >= size)
		return err_set(err, ERR_FAILED, "a package has no usable %s", what);
	memcpy(to, word, strlen(word) + 1);
	return 0;
}

/* Copies the first name of a list of dependencies that test() likes; "" for none. */
static int find_depends(const char *depends, bool (*test)(const char *), char name[96])
{
	name[0] = '\0';
	while (*depends) {
		char word[96];
		size_t n;

		depends += strspn(depends, " \t,|");
		n = strcspn(depends, " \t,|(:");
		if (n > 0 && n < sizeof(word)) {
			memcpy(word, depends, n);
			word[n] = '\0';
			if (test(word) && lock_plain(word)) {
				memcpy(name, word, n + 1);
				return 1;
			}
		}
		depends += n;
		/* The rest of this dependency, a version with blanks in it too. */
		depends += strcspn(depends, ",|");
	}
	return 0;
}

static bool is_kbuild(const char *name)
{
	return begins(name, KBUILD);
}

/*
 * Debian: linux-headers-X-common, -common-rt. Ubuntu: linux-headers-X,
 * linux-aws-headers-X, linux-aws-6.5-headers-X, linux-hwe-6.8-headers-X.
 */
static bool is_common(const char *name)
{
	const char *at = strstr(name, "headers-");

	if (!begins(name, "linux-") || !at || !digit(at[8]))
		return false;
	if (ends(name, "-common") || strstr(at, "-common-"))
		return true;
	at = strrchr(name, '-') + 1;
	return at[0] && at[strspn(at, "0123456789")] == '\0';
}

/* "cloud" of 6.1.0-56-cloud-amd64, "generic" of 6.1.0-56-amd64 and 6.5.0-9-generic. */
static void deb_flavour(const char *release, char flavour[64])
{
	static const char *const archs_of_it[] = { "amd64", "arm64" };
	const char *from = release_flavour(release);

	for (size_t i = 0; i < 2; i++) {
		const char *at = strstr(from, archs_of_it[i]);
		size_t n = strlen(archs_of_it[i]);

		if (!at)
			continue;
		if (at[n] == '-') /* arm64-16k */
			snprintf(flavour, 64, "%.*s%s", (int)(at - from), from,
				 at + n + 1);
		else if (at == from)
			snprintf(flavour, 64, "generic");
		else
			snprintf(flavour, 64, "%.*s", (int)(at - from - 1), from);
		return;
	}
	snprintf(flavour, 64, "%s", from);
}

/* Returns whether the package is one of a kernel's, with its role and release. */
static bool deb_role(const char *name, const char *depends, struct repo_package *p)
{
	const char *release = NULL;

	if (is_kbuild(name)) {
		p->role = LOCK_KBUILD;
		return true;
	}
	if (is_common(name)) {
		p->role = LOCK_COMMON;
		return true;
	}
	if (begins(name, HEADERS) && digit(name[strlen(HEADERS)])) {
		/* Otherwise it names another package only: 6.12-cloud-amd64. */
		if (!find_depends(depends, is_common, p->common))
			return false;
		find_depends(depends, is_kbuild, p->kbuild);
		p->role = LOCK_HEADERS;
		release = name + strlen(HEADERS);
	} else if (begins(name, IMAGE) && digit(name[strlen(IMAGE)])) {
		if (ends(name, "-dbg") || ends(name, "-dbgsym") ||
		    ends(name, "-unsigned"))
			return false;
		p->role = LOCK_IMAGE;
		release = name + strlen(IMAGE);
	} else {
		return false;
	}
	if (strlen(release) >= sizeof(p->release))
		return false;
	memcpy(p->release, release, strlen(release) + 1);
	deb_flavour(release, p->flavour);
	return true;
}

int names_deb(char *const values[], const char *only, struct repo_package *p,
	      struct err *err)
{
	const char *name = values[DEB_PACKAGE];

	memset(p, 0, sizeof(*p));
	if (only ? strcmp(name, only) != 0 : !deb_role(name, values[DEB_DEPENDS], p))
		return 0;
	if (only)
		p->role = LOCK_COMMON;
	if (take(p->name, sizeof(p->name), name, "name", err) < 0 ||
	    take(p->version, sizeof(p->version), values[DEB_VERSION], "version", err) <
		    0 ||
	    take(p->arch, sizeof(p->arch), values[DEB_ARCHITECTURE], "architecture",
		 err) < 0)
		return err_prefix(err, "%.100s", name);
	return 1;
}

void names_rpm_provides(struct rpm_info *info, const char *name, const char *version,
			const char *release)
{
	/* kernel-uname-r, kernel-core-uname-r, kernel-devel-uname-r, kernel-rt-… */
	if (!begins(name, "kernel") || !ends(name, "-uname-r") || !version || !release)
		return;
	if (snprintf(info->uname, sizeof(info->uname), "%s-%s", version, release) >=
	    (int)sizeof(info->uname))
		info->uname[0] = '\0';
}

/*
 * "kernel6.12" of kernel6.12-devel and kernel6.12: Amazon Linux numbers its later series.
 * Returns what stands behind it ("", "-rt", "-default", …), NULL when it is no kernel.
 */
static const char *behind_kernel(const char *name)
{
	if (!begins(name, "kernel"))
		return NULL;
	name += 6;
	while (digit(*name) || (*name == '.' && digit(name[1])))
		name++;
	return *name == '-' || *name == '\0' ? name : NULL;
}

/*
 * SUSE counts rebuilds in the last number of a release, and leaves them out of uname -r:
 * kernel-default-5.14.21-150500.55.52.1 is 5.14.21-150500.55.52-default.
 */
static void suse_release(const struct rpm_info *info, const char *flavour,
			 char release[MODULE_RELEASE_SIZE])
{
	const char *dot = strrchr(info->release, '.');
	size_t n = dot && digit(dot[1]) ? (size_t)(dot - info->release)
					: strlen(info->release);

	if (snprintf(release, MODULE_RELEASE_SIZE, "%s-%.*s-%s", info->version, (int)n,
		     info->release, flavour) >= MODULE_RELEASE_SIZE)
		release[0] = '\0';
}

static const char *const suse_flavours[] = { "default",	 "azure", "64kb", "preempt",
					     "kvmsmall", "rt",	  NULL };

/* Whether a flavour is named as SUSE names its own; its rt is told by its release. */
static bool is_suse(const char *flavour, const struct rpm_info *info)
{
	if (strcmp(flavour, "rt") == 0)
		return info->uname[0] == '\0' && !strstr(info->release, ".el") &&
		       !strstr(info->release, ".fc");
	for (size_t i = 0; suse_flavours[i]; i++) {
		if (strcmp(flavour, suse_flavours[i]) == 0)
			return true;
	}
	return false;
}

static void rpm_release(const struct rpm_info *info, const char *flavour, bool suse,
			char release[MODULE_RELEASE_SIZE])
{
	if (info->uname[0])
		snprintf(release, MODULE_RELEASE_SIZE, "%s", info->uname);
	else if (suse)
		suse_release(info, flavour, release);
	else if (snprintf(release, MODULE_RELEASE_SIZE, "%s-%s.%s", info->version,
			  info->release, info->arch) >= MODULE_RELEASE_SIZE)
		release[0] = '\0';
}

static bool rpm_role(const struct rpm_info *info, struct repo_package *p)
{
	static const char *const images[] = { "", "-core", NULL };
	const char *rest = behind_kernel(info->name);
	char word[64];
	size_t n;
	bool suse;

	if (!rest || strlen(rest) >= sizeof(word))
		return false;
	if (strcmp(rest, "-devel") == 0 && strcmp(info->arch, "noarch") == 0) {
		p->role = LOCK_COMMON; /* SUSE's source for all flavours */
		return true;
	}
	n = strlen(rest);
	if (ends(rest, "-devel")) {
		p->role = LOCK_HEADERS;
		n -= strlen("-devel");
	} else if (ends(rest, "-core")) {
		p->role = LOCK_IMAGE;
		n -= strlen("-core");
	} else {
		/* kernel, kernel-default; kernel-headers, -tools and the like are not. */
		p->role = LOCK_IMAGE;
	}
	snprintf(word, sizeof(word), "%.*s", n > 0 ? (int)n - 1 : 0,
		 n > 0 ? rest + 1 : "");
	suse = is_suse(word, info);
	if (p->role == LOCK_IMAGE && !suse && strcmp(rest, images[0]) != 0 &&
	    !ends(rest, images[1]))
		return false;
	/* kernel-modules-core has no kernel in it. */
	if (p->role == LOCK_IMAGE &&
	    (strcmp(word, "modules") == 0 || ends(word, "-modules")))
		return false;
	snprintf(p->flavour, sizeof(p->flavour), "%s", word[0] ? word : "generic");
	rpm_release(info, word, suse, p->release);
	if (p->role == LOCK_HEADERS && suse)
		snprintf(p->common, sizeof(p->common), "kernel-devel");
	return p->release[0] != '\0';
}

int names_rpm(const struct rpm_info *info, const char *only, struct repo_package *p,
	      struct err *err)
{
	char version[160];
	bool epoch = info->epoch[0] && strcmp(info->epoch, "0") != 0;

	memset(p, 0, sizeof(*p));
	p->rpm = true;
	if (only ? strcmp(info->name, only) != 0 : !rpm_role(info, p))
		return 0;
	if (only)
		p->role = LOCK_COMMON;
	snprintf(version, sizeof(version), "%s%s%s-%s", epoch ? info->epoch : "",
		 epoch ? ":" : "", info->version, info->release);
	if (take(p->name, sizeof(p->name), info->name, "name", err) < 0 ||
	    take(p->version, sizeof(p->version), version, "version", err) < 0 ||
	    take(p->arch, sizeof(p->arch), info->arch, "architecture", err) < 0 ||
	    (p->release[0] && !lock_plain(p->release)))
		return err_set(err, ERR_FAILED, "%.90s: a field is not usable",
			       info->name);
	return 1;
}
