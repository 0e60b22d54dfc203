/*
 * Modules from and to other catalogues and other people's layouts, each checked on its
 * way: against its entry when it leaves, by its hash and ELF when it comes.
 */
#ifndef FVOL_KMODS_EXCHANGE_H
#define FVOL_KMODS_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kmods/catalogue.h"
#include "toolkit/lib/err.h"

/* Which modules; NULL and false are no condition. */
struct choice {
	const char *arch;
	const char *release;
	bool tested;
};

bool choice_has(const struct choice *choice, const struct module *module);

/*
 * Writes OUT/tools/LiME/lime-RELEASE.ko for each chosen module of a catalogue: what the
 * automated-forensic-orchestrator looks for, by the release alone. Two architectures with
 * a release of the same name are an error. *count modules; none is an error.
 */
int export_orchestrator(const char *catalogue, const char *out,
			const struct choice *choice, size_t *count, struct err *err);

/* Writes a repository as msrepo.h describes into OUT, its list last. */
int export_repo(const char *catalogue, const char *out, const struct choice *choice,
		size_t *count, struct err *err);

struct import_options {
	const char *from;      /* a directory or an http(s) address */
	const char *ca;	       /* CA bundle for https, or NULL */
	const char *into;      /* the catalogue's directory, made when missing */
	const char *release;   /* one release alone, or NULL */
	uint64_t min_revision; /* the repository's number must be at least this; 0: any */
};

struct exchange_result {
	size_t added, replaced, kept, refused;
	uint64_t version; /* of the catalogue now */
};

/* Told of each module that is refused. */
typedef void exchange_refusal(void *arg, const char *what);

/*
 * Takes the modules of a repository into a catalogue: list and modules by their hashes,
 * each module LiME for the architecture of its ELF and the release of its vermagic, which
 * must be the one that it is listed for. Never marked as tested; a module that the
 * catalogue has already, from wherever, stays. A bad module is refused and does not stop
 * the others: then -1 with ERR_NO at the end. The catalogue's number grows by one when
 * something changed.
 */
int import_repo(const struct import_options *options, exchange_refusal *refusal,
		void *arg, struct exchange_result *result, struct err *err);

/*
 * Adds the chosen modules of the catalogue in from to that in into (made when missing),
 * symbol files included, replacing those of the same kernel. What from says of them is
 * taken over, tested included: verify it before when it is not your own. Killed at any
 * moment, the catalogue in into stays true.
 */
int catalogue_add(const char *from, const char *into, const struct choice *choice,
		  struct exchange_result *result, struct err *err);

#endif
