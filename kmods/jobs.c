#include "kmods/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

struct running {
	size_t index;
	pid_t pid; /* 0: a free place */
	int fd;	   /* where the result comes from */
	struct timespec began;
};

static double seconds_since(const struct timespec *began)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - began->tv_sec) +
	       (double)(now.tv_nsec - began->tv_nsec) / 1e9;
}

static void child(const struct jobs *jobs, size_t index, int fd, char *result)
{
	/* Nobody would wait for it any more. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	jobs->work(jobs->arg, index, result);
	_exit(write(fd, result, jobs->result_size) == (ssize_t)jobs->result_size
		      ? 0
		      : ERR_FAILED);
}

/* result is memory for the child, all zero. */
static int start(const struct jobs *jobs, size_t index, struct running *place,
		 char *result, struct err *err)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(err, errno, "making a pipe");
	clock_gettime(CLOCK_MONOTONIC, &place->began);
	fflush(NULL);
	place->pid = fork();
	if (place->pid == 0)
		child(jobs, index, fd[1], result);
	io_close(&fd[1]);
	if (place->pid < 0) {
		place->pid = 0;
		io_close(&fd[0]);
		return err_sys(err, errno, "starting a process");
	}
	place->index = index;
	place->fd = fd[0];
	return 0;
}

static void finish(const struct jobs *jobs, struct running *place, int status)
{
	union {
		char bytes[JOBS_RESULT_MAX];
		max_align_t aligned;
	} result;
	struct err why = { .kind = ERR_FAILED };
	ssize_t n = read(place->fd, result.bytes, jobs->result_size);
	bool whole = n == (ssize_t)jobs->result_size;

	io_close(&place->fd);
	place->pid = 0;
	if (!whole)
		err_set(&why, ERR_FAILED, "its %s was killed (signal %d)", jobs->what,
			WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	jobs->ended(jobs->arg, place->index, whole ? result.bytes : NULL,
		    seconds_since(&place->began), &why);
}

/* Waits for one of them to end. */
static int reap(const struct jobs *jobs, struct running *places, struct err *err)
{
	int status;
	pid_t pid;

	do
		pid = waitpid(-1, &status, 0);
	while (pid < 0 && errno == EINTR);
	if (pid < 0)
		return err_sys(err, errno, "waiting for a %s", jobs->what);
	for (unsigned i = 0; i < jobs->limit; i++) {
		if (places[i].pid != pid)
			continue;
		finish(jobs, &places[i], status);
		return 1;
	}
	return 0;
}

static int run(const struct jobs *jobs, struct running *places, char *zero,
	       struct err *err)
{
	size_t next = 0, running = 0;
	struct err why;
	int rc;

	for (;;) {
		for (; next < jobs->count && running < jobs->limit; next++) {
			struct running *place = places;

			if (!jobs->due(jobs->arg, next))
				continue;
			while (place->pid != 0)
				place++;
			if (start(jobs, next, place, zero, &why) == 0)
				running++;
			else
				jobs->ended(jobs->arg, next, NULL, 0, &why);
		}
		if (running == 0)
			return 0;
		rc = reap(jobs, places, err);
		if (rc < 0)
			return -1;
		running -= (size_t)rc;
	}
}

int jobs_run(const struct jobs *jobs, struct err *err)
{
	struct running *places = calloc(jobs->limit, sizeof(*places));
	char *zero = calloc(1, jobs->result_size);
	int rc;

	if (places && zero)
		rc = run(jobs, places, zero, err);
	else
		rc = err_sys(err, ENOMEM, "starting");
	free(places);
	free(zero);
	return rc;
}
