/*
 * Programs that a kernel's build runs (modpost, fixdep and the like). Debian has a
 * package of them for each machine; headers of Ubuntu and in rpms have them built for the
 * kernel's own architecture. To build for a foreign one, those of the same kernel's
 * headers for this machine stand in.
 */
#ifndef FVOL_KMODS_HOSTPROGS_H
#define FVOL_KMODS_HOSTPROGS_H

#include "toolkit/lib/err.h"

/*
 * Replaces each ELF program below to's scripts and tools by from's of the same name. One
 * that from has not is removed: the build then says that it is missing, and what no build
 * needs is not missed. Both are directories of headers, to is ours to change. Returns 0
 * or -1.
 */
int hostprogs_replace(int from, int to, struct err *err);

#endif
