/*
 * Does a built module fit the kernel that it is for? The loader compares vermagic as a
 * whole and the checksum of each symbol; what it would refuse on the instance is refused
 * here.
 */
#ifndef FVOL_KMODS_MODCHECK_H
#define FVOL_KMODS_MODCHECK_H

#include "kmods/lock.h"
#include "kmods/modinfo.h"
#include "toolkit/lib/err.h"

#define VERMAGIC_SIZE 128

/*
 * What include/linux/vermagic.h makes of a configuration: the release, and a word for
 * each option that changes how a module must be built. config is auto.conf's text.
 * ERR_FAILED for a kernel whose structures are laid out at random, which only its own
 * build knows.
 */
int modcheck_vermagic(const struct arch *arch, const char *release, const char *config,
		      char vermagic[VERMAGIC_SIZE], struct err *err);

/*
 * Compares the module's symbols with Module.symvers's text: each must be there with that
 * checksum, and with modversions (of the kernel) there must be some. Returns 0 or -1.
 */
int modcheck_versions(const struct modinfo *info, const char *symvers, bool modversions,
		      struct err *err);

/* The release that headers say of themselves. Returns 0 or -1. */
int modcheck_release(int headersfd, char release[MODULE_RELEASE_SIZE], struct err *err);

/*
 * All that can be known of a module: name, machine, vermagic, symbols, against the
 * directory of its kernel's headers. Returns 0 or -1.
 */
int modcheck(const struct kernel *kernel, int headersfd, const struct modinfo *info,
	     struct err *err);

#endif
