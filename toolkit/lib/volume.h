/*
 * The forensic volume as it is mounted, checked by system calls of our own: nothing that
 * the host's mount or sha256sum said is taken over. What it cannot prove: root on the
 * host can change what the kernel answers, and can change the volume afterwards.
 */
#ifndef FVOL_VOLUME_H
#define FVOL_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define VOLUME_LABEL "FVOL"

struct volume_expect {
	const char *manifest_sha256; /* 64 hex digits */
	const char *device;	     /* the node in /dev of the disk, or NULL: any */
	const char *serial;	     /* the disk's serial, or NULL: any */
	const char *device_name;     /* what it was attached as ("sdf"), or NULL: any */
	const char *arch;	     /* whose bin/ directory is checked */
	uint64_t catalogue_least;    /* no older catalogue is accepted; 0: any */
};

struct volume_seen {
	size_t files;	 /* that were checked */
	bool name_shown; /* the disk told what it was attached as */
};

/*
 * Checks that dir is the root of an ext4 mount with nosuid, nodev and noatime, the only
 * one on its mount point and with none below it; that the disk under it is device, has
 * our label, the file system that is mounted, and the serial; that MANIFEST has the
 * expected hash, and that each file which MANIFEST lists under bin/ARCH/ and scripts/ is
 * there and equal. Only these are read: reading everything would fill tens of thousands
 * of pages of the evidence, so any other file is checked when it is used. One more is:
 * the catalogue of modules, whose number must be at least catalogue_least and what the
 * volume itself asks for (etc/catalogue.version).
 *
 * The serial and the device name of an NVMe disk are its own answer to Identify; where
 * the kernel lets nobody ask, the serial is what sysfs shows. A device name is compared
 * when the disk tells one (NVMe of EBS); Xen's disks tell none, and their kernel names
 * may be shifted, so there it proves nothing and is not compared.
 *
 * ERR_NO when a hash differs, the disk is another one or the catalogue is too old;
 * ERR_FAILED or ERR_REFUSED otherwise. *seen is only valid on success.
 */
int volume_check(const char *dir, const struct volume_expect *expect,
		 struct volume_seen *seen, struct err *err);

/*
 * The hash that the MANIFEST in dirfd has for name, which must be there; the MANIFEST
 * itself must have the hash manifest_sha256 (64 hex digits), ERR_NO when it has another.
 */
int volume_listed(int dirfd, const char *manifest_sha256, const char *name,
		  uint8_t digest[SHA256_LEN], struct err *err);

#endif
