/*
 * Brings one file here, bounded in size: from an address (http, https, file), an absolute
 * path, or the archives of this machine's own apt, so that no host name stands in this
 * repository. What the bytes are is the caller's to check, before anything reads them.
 */
#ifndef FVOL_KMODS_TRANSPORT_H
#define FVOL_KMODS_TRANSPORT_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

struct transport;

struct transport_config {
	const char *scratch; /* a directory for downloads under way and indexes */
	const char *offline; /* NULL, or a directory that is looked into first */
	const char *ca;	     /* CA bundle for https; NULL: the machine's */
	const char *tools;   /* search path of programs */
};

/* Returns NULL with err when the scratch directory cannot be made. Strings are borrowed.
 */
struct transport *transport_new(const struct transport_config *config, struct err *err);
void transport_free(struct transport *transport);

/* The search path that programs are started with. */
const char *transport_tools(const struct transport *transport);
/* The scratch directory, open. It belongs to the transport. */
int transport_scratch(const struct transport *transport, const char **path);

/*
 * Fetches where into memory that the caller frees, a NUL behind it. With sha256 it must
 * have that digest (ERR_NO when not) and is kept in the scratch directory, so that the
 * next call with the same digest reads it from there. Returns 0, or -1 with *data NULL.
 */
int transport_get(const struct transport *transport, const char *where, size_t max_bytes,
		  const char *sha256, char **data, size_t *len_bytes, struct err *err);

/*
 * Fetches where as DIR/NAME, which is either the file with this digest and size
 * afterwards or as it was: a file that is right already is left alone, and what offline
 * has is taken from there or nothing is (ERR_NO). size_bytes 0: unknown, up to max_bytes.
 * Returns 0 or -1.
 */
int transport_file(const struct transport *transport, const char *where,
		   const char *sha256, uint64_t size_bytes, uint64_t max_bytes,
		   const char *dir, const char *name, struct err *err);

/*
 * The address of a suite of the machine's own archives: that of its release, or of its
 * release's security updates when the suite's name ends in "-security". Returns 0, or -1
 * when this machine's apt names none (ERR_REFUSED).
 */
int transport_suite(const struct transport *transport, const char *suite, char *site,
		    size_t size, struct err *err);

#endif
