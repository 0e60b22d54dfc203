/* What a process keeps in its own memory: arguments and environment; and its container.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/triage/process.h"
#include "toolkit/triage/redact.h"

/* The kernel lets a program begin with 6 MiB of both; one that moves its own limits by
 * prctl(PR_SET_MM) may show more. */
#define TEXTS_MAX (6u << 20)
#define CGROUP_MAX (256 * 1024)
#define MOUNTS_MAX (1024 * 1024)

static void read_argv(struct process_job *job)
{
	struct json_node *list;
	const char *at, *end;
	bool hide = false;
	int rc;

	process_begin_step(job, STEP_CMDLINE);
	rc = procfile_read(job->dirfd, "cmdline", TEXTS_MAX, &job->text);
	process_begin_step(job, STEP_NONE);
	if (rc) {
		process_unread(job, "cmdline", rc);
		return;
	}
	list = json_add_array(job->doc, job->root, "argv");
	at = job->text.data;
	end = at + job->text.len_bytes;
	job->argv_bracketed = at < end && *at == '[';
	while (at < end) {
		size_t len = strnlen(at, (size_t)(end - at));

		if (job->t->opt->redact)
			hide = redact_argument(job->doc, list, at, len, hide);
		else
			triage_add_text(job->doc, list, NULL, at, len);
		if (at + len == end)
			json_add_bool(job->doc, job->root, "argv_unterminated", true);
		at += len + 1;
	}
	json_add_u64(job->doc, job->root, "argv_bytes", job->text.len_bytes);
	if (job->text.truncated)
		json_add_bool(job->doc, job->root, "argv_truncated", true);
}

/* Variables that make the loader run other code than the program's. */
static void look_at_variable(struct process_job *job, const char *at, size_t len)
{
	static const char *const names[] = { "LD_PRELOAD=", "LD_AUDIT=" };
	char shown[160];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t name_len = strlen(names[i]);

		if (len <= name_len || memcmp(at, names[i], name_len) != 0)
			continue;
		triage_shown(at, len, shown, sizeof(shown));
		process_find(job, "preload_environment", SEVERITY_MEDIUM, "environ",
			     shown, "process %d was started with %.*s", job->pid,
			     (int)name_len - 1, names[i]);
	}
}

static void read_environ(struct process_job *job)
{
	struct json_node *list;
	const char *at, *end;
	int rc;

	process_begin_step(job, STEP_ENVIRON);
	rc = procfile_read(job->dirfd, "environ", TEXTS_MAX, &job->text);
	process_begin_step(job, STEP_NONE);
	if (rc) {
		process_unread(job, "environ", rc);
		return;
	}
	list = json_add_array(job->doc, job->root, "environ");
	at = job->text.data;
	end = at + job->text.len_bytes;
	for (; at < end; at += strnlen(at, (size_t)(end - at)) + 1) {
		size_t len = strnlen(at, (size_t)(end - at));

		look_at_variable(job, at, len);
		if (job->t->opt->redact)
			redact_variable(job->doc, list, at, len);
		else
			triage_add_text(job->doc, list, NULL, at, len);
	}
	if (job->text.truncated)
		json_add_bool(job->doc, job->root, "environ_truncated", true);
}

void process_read_memory_texts(struct process_job *job)
{
	if (!process_skips(job, STEP_CMDLINE))
		read_argv(job);
	if (!job->t->opt->no_environ && !process_skips(job, STEP_ENVIRON))
		read_environ(job);
}

/* The file tells the same for all of a mount namespace, so one of them is asked. */
static bool container_of_mounts(struct process_job *job, struct containerid *found)
{
	if (!job->person.mntns || job->mounts.inode != job->person.mntns) {
		job->mounts.inode = job->person.mntns;
		job->mounts.found = false;
		process_begin_step(job, STEP_MOUNTS);
		if (!process_skips(job, STEP_MOUNTS) &&
		    procfile_read(job->dirfd, "mountinfo", MOUNTS_MAX, &job->text) == 0)
			job->mounts.found =
				containerid_of_mounts(job->text.data, job->text.len_bytes,
						      &job->mounts.container);
		process_begin_step(job, STEP_NONE);
	}
	*found = job->mounts.container;
	return job->mounts.found;
}

void process_add_container(struct json *doc, struct json_node *in,
			   const struct containerid *container)
{
	struct json_node *node = json_add_object(doc, in, "container");

	json_add_str(doc, node, "runtime", container->runtime);
	if (container->id[0])
		triage_add_text(doc, node, "id", container->id, strlen(container->id));
	if (container->task[0])
		triage_add_text(doc, node, "task", container->task,
				strlen(container->task));
	if (container->pod[0])
		triage_add_text(doc, node, "pod", container->pod, strlen(container->pod));
	json_add_str(doc, node, "source", container->source);
}

static void add_cgroup(struct process_job *job, struct json_node *list,
		       const struct cgroup_line *line)
{
	struct json_node *node = json_add_object(job->doc, list, NULL);

	json_add_u64(job->doc, node, "hierarchy", line->hierarchy);
	triage_add_text(job->doc, node, "controllers", line->controllers,
			line->controllers_len);
	triage_add_text(job->doc, node, "path", line->path, line->path_len);
}

void process_read_container(struct process_job *job)
{
	struct containerid container = { 0 };
	struct cgroup_line line;
	struct json_node *list;
	bool all_roots = true;
	const char *at;
	int rc = procfile_read_single(job->dirfd, "cgroup", CGROUP_MAX, &job->text);

	if (rc) {
		if (rc != ENOENT)
			process_unread(job, "cgroup", rc);
		return;
	}
	list = json_add_array(job->doc, job->root, "cgroups");
	at = job->text.data;
	while (containerid_next_cgroup(&at, job->text.data + job->text.len_bytes,
				       &line)) {
		add_cgroup(job, list, &line);
		all_roots = all_roots && line.path_len <= 1;
		if (!container.runtime)
			containerid_of_cgroup(line.path, line.path_len, &container);
	}
	/* Who stands in a cgroup namespace sees its own cgroup as the root. */
	if (!container.runtime && all_roots && !job->person.kernel_thread &&
	    !container_of_mounts(job, &container))
		return;
	if (container.runtime)
		process_add_container(job->doc, job->root, &container);
}
