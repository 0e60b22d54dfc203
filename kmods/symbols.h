/*
 * The symbol file of one kernel, out of its image package: what an analyst opens a dump
 * of that kernel with.
 */
#ifndef FVOL_KMODS_SYMBOLS_H
#define FVOL_KMODS_SYMBOLS_H

#include <stdbool.h>

#include "kmods/catalogue.h"
#include "kmods/kernel.h"
#include "kmods/lock.h"
#include "toolkit/lib/err.h"

/*
 * The key of a kernel's symbol file in the store: a hash over its image package and this
 * very program, whose every change may change the file; it costs a second. Returns false
 * when no image is known: then there is none.
 */
bool symbols_key(const struct recipe *recipe, const struct kernel *kernel,
		 char key[SHA256_HEX_SIZE]);

/* Copies what a store's entry says of symbols and kernel into a module's. */
void symbols_take(struct module *module, const struct module *entry);

/*
 * Makes the file and puts it into the store. Of module the kernel's build id and the
 * file's hash and size are filled in, and arch and release must be there. Returns 0 or
 * -1.
 */
int symbols_build(const struct recipe *recipe, const struct kernel *kernel,
		  const char *key, struct module *module, struct err *err);

#endif
