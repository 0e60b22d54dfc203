/* The record of a network namespace: its interfaces, routes and neighbours. */
#include <errno.h>
#include <linux/neighbour.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/triage/network.h"

/* What a record holds at most: a router may have a million routes. */
#define LINKS_MAX 16384
#define ROUTES_MAX 16384
#define NEIGHBOURS_MAX 16384
/* A table that changes while it is dumped is asked for again. */
#define TRIES 3

struct space {
	struct json *doc;
	struct json_node *interfaces, *routes, *neighbours;
	/* Where the addresses of an interface go, in the order of the record. */
	struct {
		uint32_t index;
		char name[16];
		struct json_node *addresses;
	} * links;
	size_t link_count, link_room, route_count, neighbour_count;
	size_t latest; /* of links: addresses come interface by interface */
	struct netlinks *known;
	bool truncated;
};

static struct json_node *addresses_of(struct space *s, uint32_t index)
{
	for (size_t i = 0; i < s->link_count; i++) {
		size_t at = (s->latest + i) % s->link_count;

		if (s->links[at].index == index) {
			s->latest = at;
			return s->links[at].addresses;
		}
	}
	return NULL;
}

/* Makes the array for the addresses of an interface that node is. */
static void expect_addresses(struct space *s, struct json_node *node, uint32_t index,
			     const char name[16])
{
	struct json_node *addresses = json_add_array(s->doc, node, "addresses");

	if (s->link_count == s->link_room) {
		size_t more = s->link_room ? s->link_room * 2 : 16;
		void *larger = realloc(s->links, more * sizeof(*s->links));

		if (!larger) {
			json_fail(s->doc);
			return;
		}
		s->links = larger;
		s->link_room = more;
	}
	memcpy(s->links[s->link_count].name, name, 16);
	s->links[s->link_count].index = index;
	s->links[s->link_count++].addresses = addresses;
}

static void add_mac(struct json *doc, struct json_node *node, const char *key,
		    const uint8_t *mac, size_t len)
{
	char text[3 * 32 + 1] = "";

	for (size_t i = 0; i < len; i++)
		snprintf(text + 3 * i - (i > 0), 4, i ? ":%02x" : "%02x", mac[i]);
	if (len)
		json_add_str(doc, node, key, text);
}

static void add_prefixed(struct json *doc, struct json_node *in, const char *key,
			 const struct net_address *address, unsigned prefix)
{
	char text[NET_ADDRESS_SIZE], both[NET_ADDRESS_SIZE + 8];

	snprintf(both, sizeof(both), "%s/%u", net_address_text(address, text), prefix);
	json_add_str(doc, in, key, both);
}

static void add_link(struct space *s, const struct net_link *link)
{
	struct json_node *node = json_add_object(s->doc, s->interfaces, NULL);
	struct netlinks *known = s->known;

	json_add_u64(s->doc, node, "index", link->index);
	triage_add_text(s->doc, node, "name", link->name, strlen(link->name));
	add_mac(s->doc, node, "address", link->mac, link->mac_bytes);
	triage_add_hex(s->doc, node, "flags", link->flags);
	json_add_u64(s->doc, node, "mtu", link->mtu);
	json_add_bool(s->doc, node, "promiscuous", link->promiscuity != 0);
	if (link->kind[0])
		triage_add_text(s->doc, node, "kind", link->kind, strlen(link->kind));
	if (link->master)
		json_add_u64(s->doc, node, "master", link->master);
	expect_addresses(s, node, link->index, link->name);
	/* A port of a bridge is promiscuous because it is one. */
	if (link->promiscuity && !link->master &&
	    known->promiscuous_count < sizeof(known->promiscuous) / sizeof(uint32_t))
		known->promiscuous[known->promiscuous_count++] = link->index;
	known->kernel_udp |= !strcmp(link->kind, "wireguard") ||
			     !strcmp(link->kind, "vxlan") ||
			     !strcmp(link->kind, "geneve");
}

static void add_route(struct space *s, const struct net_link_route *route)
{
	static const char *const types[] = {
		NULL,	     NULL,	  "local",	 "broadcast", "anycast",
		"multicast", "blackhole", "unreachable", "prohibit",  "throw",
	};
	struct json_node *node = json_add_object(s->doc, s->routes, NULL);
	char text[NET_ADDRESS_SIZE];

	json_add_str(s->doc, node, "family", route->destination.v6 ? "inet6" : "inet");
	json_add_str(s->doc, node, "destination",
		     net_address_text(&route->destination, text));
	json_add_u64(s->doc, node, "prefix", route->prefix);
	if (route->has_gateway)
		json_add_str(s->doc, node, "gateway",
			     net_address_text(&route->gateway, text));
	if (route->interface)
		json_add_u64(s->doc, node, "interface", route->interface);
	json_add_u64(s->doc, node, "table", route->table);
	if (route->type < sizeof(types) / sizeof(types[0]) && types[route->type])
		json_add_str(s->doc, node, "kind", types[route->type]);
}

static void add_neighbour(struct space *s, const struct net_link_neighbour *neighbour)
{
	static const struct {
		uint16_t state;
		const char *name;
	} states[] = {
		{ NUD_INCOMPLETE, "INCOMPLETE" }, { NUD_REACHABLE, "REACHABLE" },
		{ NUD_STALE, "STALE" },		  { NUD_DELAY, "DELAY" },
		{ NUD_PROBE, "PROBE" },		  { NUD_FAILED, "FAILED" },
		{ NUD_NOARP, "NOARP" },		  { NUD_PERMANENT, "PERMANENT" },
	};
	struct json_node *node = json_add_object(s->doc, s->neighbours, NULL);
	char text[NET_ADDRESS_SIZE];

	json_add_str(s->doc, node, "address",
		     net_address_text(&neighbour->address, text));
	add_mac(s->doc, node, "mac", neighbour->mac, neighbour->mac_bytes);
	json_add_u64(s->doc, node, "interface", neighbour->interface);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (neighbour->state & states[i].state)
			json_add_str(s->doc, node, "state", states[i].name);
}

/* False, and remembered, when there is no room for one more. */
static bool room_for(struct space *s, size_t *count, size_t most)
{
	if (*count >= most) {
		s->truncated = true;
		return false;
	}
	(*count)++;
	return true;
}

static int add_item(void *context, const struct netdiag_item *item)
{
	struct space *s = context;
	struct json_node *addresses;

	switch (item->kind) {
	case NETDIAG_LINK:
		if (s->link_count < LINKS_MAX)
			add_link(s, &item->u.link);
		else
			s->truncated = true;
		break;
	case NETDIAG_ADDRESS:
		addresses = addresses_of(s, item->u.address.index);
		if (addresses)
			add_prefixed(s->doc, addresses, NULL, &item->u.address.address,
				     item->u.address.prefix);
		break;
	case NETDIAG_ROUTE:
		if (room_for(s, &s->route_count, ROUTES_MAX))
			add_route(s, &item->u.route);
		break;
	case NETDIAG_NEIGHBOUR:
		if (room_for(s, &s->neighbour_count, NEIGHBOURS_MAX))
			add_neighbour(s, &item->u.neighbour);
		break;
	case NETDIAG_SOCKET:
		break;
	}
	return 0;
}

static struct json *begin(const struct netns *ns, const struct netview *view,
			  struct space *s, struct err *err)
{
	struct json_node *root;

	s->doc = triage_record("namespace", err);
	if (!s->doc)
		return NULL;
	root = json_root(s->doc);
	json_add_str(s->doc, root, "kind", "net");
	json_add_u64(s->doc, root, "inode", ns->inode);
	json_add_u64(s->doc, root, "pids", ns->processes);
	if (view->pid)
		json_add_i64(s->doc, root, "pid", view->pid);
	if (ns->path)
		triage_add_text(s->doc, root, "held_by", ns->path, strlen(ns->path));
	s->interfaces = json_add_array(s->doc, root, "interfaces");
	s->routes = json_add_array(s->doc, root, "routes");
	s->neighbours = json_add_array(s->doc, root, "neighbours");
	s->link_count = s->route_count = s->neighbour_count = s->latest = 0;
	s->known->promiscuous_count = 0;
	return s->doc;
}

/* 0; 1 when something changed meanwhile; -1 with errno. */
static int by_netlink(struct space *s, struct netview *view)
{
	static const enum netdiag_kind kinds[] = { NETDIAG_LINK, NETDIAG_ADDRESS,
						   NETDIAG_ROUTE, NETDIAG_NEIGHBOUR };
	int interrupted = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct netdiag_state state = { .kind = kinds[i],
					       .sequence = view->sequence };
		int rc = netdiag_dump(view->route, &state, view->buf, add_item, s);

		view->sequence = state.sequence;
		if (rc < 0)
			return -1;
		interrupted |= state.interrupted;
	}
	return interrupted;
}

/* From the tables of text, which know of interfaces by their names. */
static void name_interface(struct json *doc, struct json_node *node, const char *name)
{
	triage_add_text(doc, node, "device", name, strlen(name));
}

static int device_line(void *context, const char *text, size_t len)
{
	struct space *s = context;
	struct net_device device;
	struct json_node *node;

	if (nettable_device(text, len, &device) < 0 || s->link_count >= LINKS_MAX)
		return 0;
	node = json_add_object(s->doc, s->interfaces, NULL);
	triage_add_text(s->doc, node, "name", device.name, strlen(device.name));
	expect_addresses(s, node, 0, device.name);
	return 0;
}

static int address_line(void *context, const char *text, size_t len)
{
	struct space *s = context;
	struct net_device_address address;

	if (nettable_address6(text, len, &address) < 0)
		return 0;
	for (size_t i = 0; i < s->link_count; i++)
		if (!strcmp(s->links[i].name, address.name))
			add_prefixed(s->doc, s->links[i].addresses, NULL,
				     &address.address, address.prefix);
	return 0;
}

static int route_line(void *context, const char *text, size_t len)
{
	struct space *s = context;
	struct net_route route;
	bool v6 = len > 32 && text[32] == ' ';
	struct json_node *node;
	char address[NET_ADDRESS_SIZE];

	if ((v6 ? nettable_route6(text, len, &route)
		: nettable_route(text, len, &route)) < 0 ||
	    !room_for(s, &s->route_count, ROUTES_MAX))
		return 0;
	node = json_add_object(s->doc, s->routes, NULL);
	json_add_str(s->doc, node, "family", v6 ? "inet6" : "inet");
	json_add_str(s->doc, node, "destination",
		     net_address_text(&route.destination, address));
	json_add_u64(s->doc, node, "prefix", route.prefix);
	if (route.has_gateway)
		json_add_str(s->doc, node, "gateway",
			     net_address_text(&route.gateway, address));
	name_interface(s->doc, node, route.name);
	return 0;
}

static int arp_line(void *context, const char *text, size_t len)
{
	struct space *s = context;
	struct net_neighbour neighbour;
	struct json_node *node;
	char address[NET_ADDRESS_SIZE];

	if (nettable_arp(text, len, &neighbour) < 0 ||
	    !room_for(s, &s->neighbour_count, NEIGHBOURS_MAX))
		return 0;
	node = json_add_object(s->doc, s->neighbours, NULL);
	json_add_str(s->doc, node, "address",
		     net_address_text(&neighbour.address, address));
	triage_add_text(s->doc, node, "mac", neighbour.mac, strlen(neighbour.mac));
	name_interface(s->doc, node, neighbour.name);
	return 0;
}

static void by_tables(struct space *s, const struct netview *view)
{
	static int (*const lines[TABLE_COUNT])(void *, const char *, size_t) = {
		[TABLE_DEV] = device_line,  [TABLE_IF_INET6] = address_line,
		[TABLE_ROUTE] = route_line, [TABLE_IPV6_ROUTE] = route_line,
		[TABLE_ARP] = arp_line,
	};

	for (int i = 0; i < TABLE_COUNT; i++)
		if (lines[i] && view->tables[i] >= 0)
			(void)netview_lines(view->tables[i], false, lines[i], s);
}

int network_namespace(struct triage *t, const struct netns *ns, struct netview *view,
		      struct netlinks *links, struct err *err)
{
	struct space s = { .known = links };
	int rc = -1, interrupted = -1, errnum = 0;

	if (!begin(ns, view, &s, err))
		return -1;
	for (int try = 0; view->route >= 0 && try < TRIES && interrupted; try++) {
		if (try) {
			json_free(s.doc);
			if (!begin(ns, view, &s, err))
				goto out;
		}
		interrupted = by_netlink(&s, view);
		if (interrupted < 0) {
			errnum = errno;
			break;
		}
	}
	if (interrupted < 0)
		by_tables(&s, view);
	if (interrupted > 0)
		json_add_bool(s.doc, json_root(s.doc), "interrupted", true);
	if (s.truncated)
		json_add_bool(s.doc, json_root(s.doc), "truncated", true);
	rc = triage_emit(t, s.doc, err);
	if (!rc && errnum) {
		char what[64];

		snprintf(what, sizeof(what), "interfaces of net:[%llu] over netlink",
			 (unsigned long long)ns->inode);
		rc = triage_unread(t, what, triage_reason_of(t, errnum), errnum, err);
	}
out:
	free(s.links);
	return rc;
}
