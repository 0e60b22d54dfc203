/*
 * Which EBS volume an NVMe disk is, by the disk's own word: Identify Controller, asked by
 * an admin command, tells the volume's id as the serial and, in the vendor's area, the
 * device name that the volume was attached as. What udev makes of it (/dev/sdf) is
 * missing or wrong on many systems, and sysfs does not show the name at all.
 */
#ifndef FVOL_NVMEID_H
#define FVOL_NVMEID_H

#include <stdbool.h>
#include <stddef.h>

#include "toolkit/lib/err.h"

/* NVM Express Base Specification 1.4, 5.15: the data of Identify. */
#define NVMEID_BYTES 4096

#define NVMEID_SERIAL_MAX 20
#define NVMEID_NAME_MAX 32

struct nvmeid {
	bool ebs;			       /* vendor and model are those of EBS */
	char serial[NVMEID_SERIAL_MAX + 1];    /* without padding */
	char device_name[NVMEID_NAME_MAX + 1]; /* normal form; empty: none is told */
};

/*
 * Asks the disk that fd has open (CAP_SYS_ADMIN is needed). Returns 0, or -1 with err set
 * and errno as the kernel left it: ENOTTY is no NVMe disk.
 */
int nvmeid_ask(int fd, unsigned char page[NVMEID_BYTES], struct err *err);

/*
 * Reads what Identify gave, which is the host's word: the serial must be printable
 * (ERR_FAILED). Only an EBS disk has a device name; one that is no name counts as none.
 */
int nvmeid_read(const unsigned char page[NVMEID_BYTES], struct nvmeid *id,
		struct err *err);

/*
 * The normal form of a device name, in which "/dev/sdf", "sdf", "xvdf" and "/dev/xvdf1"
 * are all "sdf": attached at launch it has no "/dev/", and Xen's names stand beside the
 * SCSI ones. text has len bytes, or fewer and a NUL. Returns false, with out empty, when
 * it is not the name of a disk.
 */
bool nvmeid_normal_name(const char *text, size_t len, char out[NVMEID_NAME_MAX + 1]);

#endif
