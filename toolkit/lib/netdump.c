/* The sockets behind netdiag.h: asking, and waiting no longer than one may. */
#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "toolkit/lib/clock.h"
#include "toolkit/lib/netdiag.h"

#define PATIENCE_S 2
/* A dump as a whole. */
#define PATIENCE_ALL_NS 10000000000

int netdiag_open(int protocol)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0) {
		int errnum = errno;

		close(fd);
		errno = errnum;
		return -1;
	}
	return fd;
}

/* One datagram of the kernel's. Its length, or -1 with errno. */
static ssize_t receive(int fd, unsigned char *buf)
{
	for (;;) {
		struct sockaddr_nl from = { 0 };
		struct iovec iov = { buf, NETDIAG_BUFFER_BYTES };
		struct msghdr msg = { .msg_name = &from,
				      .msg_namelen = sizeof(from),
				      .msg_iov = &iov,
				      .msg_iovlen = 1 };
		ssize_t len = recvmsg(fd, &msg, 0);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0) {
			if (errno == EAGAIN)
				errno = ETIMEDOUT;
			return -1;
		}
		/* Others may write to a netlink socket as well. */
		if (msg.msg_namelen == sizeof(from) && from.nl_pid != 0)
			continue;
		if (len == 0 || msg.msg_flags & MSG_TRUNC) {
			errno = EPROTO;
			return -1;
		}
		return len;
	}
}

static int ask(int fd, const struct netdiag_state *state)
{
	unsigned char request[NETDIAG_REQUEST_MAX];
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	size_t len = netdiag_request(state, request);
	ssize_t sent;

	do {
		sent = sendto(fd, request, len, 0, (struct sockaddr *)&kernel,
			      sizeof(kernel));
	} while (sent < 0 && errno == EINTR);
	if (sent >= 0 && (size_t)sent != len)
		errno = EPROTO;
	return sent >= 0 && (size_t)sent == len ? 0 : -1;
}

int netdiag_dump(int fd, struct netdiag_state *state, unsigned char *buf,
		 netdiag_each *each, void *context)
{
	int64_t until = clock_ns(CLOCK_MONOTONIC) + PATIENCE_ALL_NS;

	/* What is left of a dump that was given up carries another number. */
	state->sequence++;
	state->done = state->interrupted = false;
	state->error = 0;
	if (ask(fd, state) < 0)
		return -1;
	while (!state->done) {
		ssize_t len = receive(fd, buf);
		int rc;

		if (len < 0)
			return -1;
		rc = netdiag_walk(state, buf, (size_t)len, each, context);
		if (rc)
			return rc;
		if (!state->done && clock_ns(CLOCK_MONOTONIC) > until) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
	errno = state->error;
	return state->error ? -1 : 0;
}
