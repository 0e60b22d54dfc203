/*
 * The header of an rpm (format 3, which every rpm since 2000 has): what the package is
 * called and where its payload begins. Nothing in it is trusted; what signatures it has
 * are not looked at, because the package's hash comes out of a signed index.
 */
#ifndef FVOL_KMODS_RPM_H
#define FVOL_KMODS_RPM_H

#include <stdbool.h>
#include <stddef.h>

#include "kmods/names.h"
#include "toolkit/lib/err.h"

/* Whether it begins as an rpm does. */
bool rpm_is(const void *data, size_t len_bytes);

/*
 * Reads name, version, release, architecture and the kernel that it says to be for.
 * Returns 0, or -1 with info unspecified.
 */
int rpm_read(const void *data, size_t len_bytes, struct rpm_info *info, struct err *err);

/* Tells where the compressed payload begins. Returns 0 or -1. */
int rpm_payload(const void *data, size_t len_bytes, size_t *offset, struct err *err);

#endif
