/*
 * What the kernel says over netlink of the sockets of a network namespace
 * (NETLINK_SOCK_DIAG) and of its interfaces, addresses, routes and neighbours
 * (NETLINK_ROUTE): a second view beside the text of /proc. Messages are read as if
 * anybody had written them: every length is checked against what was received.
 *
 * Asking may change the host: where nobody can answer for a family or a protocol of
 * sockets, the kernel runs modprobe (sock_load_diag_module() of net/core/sock.c). The
 * caller asks netdiag_module() which module answers, and asks the kernel only when that
 * is there. NETLINK_ROUTE loads nothing for the requests made here.
 */
#ifndef FVOL_NETDIAG_H
#define FVOL_NETDIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/nettable.h"

/* The module that answers for a protocol ("tcp_diag", …); NULL when none does. */
const char *netdiag_module(enum net_protocol protocol);

struct net_link {
	uint32_t index, flags, mtu, promiscuity;
	uint32_t master; /* index of the bridge or bond it is a port of; 0: none */
	char name[16];	 /* NUL-terminated */
	char kind[16];	 /* "wireguard", "vxlan", …; empty for hardware */
	uint8_t mac[32];
	uint8_t mac_bytes; /* 0: none */
};

struct net_link_address {
	uint32_t index;
	uint8_t prefix;
	struct net_address address;
};

struct net_link_route {
	struct net_address destination, gateway;
	bool has_gateway;
	uint8_t prefix, type; /* RTN_ of linux/rtnetlink.h */
	uint32_t interface;   /* 0: none */
	uint32_t table;
};

struct net_link_neighbour {
	struct net_address address;
	uint32_t interface;
	uint16_t state; /* NUD_ of linux/neighbour.h */
	uint8_t mac[32];
	uint8_t mac_bytes;
};

/* One thing that was told; which member of the union holds says kind. */
enum netdiag_kind {
	NETDIAG_SOCKET,
	NETDIAG_LINK,
	NETDIAG_ADDRESS,
	NETDIAG_ROUTE,
	NETDIAG_NEIGHBOUR,
};
struct netdiag_item {
	enum netdiag_kind kind;
	union {
		struct net_socket socket;
		struct net_link link;
		struct net_link_address address;
		struct net_link_route route;
		struct net_link_neighbour neighbour;
	} u;
};

/* Called for each; the item, and a path in it, live until it returns. Other than 0 ends
 * the dump, which then returns the same. */
typedef int netdiag_each(void *context, const struct netdiag_item *item);

/* What one datagram held. */
struct netdiag_state {
	enum netdiag_kind kind;
	enum net_protocol protocol; /* of sockets */
	uint32_t sequence;
	bool done;	  /* the last message was seen */
	bool interrupted; /* something changed meanwhile (NLM_F_DUMP_INTR) */
	uint64_t refused; /* messages that were none the kernel writes */
	int error;	  /* errno of an NLMSG_ERROR, or of a cut message; 0: none */
};

/*
 * Walks the messages of one datagram. Returns 0, or what `each` returned. A multipath
 * route is told once for each of its ways.
 */
int netdiag_walk(struct netdiag_state *state, const void *data, size_t len_bytes,
		 netdiag_each *each, void *context);

#define NETDIAG_REQUEST_MAX 128
/* Writes the request for a dump; returns its length. */
size_t netdiag_request(const struct netdiag_state *state,
		       unsigned char request[NETDIAG_REQUEST_MAX]);

/*
 * Opens a netlink socket (NETLINK_SOCK_DIAG or NETLINK_ROUTE) in the namespace that the
 * calling thread is in, with limits in time. The descriptor, or -1 with errno.
 */
int netdiag_open(int protocol);

/* The kernel writes at most 32 KiB into one datagram of a dump. */
#define NETDIAG_BUFFER_BYTES (64 * 1024)

/*
 * A whole dump into buf, of NETDIAG_BUFFER_BYTES: asks, and hands each answer on. Returns
 * 0; -1 with errno (ETIMEDOUT when the kernel did not go on, EPROTO when it did not keep
 * to the protocol, the kernel's own otherwise); or what `each` returned. state tells
 * whether it was interrupted: then what was told may be twice or not at all, and the
 * caller may ask again.
 */
int netdiag_dump(int fd, struct netdiag_state *state, unsigned char *buf,
		 netdiag_each *each, void *context);

#endif
