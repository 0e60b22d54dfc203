#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/symbols/symbols.h"

extern char **environ;

/* Runs argv[0], found by PATH, and waits. What it prints goes to stderr. */
static int run(char *const argv[], struct err *err)
{
	posix_spawn_file_actions_t actions;
	int rc = posix_spawn_file_actions_init(&actions), status;
	pid_t pid;

	if (rc == 0) {
		rc = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO,
						      STDOUT_FILENO);
		if (rc == 0)
			rc = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	if (rc == ENOENT)
		return err_set(err, ERR_FAILED, "%s is not installed on this machine",
			       argv[0]);
	if (rc != 0)
		return err_sys(err, rc, "starting %s", argv[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "waiting for %s", argv[0]);
	if (WIFSIGNALED(status))
		return err_set(err, ERR_FAILED, "%s was killed by signal %d", argv[0],
			       WTERMSIG(status));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, ERR_FAILED, "%s fails with exit code %d", argv[0],
			       WEXITSTATUS(status));
	return 0;
}

int load_types_module(const char *module, struct loaded *loaded, struct err *err)
{
	const char *base = getenv("TMPDIR");
	char dir[256], option[sizeof(dir) + 64];
	const char *btf = option + strlen("--btf_encode_detached=");
	/* A name that begins with a dash must not be taken for an option. */
	char *argv[] = { "pahole", option, "--", (char *)module, NULL };
	int n = snprintf(dir, sizeof(dir), "%s/fvol-symbols-XXXXXX",
			 base && base[0] == '/' ? base : "/tmp");
	/* What pahole says of a file that is not there does not say that. */
	int fd = io_open_direct(AT_FDCWD, module, true, err), rc;

	if (fd < 0)
		return -1;
	io_close(&fd);
	if (n < 0 || (size_t)n >= sizeof(dir) || !mkdtemp(dir))
		return err_sys(err, errno, "making a directory below %.200s",
			       base ? base : "/tmp");
	snprintf(option, sizeof(option), "--btf_encode_detached=%s/btf", dir);
	rc = run(argv, err);
	if (rc == 0) {
		loaded->parts.btf =
			(unsigned char *)load_file(loaded, AT_FDCWD, btf, BTF_BYTES_MAX,
						   &loaded->parts.btf_len, err);
		rc = loaded->parts.btf ? 0 : -1;
	}
	unlink(btf);
	rmdir(dir);
	return rc < 0 ? err_prefix(err, "types of %.200s", module) : 0;
}
