/* Who signs: a key file, or a program before a key that nobody can read. */
#include "toolkit/lib/signer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

extern char **environ;

/* One pair of sockets is both of the program's ends: what it prints comes back where the
 * digest went. A socket and not a pipe, because send() can do without SIGPIPE. */
static int start(const char *command, int child_fd, pid_t *pid, struct err *err)
{
	char *const argv[] = { (char *)command, NULL };
	posix_spawn_file_actions_t fa;
	int rc = posix_spawn_file_actions_init(&fa);

	if (rc != 0)
		return err_sys(err, rc, "starting %s", command);
	rc = posix_spawn_file_actions_adddup2(&fa, child_fd, STDIN_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&fa, child_fd, STDOUT_FILENO);
	/* With the caller's environment: that is where the program's credentials are. */
	if (rc == 0)
		rc = posix_spawn(pid, command, &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	return rc == 0 ? 0 : err_sys(err, rc, "starting %s", command);
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
		/* A program that left the digest unread resets the connection. */
		if (n <= 0)
			return n < 0 && errno != ECONNRESET ? -1 : 0;
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
	int fd[2], rc = 0;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return err_sys(err, errno, "making a pair of sockets");
	if (start(command, fd[1], &pid, err) < 0) {
		io_close(&fd[0]);
		io_close(&fd[1]);
		return -1;
	}
	io_close(&fd[1]);
	/* One that does not read it is judged by its exit code and its signature. */
	if ((send(fd[0], digest, SHA256_LEN, MSG_NOSIGNAL) != SHA256_LEN &&
	     errno != EPIPE) ||
	    shutdown(fd[0], SHUT_WR) < 0 || read_reply(fd[0], reply, len_bytes) < 0)
		rc = err_sys(err, errno, "talking to %s", command);
	io_close(&fd[0]);
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
