#include "toolkit/lib/ring.h"

void ring_start(struct ring *ring)
{
	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->freed, NULL);
	pthread_cond_init(&ring->filled, NULL);
	pthread_cond_init(&ring->done, NULL);
}

void ring_fail(struct ring *ring, const struct err *err)
{
	pthread_mutex_lock(&ring->lock);
	if (!ring->stop)
		ring->err = *err;
	ring->stop = true;
	pthread_cond_broadcast(&ring->freed);
	pthread_cond_broadcast(&ring->filled);
	pthread_cond_broadcast(&ring->done);
	pthread_mutex_unlock(&ring->lock);
}

struct chunk *ring_free(struct ring *ring)
{
	struct chunk *chunk = &ring->slot[ring->n_read % ring->slots];

	pthread_mutex_lock(&ring->lock);
	while (!ring->stop && chunk->filled)
		pthread_cond_wait(&ring->freed, &ring->lock);
	if (ring->stop)
		chunk = NULL;
	pthread_mutex_unlock(&ring->lock);
	return chunk;
}

void ring_filled(struct ring *ring, struct chunk *chunk)
{
	pthread_mutex_lock(&ring->lock);
	chunk->number = ring->n_read++;
	chunk->filled = true;
	chunk->taken = false;
	chunk->todo = ring->todo;
	/* A worker and the hasher may both wait for it. */
	pthread_cond_broadcast(chunk->todo ? &ring->filled : &ring->done);
	pthread_mutex_unlock(&ring->lock);
}

void ring_read_all(struct ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	ring->read_all = true;
	pthread_cond_broadcast(&ring->filled);
	pthread_cond_broadcast(&ring->done);
	pthread_mutex_unlock(&ring->lock);
}

/* Under the lock. The order is that in which the writer will want them. */
static struct chunk *first_untaken(struct ring *ring)
{
	struct chunk *found = NULL;

	for (size_t i = 0; i < ring->slots; i++) {
		struct chunk *chunk = &ring->slot[i];

		if ((chunk->todo & RING_WORK) && !chunk->taken &&
		    (!found || chunk->number < found->number))
			found = chunk;
	}
	return found;
}

struct chunk *ring_work(struct ring *ring)
{
	struct chunk *chunk = NULL;

	pthread_mutex_lock(&ring->lock);
	while (!ring->stop && !(chunk = first_untaken(ring)) && !ring->read_all)
		pthread_cond_wait(&ring->filled, &ring->lock);
	if (ring->stop)
		chunk = NULL;
	if (chunk)
		chunk->taken = true;
	pthread_mutex_unlock(&ring->lock);
	return chunk;
}

/* Under the lock: is there no chunk n, and will there be none? */
static bool none(const struct ring *ring, uint64_t n)
{
	return ring->stop || (ring->read_all && n >= ring->n_read);
}

struct chunk *ring_hash(struct ring *ring, uint64_t n)
{
	struct chunk *chunk = &ring->slot[n % ring->slots];

	pthread_mutex_lock(&ring->lock);
	while (!none(ring, n) && !(chunk->todo & RING_HASH))
		pthread_cond_wait(&ring->filled, &ring->lock);
	if (none(ring, n))
		chunk = NULL;
	pthread_mutex_unlock(&ring->lock);
	return chunk;
}

void ring_did(struct ring *ring, struct chunk *chunk, unsigned todo)
{
	pthread_mutex_lock(&ring->lock);
	chunk->todo &= ~todo;
	if (!chunk->todo)
		pthread_cond_signal(&ring->done);
	pthread_mutex_unlock(&ring->lock);
}

struct chunk *ring_done(struct ring *ring, uint64_t n)
{
	struct chunk *chunk = &ring->slot[n % ring->slots];

	pthread_mutex_lock(&ring->lock);
	while (!none(ring, n) && (!chunk->filled || chunk->todo))
		pthread_cond_wait(&ring->done, &ring->lock);
	if (none(ring, n))
		chunk = NULL;
	pthread_mutex_unlock(&ring->lock);
	return chunk;
}

void ring_written(struct ring *ring, struct chunk *chunk)
{
	pthread_mutex_lock(&ring->lock);
	chunk->filled = false;
	pthread_cond_signal(&ring->freed);
	pthread_mutex_unlock(&ring->lock);
}
