/*
 * The volume's catalogue of LiME modules (kmods/catalogue.json, format 2, written by the
 * program kmods), as the side that loads one reads it: which module is for the kernel
 * that runs here, and if none is, why. The text is on a volume that the host can write
 * to: nothing in it is used as a path, and the module is taken only by its hash.
 *
 * A release name is no identity: a distribution may build it again, and anybody can give
 * a kernel of his own that name. The kernel's GNU build id is one, and it is compared
 * wherever both sides have it. Where one has none, what the kernel says of itself in
 * /proc/version is held against the module's vermagic.
 */
#ifndef FVOL_LIMECAT_H
#define FVOL_LIMECAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define LIMECAT_FORMAT 2
#define LIMECAT_BYTES_MAX (16u << 20)
#define LIMECAT_MODULE_BYTES_MAX (16u << 20)

/* The kernel that a module is wanted for. Strings are borrowed and not NULL. */
struct limecat_kernel {
	const char *arch;     /* uname -m */
	const char *release;  /* uname -r */
	const char *build_id; /* lower-case hex digits; empty: it shows none */
	const char *version;  /* the line of /proc/version; empty: not known */
	uint64_t least; /* catalogues of a lower number are refused (rollback); 0: none */
};

struct limecat_module {
	uint8_t sha256[SHA256_LEN];
	uint64_t size_bytes;
	char vermagic[128];
	bool modversions; /* its symbols carry versions, which the kernel compares */
	bool tested;	  /* loaded once on this very kernel before it was delivered */
	bool by_build_id; /* the kernel's build id was compared, not only its name */
};

/*
 * Finds the kernel's module in the catalogue's text. Returns 1 and *module; 0 when none
 * fits, the reason being the sentence in err (ERR_NO; ERR_REFUSED when the catalogue is
 * older than the least); -1 when the text is no catalogue or the entry cannot be right
 * (ERR_FAILED).
 */
int limecat_find(const char *text, size_t len_bytes, const struct limecat_kernel *kernel,
		 struct limecat_module *module, struct err *err);

#endif
