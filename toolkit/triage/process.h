/*
 * One process, read through one descriptor of /proc/PID, so that a pid that is used again
 * cannot mix two of them. What another program can make wait for ever (its arguments may
 * lie in memory that a FUSE daemon of its own must bring) runs in a thread that is left
 * behind when it does: see collect.c.
 */
#ifndef FVOL_TRIAGE_PROCESS_H
#define FVOL_TRIAGE_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>

#include "toolkit/lib/containerid.h"
#include "toolkit/lib/procfile.h"
#include "toolkit/lib/procstat.h"
#include "toolkit/triage/triage.h"

/* What is being read: which one blocks is left out at the second try. */
enum process_step {
	STEP_NONE, /* nothing that can block */
	STEP_STAT,
	STEP_LINKS,
	STEP_CMDLINE,
	STEP_ENVIRON,
	STEP_EXE,
	STEP_HASH,
	STEP_FDS,
	STEP_MAPS,
	STEP_MOUNTS,
	STEP_COUNT,
};

/* Found in passing; made into a record once the process has been. */
struct process_finding {
	const char *kind;
	enum triage_severity severity;
	char text[320];
	char view[24], said[224]; /* one line of evidence; empty: none */
};
#define PROCESS_FINDINGS_MAX 16

/* A file that the host shows by no name any more, held open until it is saved. */
struct process_lost {
	int fd;
	const char *what; /* exe, library, memfd */
	uint32_t major, minor;
	uint64_t inode;
	char *path;
	int32_t pid;
	uint64_t start_ticks;
};

/* Enough for the record of an ordinary process. */
#define PROCESS_JSON_BYTES ((size_t)64 * 1024)

/* Descriptors of lost files that are held at a time. */
#define PROCESS_LOST_MAX 512

struct process_job {
	struct triage *t;
	int32_t pid;
	uint32_t skip;		  /* bits of steps that blocked before */
	const char *const *views; /* that show it, ended by NULL; NULL: all do */

	/* What it is at, and since when (CLOCK_MONOTONIC), for those who watch. */
	_Atomic int step;
	_Atomic int64_t since_ns;

	/* Of this process. */
	int dirfd;
	struct json *doc;
	struct json_node *root, *unread;
	struct procstat stat;
	struct procstatus status;
	struct person person;
	struct census part; /* becomes part of the whole when it is done */
	struct process_finding findings[PROCESS_FINDINGS_MAX];
	size_t finding_count;
	struct process_lost *lost;
	size_t lost_count, lost_room;
	bool lost_more;			/* there were more */
	uint64_t reasons[REASON_COUNT]; /* how much was not read, by why */
	bool gone, coherent, argv_bracketed;
	uint64_t exe_inode;

	/* Kept from process to process. */
	struct proctext text, link;
	bool no_label;		    /* this kernel has no labels */
	unsigned char *json_memory; /* PROCESS_JSON_BYTES, or NULL */
	struct mapped *mapped;	    /* of process_read_maps() */
	/* The mount namespace that was looked at last, and whose it is. */
	struct {
		uint64_t inode;
		bool found;
		struct containerid container;
	} mounts;
	pthread_mutex_t *lock; /* of what all jobs share: t */
};

/*
 * Reads the process into job->doc and the rest. False when it was gone before it could be
 * told from another: there is no record then.
 */
bool process_read(struct process_job *job);

/* Takes up what was read into t, and writes it. Under the lock. 0, or -1 with err. */
int process_emit(struct process_job *job, struct err *err);

/* Frees what is of one process. */
void process_clear(struct process_job *job);

/* For the rooms of process_read(). */
void process_begin_step(struct process_job *job, enum process_step step);
bool process_skips(struct process_job *job, enum process_step step); /* and says so */
void process_unread(struct process_job *job, const char *what, int errnum);
void process_unread_for(struct process_job *job, const char *what,
			enum triage_reason reason, int errnum);
void process_find(struct process_job *job, const char *kind,
		  enum triage_severity severity, const char *view, const char *said,
		  const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* Keeps fd, which becomes the job's. */
void process_lose(struct process_job *job, int fd, const char *what, uint32_t major,
		  uint32_t minor, uint64_t inode, const char *path, size_t path_len);
void process_read_exe(struct process_job *job);
void process_read_fds(struct process_job *job);
void process_read_maps(struct process_job *job);
void process_read_memory_texts(struct process_job *job); /* argv and environ */
void process_read_container(struct process_job *job);

void process_add_container(struct json *doc, struct json_node *in,
			   const struct containerid *container);

/* "NAME (deleted)" without its end when the kernel put it there. */
bool process_strip_deleted(const char *path, size_t *len_bytes);

#endif
