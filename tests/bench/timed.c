/*
 * timed: runs a program, or loads a module, and says what it took: wall time, wall time
 * until a file system has written everything back, and peak resident memory. Runs in the
 * guest, so its clock is the guest's.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char usage_text[] =
	"usage: timed [--sync DIR] PROGRAM [ARGUMENT...]\n"
	"       timed [--sync DIR] --insmod FILE [PARAMETERS]\n"
	"Ends with a line `timed exit=N wall_ns=N synced_ns=N maxrss_kib=N' on stdout; exit=N is\n"
	"128 and more for a signal. --sync DIR: synced_ns includes syncfs of DIR's file system.\n"
	"Exit: 0 measured, however the program ended; 2 usage; 5 failed.\n";

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int failed(const char *what)
{
	fprintf(stderr, "timed: %s: %s\n", what, strerror(errno));
	return 5;
}

static int64_t cpu_us(const struct rusage *used)
{
	return ((int64_t)used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1000000 +
	       used->ru_utime.tv_usec + used->ru_stime.tv_usec;
}

/* The same call that an insmod makes, without a host insmod. Returns an exit code. */
static int insmod(const char *file, const char *parameters)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return failed(file);
	if (syscall(SYS_finit_module, fd, parameters ? parameters : "", 0) < 0) {
		int code = failed("finit_module");
		close(fd);
		return code;
	}
	close(fd);
	return 0;
}

/*
 * The child's peak counts what it had before exec, too: this program's own, which is far
 * below that of anything measured.
 */
static int child(char **argv)
{
	if (!strcmp(argv[0], "--insmod"))
		return insmod(argv[1], argv[2]);
	execvp(argv[0], argv);
	failed(argv[0]);
	return 127;
}

int main(int argc, char **argv)
{
	struct rusage used;
	int syncfd = -1, status, at = 1;

	if (argc > 2 && !strcmp(argv[1], "--sync")) {
		syncfd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (syncfd < 0)
			return failed(argv[2]);
		at = 3;
	}
	if (at >= argc || (!strcmp(argv[at], "--insmod") && at + 1 >= argc)) {
		fputs(usage_text, stderr);
		return 2;
	}
	int64_t began = now_ns();
	pid_t pid = fork();
	if (pid < 0)
		return failed("fork");
	if (pid == 0)
		_exit(child(argv + at));
	while (wait4(pid, &status, 0, &used) < 0)
		if (errno != EINTR)
			return failed("wait4");
	int64_t wall = now_ns() - began;
	if (syncfd >= 0 && syncfs(syncfd) < 0)
		return failed("syncfs");
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	printf("timed exit=%d wall_ns=%" PRId64 " synced_ns=%" PRId64 " cpu_us=%" PRId64
	       " maxrss_kib=%ld\n",
	       code, wall, now_ns() - began, cpu_us(&used), used.ru_maxrss);
	return fflush(stdout) ? 5 : 0;
}
