/*
 * All processes, by threads that somebody watches. When a read takes longer than it may,
 * its thread is left where it is, and another begins again with the same process, without
 * the file that blocked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/clock.h"
#include "toolkit/lib/interrupt.h"
#include "toolkit/triage/pids.h"
#include "toolkit/triage/process.h"

#define LOOK_NS INT64_C(50000000)
#define PATIENCE_NS INT64_C(2000000000)
/* Whoever makes many of them wait does it on purpose. */
#define PATIENT_TIMES 5
#define IMPATIENCE_NS INT64_C(200000000)

#define WORKERS_MAX 4

/* Outlives its call when a thread had to be left behind. */
struct crew {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct triage *t;
	int32_t *pids;
	size_t count, next;
	const char *const *views;
	struct worker *workers[WORKERS_MAX]; /* who works; NULL: has ended */
	size_t working;
	bool failed;
	struct err err;
};

struct worker {
	struct crew *crew;
	size_t place; /* among the workers */
	bool left;    /* behind: nothing of it counts any more */
	bool again;   /* it begins with a process that another was left at */
	struct process_job job;
};

static void free_worker(struct worker *worker)
{
	process_clear(&worker->job);
	census_free(&worker->job.part);
	procfile_free(&worker->job.text);
	procfile_free(&worker->job.link);
	free(worker->job.lost);
	free(worker->job.json_memory);
	free(worker->job.mapped);
	free(worker);
}

/* Takes the next process. Under the lock, as everything of the crew. */
static bool take(struct worker *worker)
{
	struct crew *crew = worker->crew;

	if (worker->left || crew->failed || interrupted)
		return false;
	if (!worker->again) {
		if (crew->next == crew->count)
			return false;
		worker->job.pid = crew->pids[crew->next++];
		worker->job.skip = 0;
	}
	worker->again = false;
	return true;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct crew *crew = worker->crew;
	struct process_job *job = &worker->job;

	pthread_mutex_lock(&crew->lock);
	while (take(worker)) {
		bool read;

		pthread_mutex_unlock(&crew->lock);
		read = process_read(job);
		pthread_mutex_lock(&crew->lock);
		if (worker->left)
			break;
		if (read && process_emit(job, &crew->err) < 0)
			crew->failed = true;
		process_clear(job);
	}
	if (!worker->left) {
		crew->workers[worker->place] = NULL;
		crew->working--;
		pthread_cond_signal(&crew->wake);
	}
	pthread_mutex_unlock(&crew->lock);
	free_worker(worker);
	return NULL;
}

/* before: who was left at a process that is to be read again, or NULL. */
static int begin_worker(struct crew *crew, size_t place, const struct worker *before,
			uint32_t skip, struct err *err)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	if (!worker)
		return err_sys(err, ENOMEM, "beginning to read processes");
	worker->crew = crew;
	worker->place = place;
	worker->again = before;
	worker->job.t = crew->t;
	worker->job.pid = before ? before->job.pid : 0;
	worker->job.skip = skip;
	worker->job.lock = &crew->lock;
	worker->job.views = crew->views;
	worker->job.dirfd = -1;
	worker->job.json_memory = malloc(PROCESS_JSON_BYTES);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	rc = pthread_create(&thread, &attr, work, worker);
	pthread_attr_destroy(&attr);
	if (rc) {
		free(worker->job.json_memory);
		free(worker);
		return err_sys(err, rc, "beginning to read processes");
	}
	crew->workers[place] = worker;
	return 0;
}

/* Leaves the thread that waits for ever, and goes on without what it waits for. */
static int leave_behind(struct crew *crew, struct worker *worker, int step,
			struct err *err)
{
	char what[32];

	crew->t->blocked++;
	worker->left = true;
	crew->workers[worker->place] = NULL;
	if (step == STEP_STAT) {
		snprintf(what, sizeof(what), "process %d", worker->job.pid);
		if (triage_unread(crew->t, what, REASON_BLOCKED, 0, err) < 0)
			return -1;
		return begin_worker(crew, worker->place, NULL, 0, err);
	}
	return begin_worker(crew, worker->place, worker,
			    worker->job.skip | UINT32_C(1) << step, err);
}

/* Looks at each of them. */
static int look(struct crew *crew, struct err *err)
{
	int64_t patience = crew->t->blocked < PATIENT_TIMES ? PATIENCE_NS : IMPATIENCE_NS;
	int64_t now = clock_ns(CLOCK_MONOTONIC);

	for (size_t i = 0; i < WORKERS_MAX; i++) {
		struct worker *worker = crew->workers[i];
		int step = worker ? worker->job.step : STEP_NONE;

		if (step != STEP_NONE && now - worker->job.since_ns > patience &&
		    leave_behind(crew, worker, step, err) < 0)
			return -1;
	}
	return 0;
}

static int watch(struct crew *crew, struct err *err)
{
	while (crew->working) {
		int64_t until = clock_ns(CLOCK_MONOTONIC) + LOOK_NS;
		struct timespec ts = { until / 1000000000, until % 1000000000 };

		if (look(crew, err) < 0) {
			for (size_t i = 0; i < WORKERS_MAX; i++)
				if (crew->workers[i])
					crew->workers[i]->left = true;
			return -1;
		}
		pthread_cond_timedwait(&crew->wake, &crew->lock, &ts);
	}
	if (crew->failed)
		*err = crew->err;
	return crew->failed ? -1 : 0;
}

/* One a processor, and no more than there is work for. */
static int begin_all(struct crew *crew, struct err *err)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t most = processors < 1 ? 1 : (size_t)processors;

	most = most < WORKERS_MAX ? most : WORKERS_MAX;
	most = most < crew->count ? most : crew->count;
	for (; crew->working < most; crew->working++)
		if (begin_worker(crew, crew->working, NULL, 0, err) < 0)
			break;
	return crew->working ? 0 : -1;
}

int collect_pids(struct triage *t, const int32_t *pids, size_t count,
		 const char *const *views, struct err *err)
{
	struct crew *crew = calloc(1, sizeof(*crew));
	pthread_condattr_t attr;
	int rc = -1;

	if (!count || !crew) {
		free(crew);
		return count ? err_sys(err, ENOMEM, "reading processes") : 0;
	}
	crew->t = t;
	crew->views = views;
	crew->count = count;
	crew->pids = malloc(count * sizeof(*pids));
	if (!crew->pids) {
		free(crew);
		return err_sys(err, ENOMEM, "reading processes");
	}
	memcpy(crew->pids, pids, count * sizeof(*pids));
	pthread_mutex_init(&crew->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&crew->wake, &attr);
	pthread_mutex_lock(&crew->lock);
	if (begin_all(crew, err) == 0)
		rc = watch(crew, err);
	pthread_mutex_unlock(&crew->lock);
	/* Not freed: somebody may still stand in it. */
	return rc;
}

int collect_processes(struct triage *t, struct err *err)
{
	int32_t *list = NULL;
	size_t count;
	int rc = -1;

	if (pids_begin(t, err) < 0)
		return -1;
	/* A second time for those that began meanwhile; who begins ever new ones does not
	 * keep us here. */
	for (int round = 0; round < 2; round++) {
		count = pids_list(t, &list, err);
		if (count == SIZE_MAX)
			goto out;
		if (collect_pids(t, list, count, NULL, err) < 0)
			goto out;
		free(list);
		list = NULL;
	}
	census_sort(&t->census);
	rc = 0;
out:
	free(list);
	return rc;
}

bool triage_keep_lost(struct triage *t, const struct process_lost *lost)
{
	struct process_lost *larger;

	for (size_t i = 0; i < t->lost_count; i++)
		if (t->lost[i].inode == lost->inode && t->lost[i].major == lost->major &&
		    t->lost[i].minor == lost->minor)
			return false;
	if (t->lost_count == PROCESS_LOST_MAX) {
		t->lost_more = true;
		return false;
	}
	if (t->lost_count == t->lost_room) {
		larger = realloc(t->lost, (t->lost_room + 32) * sizeof(*larger));
		if (!larger)
			return false;
		t->lost = larger;
		t->lost_room += 32;
	}
	t->lost[t->lost_count++] = *lost;
	return true;
}
