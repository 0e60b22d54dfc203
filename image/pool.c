#include "image/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/clock.h"

#define WINDOW_FIRST 4
#define SAME_WORD_NS 100000000
/* Signing and curl want more than musl's 128 KiB. */
#define STACK_BYTES (1024 * 1024)

void window_aimd_init(struct window_aimd *window, unsigned first, unsigned most)
{
	*window = (struct window_aimd){ .size = first < most ? first : most,
					.most = most,
					.slow_start = true,
					.cut_ns = INT64_MIN };
}

void window_aimd_more(struct window_aimd *window)
{
	window->size += window->slow_start ? 1 : 1 / window->size;
	if (window->size > window->most)
		window->size = window->most;
}

void window_aimd_less(struct window_aimd *window, int64_t now_ns)
{
	if (window->cut_ns != INT64_MIN && now_ns - window->cut_ns < SAME_WORD_NS)
		return;
	window->cut_ns = now_ns;
	window->slow_start = false;
	window->size /= 2;
	if (window->size < 1)
		window->size = 1;
}

struct pool {
	const struct pool_job *job;
	struct aws_config aws;
	pthread_mutex_t lock;
	pthread_cond_t room;
	struct window_aimd window;
	unsigned in_flight;
	size_t next;
	bool failed;
	struct err *err;
	struct pool_result *result;
};

static void on_throttled(void *arg)
{
	struct pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	pool->result->throttled++;
	window_aimd_less(&pool->window, clock_ns(CLOCK_MONOTONIC));
	pthread_mutex_unlock(&pool->lock);
}

static bool stopped(const struct pool *pool)
{
	return pool->failed || (pool->job->interrupted && *pool->job->interrupted);
}

/* Waits for a place in the window and takes the next piece; false when there is none. */
static bool take(struct pool *pool, size_t *n)
{
	bool got = false;

	pthread_mutex_lock(&pool->lock);
	while (!stopped(pool) && pool->next < pool->job->count &&
	       pool->in_flight >= (unsigned)pool->window.size) {
		struct timespec until;

		/* A signal does not wake a condition. */
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		pthread_cond_timedwait(&pool->room, &pool->lock, &until);
	}
	if (!stopped(pool) && pool->next < pool->job->count) {
		*n = pool->next++;
		pool->in_flight++;
		got = true;
	}
	pthread_mutex_unlock(&pool->lock);
	return got;
}

static void give_back(struct pool *pool, int rc, const struct err *err)
{
	pthread_mutex_lock(&pool->lock);
	pool->in_flight--;
	if (rc == 0) {
		window_aimd_more(&pool->window);
	} else if (!pool->failed) {
		pool->failed = true;
		*pool->err = *err;
	}
	pthread_cond_broadcast(&pool->room);
	pthread_mutex_unlock(&pool->lock);
}

static void *worker(void *arg)
{
	struct pool *pool = arg;
	struct err err = { 0 };
	struct aws *aws = NULL;
	void *buf = aligned_alloc(4096, pool->job->buf_bytes);
	size_t n;

	if (!buf)
		err_set(&err, ERR_FAILED, "out of memory");
	else
		aws = aws_new(&pool->aws, &err);
	if (!aws) {
		pthread_mutex_lock(&pool->lock);
		pool->in_flight++;
		pthread_mutex_unlock(&pool->lock);
		give_back(pool, -1, &err);
		free(buf);
		return NULL;
	}
	while (take(pool, &n)) {
		int rc = pool->job->work(pool->job->arg, aws, buf, n, &err);

		give_back(pool, rc, &err);
	}
	pthread_mutex_lock(&pool->lock);
	pool->result->retries += aws_retries(aws);
	pthread_mutex_unlock(&pool->lock);
	aws_free(aws);
	free(buf);
	return NULL;
}

static unsigned start_all(struct pool *pool, pthread_t *threads, unsigned want,
			  struct err *err)
{
	pthread_attr_t attr;
	unsigned n = 0;
	int rc = pthread_attr_init(&attr);

	if (rc == 0)
		rc = pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (; rc == 0 && n < want; n++) {
		rc = pthread_create(&threads[n], &attr, worker, pool);
		if (rc)
			break;
	}
	/* Fewer are slower, none is a failure. */
	if (n == 0)
		err_sys(err, rc, "starting a thread");
	return n;
}

int pool_run(const struct pool_job *job, struct pool_result *result, struct err *err)
{
	struct pool pool = { .job = job,
			     .aws = job->aws,
			     .lock = PTHREAD_MUTEX_INITIALIZER,
			     .room = PTHREAD_COND_INITIALIZER,
			     .err = err,
			     .result = result };
	pthread_t threads[POOL_CONNECTIONS_MAX];
	unsigned want = job->connections, started;

	*result = (struct pool_result){ 0 };
	if (job->count == 0)
		return 0;
	if (want > POOL_CONNECTIONS_MAX)
		want = POOL_CONNECTIONS_MAX;
	if (want > job->count)
		want = (unsigned)job->count;
	pool.aws.throttled = on_throttled;
	pool.aws.throttled_arg = &pool;
	window_aimd_init(&pool.window, WINDOW_FIRST, want);
	started = start_all(&pool, threads, want, err);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (!started || pool.failed)
		return -1;
	if (job->interrupted && *job->interrupted)
		return err_set(err, ERR_FAILED, "interrupted");
	return 0;
}
