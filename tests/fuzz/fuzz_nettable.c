/* Paths of sockets stand in the kernel's tables as they are. The first byte picks one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/nettable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void socket_line(enum net_protocol protocol, const char *line, size_t len)
{
	struct net_socket socket;
	char text[NET_ADDRESS_SIZE];

	if (nettable_socket(protocol, line, len, &socket) < 0)
		return;
	if (socket.path_bytes &&
	    (socket.path < line || socket.path + socket.path_bytes != line + len))
		abort();
	(void)net_state_name(&socket);
	(void)net_kind_name(&socket);
	if (strlen(net_address_text(&socket.local, text)) >= sizeof(text))
		abort();
}

static void other_line(unsigned table, const char *line, size_t len)
{
	union {
		struct net_device device;
		struct net_device_address address;
		struct net_route route;
		struct net_neighbour neighbour;
		struct net_count count;
	} u;

	switch (table) {
	case 0:
		(void)nettable_device(line, len, &u.device);
		break;
	case 1:
		(void)nettable_address6(line, len, &u.address);
		break;
	case 2:
		if (nettable_route(line, len, &u.route) == 0 && u.route.prefix > 32)
			abort();
		break;
	case 3:
		if (nettable_route6(line, len, &u.route) == 0 && u.route.prefix > 128)
			abort();
		break;
	case 4:
		if (nettable_count(line, len, &u.count) == 0 &&
		    strnlen(u.count.name, sizeof(u.count.name)) == sizeof(u.count.name))
			abort();
		break;
	default:
		(void)nettable_arp(line, len, &u.neighbour);
		(void)nettable_heading(line, len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *line = (const char *)data + 1, *end = (const char *)data + len;

	if (!len)
		return 0;
	while (line < end) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t bytes = (size_t)((newline ? newline : end) - line);

		if (data[0] >= 'a' && data[0] < 'a' + NET_PROTOCOLS)
			socket_line((enum net_protocol)(data[0] - 'a'), line, bytes);
		else
			other_line(data[0] % 6, line, bytes);
		line += bytes + 1;
	}
	return 0;
}
