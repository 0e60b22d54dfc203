/* Sockets as records, and findings that are made of one socket alone. */
#include <stdio.h>
#include <string.h>

#include "toolkit/triage/network.h"

static bool has_addresses(const struct net_socket *socket)
{
	return socket->protocol < NET_UNIX;
}

static void add_address(struct json *doc, struct json_node *in, const char *key,
			const struct net_address *address)
{
	struct json_node *node = json_add_object(doc, in, key);
	char text[NET_ADDRESS_SIZE];

	json_add_str(doc, node, "address", net_address_text(address, text));
	json_add_u64(doc, node, "port", address->port);
}

static void add_owners(const struct triage *t, struct json *doc, uint64_t inode)
{
	struct json_node *owners = json_add_array(doc, json_root(doc), "owners");
	size_t count = 0;
	const struct owner *owner =
		inode ? census_owners(&t->census, inode, &count) : NULL;

	for (size_t i = 0; i < count; i++) {
		const struct person *person = census_person(&t->census, owner[i].pid);
		struct json_node *node = json_add_object(doc, owners, NULL);

		json_add_i64(doc, node, "pid", owner[i].pid);
		if (person)
			json_add_u64(doc, node, "start_ticks", person->start_ticks);
		json_add_i64(doc, node, "fd", owner[i].fd);
	}
}

/* The bound name; an abstract one with "@" in place of its first NUL, and the rest as it
 * is. */
static void add_path(struct json *doc, const struct net_socket *socket)
{
	char path[256];
	size_t len =
		socket->path_bytes < sizeof(path) ? socket->path_bytes : sizeof(path);

	if (!len)
		return;
	memcpy(path, socket->path, len);
	if (socket->abstract)
		path[0] = '@';
	triage_add_text(doc, json_root(doc), "path", path, len);
}

int network_emit_socket(struct network *n, const struct net_socket *socket,
			unsigned shown_by)
{
	struct json *doc = triage_record("socket", n->err);
	struct json_node *root = doc ? json_root(doc) : NULL, *views;
	const char *state = net_state_name(socket), *kind = net_kind_name(socket);

	n->t->sockets++;
	if (socket->inode)
		inodes_keep(&n->all, socket->inode);
	if (!doc)
		return -1;
	json_add_u64(doc, root, "netns", n->ns->inode);
	json_add_str(doc, root, "protocol", net_protocol_name(socket->protocol));
	if (has_addresses(socket)) {
		add_address(doc, root, "local", &socket->local);
		add_address(doc, root, "remote", &socket->remote);
	}
	if (state)
		json_add_str(doc, root, "state", state);
	if (socket->has_uid)
		json_add_u64(doc, root, "uid", socket->uid);
	json_add_u64(doc, root, "inode", socket->inode);
	if (socket->peer)
		json_add_u64(doc, root, "peer", socket->peer);
	if (kind)
		json_add_str(doc, root, "kind", kind);
	if (socket->protocol == NET_UNIX)
		add_path(doc, socket);
	if (socket->protocol == NET_PACKET) {
		json_add_u64(doc, root, "interface", socket->interface);
		triage_add_hex(doc, root, "ethertype", socket->ethertype);
	}
	add_owners(n->t, doc, socket->inode);
	views = json_add_array(doc, root, "views");
	if (shown_by & SHOWN_BY_PROC)
		json_add_str(doc, views, NULL, "proc");
	if (shown_by & SHOWN_BY_NETLINK)
		json_add_str(doc, views, NULL, "netlink");
	return triage_emit(n->t, doc, n->err);
}

void network_shown(const struct net_socket *socket, char *text, size_t size)
{
	const char *name = net_protocol_name(socket->protocol);
	char local[NET_ADDRESS_SIZE], remote[NET_ADDRESS_SIZE], path[96];

	if (socket->protocol == NET_UNIX) {
		snprintf(text, size, "%s %s", name,
			 socket->path_bytes
				 ? triage_shown(socket->path, socket->path_bytes, path,
						sizeof(path))
				 : "without a name");
		return;
	}
	if (!has_addresses(socket)) {
		snprintf(text, size, "%s", name);
		return;
	}
	net_address_text(&socket->local, local);
	net_address_text(&socket->remote, remote);
	if (net_address_any(&socket->remote) && !socket->remote.port)
		snprintf(text, size, socket->local.v6 ? "%s [%s]:%u" : "%s %s:%u", name,
			 local, socket->local.port);
	else
		snprintf(text, size,
			 socket->local.v6 ? "%s [%s]:%u to [%s]:%u" : "%s %s:%u to %s:%u",
			 name, local, socket->local.port, remote, socket->remote.port);
}

/* Who holds it, for a sentence: "dhclient (pid 12)". */
static const char *holder(const struct triage *t, uint64_t inode, char *buf, size_t size)
{
	size_t count;
	const struct owner *owner = census_owners(&t->census, inode, &count);
	const struct person *person =
		owner ? census_person(&t->census, owner->pid) : NULL;
	char comm[80];

	if (!owner)
		return "nobody whose descriptors could be read";
	if (person)
		triage_shown(person->comm, person->comm_len, comm, sizeof(comm));
	else
		comm[0] = '\0';
	snprintf(buf, size, "%s (pid %d)", comm, owner->pid);
	return buf;
}

static bool reads_promiscuous(const struct network *n, const struct net_socket *socket)
{
	for (size_t i = 0; i < n->links.promiscuous_count; i++)
		if (!socket->interface || socket->interface == n->links.promiscuous[i])
			return true;
	return false;
}

int network_sniffer(struct network *n, const struct net_socket *socket)
{
	bool packet = socket->protocol == NET_PACKET, promiscuous;
	struct json_node *subject, *evidence;
	char text[320], who[120], what[80];
	struct json *doc;

	if (!packet && socket->protocol != NET_RAW && socket->protocol != NET_RAW6)
		return 0;
	promiscuous = packet && reads_promiscuous(n, socket);
	if (packet)
		snprintf(what, sizeof(what), "packets of ethertype %04x",
			 socket->ethertype);
	else
		snprintf(what, sizeof(what), "every packet of IP protocol %u",
			 socket->local.port);
	snprintf(text, sizeof(text), "%s holds a %s socket, which gets %s%s.",
		 holder(n->t, socket->inode, who, sizeof(who)), packet ? "packet" : "raw",
		 what,
		 promiscuous ? ", also those meant for others: the interface is "
			       "promiscuous"
			     : "");
	/* A sentence begins with a capital only where no name stands first. */
	if (!strncmp(text, "nobody", 6))
		text[0] = 'N';
	doc = triage_finding(n->t, packet ? "packet_socket" : "raw_socket",
			     promiscuous ? SEVERITY_MEDIUM : SEVERITY_LOW, text, &subject,
			     &evidence, n->err);
	if (doc) {
		json_add_u64(doc, subject, "netns", n->ns->inode);
		json_add_u64(doc, subject, "inode", socket->inode);
		if (packet)
			json_add_u64(doc, evidence, "interface", socket->interface);
		json_add_bool(doc, evidence, "promiscuous", promiscuous);
		json_add_u64(doc, json_root(doc), "rechecked", 0);
	}
	return triage_emit(n->t, doc, n->err);
}
