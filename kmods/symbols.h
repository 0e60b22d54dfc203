/*
 * The symbol file of one kernel, out of its image package: what an analyst opens a dump
 * of that kernel with. Its types are those of the image's BTF, or, where it has none, of
 * a module that is built for that (kernel_types()).
 */
#ifndef FVOL_KMODS_SYMBOLS_H
#define FVOL_KMODS_SYMBOLS_H

#include <stdbool.h>

#include "kmods/catalogue.h"
#include "kmods/kernel.h"
#include "kmods/lock.h"
#include "toolkit/lib/err.h"

/*
 * The keys of a kernel's symbol file in the store: a hash over its image package and this
 * very program, whose every change may change the file; it costs a second. Where the
 * types come from the module also over its source, the headers, the compiler and pahole.
 * Empty: there can be none.
 */
struct symbols_keys {
	char btf[SHA256_HEX_SIZE], module[SHA256_HEX_SIZE];
};

/* module has what kernel_describe() fills in. Both are empty when no image is known. */
void symbols_keys_of(const struct recipe *recipe, const struct kernel *kernel,
		     const struct module *module, struct symbols_keys *keys);

/* The one of the two that module's symbol file has. */
const char *symbols_key(const struct symbols_keys *keys, const struct module *module);

/* Takes out of module what it says of symbols. */
void symbols_forget(struct module *module);

/*
 * Looks for the file in the store and takes what its entry says into module. Returns 1, 0
 * when there is none, or -1.
 */
int symbols_find(int storefd, const struct symbols_keys *keys, struct module *module,
		 struct err *err);

/*
 * Makes the file and puts it into the store. Of module the kernel's build id and the
 * file's hash, size and source of types are filled in, and arch and release must be
 * there. Returns 0 or -1.
 */
int symbols_build(const struct recipe *recipe, const struct kernel *kernel,
		  const struct symbols_keys *keys, struct module *module,
		  struct err *err);

#endif
