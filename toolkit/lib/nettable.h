/*
 * The kernel's tables of sockets, interfaces, routes and neighbours as text
 * (/proc/PID/net/…), one line at a time. What is bound to a path or named by the host's
 * administrator is anybody's bytes: a line that is not what the kernel writes is refused,
 * never guessed at. The same structures carry what netlink says (see netdiag.h), so that
 * the two can be held against each other.
 */
#ifndef FVOL_NETTABLE_H
#define FVOL_NETTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum net_protocol {
	NET_TCP,
	NET_TCP6,
	NET_UDP,
	NET_UDP6,
	NET_UDPLITE,
	NET_UDPLITE6,
	NET_RAW,
	NET_RAW6,
	NET_ICMP,
	NET_ICMP6,
	NET_UNIX,
	NET_PACKET,
	NET_NETLINK,
	NET_PROTOCOLS,
};

/* "tcp", …: the name of its table, and in the records. */
const char *net_protocol_name(enum net_protocol protocol);

struct net_address {
	uint8_t bytes[16]; /* in the order of the network; the first 4 for IPv4 */
	bool v6;
	uint16_t port; /* raw: the protocol */
};

/* Room for an address as text, with its NUL. */
#define NET_ADDRESS_SIZE 46
/* IPv4 with dots, IPv6 as RFC 5952 wants it. Returns text. */
const char *net_address_text(const struct net_address *address,
			     char text[NET_ADDRESS_SIZE]);
bool net_address_any(const struct net_address *address); /* 0.0.0.0 and :: */

/* States of include/net/tcp_states.h; of unix sockets those of linux/net.h are turned
 * into them by what they mean. */
enum {
	NET_ESTABLISHED = 1,
	NET_SYN_SENT,
	NET_SYN_RECV,
	NET_FIN_WAIT1,
	NET_FIN_WAIT2,
	NET_TIME_WAIT,
	NET_CLOSE, /* unix: not connected; udp: not connected */
	NET_CLOSE_WAIT,
	NET_LAST_ACK,
	NET_LISTEN,
	NET_CLOSING,
	NET_NEW_SYN_RECV,
	NET_DISCONNECTING, /* unix alone */
};

struct net_socket {
	enum net_protocol protocol;
	bool has_uid;
	uint8_t state;	    /* NET_…; 0: it has none */
	uint16_t kind;	    /* unix, packet: SOCK_STREAM, …; netlink: its protocol */
	uint16_t ethertype; /* packet */
	uint32_t uid;
	uint32_t interface; /* packet: index, 0 for all */
	uint32_t port_id;   /* netlink */
	uint64_t inode;	    /* 0: no descriptor can lead to it any more, or not yet */
	uint64_t peer;	    /* unix, from netlink: inode of the other end; 0: unknown */
	struct net_address local, remote; /* of the first ten protocols */
	/* unix: the bound name as in the line, or with its own bytes from netlink;
	 * "@" first when abstract. Borrowed; path_bytes 0: not bound. */
	const char *path;
	size_t path_bytes;
	bool abstract;
};

/* State names for the record, NULL for 0 and what is not known. */
const char *net_state_name(const struct net_socket *socket);
/* unix and packet: "stream", "dgram", "seqpacket", "raw"; netlink: "route", …; NULL for
 * what has no name. */
const char *net_kind_name(const struct net_socket *socket);

/*
 * One line of the table of a protocol, without its newline. The heading is no socket.
 * Returns 0, or -1 when the line is none that the kernel writes; out is then undefined.
 */
int nettable_socket(enum net_protocol protocol, const char *line, size_t len_bytes,
		    struct net_socket *out);

/* Is it the heading of such a table? */
bool nettable_heading(const char *line, size_t len_bytes);

/* net/dev */
struct net_device {
	char name[16]; /* NUL-terminated */
};
int nettable_device(const char *line, size_t len_bytes, struct net_device *out);

/* net/if_inet6 */
struct net_device_address {
	struct net_address address;
	uint8_t prefix;
	char name[16];
};
int nettable_address6(const char *line, size_t len_bytes, struct net_device_address *out);

/* net/route and net/ipv6_route, which show the main table, and v6 all of them. */
struct net_route {
	struct net_address destination, gateway;
	uint8_t prefix;
	bool has_gateway;
	char name[16]; /* interface */
};
int nettable_route(const char *line, size_t len_bytes, struct net_route *out);
int nettable_route6(const char *line, size_t len_bytes, struct net_route *out);

/* net/arp */
struct net_neighbour {
	struct net_address address;
	char mac[60];	/* as text; the kernel's own form */
	uint32_t flags; /* ATF_… of linux/if_arp.h */
	char name[16];
};
int nettable_arp(const char *line, size_t len_bytes, struct net_neighbour *out);

/* net/protocols: how many sockets of a protocol a namespace has. */
struct net_count {
	char name[32]; /* of the kernel's struct proto: "TCP", "UNIX-STREAM", … */
	int64_t sockets;
};
int nettable_count(const char *line, size_t len_bytes, struct net_count *out);

#endif
