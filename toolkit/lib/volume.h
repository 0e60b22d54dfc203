/*
 * The forensic volume as it is mounted, checked by system calls of our own: nothing that
 * the host's mount or sha256sum said is taken over. What it cannot prove: root on the
 * host can change what the kernel answers, and can change the volume afterwards.
 */
#ifndef FVOL_VOLUME_H
#define FVOL_VOLUME_H

#include <stddef.h>

#include "toolkit/lib/err.h"

#define VOLUME_LABEL "FVOL"

struct volume_expect {
	const char *manifest_sha256; /* 64 hex digits */
	const char *serial;	     /* the disk's serial, or NULL: any */
	const char *arch;	     /* whose bin/ directory is checked */
};

/*
 * Checks that dir is the root of an ext4 mount with nosuid, nodev and noatime, that the
 * disk under it has our label (and serial), that MANIFEST has the expected hash, and that
 * each file which MANIFEST lists under bin/ARCH/ and scripts/ is there and equal. Only
 * these are read: reading everything would fill tens of thousands of pages of the
 * evidence, so any other file is checked when it is used. ERR_NO when a hash differs;
 * ERR_FAILED or ERR_REFUSED otherwise. *files counts what was checked.
 */
int volume_check(const char *dir, const struct volume_expect *expect, size_t *files,
		 struct err *err);

#endif
