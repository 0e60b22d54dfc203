/*
 * All processes, by a thread that somebody watches. When a read takes longer than it may,
 * the thread is left where it is, and another begins again with the same process, without
 * the file that blocked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/clock.h"
#include "toolkit/lib/interrupt.h"
#include "toolkit/triage/pids.h"
#include "toolkit/triage/process.h"

#define LOOK_NS INT64_C(50000000)
#define PATIENCE_NS INT64_C(2000000000)
/* Whoever makes many of them wait does it on purpose. */
#define PATIENT_TIMES 5
#define IMPATIENCE_NS INT64_C(200000000)

/* Outlives its call when a thread had to be left behind. */
struct crew {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct triage *t;
	int32_t *pids;
	size_t count, next;
	const char *const *views;
	uint32_t skip;
	struct worker *worker; /* who works; others were left behind */
	bool done, failed;
	struct err err;
};

struct worker {
	struct crew *crew;
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

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct crew *crew = worker->crew;
	struct process_job *job = &worker->job;

	pthread_mutex_lock(&crew->lock);
	while (crew->worker == worker && crew->next < crew->count && !crew->failed &&
	       !interrupted) {
		bool read;

		job->pid = crew->pids[crew->next];
		job->skip = crew->skip;
		pthread_mutex_unlock(&crew->lock);
		read = process_read(job);
		pthread_mutex_lock(&crew->lock);
		if (crew->worker != worker)
			break;
		if (read && process_emit(job, &crew->err) < 0)
			crew->failed = true;
		process_clear(job);
		crew->next++;
		crew->skip = 0;
	}
	if (crew->worker == worker) {
		crew->done = true;
		pthread_cond_signal(&crew->wake);
	}
	pthread_mutex_unlock(&crew->lock);
	free_worker(worker);
	return NULL;
}

/* Under the lock. */
static int begin_worker(struct crew *crew, struct err *err)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	if (!worker)
		return err_sys(err, ENOMEM, "beginning to read processes");
	worker->crew = crew;
	worker->job.t = crew->t;
	worker->job.lock = &crew->lock;
	worker->job.views = crew->views;
	worker->job.dirfd = -1;
	worker->job.json_memory = malloc(PROCESS_JSON_BYTES);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	crew->worker = worker;
	rc = pthread_create(&thread, &attr, work, worker);
	pthread_attr_destroy(&attr);
	if (rc) {
		free(worker);
		return err_sys(err, rc, "beginning to read processes");
	}
	return 0;
}

/* Leaves the thread that waits for ever, and goes on without what it waits for. */
static int leave_behind(struct crew *crew, int step, struct err *err)
{
	char what[32];

	crew->t->blocked++;
	crew->skip |= UINT32_C(1) << step;
	if (step == STEP_STAT) {
		snprintf(what, sizeof(what), "process %d", crew->pids[crew->next]);
		if (triage_unread(crew->t, what, REASON_BLOCKED, 0, err) < 0)
			return -1;
		crew->next++;
		crew->skip = 0;
	}
	return begin_worker(crew, err);
}

static int watch(struct crew *crew, struct err *err)
{
	while (!crew->done) {
		int64_t now = clock_ns(CLOCK_MONOTONIC), until = now + LOOK_NS;
		struct timespec ts = { until / 1000000000, until % 1000000000 };
		const struct process_job *job = &crew->worker->job;
		int64_t patience =
			crew->t->blocked < PATIENT_TIMES ? PATIENCE_NS : IMPATIENCE_NS;
		int step = job->step;

		if (step != STEP_NONE && now - job->since_ns > patience &&
		    leave_behind(crew, step, err) < 0) {
			crew->worker = NULL;
			return -1;
		}
		pthread_cond_timedwait(&crew->wake, &crew->lock, &ts);
	}
	if (crew->failed)
		*err = crew->err;
	return crew->failed ? -1 : 0;
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
	if (begin_worker(crew, err) == 0)
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
	if (t->lost_count == PROCESS_LOST_MAX)
		return false;
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
