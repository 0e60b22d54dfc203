/*
 * The catalogue of built modules: what each one is for, what is in it and what it was
 * made from. Read again by the next build, which keeps what is still true, and by whoever
 * verifies, exports or adds to it, who may have it from anywhere.
 */
#ifndef FVOL_KMODS_CATALOGUE_H
#define FVOL_KMODS_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define CATALOGUE_FILE "catalogue.json"
#define CATALOGUE_SIGNATURE "catalogue.json.sig"
#define CATALOGUE_FORMAT 2
#define CATALOGUE_MODULES_MAX 4096
#define CATALOGUE_BYTES_MAX (16u << 20)
#define MODULE_BYTES_MAX (16u << 20)
#define MODULE_RELEASE_SIZE 64
#define MODULE_PACKAGES_MAX 8

struct arch {
	const char *name;     /* of uname -m, of our directories and of the cross tools */
	const char *kbuild;   /* ARCH= of the kernel's makefiles */
	const char *config;   /* the line of a configuration that is for it */
	uint16_t machine;     /* EM_ of elf.h */
	const char *vermagic; /* what the architecture adds to a module's vermagic */
};

/* Returns NULL for an architecture that we do not know. */
const struct arch *arch_find(const char *name);
/* All of them, ended by one without a name. */
extern const struct arch archs[];

struct package {
	char name[96];
	char version[64];
	char sha256[SHA256_HEX_SIZE];
};

struct module {
	char arch[16];
	char release[MODULE_RELEASE_SIZE];
	char flavour[MODULE_RELEASE_SIZE];
	char sha256[SHA256_HEX_SIZE];
	uint64_t size_bytes;
	char vermagic[128];
	char kernel_build_id[129]; /* of the kernel; empty: not known */
	char srcversion[64];
	char build_id[129];		      /* of the module */
	char symbols_sha256[SHA256_HEX_SIZE]; /* of symbols.json.xz; empty: there is none
					       */
	uint64_t symbols_bytes;
	bool symbols_from_module; /* the types are not the kernel's own BTF */
	char lime_version[32];
	char lime_sha256[SHA256_HEX_SIZE];
	char compiler[128];
	struct package packages[MODULE_PACKAGES_MAX];
	size_t package_count;
	bool locked; /* built from exactly the packages of the committed lock file */
	bool tested; /* booted on its kernel; set by those who did, kept while it is the
			same */
	char inputs[SHA256_HEX_SIZE]; /* of everything that its bytes depend on */
};

struct catalogue {
	uint64_t version;	/* grows with each release; 0: not said */
	struct module *modules; /* sorted by architecture, then release */
	size_t count;
};

/* The files of an entry, below ARCH/RELEASE/. */
#define MODULE_FILE "lime.ko"
#define SYMBOLS_FILE "symbols.json.xz"
#define SYMBOLS_BYTES_MAX (64u << 20)

/*
 * May it be a directory's name and a word of a line? Letters, digits and ".+-_~:%", not
 * beginning with '.' or '-'.
 */
bool release_is_plain(const char *release);

/*
 * Reads a catalogue's text. Entries that this program could not have written (a release
 * that is no plain name, no hash, an unknown architecture) are left out and counted in
 * *left_out, which may be NULL. Returns 0, or -1 when it is no catalogue of format 2.
 * catalogue_free() afterwards, also on failure.
 */
int catalogue_parse(const char *text, size_t len_bytes, struct catalogue *cat,
		    size_t *left_out, struct err *err);

/*
 * Reads dirfd's catalogue.json; none is an empty one. Entries that this program could not
 * have written are left out: their modules are built again. Returns 0, or -1 when it is
 * there but cannot be read as a catalogue. catalogue_free() afterwards, also on failure.
 */
int catalogue_read(int dirfd, const char *path, struct catalogue *cat, struct err *err);
void catalogue_free(struct catalogue *cat);

/* Returns NULL when it has none for this kernel. */
struct module *catalogue_find(const struct catalogue *cat, const char *arch,
			      const char *release);

/* Adds a module, or replaces the one of its kernel, keeping the order. */
int catalogue_set(struct catalogue *cat, const struct module *module, struct err *err);

/*
 * Writes catalogue.json at once or not at all, and removes a signature beside it, which
 * is that of another catalogue. The same catalogue gives the same bytes. One that is not
 * complete gets a modification time of 1970: valid to read, but not up to date for make.
 */
int catalogue_write(int dirfd, const struct catalogue *cat, bool complete,
		    struct err *err);

/* "cloud-amd64" of 6.1.0-56-cloud-amd64 and of 6.12.107+deb13-cloud-amd64. */
const char *release_flavour(const char *release);

#endif
