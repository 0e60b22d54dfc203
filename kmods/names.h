/*
 * What the names of packages say: which of them are a kernel's headers, what these build
 * upon, which kernel and flavour they are for. Debian's, Ubuntu's, Red Hat's (Fedora,
 * Amazon Linux, RHEL and its kin) and SUSE's ways to name them.
 */
#ifndef FVOL_KMODS_NAMES_H
#define FVOL_KMODS_NAMES_H

#include "kmods/repo.h"
#include "toolkit/lib/err.h"

/* The fields of a Debian package, in this order, from an index or from itself. */
enum deb_field {
	DEB_PACKAGE,
	DEB_VERSION,
	DEB_ARCHITECTURE,
	DEB_DEPENDS,
	DEB_FILENAME,
	DEB_SIZE,
	DEB_SHA256,
	DEB_FIELDS
};
extern const char *const deb_fields[DEB_FIELDS + 1];

/* What an rpm says of itself. */
struct rpm_info {
	char name[96];
	char epoch[16];
	char version[64];
	char release[64];
	char arch[16];
	char uname[MODULE_RELEASE_SIZE]; /* of its provides KERNEL-uname-r; or empty */
};

/*
 * Fills in name, version, arch, role, release, flavour, common and kbuild. Returns 1; 0
 * when it is no package of a kernel (and not the one that only names); -1 with err when
 * it is one, but a field is missing or not usable.
 */
int names_deb(char *const values[], const char *only, struct repo_package *package,
	      struct err *err);
int names_rpm(const struct rpm_info *info, const char *only, struct repo_package *package,
	      struct err *err);

/*
 * For one entry of an rpm's provides: takes NAME = VERSION-RELEASE as its kernel when it
 * is one of the names that tell it.
 */
void names_rpm_provides(struct rpm_info *info, const char *name, const char *version,
			const char *release);

#endif
