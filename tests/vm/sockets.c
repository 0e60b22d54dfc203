/*
 * Holds sockets of every kind, for guests without python: what tests/triage/netsockets.py
 * opens, and prints it in the same form (inode, pid, descriptor, what), then "ready".
 * sockets DIR NAME here|new|mounted|held: in the network namespace it is in; in one of
 * its own; in one that is left again and only mounted at DIR/NAME.netns; or in one that
 * only a descriptor holds.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(5);
}

static int must(int value, const char *what)
{
	if (value < 0)
		die(what);
	return value;
}

static void say(int fd, const char *what)
{
	struct stat st;

	must(fstat(fd, &st), "fstat");
	printf("%llu %d %d %s\n", (unsigned long long)st.st_ino, getpid(), fd, what);
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t loopback(int family, union address *to)
{
	memset(to, 0, sizeof(*to));
	to->any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		to->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(to->v4);
	}
	to->v6.sin6_addr = in6addr_loopback;
	return sizeof(to->v6);
}

/* "tcp6 LISTEN ::1 4711" */
static void say_inet(int fd, int family, const char *protocol, const char *state)
{
	union address own;
	socklen_t len = sizeof(own);
	char text[100];

	must(getsockname(fd, &own.any, &len), "getsockname");
	/* The port stands in the same place in both. */
	snprintf(text, sizeof(text), "%s%s %s %s %u", protocol,
		 family == AF_INET6 ? "6" : "", state,
		 family == AF_INET6 ? "::1" : "127.0.0.1", ntohs(own.v4.sin_port));
	say(fd, text);
}

static int bound(int family, int type)
{
	union address to;
	socklen_t len = loopback(family, &to);
	int fd = must(socket(family, type, 0), "socket");

	must(bind(fd, &to.any, len), "bind");
	return fd;
}

static int connected(int family, int type, int server)
{
	int fd = must(socket(family, type, 0), "socket");
	union address to;
	socklen_t len = sizeof(to);

	must(getsockname(server, &to.any, &len), "getsockname");
	must(connect(fd, &to.any, len), "connect");
	return fd;
}

static void hold_inet(int family)
{
	int server = bound(family, SOCK_STREAM), udp, raw;
	char text[64];

	must(listen(server, 5), "listen");
	say_inet(server, family, "tcp", "LISTEN");
	say_inet(connected(family, SOCK_STREAM, server), family, "tcp", "ESTABLISHED");
	say_inet(must(accept(server, NULL, NULL), "accept"), family, "tcp",
		 "ESTABLISHED");
	udp = bound(family, SOCK_DGRAM);
	say_inet(udp, family, "udp", "-");
	say_inet(connected(family, SOCK_DGRAM, udp), family, "udp", "-");
	raw = must(socket(family, SOCK_RAW,
			  family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP),
		   "raw socket");
	snprintf(text, sizeof(text), "raw%s - %s %d", family == AF_INET6 ? "6" : "",
		 family == AF_INET6 ? "::" : "0.0.0.0",
		 family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	say(raw, text);
}

static void hold_unix(const char *directory, const char *name)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = must(socket(AF_UNIX, SOCK_STREAM, 0), "unix socket"), pair[2], len;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s/%s \xff\x1b[31m", directory, name);
	unlink(to.sun_path);
	must(bind(fd, (struct sockaddr *)&to, sizeof(to)), "bind");
	must(listen(fd, 1), "listen");
	say(fd, "unix LISTEN path");
	fd = must(socket(AF_UNIX, SOCK_DGRAM, 0), "unix socket");
	len = snprintf(to.sun_path + 5, sizeof(to.sun_path) - 5, "%s", name);
	memcpy(to.sun_path, "\0abs", 5);
	must(bind(fd, (struct sockaddr *)&to,
		  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 5 + (size_t)len)),
	     "bind");
	say(fd, "unix UNCONNECTED abstract");
	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), "socketpair");
	say(pair[0], "unix ESTABLISHED pair");
	say(pair[1], "unix ESTABLISHED pair");
}

static void hold_others(int promiscuous)
{
	struct packet_mreq on = { .mr_ifindex = 1, .mr_type = PACKET_MR_PROMISC };
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = must(socket(AF_PACKET, SOCK_RAW, htons(0x800)), "packet socket");

	if (promiscuous)
		must(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &on, sizeof(on)),
		     "PACKET_ADD_MEMBERSHIP");
	say(fd, "packet - 800");
	fd = must(socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT), "netlink socket");
	must(bind(fd, (struct sockaddr *)&to, sizeof(to)), "bind");
	say(fd, "netlink - kobject_uevent");
}

/* A socket that no descriptor leads to: sent to another, and not received yet. */
static void send_one(void)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	struct iovec byte = { .iov_base = "x", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &byte,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fd = bound(AF_INET, SOCK_STREAM), pair[2];
	struct stat st;

	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), "socketpair");
	say(pair[0], "unix ESTABLISHED pair");
	say(pair[1], "unix ESTABLISHED pair");
	must(listen(fd, 1), "listen");
	must(fstat(fd, &st), "fstat");
	printf("%llu 0 0 tcp LISTEN sent\n", (unsigned long long)st.st_ino);
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	must((int)sendmsg(pair[0], &message, 0), "sendmsg");
	close(fd);
}

/* As it is in every namespace that is used. */
static void loopback_up(void)
{
	int fd = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	must(ioctl(fd, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
	close(fd);
}

static void mount_here(const char *directory, const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s.netns", directory, name);
	close(must(open(path, O_WRONLY | O_CREAT, 0600), path));
	must(mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL), path);
}

int main(int argc, char **argv)
{
	int home = must(open("/proc/self/ns/net", O_RDONLY), "ns/net"), away = -1;
	const char *how = argc == 4 ? argv[3] : "";

	if (!strchr("hnm", how[0]) || !how[0]) {
		fputs("usage: sockets DIR NAME here|new|mounted|held\n", stderr);
		return 2;
	}
	if (strcmp(how, "here") != 0)
		must(unshare(CLONE_NEWNET), "unshare");
	loopback_up();
	if (strcmp(how, "mounted") == 0)
		mount_here(argv[1], argv[2]);
	if (strcmp(how, "held") == 0)
		away = must(open("/proc/self/ns/net", O_RDONLY), "ns/net");
	hold_inet(AF_INET);
	hold_inet(AF_INET6);
	hold_unix(argv[1], argv[2]);
	hold_others(strcmp(how, "new") == 0);
	send_one();
	if (strcmp(how, "mounted") == 0 || away >= 0)
		must(setns(home, CLONE_NEWNET), "setns");
	/* The way back is no namespace that only a descriptor holds. */
	close(home);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
