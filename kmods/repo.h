/*
 * Where kernel packages come from: archives of Debian and Ubuntu, repositories of rpm
 * packages, plain directories of either, and a kernel build tree, behind one interface.
 * A source says which packages it offers; resolve.h makes lock lines of them. Nothing of
 * an index is believed before its signature or hash was checked, and all of it is
 * bounded.
 */
#ifndef FVOL_KMODS_REPO_H
#define FVOL_KMODS_REPO_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kmods/catalogue.h"
#include "kmods/lock.h"
#include "kmods/transport.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define REPO_SUITES_MAX 8
#define REPO_ORIGIN_SIZE 512
/* Kernel packages of one source; Fedora, Debian and SUSE offer some hundreds. */
#define REPO_PACKAGES_MAX 20000
/* Of an index as it is downloaded and unpacked: Fedora's has 20 and 200 MiB. */
#define REPO_INDEX_BYTES_MAX (256u << 20)
#define REPO_INDEX_UNPACKED_MAX (2048ULL << 20)
#define REPO_TOP_BYTES_MAX (8u << 20) /* InRelease, repomd.xml */

struct repo_ops;

/* One "source" line of a list. */
struct source {
	char name[64];
	const struct repo_ops *ops;
	/* "apt", an address, or an absolute path; $ARCH in it is the architecture. */
	char location[REPO_ORIGIN_SIZE];
	char suites[REPO_SUITES_MAX][64]; /* of a Debian archive */
	size_t suite_count;
	char component[64];
	char key[PATH_MAX]; /* key or keyring; empty: there is none */
	bool unsigned_ok;   /* the caller says that there is no signature */
	bool expired_ok;    /* an archive's snapshot, past its Valid-Until */
	char series[32];    /* releases begin with this; empty: any */
	char kbuild[64];    /* another source, for programs that run here; or empty */
};

/* A package of a kernel. Words are checked: they may stand in a lock file. */
struct repo_package {
	char name[96];
	char version[64]; /* EPOCH:VERSION-REVISION, epoch 0 left out */
	char arch[16];	  /* in the package's own words: amd64, all, aarch64, noarch */
	char sha256[SHA256_HEX_SIZE];
	uint64_t size_bytes;
	char origin[REPO_ORIGIN_SIZE];
	enum lock_role role;
	char release[MODULE_RELEASE_SIZE]; /* of headers and images: what uname -r says */
	char flavour[64]; /* of headers: generic, cloud, rt, default, … */
	char common[96];  /* of headers: the package they build upon */
	char kbuild[96];  /* of headers: the package with the programs */
	bool rpm;
};

struct packages {
	struct repo_package *list;
	size_t count;
};

/* Adds a copy. Returns 0 or -1. packages_free() afterwards. */
int packages_add(struct packages *packages, const struct repo_package *package,
		 struct err *err);
void packages_free(struct packages *packages);

struct repo_context {
	const struct transport *transport;
	/*
	 * NULL, or the one package that is looked for: it is kept whatever it is, with
	 * LOCK_COMMON as its role, and no other.
	 */
	const char *only;
};

struct repo_ops {
	const char *kind; /* the word of a list */
	/*
	 * Adds the kernel packages that the source offers for an architecture, those for
	 * all architectures among them. Nothing is added when it fails. Returns 0 or -1.
	 */
	int (*packages)(const struct repo_context *context, const struct source *source,
			const struct arch *arch, struct packages *packages,
			struct err *err);
};

extern const struct repo_ops repo_deb, repo_rpm, repo_dir, repo_tree;

/* Returns NULL for a kind that there is none of. */
const struct repo_ops *repo_find(const char *kind);

/* "amd64" of x86_64, "arm64" of aarch64. */
const char *repo_deb_arch(const struct arch *arch);

/* Copies location with $ARCH replaced. Returns 0, or -1 when it does not fit. */
int repo_location(const struct source *source, const struct arch *arch,
		  char location[REPO_ORIGIN_SIZE], struct err *err);

/*
 * Joins a location and a path of an index: no "..", no blanks, no control bytes, not
 * absolute. Returns 0 or -1.
 */
int repo_join(const char *location, const char *path, char joined[REPO_ORIGIN_SIZE],
	      struct err *err);

#endif
