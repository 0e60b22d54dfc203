/* Which mounts over parts of /proc hide something, and which are every day's. */
#ifndef FVOL_TRIAGE_MOUNTPLACE_H
#define FVOL_TRIAGE_MOUNTPLACE_H

#include <stdbool.h>

#include "toolkit/lib/mountinfo.h"
#include "toolkit/triage/triage.h"

/*
 * Is this a mount that hides a process or a table of the kernel? host: it is in the mount
 * namespace of process 1; in others container runtimes and systemd mask parts of /proc.
 */
bool mount_place_odd(const struct mountinfo_line *line, bool host,
		     enum triage_severity *severity);

#endif
