/* Formats: net/ipv4/{tcp_ipv4,udp,raw,ping}.c and their like of v6, net/unix/af_unix.c,
 * net/packet/af_packet.c, net/netlink/af_netlink.c, fib_trie.c, route.c of Linux. */
#include "toolkit/lib/nettable.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Fields between blanks. */
struct fields {
	const char *at, *end;
	bool bad;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next field; empty, and bad, when there is none. */
static size_t next_field(struct fields *f, const char **field)
{
	while (f->at < f->end && blank(*f->at))
		f->at++;
	*field = f->at;
	while (f->at < f->end && !blank(*f->at))
		f->at++;
	if (*field == f->at)
		f->bad = true;
	return (size_t)(f->at - *field);
}

static void skip(struct fields *f, int count)
{
	const char *field;

	while (count-- > 0)
		(void)next_field(f, &field);
}

static int digit_of(char c, unsigned base)
{
	int value = c >= '0' && c <= '9'   ? c - '0'
		    : c >= 'a' && c <= 'f' ? c - 'a' + 10
		    : c >= 'A' && c <= 'F' ? c - 'A' + 10
					   : 16;

	return value < (int)base ? value : -1;
}

/* All of text is a number of the base, at most most; otherwise bad. */
static uint64_t number(struct fields *f, const char *text, size_t len, unsigned base,
		       uint64_t most)
{
	uint64_t value = 0;

	if (!len || len > 20)
		f->bad = true;
	for (size_t i = 0; i < len && !f->bad; i++) {
		int digit = digit_of(text[i], base);

		if (digit < 0 || value > (most - (unsigned)digit) / base)
			f->bad = true;
		else
			value = value * base + (unsigned)digit;
	}
	return f->bad ? 0 : value;
}

static uint64_t next_number(struct fields *f, unsigned base, uint64_t most)
{
	const char *text;
	size_t len = next_field(f, &text);

	return number(f, text, len, base, most);
}

static void next_name(struct fields *f, char name[16])
{
	const char *text;
	size_t len = next_field(f, &text);

	if (!len || len > 15) {
		f->bad = true;
		return;
	}
	memcpy(name, text, len);
	name[len] = '\0';
}

/*
 * Four bytes of an address, which the kernel prints as one number of its own byte order:
 * both our architectures begin with the least significant byte.
 */
static void host_word(struct fields *f, const char *text, uint8_t bytes[4])
{
	uint32_t word = (uint32_t)number(f, text, 8, 16, UINT32_MAX);

	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(word >> 8 * i);
}

/* ADDRESS:PORT of a table of sockets. */
static void next_endpoint(struct fields *f, bool v6, struct net_address *out)
{
	size_t digits = v6 ? 32 : 8, len;
	const char *text;

	memset(out, 0, sizeof(*out));
	out->v6 = v6;
	len = next_field(f, &text);
	if (len != digits + 5 || text[digits] != ':') {
		f->bad = true;
		return;
	}
	for (size_t i = 0; i < digits; i += 8)
		host_word(f, text + i, out->bytes + i / 2);
	out->port = (uint16_t)number(f, text + digits + 1, 4, 16, UINT16_MAX);
}

/* 32 hexadecimal digits in the order of the network. */
static void next_address6(struct fields *f, struct net_address *out)
{
	const char *text;
	size_t len = next_field(f, &text);

	memset(out, 0, sizeof(*out));
	out->v6 = true;
	if (len != 32) {
		f->bad = true;
		return;
	}
	for (size_t i = 0; i < 16; i++)
		out->bytes[i] = (uint8_t)number(f, text + 2 * i, 2, 16, 0xff);
}

/* "  12: LOCAL REMOTE STATE TX:RX TR:WHEN RETRANSMITS UID TIMEOUT INODE …" */
static int inet_line(struct fields *f, struct net_socket *out)
{
	bool v6 = out->protocol % 2 == 1;
	const char *text;
	size_t len = next_field(f, &text);

	if (!len || text[len - 1] != ':')
		return -1;
	number(f, text, len - 1, 10, UINT64_MAX);
	next_endpoint(f, v6, &out->local);
	next_endpoint(f, v6, &out->remote);
	out->state = (uint8_t)next_number(f, 16, 0xff);
	skip(f, 3);
	out->uid = (uint32_t)next_number(f, 10, UINT32_MAX);
	out->has_uid = true;
	skip(f, 1);
	out->inode = next_number(f, 10, UINT64_MAX);
	return f->bad ? -1 : 0;
}

#define UNIX_ACCEPTING 0x10000 /* __SO_ACCEPTCON */

/* "ADDRESS: REFERENCES PROTOCOL FLAGS TYPE STATE INODE[ PATH]" */
static int unix_line(struct fields *f, struct net_socket *out)
{
	static const uint8_t states[] = { 0, NET_CLOSE, NET_SYN_SENT, NET_ESTABLISHED,
					  NET_DISCONNECTING };
	const char *text;
	size_t len = next_field(f, &text);
	uint64_t flags, state;

	if (!len || text[len - 1] != ':')
		return -1;
	number(f, text, len - 1, 16, UINT64_MAX);
	next_number(f, 16, UINT32_MAX);
	next_number(f, 16, UINT32_MAX);
	flags = next_number(f, 16, UINT32_MAX);
	out->kind = (uint16_t)next_number(f, 16, UINT16_MAX);
	state = next_number(f, 16, 0xff);
	out->inode = next_number(f, 10, UINT64_MAX);
	if (f->bad || state >= sizeof(states))
		return -1;
	out->state = flags & UNIX_ACCEPTING ? NET_LISTEN : states[state];
	/* One blank, then the path to the end of the line, whatever it holds. */
	if (f->at < f->end) {
		out->path = f->at + 1;
		out->path_bytes = (size_t)(f->end - f->at - 1);
		out->abstract = out->path_bytes && out->path[0] == '@';
	}
	return 0;
}

/* "SOCKET REFERENCES TYPE ETHERTYPE INTERFACE RUNNING RMEM UID INODE" */
static int packet_line(struct fields *f, struct net_socket *out)
{
	skip(f, 1);
	next_number(f, 10, UINT32_MAX);
	out->kind = (uint16_t)next_number(f, 10, UINT16_MAX);
	out->ethertype = (uint16_t)next_number(f, 16, UINT16_MAX);
	out->interface = (uint32_t)next_number(f, 10, UINT32_MAX);
	skip(f, 2);
	out->uid = (uint32_t)next_number(f, 10, UINT32_MAX);
	out->has_uid = true;
	out->inode = next_number(f, 10, UINT64_MAX);
	return f->bad ? -1 : 0;
}

/* "SOCKET PROTOCOL PORT-ID GROUPS RMEM WMEM DUMP LOCKS DROPS INODE" */
static int netlink_line(struct fields *f, struct net_socket *out)
{
	skip(f, 1);
	out->kind = (uint16_t)next_number(f, 10, UINT16_MAX);
	out->port_id = (uint32_t)next_number(f, 10, UINT32_MAX);
	skip(f, 6);
	out->inode = next_number(f, 10, UINT64_MAX);
	return f->bad ? -1 : 0;
}

int nettable_socket(enum net_protocol protocol, const char *line, size_t len_bytes,
		    struct net_socket *out)
{
	struct fields f = { line, line + len_bytes, false };

	memset(out, 0, sizeof(*out));
	out->protocol = protocol;
	switch (protocol) {
	case NET_UNIX:
		return unix_line(&f, out);
	case NET_PACKET:
		return packet_line(&f, out);
	case NET_NETLINK:
		return netlink_line(&f, out);
	default:
		return inet_line(&f, out);
	}
}

bool nettable_heading(const char *line, size_t len_bytes)
{
	static const char *const first[] = { "sl", "Num",     "sk",  "Iface",
					     "IP", "Inter-|", "face" };
	struct fields f = { line, line + len_bytes, false };
	const char *text;
	size_t len = next_field(&f, &text);

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		size_t want = strlen(first[i]);

		if (len >= want && !memcmp(text, first[i], want) &&
		    (len == want || text[want] == '|'))
			return true;
	}
	return false;
}

int nettable_device(const char *line, size_t len_bytes, struct net_device *out)
{
	const char *end = line + len_bytes, *colon;

	while (line < end && blank(*line))
		line++;
	colon = memchr(line, ':', (size_t)(end - line));
	if (!colon || colon == line || colon - line > 15)
		return -1;
	memset(out, 0, sizeof(*out));
	memcpy(out->name, line, (size_t)(colon - line));
	return 0;
}

int nettable_address6(const char *line, size_t len_bytes, struct net_device_address *out)
{
	struct fields f = { line, line + len_bytes, false };

	next_address6(&f, &out->address);
	(void)next_number(&f, 16, UINT32_MAX); /* of the interface, which has a name */
	out->prefix = (uint8_t)next_number(&f, 16, 128);
	skip(&f, 2);
	next_name(&f, out->name);
	return f.bad ? -1 : 0;
}

/* "INTERFACE DESTINATION GATEWAY FLAGS REFERENCES USE METRIC MASK …" */
int nettable_route(const char *line, size_t len_bytes, struct net_route *out)
{
	struct fields f = { line, line + len_bytes, false };
	struct net_address mask = { 0 };
	struct net_address *const words[] = { &out->destination, &out->gateway, &mask };
	const char *text;

	memset(out, 0, sizeof(*out));
	next_name(&f, out->name);
	for (int i = 0; i < 3; i++) {
		if (next_field(&f, &text) != 8)
			return -1;
		host_word(&f, text, words[i]->bytes);
		if (i == 1)
			skip(&f, 4);
	}
	for (int i = 0; i < 32; i++)
		out->prefix = (uint8_t)(out->prefix + (mask.bytes[i / 8] >> i % 8 & 1));
	out->has_gateway = !net_address_any(&out->gateway);
	return f.bad ? -1 : 0;
}

/* "DESTINATION PREFIX SOURCE PREFIX NEXT METRIC REFERENCES USE FLAGS INTERFACE" */
int nettable_route6(const char *line, size_t len_bytes, struct net_route *out)
{
	struct fields f = { line, line + len_bytes, false };

	memset(out, 0, sizeof(*out));
	next_address6(&f, &out->destination);
	out->prefix = (uint8_t)next_number(&f, 16, 128);
	skip(&f, 2);
	next_address6(&f, &out->gateway);
	skip(&f, 4);
	next_name(&f, out->name);
	out->has_gateway = !net_address_any(&out->gateway);
	return f.bad ? -1 : 0;
}

/* "ADDRESS TYPE FLAGS MAC MASK INTERFACE" */
int nettable_arp(const char *line, size_t len_bytes, struct net_neighbour *out)
{
	struct fields f = { line, line + len_bytes, false };
	char address[NET_ADDRESS_SIZE];
	const char *text;
	size_t len = next_field(&f, &text);

	memset(out, 0, sizeof(*out));
	if (!len || len >= sizeof(address))
		return -1;
	memcpy(address, text, len);
	address[len] = '\0';
	if (inet_pton(AF_INET, address, out->address.bytes) != 1)
		return -1;
	for (int i = 0; i < 2; i++) {
		len = next_field(&f, &text);
		if (len < 3 || text[0] != '0' || text[1] != 'x')
			return -1;
		out->flags = (uint32_t)number(&f, text + 2, len - 2, 16, UINT32_MAX);
	}
	len = next_field(&f, &text);
	if (!len || len >= sizeof(out->mac))
		return -1;
	memcpy(out->mac, text, len);
	skip(&f, 1);
	next_name(&f, out->name);
	return f.bad ? -1 : 0;
}

const char *net_protocol_name(enum net_protocol protocol)
{
	static const char *const names[NET_PROTOCOLS] = {
		"tcp",	"tcp6", "udp",	 "udp6", "udplite", "udplite6", "raw",
		"raw6", "icmp", "icmp6", "unix", "packet",  "netlink",
	};

	return names[protocol];
}

/* "protocol  size sockets  memory press maxhdr  slab module …"; sockets is a sum over the
 * processors, which may be read as less than nothing. */
int nettable_count(const char *line, size_t len_bytes, struct net_count *out)
{
	struct fields f = { line, line + len_bytes, false };
	const char *text;
	size_t len = next_field(&f, &text);
	bool negative;

	memset(out, 0, sizeof(*out));
	if (!len || len >= sizeof(out->name) || memchr(text, '\0', len))
		return -1;
	memcpy(out->name, text, len);
	(void)next_number(&f, 10, UINT32_MAX);
	len = next_field(&f, &text);
	negative = len && *text == '-';
	out->sockets =
		(int64_t)number(&f, text + negative, len - negative, 10, INT32_MAX);
	if (negative)
		out->sockets = -out->sockets;
	return f.bad ? -1 : 0;
}

/* RFC 5952: the longest run of two groups of zeros or more, the first of equals, is cut.
 * musl's inet_ntop() cuts a single group as well. */
static void address6_text(const uint8_t bytes[16], char text[NET_ADDRESS_SIZE])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	int best = -1, best_len = 1, at = 0;

	if (!memcmp(bytes, mapped, sizeof(mapped))) {
		snprintf(text, NET_ADDRESS_SIZE, "::ffff:%u.%u.%u.%u", bytes[12],
			 bytes[13], bytes[14], bytes[15]);
		return;
	}
	for (int i = 0, run = 0; i < 8; i++) {
		run = bytes[2 * i] || bytes[2 * i + 1] ? 0 : run + 1;
		if (run > best_len) {
			best_len = run;
			best = i + 1 - run;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			at += snprintf(text + at, NET_ADDRESS_SIZE - (size_t)at, "::");
			i += best_len - 1;
			continue;
		}
		at += snprintf(text + at, NET_ADDRESS_SIZE - (size_t)at, "%s%x",
			       i && i != best + best_len ? ":" : "",
			       bytes[2 * i] << 8 | bytes[2 * i + 1]);
	}
}

const char *net_address_text(const struct net_address *address,
			     char text[NET_ADDRESS_SIZE])
{
	const uint8_t *b = address->bytes;

	if (address->v6)
		address6_text(b, text);
	else
		snprintf(text, NET_ADDRESS_SIZE, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	return text;
}

bool net_address_any(const struct net_address *address)
{
	for (int i = 0; i < (address->v6 ? 16 : 4); i++)
		if (address->bytes[i])
			return false;
	return true;
}

const char *net_state_name(const struct net_socket *socket)
{
	static const char *const names[] = {
		[NET_ESTABLISHED] = "ESTABLISHED",
		[NET_SYN_SENT] = "SYN_SENT",
		[NET_SYN_RECV] = "SYN_RECV",
		[NET_FIN_WAIT1] = "FIN_WAIT1",
		[NET_FIN_WAIT2] = "FIN_WAIT2",
		[NET_TIME_WAIT] = "TIME_WAIT",
		[NET_CLOSE] = "CLOSE",
		[NET_CLOSE_WAIT] = "CLOSE_WAIT",
		[NET_LAST_ACK] = "LAST_ACK",
		[NET_LISTEN] = "LISTEN",
		[NET_CLOSING] = "CLOSING",
		[NET_NEW_SYN_RECV] = "SYN_RECV",
		[NET_DISCONNECTING] = "DISCONNECTING",
	};

	if (socket->protocol != NET_UNIX && socket->protocol > NET_TCP6)
		return NULL;
	if (socket->state >= sizeof(names) / sizeof(names[0]))
		return NULL;
	if (socket->protocol == NET_UNIX && socket->state == NET_CLOSE)
		return "UNCONNECTED";
	if (socket->protocol == NET_UNIX && socket->state == NET_SYN_SENT)
		return "CONNECTING";
	return names[socket->state];
}

const char *net_kind_name(const struct net_socket *socket)
{
	/* linux/netlink.h */
	static const char *const netlink[] = {
		[0] = "route",	     [2] = "usersock",	     [3] = "firewall",
		[4] = "sock_diag",   [5] = "nflog",	     [6] = "xfrm",
		[7] = "selinux",     [8] = "iscsi",	     [9] = "audit",
		[10] = "fib_lookup", [11] = "connector",     [12] = "netfilter",
		[13] = "ip6_fw",     [14] = "dnrtmsg",	     [15] = "kobject_uevent",
		[16] = "generic",    [18] = "scsitransport", [19] = "ecryptfs",
		[20] = "rdma",	     [21] = "crypto",	     [22] = "smc",
	};

	if (socket->protocol == NET_NETLINK)
		return socket->kind < sizeof(netlink) / sizeof(netlink[0])
			       ? netlink[socket->kind]
			       : NULL;
	if (socket->protocol != NET_UNIX && socket->protocol != NET_PACKET)
		return NULL;
	switch (socket->kind) {
	case SOCK_STREAM:
		return "stream";
	case SOCK_DGRAM:
		return "dgram";
	case SOCK_RAW:
		return "raw";
	case SOCK_SEQPACKET:
		return "seqpacket";
	case SOCK_PACKET:
		return "packet";
	default:
		return NULL;
	}
}
