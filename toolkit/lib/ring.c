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
	if (chunk->todo)
		pthread_cond_signal(&ring->filled);
	if (!(chunk->todo & RING_WORK) || ring->writer_works)
		pthread_cond_signal(&ring->done);
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

/* Under the lock: takes the first chunk that nobody works on, which the writer will want
 * first. */
static struct chunk *take_work(struct ring *ring)
{
	struct chunk *found = NULL;

	for (size_t i = 0; i < ring->slots; i++) {
		struct chunk *chunk = &ring->slot[i];

		if ((chunk->todo & RING_WORK) && !chunk->taken &&
		    (!found || chunk->number < found->number))
			found = chunk;
	}
	if (found)
		found->taken = true;
	return found;
}

/* Under the lock: takes the next chunk to be hashed, when it is there and nobody's. */
static struct chunk *take_hash(struct ring *ring)
{
	struct chunk *chunk = &ring->slot[ring->n_hashed % ring->slots];

	if (ring->hashing || !(chunk->todo & RING_HASH))
		return NULL;
	ring->hashing = true;
	return chunk;
}

struct chunk *ring_work(struct ring *ring, unsigned *todo)
{
	struct chunk *chunk = NULL;

	pthread_mutex_lock(&ring->lock);
	while (!ring->stop) {
		*todo = RING_WORK;
		chunk = take_work(ring);
		if (chunk)
			break;
		*todo = RING_HASH;
		chunk = take_hash(ring);
		if (chunk || ring->read_all)
			break;
		pthread_cond_wait(&ring->filled, &ring->lock);
	}
	pthread_mutex_unlock(&ring->lock);
	return chunk;
}

void ring_did(struct ring *ring, struct chunk *chunk, unsigned todo)
{
	pthread_mutex_lock(&ring->lock);
	chunk->todo &= ~todo;
	if (todo & RING_HASH) {
		ring->n_hashed++;
		ring->hashing = false;
		/* The next one is anybody's. */
		pthread_cond_signal(&ring->filled);
	}
	if (!(chunk->todo & RING_WORK))
		pthread_cond_signal(&ring->done);
	pthread_mutex_unlock(&ring->lock);
}

struct chunk *ring_done(struct ring *ring, uint64_t n, unsigned *todo)
{
	struct chunk *chunk = NULL, *next = &ring->slot[n % ring->slots];

	pthread_mutex_lock(&ring->lock);
	while (!chunk && !ring->stop && !(ring->read_all && n >= ring->n_read)) {
		bool worked = next->filled && !(next->todo & RING_WORK);

		*todo = next->todo;
		if (worked && (!next->todo || take_hash(ring))) {
			chunk = next;
		} else {
			*todo = RING_WORK;
			chunk = ring->writer_works ? take_work(ring) : NULL;
			if (!chunk)
				pthread_cond_wait(&ring->done, &ring->lock);
		}
	}
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
