/* Who signs: a key file, or a program before a key that nobody can read. */
#include "toolkit/lib/signer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

extern char **environ;

static int start(const char *command, int in_fd, int out_fd, pid_t *pid, struct err *err)
{
	char *const argv[] = { (char *)command, NULL };
	posix_spawn_file_actions_t fa;
	int rc = posix_spawn_file_actions_init(&fa);

	if (rc != 0)
		return err_sys(err, rc, "starting %s", command);
	rc = posix_spawn_file_actions_adddup2(&fa, in_fd, STDIN_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&fa, out_fd, STDOUT_FILENO);
	/* With the caller's environment: that is where the program's credentials are. */
	if (rc == 0)
		rc = posix_spawn(pid, command, &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	return rc == 0 ? 0 : err_sys(err, rc, "starting %s", command);
}

/*
 * The reading end of a pipe with the digest in it, or -1. A pipe, as programs open
 * /dev/stdin, which a socket refuses. It is filled before there is a reader that could go
 * away: no SIGPIPE.
 */
static int offer(const uint8_t digest[SHA256_LEN], struct err *err)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(err, errno, "making a pipe");
	if (write(fd[1], digest, SHA256_LEN) != SHA256_LEN) {
		err_sys(err, errno, "filling a pipe");
		io_close(&fd[0]);
	}
	io_close(&fd[1]);
	return fd[0];
}

/* Reads to the end, so that the program is not cut short; keeps what can be a signature,
 * and one byte more. */
static int read_reply(int fd, uint8_t reply[SIGNATURE_MAX + 1], size_t *len_bytes)
{
	uint8_t rest[512];

	*len_bytes = 0;
	for (;;) {
		bool full = *len_bytes == SIGNATURE_MAX + 1;
		ssize_t n = full ? read(fd, rest, sizeof(rest))
				 : read(fd, reply + *len_bytes,
					SIGNATURE_MAX + 1 - *len_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		*len_bytes += full ? 0 : (size_t)n;
	}
}

static int wait_for(const char *command, pid_t pid, struct err *err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "waiting for %s", command);
	if (WIFSIGNALED(status))
		return err_set(err, ERR_FAILED, "%s was killed by signal %d", command,
			       WTERMSIG(status));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, ERR_FAILED, "%s exited with %d", command,
			       WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return 0;
}

static int ask(const char *command, const uint8_t digest[SHA256_LEN],
	       uint8_t reply[SIGNATURE_MAX + 1], size_t *len_bytes, struct err *err)
{
	int in_fd = offer(digest, err), out[2] = { -1, -1 }, rc = -1;
	pid_t pid;

	if (in_fd < 0)
		return -1;
	if (pipe2(out, O_CLOEXEC) < 0)
		err_sys(err, errno, "making a pipe");
	else
		rc = start(command, in_fd, out[1], &pid, err);
	io_close(&in_fd);
	io_close(&out[1]);
	if (rc < 0) {
		io_close(&out[0]);
		return -1;
	}
	/* One that does not read it is judged by its exit code and its signature. */
	if (read_reply(out[0], reply, len_bytes) < 0)
		rc = err_sys(err, errno, "talking to %s", command);
	io_close(&out[0]);
	/* Its own end says more than what was seen of it. */
	if (wait_for(command, pid, err) < 0)
		rc = -1;
	return rc;
}

static int sign_by_command(const struct signer *signer, const uint8_t digest[SHA256_LEN],
			   uint8_t der[SIGNATURE_MAX], size_t *len_bytes,
			   uint8_t id[SHA256_LEN], struct err *err)
{
	uint8_t reply[SIGNATURE_MAX + 1];
	struct public_key key;

	if (public_key_load(AT_FDCWD, signer->public_path, &key, err) < 0 ||
	    ask(signer->command, digest, reply, len_bytes, err) < 0)
		return -1;
	if (signature_check(&key, digest, reply, *len_bytes, err) < 0)
		return err_prefix(err, "%s", signer->command);
	memcpy(der, reply, *len_bytes);
	memcpy(id, key.id, SHA256_LEN);
	return 0;
}

static int sign_by_key(const struct signer *signer, const uint8_t digest[SHA256_LEN],
		       uint8_t der[SIGNATURE_MAX], size_t *len_bytes,
		       uint8_t id[SHA256_LEN], struct err *err)
{
	struct private_key key;
	int rc = -1;

	if (private_key_load(AT_FDCWD, signer->key_path, &key, err) == 0) {
		rc = signature_make(&key, digest, der, len_bytes, err);
		memcpy(id, key.public.id, SHA256_LEN);
	}
	private_key_wipe(&key);
	return rc;
}

int signer_sign(const struct signer *signer, const uint8_t digest[SHA256_LEN],
		uint8_t der[SIGNATURE_MAX], size_t *len_bytes, uint8_t id[SHA256_LEN],
		struct err *err)
{
	uint8_t ignored[SHA256_LEN];

	return (signer->key_path ? sign_by_key : sign_by_command)(
		signer, digest, der, len_bytes, id ? id : ignored, err);
}
