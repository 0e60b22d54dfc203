#include "toolkit/triage/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/clock.h"
#include "toolkit/lib/interrupt.h"

#define LOOK_NS INT64_C(100000000)
#define SECOND_NS INT64_C(1000000000)
/* Of who was told to end. */
#define INTERRUPTED_S 2
/* The threads of musl have 128 KiB unless they are told otherwise. */
#define STACK_BYTES ((size_t)1 << 20)

struct watched {
	struct triage *t;
	watched_run *run;
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ended;
	_Atomic bool left; /* behind; set under t->emitting */
	/* When it last got on (CLOCK_MONOTONIC); INT64_MAX: it is not to be waited for.
	 */
	_Atomic int64_t since_ns;
	struct out_file *file;
	int rc;
	struct err err;
};

/* The part that a thread runs. */
static _Thread_local struct watched *mine;

static void *work(void *arg)
{
	struct watched *watched = arg;
	int rc;

	mine = watched;
	rc = watched->run(watched->t, watched->arg, &watched->err);
	watch_alive();
	pthread_mutex_lock(&watched->lock);
	watched->rc = rc;
	watched->ended = true;
	pthread_cond_signal(&watched->wake);
	pthread_mutex_unlock(&watched->lock);
	return NULL;
}

static void stay(void)
{
	for (;;)
		pause();
}

void watch_alive(void)
{
	int errnum = errno;

	if (!mine)
		return;
	mine->since_ns = clock_ns(CLOCK_MONOTONIC);
	if (mine->left)
		stay();
	errno = errnum;
}

void watch_out_begin(struct triage *t)
{
	if (mine)
		mine->since_ns = INT64_MAX;
	pthread_mutex_lock(&t->emitting);
	if (mine && mine->left) {
		pthread_mutex_unlock(&t->emitting);
		stay();
	}
}

void watch_out_end(struct triage *t)
{
	pthread_mutex_unlock(&t->emitting);
	if (mine)
		mine->since_ns = clock_ns(CLOCK_MONOTONIC);
}

void watch_writes(struct out_file *file)
{
	if (mine)
		mine->file = file;
}

/* Has it not got on for too long? Then it is left. */
static bool leave(struct watched *watched)
{
	int64_t patience = (interrupted ? INTERRUPTED_S : WATCH_SILENCE_S) * SECOND_NS;
	bool left = false;

	if (clock_ns(CLOCK_MONOTONIC) - watched->since_ns <= patience)
		return false;
	pthread_mutex_lock(&watched->t->emitting);
	/* It may have got on while the lock was waited for. */
	if (clock_ns(CLOCK_MONOTONIC) - watched->since_ns > patience) {
		left = true;
		watched->left = true;
		if (watched->file)
			out_abandon(watched->t->out, watched->file);
	}
	pthread_mutex_unlock(&watched->t->emitting);
	return left;
}

/* False when it was left behind. */
static bool wait_for(struct watched *watched)
{
	pthread_mutex_lock(&watched->lock);
	while (!watched->ended) {
		int64_t until = clock_ns(CLOCK_MONOTONIC) + LOOK_NS;
		struct timespec ts = { until / SECOND_NS, until % SECOND_NS };

		pthread_cond_timedwait(&watched->wake, &watched->lock, &ts);
		if (!watched->ended) {
			bool left;

			pthread_mutex_unlock(&watched->lock);
			left = leave(watched);
			if (left)
				return false;
			pthread_mutex_lock(&watched->lock);
		}
	}
	pthread_mutex_unlock(&watched->lock);
	return true;
}

static int begin(struct watched *watched)
{
	pthread_condattr_t clock;
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	pthread_mutex_init(&watched->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&watched->wake, &clock);
	watched->since_ns = clock_ns(CLOCK_MONOTONIC);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	rc = pthread_create(&thread, &attr, work, watched);
	pthread_attr_destroy(&attr);
	return rc;
}

static int emit_left(struct triage *t, const char *what, struct err *err)
{
	struct json *doc = triage_unread_begin(t, what, REASON_BLOCKED, 0, err);

	if (doc)
		json_add_bool(doc, json_root(doc), "timed_out", true);
	return triage_emit(t, doc, err);
}

int watch_run(struct triage *t, const char *what, watched_run *run, void *arg,
	      struct err *err)
{
	struct watched *watched = calloc(1, sizeof(*watched));
	int rc;

	if (!watched)
		return err_sys(err, ENOMEM, "beginning to read %s", what);
	*watched = (struct watched){ .t = t, .run = run, .arg = arg };
	rc = begin(watched);
	if (rc) {
		free(watched);
		return err_sys(err, rc, "beginning to read %s", what);
	}
	if (!wait_for(watched)) {
		/* Not freed: somebody stands in it. */
		__atomic_fetch_add(&t->left_behind, 1, __ATOMIC_RELAXED);
		return emit_left(t, what, err);
	}
	rc = watched->rc;
	if (rc < 0)
		*err = watched->err;
	pthread_cond_destroy(&watched->wake);
	pthread_mutex_destroy(&watched->lock);
	free(watched);
	return rc;
}
