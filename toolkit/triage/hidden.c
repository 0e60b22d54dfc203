/*
 * Processes that one view shows and another does not. Views are taken at different
 * moments, and processes come and go: only what is the same after several pauses is
 * believed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/triage/process.h"

#define RECHECKS 3
#define PAUSE_NS 10000000
/* Beyond these it is no longer the single processes that matter. */
#define SUSPECTS_MAX 4096

struct suspect {
	int32_t pid;
	unsigned rechecked;
	bool listed; /* but it could not be read */
	bool lookup, signal, pidfd, detached, cgroup;
};

struct suspects {
	struct suspect *list;
	size_t count;
	bool more;
	struct pidset cgroups;
};

static void add(struct suspects *all, int32_t pid, bool listed)
{
	if (all->count == SUSPECTS_MAX) {
		all->more = true;
		return;
	}
	all->list[all->count++] = (struct suspect){ .pid = pid, .listed = listed };
}

/* Everybody whom any view shows but the listing of /proc, and who could not be read
 * although it shows them: that may have begun just now, or be covered by a mount. */
static void gather(struct triage *t, struct suspects *all)
{
	const struct pids *pids = &t->pids;

	for (int32_t pid = 1; pid < pids->max; pid++) {
		bool alive = pidset_has(&pids->alive, pid);
		bool elsewhere = pidset_has(&pids->detached, pid) ||
				 pidset_has(&all->cgroups, pid);

		bool listed = pidset_has(&pids->listed, pid);

		if ((!alive && !elsewhere && !listed) ||
		    (listed && census_person(&t->census, pid)))
			continue;
		if (elsewhere || pids_ask(t, pid) % 2)
			add(all, pid, listed);
	}
}

static bool can_look_up(int procfd, int32_t pid)
{
	struct stat st;
	char name[16];

	snprintf(name, sizeof(name), "%d", pid);
	return procfd >= 0 && fstatat(procfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Asks once more; false when the suspicion has gone. */
static bool still_hidden(struct triage *t, struct suspect *suspect,
			 const struct pidset *listed)
{
	int answer = pids_ask(t, suspect->pid);

	suspect->signal = answer != 0;
	suspect->pidfd = answer == 1 && !t->pids.no_pidfd;
	suspect->detached = can_look_up(t->detachedfd, suspect->pid);
	suspect->lookup = can_look_up(t->procfd, suspect->pid);
	/* A thread's name can be looked up everywhere, and is listed nowhere. */
	return answer % 2 && (suspect->listed || !pidset_has(listed, suspect->pid));
}

static int recheck(struct triage *t, struct suspects *all, struct err *err)
{
	struct timespec pause = { 0, PAUSE_NS };
	struct pidset listed = { 0 };

	for (unsigned round = 0; round < RECHECKS && all->count; round++) {
		size_t kept = 0;

		nanosleep(&pause, NULL);
		if (!pidset_make(&listed, t->pids.max))
			return err_sys(err, ENOMEM, "looking for hidden processes");
		pids_list_into(t->procfd, &listed);
		for (size_t i = 0; i < all->count; i++) {
			all->list[i].cgroup = pidset_has(&all->cgroups, all->list[i].pid);
			if (!still_hidden(t, &all->list[i], &listed))
				continue;
			all->list[kept] = all->list[i];
			all->list[kept++].rechecked++;
		}
		all->count = kept;
		pidset_free(&listed);
	}
	return 0;
}

static const char *shown(bool yes)
{
	return yes ? "shown" : "absent";
}

static int report(struct triage *t, const struct suspect *suspect, struct err *err)
{
	const struct person *person = census_person(&t->census, suspect->pid);
	struct json_node *subject, *evidence;
	struct json *doc;
	char text[160], name[80];

	if (person)
		snprintf(
			text, sizeof(text), "process %d (%s) is hidden from /proc",
			suspect->pid,
			triage_shown(person->comm, person->comm_len, name, sizeof(name)));
	else
		snprintf(text, sizeof(text), "process %d answers and /proc does not %s",
			 suspect->pid, suspect->listed ? "tell of it" : "show it");
	doc = triage_finding(t, "hidden_process", SEVERITY_HIGH, text, &subject,
			     &evidence, err);
	if (doc) {
		json_add_i64(doc, subject, "pid", suspect->pid);
		if (person)
			json_add_u64(doc, subject, "start_ticks", person->start_ticks);
		json_add_str(doc, evidence, "readdir", shown(suspect->listed));
		json_add_str(doc, evidence, "lookup", shown(suspect->lookup));
		json_add_str(doc, evidence, "signal", shown(suspect->signal));
		json_add_str(doc, evidence, "pidfd", shown(suspect->pidfd));
		if (t->detachedfd >= 0)
			json_add_str(doc, evidence, "detached", shown(suspect->detached));
		json_add_str(doc, evidence, "cgroup", shown(suspect->cgroup));
		json_add_u64(doc, json_root(doc), "rechecked", suspect->rechecked);
	}
	return triage_emit(t, doc, err);
}

/* The record of one whom nothing of /proc tells more about. */
static int emit_bare(struct triage *t, const char *const *views, int32_t pid,
		     struct err *err)
{
	struct json *doc = triage_record("process", err);

	if (doc) {
		struct json_node *root = json_root(doc);
		struct json_node *list = json_add_array(doc, root, "views");

		json_add_i64(doc, root, "pid", pid);
		for (; *views; views++)
			json_add_str(doc, list, NULL, *views);
		json_add_bool(doc, root, "coherent", false);
		t->processes++;
	}
	return triage_emit(t, doc, err);
}

/* Those that show it, ended by NULL. */
static void views_of(const struct suspect *suspect, const char *views[6])
{
	size_t n = 0;

	if (suspect->lookup)
		views[n++] = "lookup";
	if (suspect->signal)
		views[n++] = "signal";
	if (suspect->pidfd)
		views[n++] = "pidfd";
	if (suspect->detached)
		views[n++] = "detached";
	if (suspect->cgroup)
		views[n++] = "cgroup";
	views[n] = NULL;
}

/* Reads once more those that are listed: who has a record then had begun just now, who
 * does not answer has ended, and neither is suspected any more. No thread is listed. */
static int settle_listed(struct triage *t, struct suspects *all, struct err *err)
{
	int32_t *pids = malloc((all->count + 1) * sizeof(*pids));
	size_t count = 0, kept = 0;
	int rc;

	if (!pids)
		return err_sys(err, ENOMEM, "looking for hidden processes");
	for (size_t i = 0; i < all->count; i++)
		if (all->list[i].listed)
			pids[count++] = all->list[i].pid;
	rc = collect_pids(t, pids, count, NULL, err);
	free(pids);
	if (rc < 0)
		return -1;
	census_sort(&t->census);
	for (size_t i = 0; i < all->count; i++) {
		const struct suspect *suspect = &all->list[i];

		if (suspect->listed && (census_person(&t->census, suspect->pid) ||
					pids_ask(t, suspect->pid) % 2 == 0))
			continue;
		all->list[kept++] = *suspect;
	}
	all->count = kept;
	return 0;
}

/* Where /proc shows everybody no more than their own processes, to be absent there says
 * nothing. */
static bool says_nothing(const struct triage *t, const struct suspect *suspect)
{
	return t->hidepid && !suspect->detached;
}

/* Reads those that another view than the listing leads to. */
static int read_hidden(struct triage *t, const struct suspects *all, struct err *err)
{
	const char *views[6];
	bool *known = malloc(all->count + 1);
	int rc = known ? 0 : err_sys(err, ENOMEM, "looking for hidden processes");

	/* Before the first is added, which is not in its place until all are sorted. */
	for (size_t i = 0; rc == 0 && i < all->count; i++)
		known[i] = census_person(&t->census, all->list[i].pid);
	for (size_t i = 0; rc == 0 && i < all->count; i++) {
		if (known[i] || says_nothing(t, &all->list[i]))
			continue;
		views_of(&all->list[i], views);
		rc = collect_pids(t, &all->list[i].pid, 1, views, err);
	}
	free(known);
	census_sort(&t->census);
	return rc;
}

static int report_one(struct triage *t, const struct suspect *suspect, struct err *err)
{
	const char *views[6];
	char what[48];

	if (says_nothing(t, suspect)) {
		snprintf(what, sizeof(what), "process %d", suspect->pid);
		return triage_unread(t, what, REASON_HIDEPID, 0, err);
	}
	views_of(suspect, views);
	if (!census_person(&t->census, suspect->pid) &&
	    emit_bare(t, views, suspect->pid, err) < 0)
		return -1;
	return t->hidepid ? 0 : report(t, suspect, err);
}

static int report_all(struct triage *t, struct suspects *all, struct err *err)
{
	if (settle_listed(t, all, err) < 0 || read_hidden(t, all, err) < 0)
		return -1;
	for (size_t i = 0; i < all->count; i++)
		if (report_one(t, &all->list[i], err) < 0)
			return -1;
	if (all->more)
		return triage_unread(t, "further hidden processes", REASON_TOO_LARGE, 0,
				     err);
	return 0;
}

int collect_hidden(struct triage *t, struct err *err)
{
	struct suspects all = { 0 };
	int rc = -1;

	pids_join(t);
	if (!t->live)
		return 0;
	all.list = malloc(SUSPECTS_MAX * sizeof(*all.list));
	if (!all.list || !pidset_make(&all.cgroups, t->pids.max)) {
		err_sys(err, ENOMEM, "looking for hidden processes");
		goto out;
	}
	pids_of_cgroups(t, &all.cgroups);
	/* Those that began since the last listing are not hidden. */
	pids_list_into(t->procfd, &t->pids.listed);
	gather(t, &all);
	if (recheck(t, &all, err) < 0 || report_all(t, &all, err) < 0)
		goto out;
	rc = 0;
out:
	free(all.list);
	pidset_free(&all.cgroups);
	return rc;
}
