#include "toolkit/lib/limeload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

#define CONNECT_MS 10000
#define SPIN_MS 1000
#define STOP_MS 20000
#define TABLE_BYTES (1u << 20)
/* Kernel memory that the stream may take on its way: a fixed size stops its growth. */
#define RECEIVE_BYTES (256 * 1024)
/* Below the range that connections take their own ports from. */
#define PORT_FIRST 10000
#define PORT_COUNT 20000

struct last_word {
	int load_errno;
	int unload_errno;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* Unloads; a module whose init has just ended may still be busy for a moment. */
static int unload(int tries)
{
	for (;;) {
		if (syscall(SYS_delete_module, LIMELOAD_MODULE, O_NONBLOCK) == 0)
			return 0;
		if ((errno != EAGAIN && errno != EBUSY) || --tries <= 0)
			return errno;
		sleep_ms(10);
	}
}

/* Reads a whole file of /proc; NULL when it cannot be had. The caller frees it. */
static char *read_table(int proc_dirfd, const char *path)
{
	char *text = malloc(TABLE_BYTES);
	struct err err;

	if (text && io_read_text(proc_dirfd, path, text, TABLE_BYTES, NULL, &err) == 0)
		return text;
	free(text);
	return NULL;
}

int limeload_present(int proc_dirfd)
{
	static const char name[] = LIMELOAD_MODULE " ";
	char *text = read_table(proc_dirfd, "modules");
	int rc = 0;

	if (!text)
		return -1;
	for (char *line = text, *end; *line && !rc; line = end) {
		end = strchr(line, '\n');
		end = end ? end + 1 : line + strlen(line);
		if (strncmp(line, name, strlen(name)) == 0) {
			*(end - 1) = '\0';
			rc = strstr(line, " Loading ") ? 2 : 1;
		}
	}
	free(text);
	return rc;
}

enum limeload_peer limeload_judge(const char *table, uint16_t port, uint16_t own_port)
{
	enum limeload_peer peer = PEER_WAITING;

	for (const char *line = table; line; line = strchr(line, '\n')) {
		unsigned local, local_port, remote, remote_port, state, uid;
		unsigned long inode;

		line += *line == '\n';
		if (sscanf(line,
			   " %*u: %8x:%4x %8x:%4x %2x %*8x:%*8x %*x:%*x %*x %u %*u %lu",
			   &local, &local_port, &remote, &remote_port, &state, &uid,
			   &inode) != 7)
			continue;
		/* The listener; and connections that wait to be accepted, which have no
		 * socket yet and so no inode. */
		if (local_port != port || local != htonl(INADDR_LOOPBACK) ||
		    state == 10 || inode == 0)
			continue;
		if (remote != htonl(INADDR_LOOPBACK) || remote_port != own_port || uid)
			return PEER_OTHER;
		/* 1 is established; on its way down it still was ours. */
		peer = PEER_OURS;
	}
	return peer;
}

/* A port of which nothing is known yet. */
static int choose_port(int proc_dirfd, uint16_t *port, struct err *err)
{
	for (int tries = 0; tries < 16; tries++) {
		char *table, want[8];
		uint32_t number;
		bool used;

		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return err_sys(err, errno, "asking for random bytes");
		*port = (uint16_t)(PORT_FIRST + number % PORT_COUNT);
		table = read_table(proc_dirfd, "net/tcp");
		if (!table)
			return err_set(err, ERR_FAILED, "reading /proc/net/tcp");
		snprintf(want, sizeof(want), ":%04X ", *port);
		used = strstr(table, want) != NULL;
		free(table);
		if (!used)
			return 0;
	}
	return err_set(err, ERR_FAILED, "no free port on 127.0.0.1");
}

static void wake(int sig)
{
	(void)sig;
}

/* The child: everything that it does is safe after a fork of many threads. */
_Noreturn static void child_main(int status_fd, pid_t parent, const void *module,
				 size_t len, const char *params)
{
	/* Without SA_RESTART: the module's wait for a client and its writes end. */
	const struct sigaction wakes = { .sa_handler = wake };
	const struct sigaction ignores = { .sa_handler = SIG_IGN };
	struct last_word word = { 0, 0 };
	/* The parent ends us in its own time; SIGPIPE comes from the module's writes, and
	 * its default would kill us before the module is unloaded. */
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sigaction(ignored[i], &ignores, NULL);
	sigaction(SIGUSR1, &wakes, NULL);
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	if (getppid() != parent)
		_exit(1);
	if (syscall(SYS_init_module, module, len, params) < 0)
		word.load_errno = errno;
	else
		word.unload_errno = unload(500);
	_exit(write(status_fd, &word, sizeof(word)) == sizeof(word) ? 0 : 1);
}

static int start_child(struct limeload *load, const void *module, size_t len,
		       struct err *err)
{
	char params[96];
	pid_t parent = getpid();
	int fds[2];

	snprintf(params, sizeof(params),
		 "path=tcp:%u localhostonly=1 format=lime timeout=0", load->port);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "making a pipe");
	load->child = fork();
	if (load->child == 0)
		child_main(fds[1], parent, module, len, params);
	close(fds[1]);
	load->status_fd = fds[0];
	if (load->child > 0)
		return 0;
	load->child = 0;
	return err_sys(err, errno, "starting a process");
}

/* Has the child's system call ended (in up to wait_ms)? */
static bool child_ended(const struct limeload *load, int wait_ms)
{
	struct pollfd poll_fd = { .fd = load->status_fd, .events = POLLIN };

	return poll(&poll_fd, 1, wait_ms) > 0;
}

static int new_socket(void)
{
	int size = RECEIVE_BYTES;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

/*
 * Connects as soon as the module listens. Without a pause at first: each moment between
 * its listening and our connection is one for somebody else's.
 */
static int connect_soon(struct limeload *load, int64_t deadline, struct err *err)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(load->port) };
	int64_t spin_end = now_ms() + SPIN_MS;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	while (now_ms() < deadline) {
		if (child_ended(load, now_ms() < spin_end ? 0 : 1))
			return err_set(err, ERR_FAILED, "the module's load ended early");
		if (load->socket < 0 && (load->socket = new_socket()) < 0)
			return err_sys(err, errno, "making a socket");
		if (connect(load->socket, (struct sockaddr *)&to, sizeof(to)) == 0)
			return 0;
		if (errno == EINPROGRESS || errno == EALREADY) {
			struct pollfd fd = { .fd = load->socket, .events = POLLOUT };

			/* Then connect() is asked again and says how it ended. */
			poll(&fd, 1, 100);
		} else if (errno == EISCONN) {
			return 0;
		} else if (errno != ECONNREFUSED && errno != EINTR &&
			   errno != ECONNABORTED) {
			return err_sys(err, errno, "connecting to the module");
		}
	}
	return err_set(err, ERR_REFUSED,
		       "nobody answers on 127.0.0.1: the host's firewall may drop what "
		       "comes from lo");
}

/* Waits until the module has accepted somebody, and sees whom. */
static int prove_ours(struct limeload *load, int64_t deadline, struct err *err)
{
	struct sockaddr_in own;
	socklen_t len = sizeof(own);

	if (getsockname(load->socket, (struct sockaddr *)&own, &len) < 0)
		return err_sys(err, errno, "asking for the connection's port");
	while (now_ms() < deadline) {
		char *table = read_table(load->proc_dirfd, "net/tcp");
		enum limeload_peer peer;

		if (!table)
			return err_set(err, ERR_FAILED, "reading /proc/net/tcp");
		peer = limeload_judge(table, load->port, ntohs(own.sin_port));
		free(table);
		if (peer == PEER_OTHER)
			return err_set(
				err, ERR_FAILED,
				"another process connected to the module first and "
				"may have received memory; it is being unloaded");
		/* Had somebody else listened here, the module's bind would have failed.
		 */
		if (child_ended(load, 0))
			return err_set(err, ERR_FAILED, "the module's load ended early");
		if (peer == PEER_OURS && limeload_present(load->proc_dirfd) == 2)
			return 0;
		sleep_ms(1);
	}
	return err_set(err, ERR_FAILED, "the module did not accept the connection");
}

int limeload_start(struct limeload *load, int proc_dirfd, const void *module,
		   size_t len_bytes, struct err *err)
{
	int64_t deadline;

	*load = (struct limeload){ .status_fd = -1,
				   .socket = -1,
				   .proc_dirfd = proc_dirfd };
	if (limeload_present(proc_dirfd) != 0)
		return err_set(err, ERR_REFUSED,
			       "a module named " LIMELOAD_MODULE " is loaded already");
	if (choose_port(proc_dirfd, &load->port, err) < 0 ||
	    start_child(load, module, len_bytes, err) < 0)
		return -1;
	deadline = now_ms() + CONNECT_MS;
	if (connect_soon(load, deadline, err) < 0)
		return -1;
	return prove_ours(load, deadline, err);
}

/* The child's last word; wakes it out of the module until it speaks. */
static bool hear_last_word(struct limeload *load, struct last_word *word)
{
	int64_t deadline = now_ms() + STOP_MS;

	/* A stream that was read to its end needs no waking. */
	for (int wait_ms = 200; now_ms() < deadline; wait_ms = 50) {
		if (child_ended(load, wait_ms))
			return read(load->status_fd, word, sizeof(*word)) ==
			       sizeof(*word);
		kill(load->child, SIGUSR1);
	}
	kill(load->child, SIGKILL);
	return false;
}

static int reap(struct limeload *load)
{
	for (int tries = 0; tries < 500; tries++) {
		if (waitpid(load->child, NULL, WNOHANG) != 0)
			return 0;
		sleep_ms(10);
	}
	return -1;
}

int limeload_stop(struct limeload *load, struct err *err)
{
	struct last_word word = { 0, 0 };
	bool heard;
	int rc = 0;

	io_close(&load->socket);
	if (!load->child) {
		io_close(&load->status_fd);
		return 0;
	}
	heard = hear_last_word(load, &word);
	io_close(&load->status_fd);
	if (reap(load) < 0)
		return err_set(err, ERR_FAILED,
			       "the process that loads the module does not end");
	load->child = 0;
	if (!heard)
		word.unload_errno = unload(500);
	/* EINTR: it was woken while it waited for a client. */
	if (word.load_errno && word.load_errno != EINTR)
		rc = err_sys(err, word.load_errno, "loading the module");
	if (word.load_errno == EKEYREJECTED || word.load_errno == ENOKEY)
		err->kind = ERR_REFUSED;
	if (limeload_present(load->proc_dirfd) > 0)
		rc = err_sys(err, word.unload_errno ? word.unload_errno : EBUSY,
			     "the module " LIMELOAD_MODULE " is still loaded");
	return rc;
}

/* Reads a parameter of the module; false when it cannot be had or does not fit. */
static bool read_parameter(int sys_dirfd, const char *name, char *text, size_t size)
{
	char path[64];
	struct err unheard;

	snprintf(path, sizeof(path), "module/" LIMELOAD_MODULE "/parameters/%s", name);
	if (io_read_text(sys_dirfd, path, text, size, NULL, &unheard) < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	return true;
}

bool limeload_is_ours(int sys_dirfd)
{
	char path[32], format[16], local[8];
	unsigned port;
	int end = 0;

	/* As start_child() gives them. */
	return read_parameter(sys_dirfd, "path", path, sizeof(path)) &&
	       read_parameter(sys_dirfd, "format", format, sizeof(format)) &&
	       read_parameter(sys_dirfd, "localhostonly", local, sizeof(local)) &&
	       sscanf(path, "tcp:%5u%n", &port, &end) == 1 && !path[end] &&
	       port >= PORT_FIRST && port < PORT_FIRST + PORT_COUNT &&
	       strcmp(format, "lime") == 0 && strcmp(local, "1") == 0;
}

int limeload_remove_left(int proc_dirfd, int sys_dirfd, bool *removed, struct err *err)
{
	int present = limeload_present(proc_dirfd), errnum;

	*removed = false;
	if (present < 0)
		return err_set(err, ERR_FAILED, "reading /proc/modules");
	if (present == 0)
		return 0;
	if (!limeload_is_ours(sys_dirfd))
		return err_set(err, ERR_REFUSED,
			       "the module " LIMELOAD_MODULE
			       " is loaded, but no capture loaded it");
	if (present == 2)
		return err_set(err, ERR_REFUSED,
			       "the module " LIMELOAD_MODULE " is still at work");
	errnum = unload(500);
	if (errnum || limeload_present(proc_dirfd) != 0)
		return err_sys(err, errnum ? errnum : EBUSY,
			       "unloading the module " LIMELOAD_MODULE);
	*removed = true;
	return 0;
}
