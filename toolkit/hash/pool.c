#include "toolkit/hash/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/sums.h"

#define SLOTS 32

enum state { FREE, QUEUED, BUSY, DONE };

struct slot {
	enum state state;
	struct pool_file file;
};

static struct pool {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t threads[POOL_THREADS_MAX];
	unsigned started;
	uint64_t given, taken, retired; /* files so far */
	bool over;
	pool_done *done;
	void *arg;
	struct slot slots[SLOTS];
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void hash_one(struct pool_file *file, unsigned char *buf)
{
	file->failed = file->fd < 0 || sums_hash_in(file->fd, buf, IO_CHUNK_BYTES,
						    file->digest, &file->err) < 0;
	io_close(&file->fd);
}

static void *work(void *arg)
{
	unsigned char *buf = arg;

	pthread_mutex_lock(&pool.lock);
	for (;;) {
		struct slot *slot = &pool.slots[pool.taken % SLOTS];

		if (pool.taken == pool.given) {
			if (pool.over)
				break;
			pthread_cond_wait(&pool.changed, &pool.lock);
			continue;
		}
		pool.taken++;
		slot->state = BUSY;
		pthread_mutex_unlock(&pool.lock);
		hash_one(&slot->file, buf);
		pthread_mutex_lock(&pool.lock);
		slot->state = DONE;
		pthread_cond_broadcast(&pool.changed);
	}
	pthread_mutex_unlock(&pool.lock);
	free(buf);
	return NULL;
}

void pool_start(unsigned threads, pool_done *done, void *arg)
{
	pool.done = done;
	pool.arg = arg;
	pool.given = pool.taken = pool.retired = 0;
	pool.started = 0;
	pool.over = false;
	while (threads > 1 && pool.started < threads) {
		unsigned char *buf = aligned_alloc(IO_BLOCK, IO_CHUNK_BYTES);

		if (!buf)
			return;
		if (pthread_create(&pool.threads[pool.started], NULL, work, buf) != 0) {
			free(buf);
			return;
		}
		pool.started++;
	}
}

/* Hands the oldest file back to the caller. */
static void retire(void)
{
	static _Alignas(IO_BLOCK) unsigned char buf[IO_CHUNK_BYTES];
	struct slot *slot = &pool.slots[pool.retired % SLOTS];

	if (!pool.started) {
		hash_one(&slot->file, buf);
	} else {
		pthread_mutex_lock(&pool.lock);
		while (slot->state != DONE)
			pthread_cond_wait(&pool.changed, &pool.lock);
		pthread_mutex_unlock(&pool.lock);
	}
	pool.done(pool.arg, &slot->file);
	slot->state = FREE;
	pool.retired++;
}

struct pool_file *pool_next(void)
{
	if (pool.given - pool.retired == SLOTS)
		retire();
	return &pool.slots[pool.given % SLOTS].file;
}

void pool_give(void)
{
	pthread_mutex_lock(&pool.lock);
	pool.slots[pool.given % SLOTS].state = QUEUED;
	pool.given++;
	pthread_cond_broadcast(&pool.changed);
	pthread_mutex_unlock(&pool.lock);
	if (!pool.started)
		retire();
}

void pool_finish(void)
{
	while (pool.retired < pool.given)
		retire();
	pthread_mutex_lock(&pool.lock);
	pool.over = true;
	pthread_cond_broadcast(&pool.changed);
	pthread_mutex_unlock(&pool.lock);
	for (unsigned i = 0; i < pool.started; i++)
		pthread_join(pool.threads[i], NULL);
}
