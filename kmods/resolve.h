/*
 * From a list to lock lines: which kernels the sources offer now, and which packages each
 * of them is built from. Indexes are read once for each source and architecture.
 */
#ifndef FVOL_KMODS_RESOLVE_H
#define FVOL_KMODS_RESOLVE_H

#include <stdbool.h>

#include "kmods/list.h"
#include "kmods/lock.h"
#include "kmods/repo.h"
#include "toolkit/lib/err.h"

struct resolver;

/* Takes a sentence that the user should see. */
typedef void resolve_say(const char *sentence);

/* Everything is borrowed until resolver_free(). Returns NULL with err. */
struct resolver *resolver_new(const struct list *list, const struct transport *transport,
			      resolve_say *say, struct err *err);
void resolver_free(struct resolver *resolver);

/*
 * Adds the packages of every kernel of the list to lock; with all, every kernel that the
 * sources of its lines offer with headers. A kernel that lacks a package is left out and
 * told; an index that cannot be had, or a line that nothing matches, is an error once all
 * lines were looked at. Returns 0 or -1.
 */
int resolver_list(struct resolver *resolver, bool all, struct lock *lock,
		  struct err *err);

/*
 * Adds the packages of the newest kernel that stands in the same line as the given one:
 * same architecture, flavour and distribution. Returns 0 or -1.
 */
int resolver_successor(struct resolver *resolver, const struct arch *arch,
		       const char *release, struct lock *lock, struct err *err);

/* Whether two releases are of one distribution, by what the releases say: +deb13. */
bool resolver_same_line(const char *a, const char *b);

/*
 * Finds the newest package of a name, whatever it is, in a source. Returns 0, or -1 when
 * there is none (ERR_NO) or it cannot be told.
 */
int resolver_package(struct resolver *resolver, const char *source,
		     const struct arch *arch, const char *name,
		     struct repo_package *package, struct err *err);

#endif
