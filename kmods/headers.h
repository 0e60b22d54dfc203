/*
 * The headers of a kernel as its packages lay them out, made fit to build a module where
 * they are unpacked instead of installed.
 */
#ifndef FVOL_KMODS_HEADERS_H
#define FVOL_KMODS_HEADERS_H

#include "kmods/lock.h"
#include "kmods/tree.h"
#include "toolkit/lib/err.h"

/* Completes an unpacked tree_set; see trees_get(). */
int headers_finish_set(int setfd, struct err *err);

/*
 * rootfd has the kernel's own headers package unpacked; what setfd, the unpacked packages
 * that it shares, has below usr/src and usr/lib is linked into it. set_path is setfd's
 * absolute name. Refuses headers of another architecture. Returns a descriptor of the
 * directory for make -C, whose name below the root is copied to dir; or -1.
 */
int headers_prepare(const struct kernel *kernel, int rootfd, int setfd,
		    const char *set_path, char dir[TREE_PATH_SIZE], struct err *err);

/*
 * Another architecture's headers would fail far from the cause, or not at all: refuses
 * those. headersfd is the directory for make -C.
 */
int headers_check(int headersfd, const struct arch *arch, struct err *err);

#endif
