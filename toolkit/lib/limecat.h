/*
 * The volume's catalogue of LiME modules (kmods/catalogue.json, written by the program
 * kmods), as the side that loads one reads it. The text is on a volume that the host can
 * write to: nothing in it is used as a path, and the module is taken only by its hash.
 */
#ifndef FVOL_LIMECAT_H
#define FVOL_LIMECAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define LIMECAT_BYTES_MAX (16u << 20)
#define LIMECAT_MODULE_BYTES_MAX (16u << 20)

struct limecat_module {
	uint8_t sha256[SHA256_LEN];
	uint64_t size_bytes;
	char vermagic[128];
	bool modversions; /* its symbols carry versions, which the kernel compares */
	bool tested;	  /* loaded once on this very kernel before it was delivered */
};

/*
 * Finds the module of a kernel (uname -m, uname -r) in the catalogue's text. Returns 1
 * and *module; 0 when the catalogue has none for it; -1 when the text is no catalogue or
 * the entry cannot be right (ERR_FAILED).
 */
int limecat_find(const char *text, size_t len_bytes, const char *arch,
		 const char *release, struct limecat_module *module, struct err *err);

#endif
