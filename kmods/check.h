/*
 * Is a file what a catalogue says of it? The files of a catalogue that came from anywhere
 * are read through no link, bounded, and held against their entry before they are used.
 */
#ifndef FVOL_KMODS_CHECK_H
#define FVOL_KMODS_CHECK_H

#include <stddef.h>

#include "kmods/catalogue.h"
#include "kmods/modinfo.h"
#include "toolkit/lib/err.h"

/*
 * Is it LiME, for this architecture and release? By its ELF header, name and vermagic.
 * ERR_NO when it is not; info is filled either way when the file can be read at all.
 */
int check_ko(const void *data, size_t len_bytes, const struct arch *arch,
	     const char *release, struct modinfo *info, struct err *err);

/*
 * Reads the module of an entry below a catalogue's directory and checks size, hash,
 * architecture, vermagic, srcversion and build id. Returns 0 and memory that the caller
 * frees; -1 with *data NULL, ERR_NO when it is another file than the entry says.
 */
int check_module(int dirfd, const struct module *module, char **data, size_t *len_bytes,
		 struct err *err);

/* The same for its symbol file, which it must have: size, hash, and that it is xz. */
int check_symbols(int dirfd, const struct module *module, char **data, size_t *len_bytes,
		  struct err *err);

#endif
