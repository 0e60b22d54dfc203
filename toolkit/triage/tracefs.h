/* tracefs and debugfs, whether or not somebody has mounted them. */
#ifndef FVOL_TRIAGE_TRACEFS_H
#define FVOL_TRIAGE_TRACEFS_H

#include "toolkit/triage/triage.h"

enum kernel_fs { KERNEL_FS_TRACEFS, KERNEL_FS_DEBUGFS };

/*
 * A directory of the file system's root: where it is mounted below /sys/kernel, or else
 * detached, so that nobody sees a mount (Linux 5.2, CAP_SYS_ADMIN). Nothing is looked up
 * below /sys/kernel/debug/tracing, which would mount it there, and a file system that the
 * kernel does not have yet is not asked for: that would load its module. The caller
 * closes it. Returns -1 with errno and *reason.
 */
int triage_kernel_fs(const struct triage *t, enum kernel_fs which,
		     enum triage_reason *reason);

#endif
