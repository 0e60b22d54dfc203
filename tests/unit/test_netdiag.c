/* Netlink messages, as the kernel writes them and as it does not. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/netdiag.h"

static unsigned char data[4096];
static size_t used;
static struct netdiag_item items[8];
static char path[128];
static size_t told;

static void begin(uint16_t type, const void *body, size_t len)
{
	struct nlmsghdr header = { .nlmsg_len = (uint32_t)(sizeof(header) + len),
				   .nlmsg_type = type,
				   .nlmsg_flags = NLM_F_MULTI,
				   .nlmsg_seq = 1 };

	memcpy(data + used, &header, sizeof(header));
	memcpy(data + used + sizeof(header), body, len);
	used += (sizeof(header) + len + 3) & ~(size_t)3;
}

/* To the message that begins at `message`. */
static void attribute(size_t message, uint16_t type, const void *value, size_t len)
{
	struct nlattr attr = { .nla_len = (uint16_t)(sizeof(attr) + len),
			       .nla_type = type };
	uint32_t all;

	memset(data + used, 0, ((sizeof(attr) + len + 3) & ~(size_t)3));
	memcpy(data + used, &attr, sizeof(attr));
	memcpy(data + used + sizeof(attr), value, len);
	used += ((sizeof(attr) + len + 3) & ~(size_t)3);
	all = (uint32_t)(used - message);
	memcpy(data + message, &all, sizeof(all));
}

static int keep(void *context, const struct netdiag_item *item)
{
	(void)context;
	if (told < 8)
		items[told] = *item;
	told++;
	if (item->kind == NETDIAG_SOCKET && item->u.socket.path_bytes)
		memcpy(path, item->u.socket.path, item->u.socket.path_bytes);
	return 0;
}

static struct netdiag_state walk(enum netdiag_kind kind, enum net_protocol protocol,
				 size_t len)
{
	struct netdiag_state state = { .kind = kind,
				       .protocol = protocol,
				       .sequence = 1 };

	told = 0;
	CHECK(netdiag_walk(&state, data, len, keep, NULL) == 0);
	return state;
}

static void done(int error)
{
	begin(NLMSG_DONE, &error, sizeof(error));
}

static void inet_sockets(void)
{
	struct inet_diag_msg msg = { .idiag_family = AF_INET,
				     .idiag_state = 10,
				     .idiag_uid = 1000,
				     .idiag_inode = 4242 };
	struct netdiag_state state;

	used = 0;
	msg.id.idiag_sport = htons(22);
	msg.id.idiag_src[0] = htonl(0x7f000001);
	begin(SOCK_DIAG_BY_FAMILY, &msg, sizeof(msg));
	/* Of another family than was asked for. */
	msg.idiag_family = AF_INET6;
	begin(SOCK_DIAG_BY_FAMILY, &msg, sizeof(msg));
	/* Too short. */
	msg.idiag_family = AF_INET;
	begin(SOCK_DIAG_BY_FAMILY, &msg, sizeof(msg) - 4);
	begin(RTM_NEWLINK, &msg, sizeof(msg));
	done(0);
	state = walk(NETDIAG_SOCKET, NET_TCP, used);
	CHECK(told == 1 && state.done && !state.error && state.refused == 3);
	CHECK(items[0].u.socket.local.port == 22 && items[0].u.socket.inode == 4242);
	CHECK(items[0].u.socket.local.bytes[0] == 127 && items[0].u.socket.uid == 1000);
	CHECK_STR(net_state_name(&items[0].u.socket), "LISTEN");
}

static void unix_names(void)
{
	struct unix_diag_msg msg = { .udiag_family = AF_UNIX,
				     .udiag_type = SOCK_STREAM,
				     .udiag_state = 1,
				     .udiag_ino = 7 };
	uint32_t peer = 8;
	struct nlattr attr;
	size_t first;

	used = 0;
	begin(SOCK_DIAG_BY_FAMILY, &msg, sizeof(msg));
	attribute(0, UNIX_DIAG_NAME, "\0a\0b", 4);
	attribute(0, UNIX_DIAG_PEER, &peer, sizeof(peer));
	CHECK(walk(NETDIAG_SOCKET, NET_UNIX, used).refused == 0);
	CHECK(told == 1 && items[0].u.socket.abstract && items[0].u.socket.peer == 8);
	CHECK(items[0].u.socket.path_bytes == 4 && !memcmp(path, "\0a\0b", 4));
	/* A path with its NUL, and an attribute that reaches beyond its message. */
	used = 0;
	begin(SOCK_DIAG_BY_FAMILY, &msg, sizeof(msg));
	attribute(0, UNIX_DIAG_NAME, "/run/x", 7);
	first = used;
	begin(SOCK_DIAG_BY_FAMILY, &msg, sizeof(msg));
	attribute(first, UNIX_DIAG_NAME, "/run/y", 6);
	attr = (struct nlattr){ .nla_len = 4096, .nla_type = UNIX_DIAG_NAME };
	memcpy(data + first + sizeof(struct nlmsghdr) + sizeof(msg), &attr, sizeof(attr));
	CHECK(walk(NETDIAG_SOCKET, NET_UNIX, used).refused == 1);
	CHECK(told == 1 && items[0].u.socket.path_bytes == 6);
}

static void ends(void)
{
	struct nlmsgerr refusal = { .error = -EPERM };
	struct nlmsghdr header;
	struct netdiag_state state;

	used = 0;
	done(-EINTR);
	CHECK(walk(NETDIAG_SOCKET, NET_TCP, used).error == EINTR);
	used = 0;
	begin(NLMSG_ERROR, &refusal, sizeof(refusal));
	state = walk(NETDIAG_SOCKET, NET_TCP, used);
	CHECK(state.done && state.error == EPERM);
	/* One of an earlier question; one that says it is longer than what came. */
	used = 0;
	done(0);
	memcpy(&header, data, sizeof(header));
	header.nlmsg_seq = 99;
	memcpy(data, &header, sizeof(header));
	CHECK(!walk(NETDIAG_SOCKET, NET_TCP, used).done);
	header.nlmsg_seq = 1;
	header.nlmsg_flags |= NLM_F_DUMP_INTR;
	memcpy(data, &header, sizeof(header));
	CHECK(walk(NETDIAG_SOCKET, NET_TCP, used).interrupted);
	state = walk(NETDIAG_SOCKET, NET_TCP, used - 1);
	CHECK(state.done && state.error == EPROTO);
	header.nlmsg_len = 8;
	memcpy(data, &header, sizeof(header));
	CHECK(walk(NETDIAG_SOCKET, NET_TCP, used).error == EPROTO);
}

static void multipath(void)
{
	struct rtmsg msg = { .rtm_family = AF_INET, .rtm_dst_len = 8, .rtm_table = 254 };
	struct {
		struct rtnexthop hop;
		struct rtattr attr;
		uint8_t address[4];
	} ways[2] = {
		{ { .rtnh_len = 16, .rtnh_ifindex = 3 },
		  { 8, RTA_GATEWAY },
		  { 10, 0, 0, 1 } },
		{ { .rtnh_len = 16, .rtnh_ifindex = 4 },
		  { 8, RTA_GATEWAY },
		  { 10, 0, 0, 2 } },
	};
	uint32_t table = 1000;

	used = 0;
	begin(RTM_NEWROUTE, &msg, sizeof(msg));
	attribute(0, RTA_DST, "\x0a\0\0\0", 4);
	attribute(0, RTA_TABLE, &table, sizeof(table));
	attribute(0, RTA_MULTIPATH, ways, sizeof(ways));
	CHECK(walk(NETDIAG_ROUTE, 0, used).refused == 0 && told == 2);
	CHECK(items[1].u.route.interface == 4 && items[1].u.route.table == 1000);
	CHECK(items[1].u.route.gateway.bytes[3] == 2 && items[0].u.route.has_gateway);
	/* The second way says that it is longer than the attribute. */
	ways[1].hop.rtnh_len = 64;
	used = 0;
	begin(RTM_NEWROUTE, &msg, sizeof(msg));
	attribute(0, RTA_MULTIPATH, ways, sizeof(ways));
	CHECK(walk(NETDIAG_ROUTE, 0, used).refused == 1 && told == 1);
	/* A destination of the wrong length. */
	used = 0;
	begin(RTM_NEWROUTE, &msg, sizeof(msg));
	attribute(0, RTA_DST, "\x0a\0\0\0\0\0", 6);
	CHECK(walk(NETDIAG_ROUTE, 0, used).refused == 1 && told == 0);
}

static void links(void)
{
	struct ifinfomsg msg = { .ifi_index = 2, .ifi_flags = 0x1043 };
	struct {
		struct rtattr attr;
		char kind[8];
	} info = { { 9, IFLA_INFO_KIND }, "vxlan" };
	uint32_t promiscuity = 2;

	used = 0;
	begin(RTM_NEWLINK, &msg, sizeof(msg));
	attribute(0, IFLA_IFNAME, "a-name-without-an-end", 21);
	attribute(0, IFLA_ADDRESS, "\x02\x42\xac\x12\0\x02", 6);
	attribute(0, IFLA_PROMISCUITY, &promiscuity, sizeof(promiscuity));
	attribute(0, IFLA_LINKINFO, &info, sizeof(info));
	CHECK(walk(NETDIAG_LINK, 0, used).refused == 0 && told == 1);
	CHECK_STR(items[0].u.link.name, "a-name-without-");
	CHECK_STR(items[0].u.link.kind, "vxlan");
	CHECK(items[0].u.link.promiscuity == 2 && items[0].u.link.mac_bytes == 6);
	CHECK(items[0].u.link.index == 2 && items[0].u.link.flags == 0x1043);
}

/* What is asked must never make the kernel load a module of another protocol. */
static void requests(void)
{
	unsigned char request[NETDIAG_REQUEST_MAX];
	struct inet_diag_req_v2 inet;
	struct netdiag_state state = { .protocol = NET_UDPLITE6, .sequence = 5 };
	size_t len = netdiag_request(&state, request);

	CHECK(len == sizeof(struct nlmsghdr) + sizeof(inet));
	memcpy(&inet, request + sizeof(struct nlmsghdr), sizeof(inet));
	CHECK(inet.sdiag_family == AF_INET6 && inet.sdiag_protocol == IPPROTO_UDPLITE);
	CHECK_STR(netdiag_module(NET_UDPLITE6), "udp_diag");
	CHECK_STR(netdiag_module(NET_PACKET), "af_packet_diag");
	CHECK(!netdiag_module(NET_ICMP) && !netdiag_module(NET_ICMP6));
}

/* The loopback of this machine, which is no secret. */
static void a_dump(void)
{
	static unsigned char buf[NETDIAG_BUFFER_BYTES];
	struct netdiag_state state = { .kind = NETDIAG_LINK };
	int fd = netdiag_open(NETLINK_ROUTE);

	told = 0;
	CHECK(fd >= 0);
	CHECK(netdiag_dump(fd, &state, buf, keep, NULL) == 0);
	/* The loopback is in every namespace. */
	CHECK(told >= 1 && state.refused == 0 && state.sequence == 1);
	close(fd);
	errno = 0;
	CHECK(netdiag_dump(fd, &state, buf, keep, NULL) == -1 && errno == EBADF);
}

int main(void)
{
	RUN(inet_sockets);
	RUN(unix_names);
	RUN(ends);
	RUN(multipath);
	RUN(links);
	RUN(requests);
	RUN(a_dump);
	return DONE();
}
