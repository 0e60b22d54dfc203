/*
 * The forensic volume as it is mounted, checked by system calls of our own: nothing that
 * the host's mount or sha256sum said is taken over. What it cannot prove: root on the
 * host can change what the kernel answers, and can change the volume afterwards.
 */
#ifndef FVOL_VOLUME_H
#define FVOL_VOLUME_H

#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define VOLUME_LABEL "FVOL"

struct volume_expect {
	const char *manifest_sha256; /* 64 hex digits */
	const char *serial;	     /* the disk's serial, or NULL: any */
	const char *arch;	     /* whose bin/ directory is checked */
	uint64_t catalogue_least;    /* no older catalogue is accepted; 0: any */
};

/*
 * Checks that dir is the root of an ext4 mount with nosuid, nodev and noatime, that the
 * disk under it has our label (and serial), that MANIFEST has the expected hash, and that
 * each file which MANIFEST lists under bin/ARCH/ and scripts/ is there and equal. Only
 * these are read: reading everything would fill tens of thousands of pages of the
 * evidence, so any other file is checked when it is used. One more is: the catalogue of
 * modules, whose number must be at least catalogue_least and what the volume itself asks
 * for (etc/catalogue.version). ERR_NO when a hash differs or the catalogue is too old;
 * ERR_FAILED or ERR_REFUSED otherwise. *files counts what was checked.
 */
int volume_check(const char *dir, const struct volume_expect *expect, size_t *files,
		 struct err *err);

/*
 * The hash that the MANIFEST in dirfd has for name, which must be there; the MANIFEST
 * itself must have the hash manifest_sha256 (64 hex digits), ERR_NO when it has another.
 */
int volume_listed(int dirfd, const char *manifest_sha256, const char *name,
		  uint8_t digest[SHA256_LEN], struct err *err);

#endif
