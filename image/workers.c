#include "image/workers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

#define WORKERS_MAX 8

struct work {
	size_t count;
	int (*fn)(void *arg, size_t number, unsigned char *buffer, struct err *err);
	void *arg;
	atomic_size_t next;
	atomic_bool stop;
	pthread_mutex_t lock; /* of the two below */
	size_t failed;	      /* the smallest number, or SIZE_MAX */
	struct err err;
};

static void note(struct work *work, size_t number, const struct err *err)
{
	pthread_mutex_lock(&work->lock);
	if (number < work->failed) {
		work->failed = number;
		work->err = *err;
	}
	pthread_mutex_unlock(&work->lock);
	atomic_store(&work->stop, true);
}

static void *worker(void *arg)
{
	struct work *work = arg;
	unsigned char *buffer = aligned_alloc(IO_BLOCK, WORKERS_BUFFER);
	struct err err = { 0 };
	size_t number;

	if (!buffer) {
		err_set(&err, ERR_FAILED, "out of memory");
		note(work, 0, &err);
		return NULL;
	}
	while (!atomic_load(&work->stop) &&
	       (number = atomic_fetch_add(&work->next, 1)) < work->count) {
		err = (struct err){ 0 };
		if (work->fn(work->arg, number, buffer, &err) < 0)
			note(work, number, &err);
	}
	free(buffer);
	return NULL;
}

/* Two more than processors: some always wait for the disk. */
static size_t wanted_for(size_t count)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	size_t most = online < 1 ? 1 : (size_t)online + 2;

	if (most > WORKERS_MAX)
		most = WORKERS_MAX;
	return most < count ? most : count;
}

int workers_run(size_t count,
		int (*fn)(void *arg, size_t number, unsigned char *buffer,
			  struct err *err),
		void *arg, struct err *err)
{
	struct work work = { .count = count,
			     .fn = fn,
			     .arg = arg,
			     .failed = SIZE_MAX,
			     .lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_t threads[WORKERS_MAX];
	size_t started = 0, wanted = wanted_for(count);

	while (started + 1 < wanted &&
	       pthread_create(&threads[started], NULL, worker, &work) == 0)
		started++;
	/* This thread works, too; alone where no other could be started. */
	if (count)
		worker(&work);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	pthread_mutex_destroy(&work.lock);
	if (work.failed == SIZE_MAX)
		return 0;
	*err = work.err;
	return -1;
}
