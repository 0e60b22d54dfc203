/* The sockets of every network namespace, and what the namespaces are made of. */
#include "toolkit/triage/network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/host.h"

/* One record for each module that would have to be loaded. */
static int unread_modules(struct triage *t, const struct netmodules *modules,
			  struct err *err)
{
	const char *said[NET_PROTOCOLS];
	size_t count = 0;

	for (int p = 0; p < NET_PROTOCOLS; p++) {
		const char *module = netdiag_module((enum net_protocol)p);
		char what[64];
		bool known = !module || modules->there[p];

		for (size_t i = 0; i < count; i++)
			known |= said[i] == module;
		if (known)
			continue;
		said[count++] = module;
		snprintf(what, sizeof(what), "sockets over netlink: %s is not loaded",
			 module);
		if (triage_unread(t, what, REASON_WOULD_CHANGE_HOST, 0, err) < 0)
			return -1;
	}
	return 0;
}

static int unread_space(struct triage *t, const struct netns *ns, const char *what,
			int errnum, struct err *err)
{
	char text[96];

	snprintf(text, sizeof(text), "%snet:[%llu]", what, (unsigned long long)ns->inode);
	return triage_unread(t, text, triage_reason_of(t, errnum), errnum, err);
}

/* Lines that the kernel did not write: a bound path that holds a newline makes some. */
static int unread_lines(struct network *n)
{
	for (int p = 0; p < NET_PROTOCOLS; p++) {
		char what[128];

		if (!n->refused[p])
			continue;
		snprintf(what, sizeof(what),
			 "%llu lines or messages of %s of net:[%llu] that make no sense",
			 (unsigned long long)n->refused[p],
			 net_protocol_name((enum net_protocol)p),
			 (unsigned long long)n->ns->inode);
		if (triage_unread(n->t, what, REASON_ERROR, 0, n->err) < 0)
			return -1;
	}
	return 0;
}

static int read_space(struct network *n)
{
	struct triage *t = n->t;
	size_t first = n->unowned_count;

	if (n->view->netlink_errno &&
	    unread_space(t, n->ns, "netlink of ", n->view->netlink_errno, n->err) < 0)
		return -1;
	if (network_namespace(t, n->ns, n->view, &n->links, n->err) < 0)
		return -1;
	for (int p = 0; p < NET_PROTOCOLS; p++)
		if (network_sockets(n, (enum net_protocol)p) < 0)
			return -1;
	if (network_counts(n) < 0 || network_unowned_again(n, first) < 0)
		return -1;
	return unread_lines(n);
}

static int read_spaces(struct network *n, const struct netns_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct netview view;
		int rc;

		n->ns = &list->items[i];
		n->view = &view;
		n->links = (struct netlinks){ 0 };
		memset(n->refused, 0, sizeof(n->refused));
		memset(n->walked, 0, sizeof(n->walked));
		memset(n->told, 0, sizeof(n->told));
		if (netview_open(n->t, n->ns, n->buf, &view) < 0)
			rc = unread_space(n->t, n->ns, "", errno, n->err);
		else
			rc = read_space(n);
		netview_close(&view);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* Processes whose namespace may not be seen could live anywhere. */
static int unread_processes(struct triage *t, struct err *err)
{
	size_t unknown = 0;
	char what[96];

	for (size_t i = 0; i < t->census.person_count; i++)
		unknown += !t->census.persons[i].netns &&
			   !t->census.persons[i].kernel_thread;
	/* With CAP_SYS_PTRACE they are zombies, which live nowhere. */
	if (!unknown || triage_may(t, HOST_CAP_SYS_PTRACE))
		return 0;
	snprintf(what, sizeof(what), "the network namespaces of %zu processes", unknown);
	return triage_unread(t, what, triage_reason_of(t, EACCES), EACCES, err);
}

int collect_network(struct triage *t, struct err *err)
{
	struct netns_list list = { 0 };
	struct netmodules modules;
	struct network n = { .t = t, .modules = &modules, .err = err };
	int rc = -1;

	n.unowned = malloc(UNOWNED_MAX * sizeof(*n.unowned));
	n.left_out = malloc(LEFT_OUT_MAX * sizeof(*n.left_out));
	n.buf = malloc(NETDIAG_BUFFER_BYTES);
	if (!n.unowned || !n.left_out || !n.buf) {
		err_sys(err, ENOMEM, "reading network namespaces");
		goto out;
	}
	netmodules_read(t, &modules);
	netns_find(t, &list);
	if (list.failed && triage_unread(t, "some network namespaces", REASON_TOO_LARGE,
					 ENOMEM, err) < 0)
		goto out;
	if (t->live && unread_modules(t, &modules, err) < 0)
		goto out;
	if (unread_processes(t, err) < 0 || read_spaces(&n, &list) < 0 ||
	    network_counts_end(&n) < 0 || network_unowned_end(&n) < 0)
		goto out;
	rc = 0;
out:
	netns_free(&list);
	free(n.unowned);
	free(n.left_out);
	free(n.all.items);
	free(n.buf);
	return rc;
}
