#include "kmods/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

#define KEEP_MAX 8

static int find_program(const char *path, const char *name, char file[PATH_MAX],
			struct err *err)
{
	while (*path) {
		size_t n = strcspn(path, ":");
		int len = snprintf(file, PATH_MAX, "%.*s/%s", (int)n, path, name);

		/* An empty part of PATH means the current directory: not for us. */
		if (n > 0 && len > 0 && len < PATH_MAX && access(file, X_OK) == 0)
			return 0;
		path += n;
		path += *path == ':';
	}
	return err_set(err, ERR_FAILED, "%s is not installed on this machine", name);
}

extern char **environ;

/* Entries of the caller's environment whose names are in keep, behind our own. */
static void keep_entries(char *env[], size_t have, size_t max, const char *const *keep)
{
	for (; keep && *keep; keep++) {
		size_t len = strlen(*keep);

		for (char **e = environ; *e; e++) {
			if (have < max && strncmp(*e, *keep, len) == 0 &&
			    (*e)[len] == '=')
				env[have++] = *e;
		}
	}
	env[have] = NULL;
}

static int start_with(const char *path, char *const argv[], const char *const *keep,
		      int out_fd, pid_t *pid, struct err *err)
{
	char file[PATH_MAX], path_env[PATH_MAX + 8];
	char *env[4 + KEEP_MAX + 1] = { path_env, "LC_ALL=C", "TZ=UTC",
					"HOME=/nonexistent" };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none;
	int rc, n;

	if (find_program(path, argv[0], file, err) < 0)
		return -1;
	n = snprintf(path_env, sizeof(path_env), "PATH=%s", path);
	if (n < 0 || (size_t)n >= sizeof(path_env))
		return err_set(err, ERR_FAILED, "the search path is too long");
	keep_entries(env, 4, 4 + KEEP_MAX, keep);
	sigemptyset(&none);
	rc = posix_spawn_file_actions_init(&fa);
	if (rc != 0)
		return err_sys(err, rc, "starting %s", argv[0]);
	rc = posix_spawnattr_init(&attr);
	if (rc == 0)
		rc = posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&fa, out_fd, 1);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&fa, out_fd, 2);
	if (rc == 0)
		rc = posix_spawnattr_setsigmask(&attr, &none);
	if (rc == 0)
		rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	if (rc == 0)
		rc = posix_spawn(pid, file, &fa, &attr, argv, env);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	return rc == 0 ? 0 : err_sys(err, rc, "starting %s", argv[0]);
}

static int start(const char *path, char *const argv[], int out_fd, pid_t *pid,
		 struct err *err)
{
	return start_with(path, argv, NULL, out_fd, pid, err);
}

static int wait_for(const char *name, pid_t pid, struct err *err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_sys(err, errno, "waiting for %s", name);
	}
	if (WIFSIGNALED(status))
		return err_set(err, ERR_FAILED, "%s was killed by signal %d", name,
			       WTERMSIG(status));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, ERR_FAILED, "%s exited with %d", name,
			       WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return 0;
}

int spawn_run(const char *path, char *const argv[], int log_fd, struct err *err)
{
	pid_t pid;

	if (start(path, argv, log_fd, &pid, err) < 0)
		return -1;
	return wait_for(argv[0], pid, err);
}

/* Reads to the end, so that the writer never meets a closed pipe; keeps the beginning. */
static int drain(int fd, char *line, size_t size)
{
	char rest[512];
	size_t len = 0;

	for (;;) {
		bool full = len + 1 >= size;
		ssize_t n = full ? read(fd, rest, sizeof(rest))
				 : read(fd, line + len, size - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			line[len] = '\0';
			line[strcspn(line, "\n")] = '\0';
			return (int)n;
		}
		len += full ? 0 : (size_t)n;
	}
}

int spawn_line(const char *path, char *const argv[], char *line, size_t size,
	       struct err *err)
{
	int fd[2], rc;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(err, errno, "making a pipe");
	rc = start(path, argv, fd[1], &pid, err);
	io_close(&fd[1]);
	if (rc == 0) {
		if (drain(fd[0], line, size) < 0)
			rc = err_sys(err, errno, "reading from %s", argv[0]);
		if (wait_for(argv[0], pid, err) < 0)
			rc = -1;
	}
	io_close(&fd[0]);
	if (rc == 0 && line[0] == '\0')
		return err_set(err, ERR_FAILED, "%s printed nothing", argv[0]);
	return rc;
}

int spawn_status(const char *path, char *const argv[], const char *const *keep,
		 int out_fd, int *code, struct err *err)
{
	int status;
	pid_t pid;

	if (start_with(path, argv, keep, out_fd, &pid, err) < 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_sys(err, errno, "waiting for %s", argv[0]);
	}
	if (!WIFEXITED(status))
		return err_set(err, ERR_FAILED, "%s was killed by signal %d", argv[0],
			       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	*code = WEXITSTATUS(status);
	return 0;
}
