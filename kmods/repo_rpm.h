/*
 * The index of an rpm repository: repomd.xml names primary.xml and its hash, primary.xml
 * the packages and theirs.
 */
#ifndef FVOL_KMODS_REPO_RPM_H
#define FVOL_KMODS_REPO_RPM_H

#include <stddef.h>
#include <stdint.h>

#include "kmods/repo.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

struct rpm_index {
	char path[256]; /* below the repository */
	char sha256[SHA256_HEX_SIZE];
	uint64_t size_bytes;	 /* 0: not said */
	uint64_t unpacked_bytes; /* 0: not said */
};

/* Reads repomd.xml: finds the primary index. Returns 0 or -1. */
int rpm_read_repomd(const char *data, size_t len_bytes, struct rpm_index *index,
		    struct err *err);

/*
 * Reads primary.xml, compressed or not, of at most max_bytes unpacked: adds the kernel
 * packages of the architecture and of "noarch", their origins below base. Returns 0 or
 * -1.
 */
int rpm_read_primary(const void *data, size_t len_bytes, uint64_t max_bytes,
		     const char *base, const char *only, const char *arch,
		     struct packages *packages, struct err *err);

#endif
