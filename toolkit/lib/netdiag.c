/* Sockets: linux/{sock,inet,unix,packet,netlink}_diag.h. Addresses, routes and links are
 * in netroute.c. */
#include "toolkit/lib/netdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "toolkit/lib/netdiag_parts.h"

const char *netdiag_module(enum net_protocol protocol)
{
	static const char *const names[NET_PROTOCOLS] = {
		[NET_TCP] = "tcp_diag",		[NET_TCP6] = "tcp_diag",
		[NET_UDP] = "udp_diag",		[NET_UDP6] = "udp_diag",
		[NET_UDPLITE] = "udp_diag",	[NET_UDPLITE6] = "udp_diag",
		[NET_RAW] = "raw_diag",		[NET_RAW6] = "raw_diag",
		[NET_UNIX] = "unix_diag",	[NET_PACKET] = "af_packet_diag",
		[NET_NETLINK] = "netlink_diag",
	};

	return names[protocol];
}

bool netdiag_attribute(struct netdiag_cursor *c, uint16_t *type,
		       const unsigned char **data, size_t *len)
{
	struct nlattr attr;

	if (c->left < sizeof(attr))
		return false;
	memcpy(&attr, c->at, sizeof(attr));
	if (attr.nla_len < sizeof(attr) || attr.nla_len > c->left) {
		c->bad = true;
		return false;
	}
	*type = (uint16_t)(attr.nla_type & 0x3fff); /* NLA_TYPE_MASK */
	*data = c->at + sizeof(attr);
	*len = attr.nla_len - sizeof(attr);
	netdiag_skip(c, NLA_ALIGN(attr.nla_len));
	return true;
}

void netdiag_skip(struct netdiag_cursor *c, size_t len)
{
	/* The last attribute of a message need not be filled up. */
	if (len > c->left)
		len = c->left;
	c->at += len;
	c->left -= len;
}

bool netdiag_take(struct netdiag_cursor *c, void *header, size_t len_bytes)
{
	if (c->left < len_bytes)
		return false;
	memcpy(header, c->at, len_bytes);
	netdiag_skip(c, NLMSG_ALIGN(len_bytes));
	return true;
}

uint32_t netdiag_u32(const unsigned char *data, size_t len)
{
	uint32_t value = 0;

	if (len >= sizeof(value))
		memcpy(&value, data, sizeof(value));
	return value;
}

static int inet_message(struct netdiag_cursor *c, struct net_socket *out)
{
	struct inet_diag_msg msg;
	bool v6 = out->protocol % 2 == 1;

	if (!netdiag_take(c, &msg, sizeof(msg)) ||
	    msg.idiag_family != (v6 ? AF_INET6 : AF_INET))
		return -1;
	out->state = msg.idiag_state;
	out->uid = msg.idiag_uid;
	out->has_uid = true;
	out->inode = msg.idiag_inode;
	out->local.v6 = out->remote.v6 = v6;
	memcpy(out->local.bytes, msg.id.idiag_src, v6 ? 16 : 4);
	memcpy(out->remote.bytes, msg.id.idiag_dst, v6 ? 16 : 4);
	out->local.port = ntohs(msg.id.idiag_sport);
	out->remote.port = ntohs(msg.id.idiag_dport);
	return 0;
}

static int unix_message(struct netdiag_cursor *c, struct net_socket *out)
{
	struct unix_diag_msg msg;
	const unsigned char *data;
	uint16_t type;
	size_t len;

	if (!netdiag_take(c, &msg, sizeof(msg)) || msg.udiag_family != AF_UNIX)
		return -1;
	out->kind = msg.udiag_type;
	out->state = msg.udiag_state;
	out->inode = msg.udiag_ino;
	while (netdiag_attribute(c, &type, &data, &len)) {
		if (type == UNIX_DIAG_NAME && len) {
			out->abstract = data[0] == '\0';
			out->path = (const char *)data;
			out->path_bytes = len;
			/* As the kernel keeps it: a path with the NUL behind it, or not.
			 */
			if (!out->abstract && memchr(data, '\0', len))
				out->path_bytes = strlen((const char *)data);
		} else if (type == UNIX_DIAG_PEER) {
			out->peer = netdiag_u32(data, len);
		} else if (type == UNIX_DIAG_UID && len >= 4) {
			out->uid = netdiag_u32(data, len);
			out->has_uid = true;
		}
	}
	return c->bad ? -1 : 0;
}

static int packet_message(struct netdiag_cursor *c, struct net_socket *out)
{
	struct packet_diag_msg msg;
	const unsigned char *data;
	uint16_t type;
	size_t len;

	if (!netdiag_take(c, &msg, sizeof(msg)) || msg.pdiag_family != AF_PACKET)
		return -1;
	out->kind = msg.pdiag_type;
	out->ethertype = msg.pdiag_num;
	out->inode = msg.pdiag_ino;
	while (netdiag_attribute(c, &type, &data, &len)) {
		if (type == PACKET_DIAG_INFO) {
			out->interface = netdiag_u32(data, len);
		} else if (type == PACKET_DIAG_UID && len >= 4) {
			out->uid = netdiag_u32(data, len);
			out->has_uid = true;
		}
	}
	return c->bad ? -1 : 0;
}

static int netlink_message(struct netdiag_cursor *c, struct net_socket *out)
{
	struct netlink_diag_msg msg;

	if (!netdiag_take(c, &msg, sizeof(msg)) || msg.ndiag_family != AF_NETLINK)
		return -1;
	out->kind = msg.ndiag_protocol;
	out->port_id = msg.ndiag_portid;
	out->inode = msg.ndiag_ino;
	return 0;
}

static int socket_message(enum net_protocol protocol, struct netdiag_cursor *c,
			  struct net_socket *out)
{
	memset(out, 0, sizeof(*out));
	out->protocol = protocol;
	switch (protocol) {
	case NET_UNIX:
		return unix_message(c, out);
	case NET_PACKET:
		return packet_message(c, out);
	case NET_NETLINK:
		return netlink_message(c, out);
	default:
		return inet_message(c, out);
	}
}

static int one_message(struct netdiag_state *state, uint16_t type,
		       struct netdiag_cursor *c, netdiag_each *each, void *context)
{
	struct netdiag_item item = { .kind = state->kind };

	if (state->kind != NETDIAG_SOCKET)
		return netroute_message(state, type, c, each, context);
	if (type != SOCK_DIAG_BY_FAMILY ||
	    socket_message(state->protocol, c, &item.u.socket) < 0) {
		state->refused++;
		return 0;
	}
	return each(context, &item);
}

int netdiag_walk(struct netdiag_state *state, const void *data, size_t len_bytes,
		 netdiag_each *each, void *context)
{
	struct netdiag_cursor all = { data, len_bytes, false };
	struct nlmsghdr header;

	while (!state->done && all.left >= sizeof(header)) {
		struct netdiag_cursor one;
		int rc;

		memcpy(&header, all.at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > all.left) {
			state->done = true;
			state->error = EPROTO;
			return 0;
		}
		one = (struct netdiag_cursor){ all.at + sizeof(header),
					       header.nlmsg_len - sizeof(header), false };
		netdiag_skip(&all, NLMSG_ALIGN(header.nlmsg_len));
		if (header.nlmsg_seq != state->sequence)
			continue;
		state->interrupted |= (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
			int error = (int)netdiag_u32(one.at, one.left);

			state->done = true;
			state->error = error < 0 && error > -4096 ? -error : 0;
			return 0;
		}
		if (header.nlmsg_type < NLMSG_MIN_TYPE)
			continue;
		rc = one_message(state, header.nlmsg_type, &one, each, context);
		if (rc)
			return rc;
	}
	return 0;
}

static void add(unsigned char *request, size_t *len, const void *data, size_t bytes)
{
	memcpy(request + *len, data, bytes);
	*len += NLMSG_ALIGN(bytes);
}

/* Of TCP all states but those of sockets that are bound and nothing more, which /proc
 * does not show (TCP_BOUND_INACTIVE, 6.8). */
#define STATES_ASKED 0x1fffu

static void add_inet(unsigned char *request, size_t *len, enum net_protocol protocol)
{
	static const uint8_t numbers[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE,
					   IPPROTO_RAW };
	struct inet_diag_req_v2 inet = { 0 };

	inet.sdiag_family = protocol % 2 ? AF_INET6 : AF_INET;
	inet.sdiag_protocol = numbers[protocol / 2];
	inet.idiag_states = STATES_ASKED;
	/* For raw sockets the field `pad` is a protocol to look for; 0 is all. */
	add(request, len, &inet, sizeof(inet));
}

size_t netdiag_request(const struct netdiag_state *state,
		       unsigned char request[NETDIAG_REQUEST_MAX])
{
	struct nlmsghdr header = { .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
				   .nlmsg_seq = state->sequence };
	size_t len = sizeof(header);

	memset(request, 0, NETDIAG_REQUEST_MAX);
	if (state->kind != NETDIAG_SOCKET) {
		header.nlmsg_type = netroute_request(state->kind, request, &len);
	} else if (state->protocol == NET_UNIX) {
		struct unix_diag_req un = { .sdiag_family = AF_UNIX,
					    .udiag_states = UINT32_MAX,
					    .udiag_show = UDIAG_SHOW_NAME |
							  UDIAG_SHOW_PEER |
							  UDIAG_SHOW_UID };

		add(request, &len, &un, sizeof(un));
	} else if (state->protocol == NET_PACKET) {
		struct packet_diag_req packet = { .sdiag_family = AF_PACKET,
						  .pdiag_show = PACKET_SHOW_INFO };

		add(request, &len, &packet, sizeof(packet));
	} else if (state->protocol == NET_NETLINK) {
		struct netlink_diag_req netlink = { .sdiag_family = AF_NETLINK,
						    .sdiag_protocol = NDIAG_PROTO_ALL };

		add(request, &len, &netlink, sizeof(netlink));
	} else {
		add_inet(request, &len, state->protocol);
	}
	header.nlmsg_len = (uint32_t)len;
	memcpy(request, &header, sizeof(header));
	return len;
}
