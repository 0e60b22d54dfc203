/*
 * Does a server or a daemon stand behind a file system? By the table of mounts, which
 * asks nobody: statfs(2) is answered by that very server, or never.
 */
#ifndef FVOL_TRIAGE_MOUNTKIND_H
#define FVOL_TRIAGE_MOUNTKIND_H

#include "toolkit/triage/triage.h"

enum mount_kind {
	MOUNT_UNKNOWN, /* not in the table of our mount namespace */
	MOUNT_LOCAL,
	MOUNT_OTHERS, /* NFS and its like, FUSE: somebody else answers */
	MOUNT_AUTOFS,
};

/* Of a device, as stat(2) names it. What was found is kept; any thread may ask. */
enum mount_kind mount_kind_of(const struct triage *t, unsigned major, unsigned minor);

#endif
