/*
 * vmctl guard: runs a program that must not outlive the test, whatever becomes of the
 * test.
 *
 * The program is killed when its time is up, when the guard gets a signal, and when the
 * guard's own parent (the test's shell) dies, even by SIGKILL.
 */
#include "vmctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t got;

static void note(int sig)
{
	got = sig;
}

static int spawn(char **argv, pid_t guard)
{
	signal(SIGALRM, SIG_DFL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != guard)
		_exit(126);
	execvp(argv[0], argv);
	fprintf(stderr, "vmctl: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int cmd_guard(int argc, char **argv)
{
	const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGALRM };
	struct sigaction sa = { .sa_handler =
					note }; /* no SA_RESTART: waitpid must return */
	char *end;
	int status;

	if (argc < 3)
		return usage();
	unsigned long seconds = strtoul(argv[1], &end, 10);
	if (*end || !seconds || seconds > 86400)
		return usage();
	pid_t parent = getppid(), self = getpid();
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &sa, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		return complain(VM_NEVER, "the test is gone");
	pid_t pid = fork();
	if (pid == 0)
		spawn(argv + 2, self);
	if (pid < 0)
		return complain(VM_NEVER, "fork: %s", strerror(errno));
	/*
	 * The signal may come between two tests of `got`, so the wait is bounded by
	 * polling rather than by waitpid alone.
	 */
	alarm((unsigned)seconds);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (got) {
			kill(pid, SIGKILL);
			while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
				continue;
			if (got == SIGALRM)
				return complain(VM_NEVER, "%s: stopped after %lu s",
						argv[2], seconds);
			return VM_NEVER;
		}
		usleep(20000);
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? VM_YES : VM_NO;
}
