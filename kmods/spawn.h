/*
 * Programs that a build runs: by argument vector, never through a shell of ours, with an
 * environment of our own that holds nothing of the caller's.
 */
#ifndef FVOL_KMODS_SPAWN_H
#define FVOL_KMODS_SPAWN_H

#include <stddef.h>

#include "toolkit/lib/err.h"

/* Where programs are looked for unless told otherwise. */
#define SPAWN_PATH "/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * Runs argv[0], found in path (a list like PATH, which the program gets too), with
 * standard output and error into log_fd. Returns 0, or -1 when it is not there, exits
 * with another code than 0 or dies of a signal: the sentence says which.
 */
int spawn_run(const char *path, char *const argv[], int log_fd, struct err *err);

/* Runs it as above and copies the first line that it prints, without its newline. */
int spawn_line(const char *path, char *const argv[], char *line, size_t size,
	       struct err *err);

/*
 * Runs it as spawn_run() does, with the entries of the caller's environment that keep (a
 * list ended by NULL, or NULL; eight at most) names. Returns 0 with its exit code, or -1
 * when it is not there or dies of a signal.
 */
int spawn_status(const char *path, char *const argv[], const char *const *keep,
		 int out_fd, int *code, struct err *err);

#endif
