/* Links, addresses, routes and neighbours: linux/{rtnetlink,if_link,if_addr,neighbour}.h.
 */
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "toolkit/lib/netdiag_parts.h"

/* An address of a family; false when it is none of that length. */
static bool address_of(uint8_t family, const unsigned char *data, size_t len,
		       struct net_address *out)
{
	memset(out, 0, sizeof(*out));
	out->v6 = family == AF_INET6;
	if (len != (out->v6 ? 16u : 4u))
		return false;
	memcpy(out->bytes, data, len);
	return true;
}

static void mac_of(const unsigned char *data, size_t len, uint8_t mac[32], uint8_t *bytes)
{
	if (len > 32)
		return;
	memcpy(mac, data, len);
	*bytes = (uint8_t)len;
}

static void name_of(const unsigned char *data, size_t len, char name[16])
{
	size_t text = strnlen((const char *)data, len);

	if (text > 15)
		text = 15;
	memcpy(name, data, text);
	name[text] = '\0';
}

static void link_info(const unsigned char *data, size_t len, char kind[16])
{
	struct netdiag_cursor c = { data, len, false };
	uint16_t type;

	while (netdiag_attribute(&c, &type, &data, &len))
		if (type == IFLA_INFO_KIND)
			name_of(data, len, kind);
}

static int link_message(struct netdiag_cursor *c, struct net_link *out)
{
	struct ifinfomsg msg;
	const unsigned char *data;
	uint16_t type;
	size_t len;

	if (!netdiag_take(c, &msg, sizeof(msg)))
		return -1;
	out->index = (uint32_t)msg.ifi_index;
	out->flags = msg.ifi_flags;
	while (netdiag_attribute(c, &type, &data, &len)) {
		switch (type) {
		case IFLA_IFNAME:
			name_of(data, len, out->name);
			break;
		case IFLA_ADDRESS:
			mac_of(data, len, out->mac, &out->mac_bytes);
			break;
		case IFLA_MTU:
			out->mtu = netdiag_u32(data, len);
			break;
		case IFLA_PROMISCUITY:
			out->promiscuity = netdiag_u32(data, len);
			break;
		case IFLA_MASTER:
			out->master = netdiag_u32(data, len);
			break;
		case IFLA_LINKINFO:
			link_info(data, len, out->kind);
			break;
		}
	}
	return c->bad || !out->name[0] ? -1 : 0;
}

static int address_message(struct netdiag_cursor *c, struct net_link_address *out)
{
	struct ifaddrmsg msg;
	const unsigned char *data;
	bool found = false, local = false;
	uint16_t type;
	size_t len;

	if (!netdiag_take(c, &msg, sizeof(msg)) ||
	    (msg.ifa_family != AF_INET && msg.ifa_family != AF_INET6))
		return -1;
	out->index = msg.ifa_index;
	out->prefix = msg.ifa_prefixlen;
	while (netdiag_attribute(c, &type, &data, &len)) {
		/* Of a point-to-point interface IFA_ADDRESS is the other end's. */
		if (type == IFA_LOCAL)
			found = local =
				address_of(msg.ifa_family, data, len, &out->address);
		else if (type == IFA_ADDRESS && !local)
			found = address_of(msg.ifa_family, data, len, &out->address);
	}
	return c->bad || !found ? -1 : 0;
}

static int neighbour_message(struct netdiag_cursor *c, struct net_link_neighbour *out)
{
	struct ndmsg msg;
	const unsigned char *data;
	bool found = false;
	uint16_t type;
	size_t len;

	if (!netdiag_take(c, &msg, sizeof(msg)) ||
	    (msg.ndm_family != AF_INET && msg.ndm_family != AF_INET6))
		return -1;
	out->interface = (uint32_t)msg.ndm_ifindex;
	out->state = msg.ndm_state;
	while (netdiag_attribute(c, &type, &data, &len)) {
		if (type == NDA_DST)
			found = address_of(msg.ndm_family, data, len, &out->address);
		else if (type == NDA_LLADDR)
			mac_of(data, len, out->mac, &out->mac_bytes);
	}
	return c->bad || !found ? -1 : 0;
}

/* A gateway of another family than the route's (RFC 5549). */
static bool via_of(const unsigned char *data, size_t len, struct net_address *out)
{
	uint16_t family;

	if (len < sizeof(family))
		return false;
	memcpy(&family, data, sizeof(family));
	return (family == AF_INET || family == AF_INET6) &&
	       address_of((uint8_t)family, data + 2, len - 2, out);
}

/* Hands on one route for each of its ways. False: the attribute is damaged. */
static bool multipath(const unsigned char *data, size_t len, uint8_t family,
		      struct netdiag_item *item, netdiag_each *each, void *context,
		      int *rc)
{
	struct netdiag_cursor c = { data, len, false };
	struct rtnexthop hop;

	while (!*rc && c.left >= sizeof(hop)) {
		struct netdiag_cursor inner;
		uint16_t type;

		memcpy(&hop, c.at, sizeof(hop));
		if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > c.left)
			return false;
		inner = (struct netdiag_cursor){ c.at + sizeof(hop),
						 hop.rtnh_len - sizeof(hop), false };
		netdiag_skip(&c, NLMSG_ALIGN(hop.rtnh_len));
		item->u.route.interface = (uint32_t)hop.rtnh_ifindex;
		item->u.route.has_gateway = false;
		while (netdiag_attribute(&inner, &type, &data, &len)) {
			if (type == RTA_GATEWAY)
				item->u.route.has_gateway = address_of(
					family, data, len, &item->u.route.gateway);
			else if (type == RTA_VIA)
				item->u.route.has_gateway =
					via_of(data, len, &item->u.route.gateway);
		}
		if (inner.bad)
			return false;
		*rc = each(context, item);
	}
	return true;
}

static int route_message(struct netdiag_state *state, struct netdiag_cursor *c,
			 netdiag_each *each, void *context)
{
	struct netdiag_item item = { .kind = NETDIAG_ROUTE };
	struct net_link_route *out = &item.u.route;
	const unsigned char *data, *ways = NULL;
	size_t len, ways_len = 0;
	struct rtmsg msg;
	bool bad = false;
	uint16_t type;
	int rc = 0;

	if (!netdiag_take(c, &msg, sizeof(msg))) {
		state->refused++;
		return 0;
	}
	/* Others are multicast's and MPLS's; a cloned one is a cache entry. */
	if ((msg.rtm_family != AF_INET && msg.rtm_family != AF_INET6) ||
	    msg.rtm_flags & RTM_F_CLONED)
		return 0;
	out->destination.v6 = msg.rtm_family == AF_INET6;
	out->prefix = msg.rtm_dst_len;
	out->type = msg.rtm_type;
	out->table = msg.rtm_table;
	while (netdiag_attribute(c, &type, &data, &len)) {
		switch (type) {
		case RTA_DST:
			bad |= !address_of(msg.rtm_family, data, len, &out->destination);
			break;
		case RTA_GATEWAY:
			out->has_gateway =
				address_of(msg.rtm_family, data, len, &out->gateway);
			break;
		case RTA_VIA:
			out->has_gateway = via_of(data, len, &out->gateway);
			break;
		case RTA_OIF:
			out->interface = netdiag_u32(data, len);
			break;
		case RTA_TABLE:
			out->table = netdiag_u32(data, len);
			break;
		case RTA_MULTIPATH:
			ways = data;
			ways_len = len;
			break;
		}
	}
	if (bad || c->bad)
		state->refused++;
	else if (!ways)
		rc = each(context, &item);
	else if (!multipath(ways, ways_len, msg.rtm_family, &item, each, context, &rc))
		state->refused++;
	return rc;
}

int netroute_message(struct netdiag_state *state, uint16_t type, struct netdiag_cursor *c,
		     netdiag_each *each, void *context)
{
	struct netdiag_item item = { .kind = state->kind };
	int refused = -1;

	if (state->kind == NETDIAG_ROUTE && type == RTM_NEWROUTE)
		return route_message(state, c, each, context);
	if (state->kind == NETDIAG_LINK && type == RTM_NEWLINK)
		refused = link_message(c, &item.u.link);
	else if (state->kind == NETDIAG_ADDRESS && type == RTM_NEWADDR)
		refused = address_message(c, &item.u.address);
	else if (state->kind == NETDIAG_NEIGHBOUR && type == RTM_NEWNEIGH)
		refused = neighbour_message(c, &item.u.neighbour);
	if (refused < 0) {
		state->refused++;
		return 0;
	}
	return each(context, &item);
}

/* Counters, which some drivers ask their device for, are not asked for (linux 4.17). */
#define WITHOUT_STATISTICS (1u << 3) /* RTEXT_FILTER_SKIP_STATS */

uint16_t netroute_request(enum netdiag_kind kind, unsigned char *request, size_t *len)
{
	struct ifinfomsg link = { .ifi_family = AF_UNSPEC };
	struct ifaddrmsg address = { .ifa_family = AF_UNSPEC };
	struct rtmsg route = { .rtm_family = AF_UNSPEC };
	struct ndmsg neighbour = { .ndm_family = AF_UNSPEC };
	const void *body = &link;
	size_t bytes = sizeof(link);
	uint16_t type = RTM_GETLINK;

	if (kind == NETDIAG_ADDRESS) {
		body = &address;
		bytes = sizeof(address);
		type = RTM_GETADDR;
	} else if (kind == NETDIAG_ROUTE) {
		body = &route;
		bytes = sizeof(route);
		type = RTM_GETROUTE;
	} else if (kind == NETDIAG_NEIGHBOUR) {
		body = &neighbour;
		bytes = sizeof(neighbour);
		type = RTM_GETNEIGH;
	}
	memcpy(request + *len, body, bytes);
	*len += NLMSG_ALIGN(bytes);
	if (kind == NETDIAG_LINK) {
		struct rtattr attr = { .rta_len = RTA_LENGTH(4),
				       .rta_type = IFLA_EXT_MASK };
		uint32_t mask = WITHOUT_STATISTICS;

		memcpy(request + *len, &attr, sizeof(attr));
		memcpy(request + *len + sizeof(attr), &mask, sizeof(mask));
		*len += RTA_SPACE(4);
	}
	return type;
}
