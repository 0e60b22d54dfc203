/*
 * triage: the live state of a host or a container in one pass, as records (see
 * docs/triage-records.md), which everything else is made of. What the rooms of the
 * program have in common.
 *
 * Nothing is written but evidence, no module is loaded, no file system is mounted where
 * anybody could see it, no access time moves, no program of the host is run.
 */
#ifndef FVOL_TRIAGE_H
#define FVOL_TRIAGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/json.h"
#include "toolkit/triage/census.h"
#include "toolkit/triage/options.h"
#include "toolkit/triage/out.h"
#include "toolkit/triage/pids.h"

/* Why something could not be read; the names are those of the schema. */
enum triage_reason {
	REASON_CAPABILITY,
	REASON_YAMA,
	REASON_HIDEPID,
	REASON_SECCOMP,
	REASON_LSM,
	REASON_USER_NAMESPACE,
	REASON_GONE,
	REASON_BLOCKED,
	REASON_TOO_LARGE,
	REASON_NOT_SUPPORTED,
	REASON_WOULD_CHANGE_HOST,
	REASON_ERROR,
	REASON_COUNT,
};

struct process_lost;
struct module_symbols;

struct triage {
	const struct options *opt; /* borrowed */
	/* The trees that are read; borrowed. */
	int procfd, sysfd, rootfd;
	/* They are the running kernel's: system calls may be asked as well. False for
	 * trees that were made up by tests. */
	bool live;
	/* A procfs of our own that nobody can mount over and nobody else sees, or -1. */
	int detachedfd;
	int32_t self_pid;
	uint64_t userns;		/* our own; 0: not known */
	uint64_t ticks_per_s;		/* of start times */
	int yama;			/* kernel.yama.ptrace_scope; -1: none */
	char hidepid_option[24];	/* of /proc; empty when it hides nobody */
	bool hidepid;			/* it shows us only some of the processes */
	uint64_t capabilities;		/* our own effective ones, bit by number */
	int64_t start_ns;		/* CLOCK_REALTIME */
	int64_t boot_ns;		/* CLOCK_REALTIME at boot */
	struct census census;		/* who was there */
	struct census units;		/* files that collect_units() found */
	struct module_symbols *symbols; /* see moduleviews.h; NULL: not begun */
	struct pids pids;		/* who shows whom */
	struct out *out;		/* where records go, one at a time: */
	pthread_mutex_t emitting;
	struct process_lost *lost; /* files to be saved, see process.h */
	size_t lost_count, lost_room;
	bool lost_more; /* there were more than are kept open */

	/* Counts for the record `end`. */
	uint64_t processes, coherent, sockets, recovered, recovered_bytes, blocked;
	uint64_t left_behind; /* threads of parts: see watch.h */
	uint64_t swept_to;
	_Atomic uint64_t findings[3]; /* by severity */
	_Atomic uint64_t leads;
	_Atomic uint64_t unread[REASON_COUNT];
	bool incomplete;
};

/* Our own capabilities, by linux/capability.h. */
bool triage_may(const struct triage *t, unsigned capability);

/*
 * Begins a record of a type: an object with "type" in it. NULL when memory is out, and
 * then err is filled. It is ended by triage_emit(), which takes and frees it in every
 * case, NULL included; 0, or -1 with err.
 */
struct json *triage_record(const char *type, struct err *err);
/* The same in memory of the caller's as far as that reaches: see json_new_in(). */
struct json *triage_record_in(const char *type, void *memory, size_t len_bytes,
			      struct err *err);
int triage_emit(struct triage *t, struct json *doc, struct err *err);

/* Kinds of values of the schema. */
void triage_add_text(struct json *doc, struct json_node *in, const char *key,
		     const void *bytes, size_t len_bytes);
void triage_add_time(struct json *doc, struct json_node *in, const char *key, int64_t ns);
void triage_add_hex(struct json *doc, struct json_node *in, const char *key,
		    uint64_t value);
void triage_add_dev(struct json *doc, struct json_node *in, const char *key,
		    unsigned major, unsigned minor);

const char *triage_reason_name(enum triage_reason reason);

/*
 * Emits a record `unread` for something of the system. errnum 0: none. Counts it. 0, or
 * -1 with err when the record could not be written.
 */
int triage_unread(struct triage *t, const char *what, enum triage_reason reason,
		  int errnum, struct err *err);
/* The same record, for more to be put into it; ended by triage_emit(). */
struct json *triage_unread_begin(struct triage *t, const char *what,
				 enum triage_reason reason, int errnum, struct err *err);
/* The reason behind an errno of a file of the system: EACCES and EPERM are a capability
 * that is missing, or the LSM when none is. */
enum triage_reason triage_reason_of(const struct triage *t, int errnum);

/* "EACCES" and the like; `other` takes the text of what is not known by name. */
const char *triage_errno_name(int errnum, char other[24]);

enum triage_severity { SEVERITY_HIGH, SEVERITY_MEDIUM, SEVERITY_LOW };

/*
 * Begins a finding. *subject and *evidence, which may be NULL, are the objects to fill;
 * text is the sentence, names in it escaped by the caller with triage_shown(). Ended by
 * triage_emit(), as every record. Counts it.
 */
struct json *triage_finding(struct triage *t, const char *kind,
			    enum triage_severity severity, const char *text,
			    struct json_node **subject, struct json_node **evidence,
			    struct err *err);

/* The same for what proves nothing by itself, but is worth going after: a record `lead`,
 * which has no severity and is not counted among findings. */
struct json *triage_lead(struct triage *t, const char *kind, const char *text,
			 struct json_node **subject, struct json_node **evidence,
			 struct err *err);

/* Attackers' text for a sentence: control bytes and what is not ASCII as \xHH, cut to
 * size. Returns buf. */
const char *triage_shown(const void *bytes, size_t len_bytes, char *buf, size_t size);

/* Takes a file that is to be saved, unless it is known already: false then, and it stays
 * the caller's. */
bool triage_keep_lost(struct triage *t, const struct process_lost *lost);

/* Reads these processes, which `views` show (NULL: all do), and emits them. */
int collect_pids(struct triage *t, const int32_t *pids, size_t count,
		 const char *const *views, struct err *err);

/* The parts of a run; each emits its records and returns 0, or -1 with err when a record
 * could not be written: what cannot be read is a record, no failure. */
int collect_processes(struct triage *t, struct err *err); /* fills t->census */
int collect_hidden(struct triage *t, struct err *err);	  /* processes */
int collect_lost(struct triage *t, struct err *err);	  /* saves files without a name */
int collect_memory(struct triage *t, struct err *err);	  /* of --memory */
int collect_task(struct triage *t, struct err *err);	  /* of ECS */
int collect_network(struct triage *t, struct err *err);
int collect_modules(struct triage *t, struct err *err); /* and the record `kernel` */
int collect_bpf(struct triage *t, struct err *err);
int collect_mounts(struct triage *t, struct err *err);
int collect_sessions(struct triage *t, struct err *err);
int collect_units(struct triage *t, struct err *err);
int collect_files(struct triage *t, struct err *err); /* `file`, hidden files */

#endif
