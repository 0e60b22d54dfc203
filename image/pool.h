/*
 * Many calls of a service in flight, as many as it takes: threads, each with a client and
 * a connection of its own, behind a window that opens as calls succeed and is halved when
 * the service says "slower" (additive increase, multiplicative decrease, as TCP does;
 * doubling until the first such word). A throttled call waits with jitter inside its
 * place of the window, so a service that refuses gets less to refuse.
 */
#ifndef FVOL_IMAGE_POOL_H
#define FVOL_IMAGE_POOL_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/aws.h"

#define POOL_CONNECTIONS_MAX 256

/* The window alone, for tests. */
struct window_aimd {
	double size;
	double most;
	bool slow_start;
	int64_t cut_ns; /* when it was halved last */
};

void window_aimd_init(struct window_aimd *window, unsigned first, unsigned most);
/* A call succeeded. */
void window_aimd_more(struct window_aimd *window);
/* The service throttles; several words within the same 100 ms count once. */
void window_aimd_less(struct window_aimd *window, int64_t now_ns);

struct pool_job {
	struct aws_config aws; /* throttled is the pool's */
	unsigned connections;
	size_t count; /* of pieces of work */
	size_t buf_bytes;
	/*
	 * Does piece n with a client and a buffer (aligned to 4096) that no other thread
	 * uses; called from several threads. Returns 0, or -1 with err, which ends the
	 * whole.
	 */
	int (*work)(void *arg, struct aws *aws, void *buf, size_t n, struct err *err);
	void *arg;
	const volatile sig_atomic_t *interrupted;
};

struct pool_result {
	uint64_t retries, throttled;
};

/* Returns 0 when every piece was done, or -1 with the first error. */
int pool_run(const struct pool_job *job, struct pool_result *result, struct err *err);

#endif
