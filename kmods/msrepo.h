/*
 * The module repository that margaritashotgun reads: repodata/repomd.xml names a gzipped
 * list, repodata/SHA256-primary.xml.gz, which names modules by kernel release with their
 * SHA-256. Its readers look a module up by its release alone, whatever the architecture.
 * Here the texts are made and read; they come from anywhere, so reading is bounded.
 */
#ifndef FVOL_KMODS_MSREPO_H
#define FVOL_KMODS_MSREPO_H

#include <stddef.h>
#include <stdint.h>

#include "kmods/catalogue.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define MSREPO_TOP "repodata/repomd.xml"
#define MSREPO_TOP_MAX (1u << 20)
#define MSREPO_LIST_MAX (16u << 20) /* of the list, unpacked; packed it has no more */
#define MSREPO_MODULES_MAX CATALOGUE_MODULES_MAX

/* What repomd.xml says of the list. */
struct msrepo_list {
	char location[256];
	char sha256[SHA256_HEX_SIZE];	   /* of the packed file */
	char open_sha256[SHA256_HEX_SIZE]; /* unpacked */
	uint64_t revision;
	uint64_t bytes, open_bytes; /* of a list that is written */
};

struct msrepo_module {
	char release[MODULE_RELEASE_SIZE];
	char arch[16];
	char sha256[SHA256_HEX_SIZE];
	char location[256];
};

struct msrepo {
	struct msrepo_module *modules;
	size_t count;
};

/* Texts that the caller frees; NULL on failure. Times in them are 0: the same modules
 * give the same bytes. */
char *msrepo_write_top(const struct msrepo_list *list, size_t *len_bytes,
		       struct err *err);
char *msrepo_write_list(const struct msrepo *repo, size_t *len_bytes, struct err *err);

/* Reads repomd.xml; a repository without a list of type "primary" is ERR_FAILED. */
int msrepo_read_top(const char *text, size_t len_bytes, struct msrepo_list *list,
		    struct err *err);

/*
 * Reads the list, unpacked. Modules of another type than lime are left out. A release or
 * hash that is none is ERR_FAILED: the list is not half believed. msrepo_free()
 * afterwards, also on failure.
 */
int msrepo_read_list(const char *text, size_t len_bytes, struct msrepo *repo,
		     struct err *err);
void msrepo_free(struct msrepo *repo);

/* Adds a copy. Returns 0 or -1. */
int msrepo_add(struct msrepo *repo, const struct msrepo_module *module, struct err *err);

#endif
