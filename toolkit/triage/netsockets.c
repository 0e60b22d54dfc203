/*
 * The sockets of a protocol, as one view shows them, and what the other shows besides or
 * does not. Of the other view only the inodes are kept. A socket that only one of them
 * shows is looked for again three times, in both: sockets come and go.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "toolkit/triage/network.h"

#define SUSPECTS_MAX 512
#define ROUNDS 3

/* A socket that one view alone showed so far. */
struct suspect {
	uint64_t inode;
	unsigned shown_by, now; /* SHOWN_BY_ */
	char text[128];
};

struct comparison {
	struct network *n;
	enum net_protocol protocol;
	/* The view that records are made of, and the other. */
	unsigned first, other;
	struct inodes inodes; /* that the other shows */
	bool comparable;
	struct suspect *suspects;
	size_t suspect_count;
	unsigned round_view; /* which view a round looks at */
};

/*
 * In every view, or in none for good reasons: no inode means that no descriptor leads
 * there. A netlink socket that was never bound joins groups without being hashed, and
 * only netlink shows it.
 */
static bool compared(const struct net_socket *socket)
{
	return socket->inode && (socket->protocol != NET_NETLINK || socket->port_id != 0);
}

static int keep_inode(void *context, const struct net_socket *socket)
{
	struct comparison *c = context;

	if (compared(socket))
		inodes_keep(&c->inodes, socket->inode);
	return 0;
}

static int walk(struct comparison *c, unsigned view, netview_each *each)
{
	struct netwalk walk = { .each = each, .context = c };
	int rc = view == SHOWN_BY_PROC ? netview_table(c->n->view, c->protocol, &walk)
				       : netview_dump(c->n->view, c->protocol, &walk);

	if (walk.refused && view == c->first)
		c->n->refused[c->protocol] += walk.refused;
	if (view == SHOWN_BY_PROC) {
		c->n->walked[c->protocol] = rc == 0;
		c->n->shown[c->protocol] = walk.shown;
	}
	return rc;
}

static void suspect(struct comparison *c, uint64_t inode, unsigned shown_by)
{
	if (!c->suspects)
		c->suspects = malloc(SUSPECTS_MAX * sizeof(*c->suspects));
	if (c->suspects && c->suspect_count < SUSPECTS_MAX)
		c->suspects[c->suspect_count++] =
			(struct suspect){ .inode = inode, .shown_by = shown_by };
}

/* Is it one that a descriptor ought to lead to? Bound sockets, and those that are
 * connected; unix and netlink sockets have other reasons to be alone. */
static bool ought_to_be_owned(const struct net_socket *socket)
{
	if (!socket->inode || socket->protocol >= NET_UNIX)
		return socket->inode && socket->protocol == NET_PACKET;
	if (socket->protocol <= NET_TCP6)
		return socket->state == NET_LISTEN || socket->state == NET_ESTABLISHED;
	return true;
}

static void note_unowned(struct network *n, const struct net_socket *socket)
{
	struct unowned *u;
	size_t owners;

	if (!n->ns->fds_read || n->t->census.failed || !ought_to_be_owned(socket) ||
	    census_owners(&n->t->census, socket->inode, &owners) ||
	    n->unowned_count == UNOWNED_MAX)
		return;
	u = &n->unowned[n->unowned_count++];
	*u = (struct unowned){ .netns = n->ns->inode,
			       .inode = socket->inode,
			       .protocol = socket->protocol };
	u->kernel_likely = n->links.kernel_udp &&
			   (socket->protocol == NET_UDP || socket->protocol == NET_UDP6);
	network_shown(socket, u->text, sizeof(u->text));
}

static int emit(struct comparison *c, const struct net_socket *socket, unsigned shown_by)
{
	if (network_emit_socket(c->n, socket, shown_by) < 0 ||
	    network_sniffer(c->n, socket) < 0)
		return 1;
	note_unowned(c->n, socket);
	return 0;
}

static int emit_first(void *context, const struct net_socket *socket)
{
	struct comparison *c = context;
	unsigned shown_by = c->first;

	if (c->comparable && compared(socket)) {
		uint64_t *other = inodes_find(&c->inodes, socket->inode);

		if (other) {
			*other |= INODE_SEEN;
			shown_by |= c->other;
		} else {
			suspect(c, socket->inode, c->first);
		}
	}
	return emit(c, socket, shown_by);
}

/* What the other view alone showed. */
static int emit_other(void *context, const struct net_socket *socket)
{
	struct comparison *c = context;
	uint64_t *known =
		compared(socket) ? inodes_find(&c->inodes, socket->inode) : NULL;

	if (!known || *known & INODE_SEEN)
		return 0;
	*known |= INODE_SEEN;
	suspect(c, socket->inode, c->other);
	return emit(c, socket, c->other);
}

static bool any_unseen(const struct inodes *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (!(set->items[i] & INODE_SEEN))
			return true;
	return false;
}

static int see_again(void *context, const struct net_socket *socket)
{
	struct comparison *c = context;

	for (size_t i = 0; i < c->suspect_count; i++) {
		struct suspect *s = &c->suspects[i];

		if (s->inode != socket->inode)
			continue;
		s->now |= c->round_view;
		network_shown(socket, s->text, sizeof(s->text));
	}
	return 0;
}

/* One more look at both views, the one that did not show them last. Leaves those that
 * are still shown by the same one alone. */
static int look_again(struct comparison *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->suspect_count; i++)
		c->suspects[i].now = 0;
	for (unsigned view = SHOWN_BY_PROC; view <= SHOWN_BY_NETLINK; view++) {
		int rc;

		c->round_view = view;
		rc = walk(c, view, see_again);
		if (rc)
			return rc;
	}
	for (size_t i = 0; i < c->suspect_count; i++)
		if (c->suspects[i].now == c->suspects[i].shown_by)
			c->suspects[kept++] = c->suspects[i];
	c->suspect_count = kept;
	return 0;
}

static int emit_hidden(struct comparison *c, const struct suspect *s)
{
	struct triage *t = c->n->t;
	bool by_proc = s->shown_by == SHOWN_BY_PROC;
	struct json_node *subject, *evidence;
	struct json *doc;
	char text[320];

	snprintf(text, sizeof(text),
		 by_proc ? "The socket %s stands in /proc, but the kernel does not tell "
			   "of it over netlink."
			 : "The socket %s is told of over netlink, but does not stand in "
			   "/proc/net.",
		 s->text);
	doc = triage_finding(t, "hidden_socket", SEVERITY_HIGH, text, &subject, &evidence,
			     c->n->err);
	if (doc) {
		json_add_u64(doc, subject, "netns", c->n->ns->inode);
		json_add_u64(doc, subject, "inode", s->inode);
		json_add_str(doc, evidence, "proc", by_proc ? s->text : "not shown");
		json_add_str(doc, evidence, "netlink", by_proc ? "not shown" : s->text);
		json_add_u64(doc, json_root(doc), "rechecked", ROUNDS);
	}
	return triage_emit(t, doc, c->n->err);
}

static int settle(struct comparison *c)
{
	/* As short as a socket's life may be, then longer than the gap between reading
	 * one page of a table and the next. */
	static const long pause_ns[ROUNDS] = { 500000, 3000000, 10000000 };

	for (int round = 0; round < ROUNDS && c->suspect_count; round++) {
		struct timespec pause = { .tv_nsec = pause_ns[round] };

		nanosleep(&pause, NULL);
		if (look_again(c))
			return 0; /* A view that ends says nothing. */
	}
	c->n->told[c->protocol] = c->suspect_count > 0;
	for (size_t i = 0; i < c->suspect_count; i++)
		if (emit_hidden(c, &c->suspects[i]) < 0)
			return -1;
	return 0;
}

static int unread(struct network *n, enum net_protocol protocol, bool netlink, int errnum)
{
	char what[96];

	snprintf(what, sizeof(what), "%s of net:[%llu]%s", net_protocol_name(protocol),
		 (unsigned long long)n->ns->inode, netlink ? " over netlink" : "");
	return triage_unread(n->t, what, triage_reason_of(n->t, errnum), errnum, n->err);
}

/* Whether netlink is to be asked: it can answer, and it has not refused before. */
static bool netlink_asked(const struct network *n, enum net_protocol protocol)
{
	/* UDP-Lite is going out of the kernel: where its table is gone, so is what
	 * answers for it, and modprobe would be run. */
	bool lite = protocol == NET_UDPLITE || protocol == NET_UDPLITE6;

	return n->view->diag >= 0 && n->modules->there[protocol] &&
	       (!lite || n->view->sockets[protocol] >= 0);
}

static int compare(struct comparison *c)
{
	struct network *n = c->n;
	int rc;

	if (c->other) {
		rc = walk(c, c->other, keep_inode);
		if (rc < 0 &&
		    unread(n, c->protocol, c->other == SHOWN_BY_NETLINK, errno) < 0)
			return -1;
		inodes_sort(&c->inodes);
		c->comparable = rc == 0 && !c->inodes.failed;
	}
	rc = walk(c, c->first, emit_first);
	if (rc > 0)
		return -1;
	if (rc < 0) {
		c->comparable = false;
		return unread(n, c->protocol, c->first == SHOWN_BY_NETLINK, errno);
	}
	if (c->comparable && any_unseen(&c->inodes) && walk(c, c->other, emit_other) > 0)
		return -1;
	return c->comparable ? settle(c) : 0;
}

int network_sockets(struct network *n, enum net_protocol protocol)
{
	struct comparison c = { .n = n, .protocol = protocol };
	bool table = n->view->sockets[protocol] >= 0;
	bool netlink = netlink_asked(n, protocol);
	int rc;

	if (!table && !netlink)
		return 0;
	c.first = table ? SHOWN_BY_PROC : SHOWN_BY_NETLINK;
	if (table && netlink)
		c.other = SHOWN_BY_NETLINK;
	/* Of a unix socket netlink knows its name to the byte, its owner and its peer. */
	if (protocol == NET_UNIX && c.other) {
		c.first = SHOWN_BY_NETLINK;
		c.other = SHOWN_BY_PROC;
	}
	rc = compare(&c);
	free(c.inodes.items);
	free(c.suspects);
	return rc;
}
