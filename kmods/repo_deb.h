/*
 * A Debian archive's InRelease, once its signature holds: which index it names, with
 * which hash. Its text is what was signed.
 */
#ifndef FVOL_KMODS_REPO_DEB_H
#define FVOL_KMODS_REPO_DEB_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "kmods/repo.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

struct deb_index {
	char path[256]; /* below the suite's directory */
	char sha256[SHA256_HEX_SIZE];
	uint64_t size_bytes;
	uint64_t unpacked_bytes; /* 0: not said */
};

/*
 * text is a Release file, ended by a NUL; it must be that of the suite (its Suite or
 * Codename) and, unless now is 0, not past its Valid-Until. Finds the smallest of
 * COMPONENT/binary-ARCH/Packages{.xz,.gz,}. Returns 0 or -1.
 */
int deb_release_index(const char *text, const char *suite, const char *component,
		      const char *deb_arch, time_t now, struct deb_index *index,
		      struct err *err);

/*
 * Reads a Packages file, compressed or not, of at most max_bytes unpacked: adds the
 * kernel packages of the architecture and of "all", their origins below base ("" for
 * paths as they are). Returns 0 or -1.
 */
int deb_read_packages(const void *data, size_t len_bytes, uint64_t max_bytes,
		      const char *base, const char *only, const char *deb_arch,
		      struct packages *packages, struct err *err);

#endif
