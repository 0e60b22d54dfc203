/*
 * Where physical memory is read from. Each source is one small file behind this table;
 * the preflight asks all of them, capture opens one, and a second one for single pages
 * that the first cannot give.
 */
#ifndef FVOL_SOURCE_H
#define FVOL_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/ranges.h"

/* What a source may look at. Descriptors are borrowed; fake trees stand in for tests. */
struct source_env {
	int proc_dirfd; /* /proc */
	int sys_dirfd;	/* /sys */
	int dev_dirfd;	/* /dev */
	const char
		*kmods_dir; /* the catalogue's directory on the volume, or NULL: none */
	const char *manifest_sha256; /* 64 hex digits of the volume's MANIFEST, which must
					list the catalogue; NULL: not known */
	uint64_t catalogue_least;    /* no catalogue of a lower number is used */
	bool allow_untested;   /* load a module that was not boot-tested on this kernel */
	size_t max_read_bytes; /* no read() will ask for more */
	/* What a source that is open already knows: see struct source. */
	uint64_t direct_map;
};

/* May this source be used here, and why not. */
struct source_verdict {
	bool usable;
	char reason[256]; /* one sentence; what was found when usable */
};

struct source;

struct source_ops {
	const char *name; /* as in --source: kcore, crash, bpf, lime */
	bool sequential;  /* ranges can only be read once, in ascending order */
	bool loads_code; /* puts a module into the host's kernel: never the default before
			    others */
	/* Examines, changes nothing, loads no module. Never fails: the verdict says it.
	 */
	void (*probe)(const struct source_env *env, const struct ranges *ranges,
		      struct source_verdict *verdict);
	/* Allocates what it needs into source->state (fixed size, static storage is
	 * fine). */
	int (*open)(struct source *source, const struct source_env *env,
		    const struct ranges *ranges, struct err *err);
	/*
	 * Reads up to len bytes at a physical address inside the ranges. Returns the
	 * count, short where a segment ends or the kernel gave less; 0 when the source
	 * has no place for phys; -1 with errno set when the kernel refused (EFAULT: one
	 * page may be the reason, ask for less).
	 */
	ssize_t (*read)(struct source *source, uint64_t phys, void *buf, size_t len);
	/* How many bytes from phys on the source has no place for (0: it has one), at
	 * most len. */
	uint64_t (*hole)(struct source *source, uint64_t phys, uint64_t len);
	/* Undoes open, whatever state it is in; unloads what was loaded. Reports what
	 * went wrong through err and returns -1, but always undoes all it can. */
	int (*close)(struct source *source, struct err *err);
};

struct source {
	const struct source_ops *ops;
	void *state;
	/* Virtual minus physical address in the kernel's direct map, set by open where
	 * the source is told it; 0: not known. */
	uint64_t direct_map;
};

extern const struct source_ops source_kcore;
extern const struct source_ops source_crash;
extern const struct source_ops source_bpf;
extern const struct source_ops source_lime;

#endif
