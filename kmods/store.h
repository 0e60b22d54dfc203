/*
 * The store of results: a directory for each, named by a hash over everything that went
 * into it, whole or absent. What was built once is never built again from the same
 * things, whatever list it stands in, and an interrupted run goes on where it was.
 *
 *   STORE/KEY/lime.ko or symbols.json.xz, catalogue.json with what is known of it
 */
#ifndef FVOL_KMODS_STORE_H
#define FVOL_KMODS_STORE_H

#include <stddef.h>

#include "kmods/catalogue.h"
#include "toolkit/lib/err.h"

/* Makes and opens it, and removes what builds that were killed have left unfinished. */
int store_open(const char *path, struct err *err);

/*
 * Looks for key's result, the file of that name (MODULE_FILE, SYMBOLS_FILE), for this
 * architecture and release. Returns 1 with *module read and the file found to be what it
 * says; 0 when there is none, or a damaged one, which is removed; -1 on failure.
 */
int store_get(int storefd, const char *key, const char *file, const char *arch,
	      const char *release, struct module *module, struct err *err);

/*
 * Puts a result in. Of module hash and size of the file are what data has. One that is
 * there already stays. Returns 0 with all of it durable, or -1 with nothing of it
 * visible.
 */
int store_put(int storefd, const char *key, const char *file, const void *data,
	      size_t len_bytes, const struct module *module, struct err *err);

/*
 * Makes dirfd's file name the one of the result, unless it is that already. Returns 1
 * when it was written, 0 when it was not needed, or -1.
 */
int store_place(int storefd, const char *key, const char *file, int dirfd,
		const struct module *module, struct err *err);

#endif
