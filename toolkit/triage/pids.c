#include "toolkit/triage/pids.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "toolkit/lib/interrupt.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/procfile.h"
#include "toolkit/lib/procstat.h"
#include "toolkit/triage/triage.h"

/* PID_MAX_LIMIT of linux/threads.h. */
#define PID_LIMIT (4 * 1024 * 1024)
/* Those that begin while it is asked. */
#define SWEEP_AHEAD 32768
#define CGROUPS_MAX 20000
#define CGROUP_DEPTH 24

bool pidset_make(struct pidset *set, int32_t end)
{
	set->words = calloc((size_t)end / 64 + 1, sizeof(*set->words));
	set->end = set->words ? end : 0;
	return set->words;
}

void pidset_free(struct pidset *set)
{
	free(set->words);
	*set = (struct pidset){ 0 };
}

bool pidset_has(const struct pidset *set, int32_t pid)
{
	return pid >= 0 && pid < set->end && set->words[pid / 64] >> pid % 64 & 1;
}

/* Nothing when it does not fit. */
static void add(struct pidset *set, int32_t pid)
{
	if (pid >= 0 && pid < set->end)
		set->words[pid / 64] |= UINT64_C(1) << pid % 64;
}

static int32_t pid_max(const struct triage *t)
{
	struct proctext text = { 0 };
	long value = 0;

	if (procfile_read(t->procfd, "sys/kernel/pid_max", 64, &text) == 0)
		value = strtol(text.data, NULL, 10);
	procfile_free(&text);
	return value > 0 && value <= PID_LIMIT ? (int32_t)value : PID_LIMIT;
}

/*
 * The first pid that nobody can have. Pids are given out in order and begin anew at
 * pid_max: where fewer were given out since boot than that, none is above the last one
 * but those that somebody chose himself (clone3 with set_tid, as root).
 */
static int32_t sweep_end(const struct triage *t)
{
	struct proctext text = { 0 };
	const char *last = NULL, *forks = NULL;
	int64_t end = t->pids.max, given = INT64_MAX;

	if (procfile_read(t->procfd, "stat", 4u << 20, &text) == 0)
		forks = strstr(text.data, "\nprocesses ");
	if (forks)
		given = strtoll(forks + strlen("\nprocesses "), NULL, 10);
	/* 0.00 0.01 0.05 1/123 4567 */
	if (procfile_read(t->procfd, "loadavg", 256, &text) == 0)
		last = strrchr(text.data, ' ');
	if (last && !t->opt->all_pids && given < t->pids.max) {
		end = strtoll(last, NULL, 10) + SWEEP_AHEAD;
		if (end > t->pids.max)
			end = t->pids.max;
	}
	procfile_free(&text);
	return (int32_t)end;
}

/* A signal of number 0 is none: the kernel only looks whether it could be sent. */
static bool answers(enum pids_probe probe, int32_t pid)
{
	switch (probe) {
	case PROBE_SIGNAL:
		return kill(pid, 0) == 0 || errno == EPERM;
	case PROBE_GROUP:
		return getpgid(pid) >= 0 || errno == EPERM || errno == EACCES;
	case PROBE_SCHEDULE:
		return syscall(SYS_sched_getscheduler, pid) >= 0 || errno == EPERM ||
		       errno == EACCES;
	default:
		return false;
	}
}

/*
 * A filter refuses by an errno of its own, which would be taken for an answer: a system
 * call is only believed when it says of a pid that nobody can have that there is none.
 */
static void choose_probe(struct pids *pids)
{
	pids->probe = PROBE_SCHEDULE;
	while (pids->probe < PROBE_NONE &&
	       (answers(pids->probe, INT32_MAX) || errno != ESRCH))
		pids->probe++;
	pids->no_pidfd = syscall(SYS_pidfd_open, INT32_MAX, 0) >= 0 || errno != ESRCH;
}

/* Says which views a filter takes away. */
static int list_refused(struct triage *t, struct err *err)
{
	static const char *const calls[] = { "sched_getscheduler", "getpgid", "kill" };
	int self = (int)syscall(SYS_pidfd_open, t->self_pid, 0), why = errno;

	for (int i = 0; i < (int)t->pids.probe; i++)
		if (triage_unread(t, calls[i], REASON_SECCOMP, EPERM, err) < 0)
			return -1;
	if (self >= 0)
		close(self);
	else if (t->pids.no_pidfd &&
		 triage_unread(t, "pidfd_open",
			       why == ENOSYS ? REASON_NOT_SUPPORTED : REASON_SECCOMP, why,
			       err) < 0)
		return -1;
	return 0;
}

static void *sweep(void *arg)
{
	struct triage *t = arg;

	for (int32_t pid = 1; pid < t->pids.sweep_end && !interrupted; pid++)
		if (answers(t->pids.probe, pid))
			add(&t->pids.alive, pid);
	t->pids.swept = !interrupted;
	return NULL;
}

int pids_begin(struct triage *t, struct err *err)
{
	struct pids *pids = &t->pids;

	pids->max = pid_max(t);
	if (!pidset_make(&pids->listed, pids->max) ||
	    !pidset_make(&pids->detached, pids->max) ||
	    !pidset_make(&pids->taken, pids->max) ||
	    !pidset_make(&pids->alive, pids->max))
		return err_sys(err, ENOMEM, "looking for processes");
	pids->sweep_end = sweep_end(t);
	if (!t->live)
		return 0;
	choose_probe(pids);
	if (list_refused(t, err) < 0)
		return -1;
	if (pids->probe != PROBE_NONE)
		pids->sweeping = pthread_create(&pids->sweeper, NULL, sweep, t) == 0;
	return 0;
}

void pids_join(struct triage *t)
{
	if (t->pids.sweeping)
		pthread_join(t->pids.sweeper, NULL);
	t->pids.sweeping = false;
	t->swept_to = t->pids.swept ? (uint64_t)t->pids.sweep_end - 1 : 0;
}

/* A name of digits alone; 0 for any other. */
static int32_t pid_of(const char *name)
{
	size_t len = strspn(name, "0123456789");
	long value = len && len < 9 && !name[len] ? strtol(name, NULL, 10) : 0;

	return value > 0 && value < PID_LIMIT ? (int32_t)value : 0;
}

int pids_list_into(int procfd, struct pidset *set)
{
	int fd = openat(procfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		io_close(&fd);
		return -1;
	}
	while (errno = 0, (entry = readdir(dir)))
		add(set, pid_of(entry->d_name));
	rc = errno;
	closedir(dir);
	errno = rc;
	return rc ? -1 : 0;
}

size_t pids_list(struct triage *t, int32_t **list, struct err *err)
{
	struct pids *pids = &t->pids;
	size_t count = 0, room = 0;
	int32_t *larger;

	*list = NULL;
	if (pids_list_into(t->procfd, &pids->listed) < 0) {
		err_sys(err, errno, "listing /proc");
		return SIZE_MAX;
	}
	if (t->detachedfd >= 0)
		pids_list_into(t->detachedfd, &pids->detached);
	for (int32_t word = 0; word < pids->max / 64 + 1; word++) {
		uint64_t fresh = (pids->listed.words[word] | pids->detached.words[word]) &
				 ~pids->taken.words[word];

		pids->taken.words[word] |= fresh;
		for (; fresh; fresh &= fresh - 1) {
			if (count == room) {
				room = room ? room * 2 : 512;
				larger = realloc(*list, room * sizeof(**list));
				if (!larger) {
					err_sys(err, ENOMEM, "listing /proc");
					free(*list);
					return SIZE_MAX;
				}
				*list = larger;
			}
			(*list)[count++] = word * 64 + __builtin_ctzll(fresh);
		}
	}
	return count;
}

/* The process that a thread belongs to, as a look-up of its own name tells; 0: unknown.
 */
static int32_t tgid_of(int procfd, int32_t pid)
{
	struct proctext text = { 0 };
	struct procstatus status;
	char name[32];
	int32_t tgid = 0;

	snprintf(name, sizeof(name), "%d/status", pid);
	if (procfd >= 0 && procfile_read(procfd, name, 65536, &text) == 0 &&
	    procstatus_parse(text.data, text.len_bytes, &status))
		tgid = status.tgid;
	procfile_free(&text);
	return tgid;
}

int pids_ask(const struct triage *t, int32_t pid)
{
	int fd = -1, why = ENOSYS;
	int32_t tgid;

	if (!answers(t->pids.probe, pid))
		return 0;
	/* Linux 5.3; a thread that leads no group is refused, by EINVAL or ENOENT. */
	if (!t->pids.no_pidfd) {
		fd = (int)syscall(SYS_pidfd_open, pid, 0);
		why = errno;
	}
	if (fd >= 0) {
		close(fd);
		return 1;
	}
	if (why == ESRCH)
		return 0;
	if (why == EINVAL || why == ENOENT)
		return 2;
	tgid = tgid_of(t->detachedfd, pid);
	if (!tgid)
		tgid = tgid_of(t->procfd, pid);
	return !tgid ? -1 : tgid == pid ? 1 : 2;
}

static void take_members(int dirfd, struct pidset *set, size_t *count,
			 struct proctext *text)
{
	if (procfile_read(dirfd, "cgroup.procs", 8u << 20, text) != 0)
		return;
	for (const char *at = text->data; *at;
	     at += strcspn(at, "\n"), at += *at == '\n') {
		add(set, (int32_t)strtol(at, NULL, 10));
		++*count;
	}
}

static void walk_cgroups(int parentfd, const char *name, int depth, struct pidset *set,
			 size_t *count, size_t *left, struct proctext *text)
{
	int fd = openat(parentfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		io_close(&fd);
		return;
	}
	take_members(dirfd(dir), set, count, text);
	while (depth < CGROUP_DEPTH && *left && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		--*left;
		walk_cgroups(dirfd(dir), entry->d_name, depth + 1, set, count, left,
			     text);
	}
	closedir(dir);
}

size_t pids_of_cgroups(const struct triage *t, struct pidset *set)
{
	/* Version 2 alone, beside version 1, and version 1 under systemd. */
	static const char *const roots[] = { "fs/cgroup", "fs/cgroup/unified",
					     "fs/cgroup/systemd", "fs/cgroup/pids" };
	size_t count = 0, left = CGROUPS_MAX;
	struct proctext text = { 0 };

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), "%s/cgroup.procs", roots[i]);
		if (faccessat(t->sysfd, path, F_OK, 0) == 0)
			walk_cgroups(t->sysfd, roots[i], 0, set, &count, &left, &text);
	}
	procfile_free(&text);
	return count;
}

void pids_free(struct pids *pids)
{
	pidset_free(&pids->listed);
	pidset_free(&pids->detached);
	pidset_free(&pids->taken);
	pidset_free(&pids->alive);
}
