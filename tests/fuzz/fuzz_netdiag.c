/* Netlink messages. The first byte picks what was asked for. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/netdiag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t *begin, *end;
static size_t told;

/* What is told of lies within what was received. */
static int each(void *context, const struct netdiag_item *item)
{
	const struct net_socket *socket = &item->u.socket;
	const uint8_t *path = (const uint8_t *)socket->path;

	(void)context;
	told++;
	if (item->kind == NETDIAG_SOCKET && socket->path_bytes &&
	    (path < begin || path + socket->path_bytes > end))
		abort();
	if (item->kind == NETDIAG_LINK &&
	    (!memchr(item->u.link.name, '\0', 16) ||
	     !memchr(item->u.link.kind, '\0', 16) || item->u.link.mac_bytes > 32))
		abort();
	if (item->kind == NETDIAG_NEIGHBOUR && item->u.neighbour.mac_bytes > 32)
		abort();
	return told > 100000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct netdiag_state state = { .sequence = 1 };

	if (!len)
		return 0;
	if (data[0] >= 'A' && data[0] <= 'D')
		state.kind = (enum netdiag_kind)(NETDIAG_LINK + data[0] - 'A');
	else
		state.protocol = (enum net_protocol)(data[0] % NET_PROTOCOLS);
	begin = data + 1;
	end = data + len;
	told = 0;
	(void)netdiag_walk(&state, begin, len - 1, each, NULL);
	return 0;
}
