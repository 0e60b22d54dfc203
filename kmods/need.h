/*
 * The missing kernel: does a catalogue have what these machines need, as capture would
 * judge there, and which packages would give what is missing?
 */
#ifndef FVOL_KMODS_NEED_H
#define FVOL_KMODS_NEED_H

#include <stdbool.h>
#include <stddef.h>

#include "kmods/build.h"
#include "kmods/catalogue.h"
#include "kmods/lock.h"
#include "kmods/resolve.h"
#include "kmods/transport.h"
#include "toolkit/lib/err.h"

#define NEED_RECORD_BYTES_MAX (64u << 20)

/* A kernel that a module is wanted for. */
struct need_kernel {
	char arch[16];
	char release[MODULE_RELEASE_SIZE];
	char build_id[129]; /* empty: not known */
	char version[1024]; /* of /proc/version; empty: not known */
};

enum need_state {
	NEED_READY,
	NEED_UNTESTED, /* capture loads it when it is told so */
	NEED_MISSING,  /* no entry */
	NEED_WRONG,    /* an entry, but for another build of that kernel */
};

/* "ready", "untested", "missing", "wrong". */
const char *need_state_name(enum need_state state);

struct need_verdict {
	enum need_state state;
	char why[512]; /* one sentence; empty when ready */
};

/*
 * Reads what capture wrote in record.json of the kernel. The file comes from the
 * instance: a release that is no plain name and an unknown architecture are ERR_FAILED.
 */
int need_from_record(const char *path, struct need_kernel *kernel, struct err *err);

/* A release alone, for an architecture. */
int need_from_release(const char *release, const char *arch, struct need_kernel *kernel,
		      struct err *err);

/* Judges by the catalogue in dir; one that is not there has nothing. */
int need_judge(const char *dir, const struct need_kernel *kernel,
	       struct need_verdict *verdict, struct err *err);

/* Is it a package of this kernel? */
bool need_is_of(const struct lock_package *package, const struct need_kernel *kernel);

/* Has the lock packages of this kernel? */
bool need_has_packages(const struct lock *lock, const struct need_kernel *kernel);

/*
 * Asks the sources of a list (kernels.list), those that it asks for other kernels of the
 * architecture, for these very releases, and adds their packages to lock. A kernel that
 * none offers is no error: the lock has no packages for it. Returns 0 or -1.
 */
int need_resolve(const char *list, const struct transport *transport, resolve_say *say,
		 const struct need_kernel *kernels, size_t count, struct lock *lock,
		 struct err *err);

/*
 * Builds the modules of these kernels alone, from the packages that the lock has for
 * them, which are brought into options->packages; below options->scratch (lock and out of
 * options are not looked at). Adds them to the catalogue in dir. Returns 0 or -1.
 */
int need_build(const char *dir, const struct lock *packages,
	       const struct need_kernel *kernels, size_t count,
	       const struct transport *transport, resolve_say *say,
	       const struct build_options *options, struct err *err);

#endif
