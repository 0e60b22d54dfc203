/*
 * What the kernel counts against what it shows: net/protocols has the number of sockets
 * of each protocol in a namespace, kept where a socket is hashed and unhashed, and who
 * leaves a line out of a table does not lower it. It is the third view where netlink
 * could only be asked by loading a module.
 *
 * Which socket it is, descriptors tell: one that leads to a socket of that protocol (by
 * the name that sockfs gives it, an extended attribute of /proc/PID/fd/N) and stands in
 * no table. That alone proves nothing: a socket that is not bound, or not connected any
 * more, is in no table either. It is not taken over by pidfd_getfd(2) to be asked, for
 * that changes it: see docs/triage-records.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/procfile.h"
#include "toolkit/triage/network.h"

/* As often the count must be the same before and after the table was read, and above
 * what that shows by as much; and how often that is tried. On a host that is so busy that
 * it never is, nothing is said. */
#define AGREEMENTS 8
#define TRIES 32

/* Tables that list each socket that is counted, by the names of their struct proto. Not
 * netlink's, which counts those that are not bound. */
static const char *const counted[NET_PROTOCOLS][2] = {
	[NET_TCP] = { "TCP" },
	[NET_TCP6] = { "TCPv6" },
	[NET_UDP] = { "UDP" },
	[NET_UDP6] = { "UDPv6" },
	[NET_RAW] = { "RAW" },
	[NET_RAW6] = { "RAWv6" },
	[NET_ICMP] = { "PING" },
	[NET_ICMP6] = { "PINGv6" },
	[NET_UNIX] = { "UNIX", "UNIX-STREAM" },
	[NET_PACKET] = { "PACKET" },
};

static bool is_named(enum net_protocol protocol, const char *name)
{
	for (size_t i = 0; i < 2; i++)
		if (counted[protocol][i] && !strcmp(counted[protocol][i], name))
			return true;
	return false;
}

static int count_line(void *context, const char *text, size_t len)
{
	int64_t *counts = context;
	struct net_count count;

	/* The heading has a word where a number is. */
	if (nettable_count(text, len, &count) < 0)
		return 0;
	for (int p = 0; p < NET_PROTOCOLS; p++)
		if (is_named((enum net_protocol)p, count.name))
			counts[p] += count.sockets;
	return 0;
}

static bool read_counts(const struct netview *view, int64_t counts[NET_PROTOCOLS])
{
	memset(counts, 0, NET_PROTOCOLS * sizeof(*counts));
	return view->tables[TABLE_PROTOCOLS] >= 0 &&
	       netview_lines(view->tables[TABLE_PROTOCOLS], false, count_line, counts) ==
		       0;
}

/* The socket that PID/fd/N leads to; 0: none. */
static uint64_t socket_at(const struct triage *t, const struct owner *owner)
{
	char path[48], link[64];
	ssize_t len;

	snprintf(path, sizeof(path), "%d/fd/%d", owner->pid, owner->fd);
	len = readlinkat(t->procfd, path, link, sizeof(link) - 1);
	if (len <= 0)
		return 0;
	link[len] = '\0';
	return strncmp(link, "socket:", 7) == 0 ? procfile_inode_of(link) : 0;
}

/* Does the descriptor lead to a socket of the protocol? Asked by the name of the link:
 * nobody's descriptor is opened or taken over. */
static bool leads_to(const struct triage *t, const struct owner *owner,
		     enum net_protocol protocol)
{
	char path[80], name[32];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%d/fd/%d", t->procfd, owner->pid,
		 owner->fd);
	len = getxattr(path, "system.sockprotoname", name, sizeof(name) - 1);
	if (len <= 0)
		return false;
	name[len] = '\0';
	return is_named(protocol, name) && socket_at(t, owner) == owner->inode;
}

/* Those of the namespace, or anybody's where nobody lives in it. */
static bool may_hold(const struct network *n, const struct owner *owner)
{
	const struct person *person = census_person(&n->t->census, owner->pid);

	return person && (!n->ns->processes || person->netns == n->ns->inode);
}

/* Descriptors that lead to sockets of the protocol that stood in no table so far. */
static void find_named(struct network *n, struct left_out *found)
{
	const struct census *census = &n->t->census;
	uint64_t last = 0;

	inodes_sort(&n->all);
	for (size_t i = 0; i < census->owner_count && !n->all.failed; i++) {
		const struct owner *owner = &census->owners[i];

		if (owner->inode == last || inodes_find(&n->all, owner->inode) ||
		    !may_hold(n, owner) || !leads_to(n->t, owner, found->protocol))
			continue;
		last = owner->inode;
		if (found->named_count < LEFT_OUT_NAMED)
			found->named[found->named_count++] = *owner;
		else
			found->more = true;
	}
}

static void forget(struct left_out *found, size_t i)
{
	found->named[i] = found->named[--found->named_count];
}

static int see_named(void *context, const struct net_socket *socket)
{
	struct left_out *found = context;

	for (size_t i = 0; i < found->named_count; i++)
		if (found->named[i].inode == socket->inode)
			forget(found, i--);
	return 0;
}

enum agreement { DIFFERENT, VOID, SAME };

/* One more look: the count, the table, the count. */
static enum agreement look(struct network *n, struct left_out *found)
{
	struct netwalk walk = { .each = see_named, .context = found };
	int64_t before[NET_PROTOCOLS], after[NET_PROTOCOLS], shown, excess;
	enum net_protocol p = found->protocol;

	if (!read_counts(n->view, before) || netview_table(n->view, p, &walk) != 0 ||
	    !read_counts(n->view, after))
		return DIFFERENT;
	if (before[p] != after[p])
		return VOID;
	shown = (int64_t)walk.shown;
	excess = found->counted - found->shown;
	if (before[p] <= shown || (excess && before[p] - shown != excess))
		return DIFFERENT;
	found->counted = before[p];
	found->shown = shown;
	return SAME;
}

static bool is_so(struct network *n, struct left_out *found)
{
	unsigned same = 0;

	for (unsigned i = 0; i < TRIES && same < AGREEMENTS; i++) {
		struct timespec pause = { .tv_nsec = INT64_C(500000) << (i < 4 ? i : 4) };
		enum agreement now;

		nanosleep(&pause, NULL);
		now = look(n, found);
		if (now == DIFFERENT)
			return false;
		same += now == SAME;
	}
	for (size_t i = 0; i < found->named_count; i++)
		if (socket_at(n->t, &found->named[i]) != found->named[i].inode)
			forget(found, i--);
	return same == AGREEMENTS;
}

/* A unix socket that was closed is counted until what it sent was read: its count is no
 * proof, and says nothing at all without a descriptor that leads to one. */
static bool outlives(enum net_protocol protocol)
{
	return protocol == NET_UNIX;
}

int network_counts(struct network *n)
{
	int64_t counts[NET_PROTOCOLS];

	if (!n->t->live || !read_counts(n->view, counts))
		return 0;
	for (int p = 0; p < NET_PROTOCOLS; p++) {
		struct left_out *found = &n->left_out[n->left_out_count];

		if (!n->walked[p] || n->told[p] || counts[p] <= (int64_t)n->shown[p] ||
		    n->left_out_count == LEFT_OUT_MAX)
			continue;
		*found = (struct left_out){ .netns = n->ns->inode,
					    .protocol = (enum net_protocol)p };
		find_named(n, found);
		if ((found->named_count || !outlives(found->protocol)) && is_so(n, found))
			n->left_out_count++;
	}
	return 0;
}

static void add_named(struct json *doc, struct json_node *in,
		      const struct left_out *found)
{
	struct json_node *list = json_add_array(doc, in, "descriptors");
	char text[48];

	for (size_t i = 0; i < found->named_count; i++) {
		snprintf(text, sizeof(text), "%d/fd/%d", found->named[i].pid,
			 found->named[i].fd);
		json_add_str(doc, list, NULL, text);
	}
}

/* Who holds it, for a sentence. */
static void shown_holder(const struct triage *t, const struct owner *owner, char *buf,
			 size_t size)
{
	const struct person *person = census_person(&t->census, owner->pid);
	char comm[80] = "";

	if (person)
		triage_shown(person->comm, person->comm_len, comm, sizeof(comm));
	snprintf(buf, size, "%s (pid %d) holds as descriptor %d", comm, owner->pid,
		 owner->fd);
}

/* The sentence: what is counted and shown, and what may be missing. */
static void say_left_out(const struct network *n, const struct left_out *found,
			 char *text, size_t size)
{
	int64_t excess = found->counted - found->shown;
	size_t named = found->named_count;
	char who[160];
	int len = snprintf(text, size,
			   "The kernel counts %lld sockets in a network namespace whose "
			   "/proc/net/%s shows %lld.",
			   (long long)found->counted, net_protocol_name(found->protocol),
			   (long long)found->shown);

	if (!named || len < 0 || (size_t)len >= size)
		return;
	shown_holder(n->t, &found->named[0], who, sizeof(who));
	text += len;
	size -= (size_t)len;
	if (named == 1)
		snprintf(text, size, " Not there is the one that %s.", who);
	else if ((int64_t)named <= excess && !found->more)
		snprintf(text, size, " Not there are %zu, as the one that %s.", named,
			 who);
	else
		snprintf(text, size,
			 " Not there are %s%zu, as the one that %s; some of them may not "
			 "be bound.",
			 found->more ? "more than " : "", named, who);
}

static int emit_left_out(struct network *n, const struct left_out *found)
{
	size_t named = found->named_count;
	struct json_node *subject, *evidence;
	struct json *doc;
	char text[480];

	say_left_out(n, found, text, sizeof(text));
	doc = named && !outlives(found->protocol)
		      ? triage_finding(n->t, "hidden_socket", SEVERITY_HIGH, text,
				       &subject, &evidence, n->err)
		      : triage_lead(n->t, "hidden_socket", text, &subject, &evidence,
				    n->err);
	if (doc) {
		json_add_u64(doc, subject, "netns", found->netns);
		if (named == 1)
			json_add_u64(doc, subject, "inode", found->named[0].inode);
		json_add_i64(doc, evidence, "proc", found->shown);
		json_add_i64(doc, evidence, "counted", found->counted);
		add_named(doc, evidence, found);
		json_add_u64(doc, json_root(doc), "rechecked", AGREEMENTS);
	}
	return triage_emit(n->t, doc, n->err);
}

int network_counts_end(struct network *n)
{
	inodes_sort(&n->all);
	for (size_t i = 0; i < n->left_out_count; i++) {
		struct left_out *found = &n->left_out[i];

		/* It may stand in a table of another namespace. */
		for (size_t j = 0; j < found->named_count; j++)
			if (inodes_find(&n->all, found->named[j].inode))
				forget(found, j--);
		if ((found->named_count || !outlives(found->protocol)) &&
		    emit_left_out(n, found) < 0)
			return -1;
	}
	return 0;
}
