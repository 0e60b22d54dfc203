#include "toolkit/triage/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "toolkit/lib/clock.h"
#include "toolkit/lib/host.h"
#include "toolkit/lib/io.h"

#define SMALL_MAX (64 * 1024)

#ifndef STATX_ATTR_MOUNT_ROOT /* musl */
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif

static const char *step_name(enum process_step step)
{
	static const char *const names[STEP_COUNT] = {
		"",    "stat",	 "links", "cmdline", "environ",
		"exe", "sha256", "fd",	  "maps",    "mountinfo",
	};

	return names[step];
}

void process_begin_step(struct process_job *job, enum process_step step)
{
	job->since_ns = clock_ns(CLOCK_MONOTONIC);
	job->step = (int)step;
}

void process_unread_for(struct process_job *job, const char *what,
			enum triage_reason reason, int errnum)
{
	struct json_node *node;
	char other[24];

	/* Made when it is needed. */
	if (!job->unread)
		job->unread = json_add_array(job->doc, job->root, "unread");
	node = json_add_object(job->doc, job->unread, NULL);
	json_add_str(job->doc, node, "what", what);
	json_add_str(job->doc, node, "reason", triage_reason_name(reason));
	if (reason == REASON_CAPABILITY)
		json_add_str(job->doc, node, "capability", "CAP_SYS_PTRACE");
	if (errnum)
		json_add_str(job->doc, node, "errno", triage_errno_name(errnum, other));
	job->reasons[reason]++;
}

bool process_skips(struct process_job *job, enum process_step step)
{
	if (!(job->skip >> step & 1))
		return false;
	process_unread_for(job, step_name(step), REASON_BLOCKED, 0);
	return true;
}

/*
 * Of a process that ends between the lookup and the reading of a link in ns/ the kernel
 * says EACCES (proc_ns_readlink()), as if it were refused.
 */
static bool has_ended(const struct process_job *job)
{
	struct stat st;

	return fstatat(job->dirfd, "stat", &st, AT_SYMLINK_NOFOLLOW) < 0 &&
	       (errno == ESRCH || errno == ENOENT);
}

void process_unread(struct process_job *job, const char *what, int errnum)
{
	struct triage *t = job->t;
	enum triage_reason reason = REASON_ERROR;

	if (errnum == EACCES && has_ended(job))
		errnum = ESRCH;
	if (errnum == ESRCH || errnum == ENOENT) {
		reason = REASON_GONE;
		job->gone = true;
	} else if (errnum == EACCES || errnum == EPERM) {
		if (job->person.userns && t->userns && job->person.userns != t->userns)
			reason = REASON_USER_NAMESPACE;
		else
			reason = triage_may(t, HOST_CAP_SYS_PTRACE) ? REASON_LSM
								    : REASON_CAPABILITY;
	} else {
		reason = triage_reason_of(t, errnum);
	}
	process_unread_for(job, what, reason, errnum);
}

void process_find(struct process_job *job, const char *kind,
		  enum triage_severity severity, const char *view, const char *said,
		  const char *fmt, ...)
{
	struct process_finding *finding = &job->findings[job->finding_count];
	va_list ap;

	if (job->finding_count == PROCESS_FINDINGS_MAX)
		return;
	job->finding_count++;
	*finding = (struct process_finding){ .kind = kind, .severity = severity };
	va_start(ap, fmt);
	vsnprintf(finding->text, sizeof(finding->text), fmt, ap);
	va_end(ap);
	if (view) {
		snprintf(finding->view, sizeof(finding->view), "%s", view);
		snprintf(finding->said, sizeof(finding->said), "%s", said);
	}
}

void process_lose(struct process_job *job, int fd, const char *what, uint32_t major,
		  uint32_t minor, uint64_t inode, const char *path, size_t path_len)
{
	struct process_lost *larger;

	if (job->lost_count == job->lost_room) {
		larger = realloc(job->lost, (job->lost_room + 16) * sizeof(*larger));
		if (!larger) {
			close(fd);
			return;
		}
		job->lost = larger;
		job->lost_room += 16;
	}
	job->lost[job->lost_count++] =
		(struct process_lost){ .fd = fd,
				       .what = what,
				       .major = major,
				       .minor = minor,
				       .inode = inode,
				       .path = strndup(path, path_len),
				       .pid = job->pid,
				       .start_ticks = job->stat.start_ticks };
}

bool process_strip_deleted(const char *path, size_t *len_bytes)
{
	static const char end[] = " (deleted)";
	size_t len = sizeof(end) - 1;

	if (*len_bytes <= len || memcmp(path + *len_bytes - len, end, len) != 0)
		return false;
	*len_bytes -= len;
	return true;
}

static bool read_stat(struct process_job *job, struct procstat *stat)
{
	return procfile_read_single(job->dirfd, "stat", SMALL_MAX, &job->text) == 0 &&
	       procstat_parse(job->text.data, job->text.len_bytes, stat);
}

static void add_ids(struct json *doc, struct json_node *in, const char *key,
		    const uint32_t *ids, size_t count)
{
	struct json_node *list = json_add_array(doc, in, key);

	for (size_t i = 0; i < count; i++)
		json_add_u64(doc, list, NULL, ids[i]);
}

static void add_stat(struct process_job *job)
{
	const struct procstat *stat = &job->stat;
	struct json *doc = job->doc;
	struct json_node *root = job->root;

	json_add_i64(doc, root, "pid", stat->pid);
	json_add_i64(doc, root, "ppid", stat->ppid);
	json_add_i64(doc, root, "pgrp", stat->pgrp);
	json_add_i64(doc, root, "session", stat->session);
	json_add_i64(doc, root, "tty", stat->tty);
	json_add_u64(doc, root, "threads", stat->threads);
	json_add_u64(doc, root, "start_ticks", stat->start_ticks);
	triage_add_time(doc, root, "start",
			job->t->boot_ns +
				(int64_t)(stat->start_ticks *
					  (UINT64_C(1000000000) / job->t->ticks_per_s)));
	json_add_str(doc, root, "state", (char[2]){ stat->state, '\0' });
	json_add_bool(doc, root, "kernel_thread", job->person.kernel_thread);
	triage_add_hex(doc, root, "flags", stat->flags);
	triage_add_text(doc, root, "comm", stat->comm, stat->comm_len);
	json_add_u64(doc, root, "cpu_ticks", stat->user_ticks + stat->system_ticks);
	if (job->pid == job->t->self_pid)
		json_add_bool(doc, root, "self", true);
}

static void add_status(struct process_job *job)
{
	const struct procstatus *status = &job->status;
	struct json *doc = job->doc;
	struct json_node *root = job->root, *node;

	if (status->tracer_pid)
		json_add_i64(doc, root, "tracer_pid", status->tracer_pid);
	if (status->ns_pid_count > 1) {
		node = json_add_array(doc, root, "ns_pids");
		for (size_t i = 0; i < status->ns_pid_count; i++)
			json_add_i64(doc, node, NULL, status->ns_pid[i]);
	}
	add_ids(doc, root, "uid", status->uid, 4);
	add_ids(doc, root, "gid", status->gid, 4);
	add_ids(doc, root, "groups", status->groups, status->group_count);
	if (status->groups_truncated)
		json_add_bool(doc, root, "groups_truncated", true);
	if (status->has_caps) {
		node = json_add_object(doc, root, "capabilities");
		triage_add_hex(doc, node, "inheritable", status->cap_inheritable);
		triage_add_hex(doc, node, "permitted", status->cap_permitted);
		triage_add_hex(doc, node, "effective", status->cap_effective);
		triage_add_hex(doc, node, "bounding", status->cap_bounding);
		triage_add_hex(doc, node, "ambient", status->cap_ambient);
	}
	if (status->has_no_new_privs)
		json_add_bool(doc, root, "no_new_privs", status->no_new_privs);
	if (status->has_seccomp)
		json_add_u64(doc, root, "seccomp", status->seccomp);
	if (status->tracer_pid)
		process_find(job, "traced_process", SEVERITY_MEDIUM, NULL, NULL,
			     "process %d is traced by process %d", job->pid,
			     status->tracer_pid);
}

static void read_status(struct process_job *job)
{
	int rc = procfile_read_single(job->dirfd, "status", SMALL_MAX, &job->text);

	if (rc || !procstatus_parse(job->text.data, job->text.len_bytes, &job->status)) {
		process_unread(job, "status", rc ? rc : EINVAL);
		return;
	}
	add_status(job);
	if (job->status.tgid != job->pid)
		process_find(job, "pid_mismatch", SEVERITY_HIGH, "status", "Tgid",
			     "/proc/%d tells of process %d", job->pid, job->status.tgid);
}

static void read_namespaces(struct process_job *job)
{
	static const char *const names[] = { "cgroup", "ipc",  "mnt",
					     "net",    "pid",  "pid_for_children",
					     "time",   "user", "uts" };
	struct person *person = &job->person;
	struct json_node *node = NULL;
	char path[32];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint64_t *slot = strcmp(names[i], "mnt") == 0	 ? &person->mntns
				 : strcmp(names[i], "net") == 0	 ? &person->netns
				 : strcmp(names[i], "user") == 0 ? &person->userns
								 : NULL;
		uint64_t inode;
		int rc;

		snprintf(path, sizeof(path), "ns/%s", names[i]);
		rc = procfile_link(job->dirfd, path, &job->link);
		/* Not there: a namespace that this kernel does not have, or a zombie's.
		 */
		if (rc == ENOENT)
			continue;
		if (rc) {
			process_unread(job, "ns", rc);
			return;
		}
		inode = procfile_inode_of(job->link.data);
		if (!node)
			node = json_add_object(job->doc, job->root, "namespaces");
		json_add_u64(job->doc, node, names[i], inode);
		if (slot)
			*slot = inode;
	}
}

/* A number in a file of its own; -1 in it is "unset". */
static void read_number(struct process_job *job, const char *name, const char *key)
{
	char *end;
	uint64_t value;

	if (procfile_read_single(job->dirfd, name, 64, &job->text) != 0)
		return;
	value = strtoull(job->text.data, &end, 10);
	if (end == job->text.data || value == UINT32_MAX)
		json_add_null(job->doc, job->root, key);
	else
		json_add_u64(job->doc, job->root, key, value);
}

/* No security module has one to give when one process has none by this error. */
static void read_label(struct process_job *job)
{
	size_t len;
	int rc = job->no_label ? EINVAL
			       : procfile_read_single(job->dirfd, "attr/current", 4096,
						      &job->text);

	job->no_label = rc == EINVAL;
	len = rc ? 0 : strcspn(job->text.data, "\n");
	if (len)
		triage_add_text(job->doc, job->root, "label", job->text.data, len);
}

static void read_links(struct process_job *job)
{
	static const char *const names[] = { "cwd", "root" };

	for (size_t i = 0; i < 2; i++) {
		int rc = procfile_link(job->dirfd, names[i], &job->link);

		if (rc == 0)
			triage_add_text(job->doc, job->root, names[i], job->link.data,
					job->link.len_bytes);
		else if (rc != ENOENT)
			process_unread(job, names[i], rc);
	}
	read_label(job);
	read_number(job, "loginuid", "loginuid");
	read_number(job, "sessionid", "audit_session");
}

/*
 * Is something mounted over /proc/PID? Another file system's directory is told by its
 * device, another process's by the kernel (Linux 5.8).
 */
static void look_for_cover(struct process_job *job)
{
	struct statx below;
	struct stat above;
	char name[24];
	bool mounted;

	snprintf(name, sizeof(name), "%d", job->pid);
	if (fstat(job->t->procfd, &above) < 0 ||
	    statx(job->t->procfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  STATX_BASIC_STATS, &below) < 0)
		return;
	mounted =
		below.stx_attributes & below.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT;
	if (!mounted && below.stx_dev_major == major(above.st_dev) &&
	    below.stx_dev_minor == minor(above.st_dev))
		return;
	snprintf(name, sizeof(name), "%u:%u", below.stx_dev_major, below.stx_dev_minor);
	process_find(job, "proc_overmounted", SEVERITY_HIGH, "device", name,
		     "something is mounted over /proc/%d", job->pid);
}

static bool open_process(struct process_job *job)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", job->pid);
	job->dirfd = -1;
	/* A procfs of our own shows what is under such a mount. */
	if (job->t->detachedfd >= 0)
		job->dirfd = openat(job->t->detachedfd, name,
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (job->dirfd < 0)
		job->dirfd = openat(job->t->procfd, name,
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return job->dirfd >= 0;
}

static bool begin_record(struct process_job *job)
{
	struct err err;

	job->doc =
		triage_record_in("process", job->json_memory, PROCESS_JSON_BYTES, &err);
	if (!job->doc) {
		process_clear(job);
		return false;
	}
	job->root = json_root(job->doc);
	triage_add_time(job->doc, job->root, "time", clock_ns(CLOCK_REALTIME));
	add_stat(job);
	if (job->views) {
		struct json_node *list = json_add_array(job->doc, job->root, "views");

		for (const char *const *view = job->views; *view; view++)
			json_add_str(job->doc, list, NULL, *view);
	}
	return true;
}

/* Only the kernel's own threads have names in brackets and nothing that runs. */
static void look_for_disguise(struct process_job *job)
{
	const struct procstat *stat = &job->stat;
	bool named = (stat->comm_len > 7 && memcmp(stat->comm, "kworker", 7) == 0) ||
		     (stat->comm_len > 9 && memcmp(stat->comm, "ksoftirqd", 9) == 0) ||
		     (stat->comm_len && stat->comm[0] == '[');

	if (!job->person.kernel_thread && (named || job->argv_bracketed))
		process_find(job, "fake_kernel_thread", SEVERITY_HIGH, "flags",
			     "not PF_KTHREAD",
			     "process %d calls itself a thread of the kernel and is none",
			     job->pid);
}

bool process_read(struct process_job *job)
{
	struct procstat last;
	bool same;

	process_begin_step(job, STEP_STAT);
	/* Another process's directory may be mounted there, to be taken for this one's.
	 */
	if ((job->skip >> STEP_STAT & 1) || !open_process(job) ||
	    !read_stat(job, &job->stat) || job->stat.pid != job->pid) {
		process_begin_step(job, STEP_NONE);
		io_close(&job->dirfd);
		return false;
	}
	job->person = (struct person){
		.pid = job->pid,
		.start_ticks = job->stat.start_ticks,
		.kernel_thread = job->stat.flags & PROCSTAT_KTHREAD,
	};
	job->person.comm_len = (uint8_t)(job->stat.comm_len < sizeof(job->person.comm)
						 ? job->stat.comm_len
						 : sizeof(job->person.comm));
	memcpy(job->person.comm, job->stat.comm, job->person.comm_len);
	if (!begin_record(job))
		return false;
	look_for_cover(job);
	process_begin_step(job, STEP_LINKS);
	read_status(job);
	if (!process_skips(job, STEP_LINKS)) {
		read_namespaces(job);
		read_links(job);
	}
	process_read_container(job);
	if (!job->person.kernel_thread) {
		process_read_memory_texts(job);
		process_read_exe(job);
		process_read_maps(job);
	}
	process_read_fds(job);
	look_for_disguise(job);
	process_begin_step(job, STEP_STAT);
	same = read_stat(job, &last) && last.start_ticks == job->stat.start_ticks;
	process_begin_step(job, STEP_NONE);
	job->coherent = same && !job->gone && !job->skip;
	json_add_bool(job->doc, job->root, "coherent", job->coherent);
	return true;
}

static int emit_findings(struct process_job *job, struct err *err)
{
	for (size_t i = 0; i < job->finding_count; i++) {
		const struct process_finding *found = &job->findings[i];
		struct json_node *subject, *evidence;
		struct json *doc = triage_finding(job->t, found->kind, found->severity,
						  found->text, &subject, &evidence, err);

		if (doc) {
			json_add_i64(doc, subject, "pid", job->pid);
			json_add_u64(doc, subject, "start_ticks", job->stat.start_ticks);
			if (found->view[0])
				json_add_str(doc, evidence, found->view, found->said);
		}
		if (triage_emit(job->t, doc, err) < 0)
			return -1;
	}
	return 0;
}

/* What the job has seen becomes part of the whole. */
static void merge(struct process_job *job)
{
	struct census *part = &job->part, *whole = &job->t->census;

	census_add_person(whole, &job->person);
	for (size_t i = 0; i < part->owner_count; i++)
		census_add_owner(whole, part->owners[i].inode, part->owners[i].pid,
				 part->owners[i].fd);
	for (size_t i = 0; i < part->file_count; i++) {
		const struct known_file *file = &part->files[i];
		struct known_file *known =
			census_add_file(whole, file->major, file->minor, file->inode,
					file->path, file->roles, job->pid);

		if (!known)
			continue;
		known->deleted = known->deleted || file->deleted;
		if (file->hashed) {
			known->hashed = true;
			memcpy(known->sha256, file->sha256, sizeof(known->sha256));
		}
		if (!known->via[0])
			memcpy(known->via, file->via, sizeof(known->via));
	}
	whole->failed = whole->failed || part->failed;
}

int process_emit(struct process_job *job, struct err *err)
{
	struct triage *t = job->t;
	struct json *doc = job->doc;

	merge(job);
	t->processes++;
	t->coherent += job->coherent;
	for (size_t i = 0; i < REASON_COUNT; i++)
		t->unread[i] += job->reasons[i];
	t->lost_more = t->lost_more || job->lost_more;
	for (size_t i = 0; i < job->lost_count; i++)
		if (triage_keep_lost(t, &job->lost[i]))
			job->lost[i] = (struct process_lost){ .fd = -1 };
	job->doc = NULL;
	if (triage_emit(t, doc, err) < 0)
		return -1;
	return emit_findings(job, err);
}

void process_clear(struct process_job *job)
{
	io_close(&job->dirfd);
	json_free(job->doc);
	job->doc = NULL;
	job->root = job->unread = NULL;
	for (size_t i = 0; i < job->lost_count; i++) {
		io_close(&job->lost[i].fd);
		free(job->lost[i].path);
	}
	job->lost_count = 0;
	job->finding_count = 0;
	job->lost_more = false;
	job->gone = job->coherent = job->argv_bracketed = false;
	memset(job->reasons, 0, sizeof(job->reasons));
	census_clear(&job->part);
}
