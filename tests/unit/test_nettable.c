/* The kernel's tables of sockets, interfaces and routes, line by line. */
#include "tests/unit/check.h"
#include "toolkit/lib/nettable.h"

static struct net_socket got;

static int socket_of(enum net_protocol protocol, const char *line)
{
	return nettable_socket(protocol, line, strlen(line), &got);
}

static const char *shown(const struct net_address *address)
{
	static char text[NET_ADDRESS_SIZE];

	return net_address_text(address, text);
}

static const char *ip6(const char *digits)
{
	struct net_device_address address;
	char line[96];

	snprintf(line, sizeof(line), "%s 01 80 10 80 lo", digits);
	return nettable_address6(line, strlen(line), &address) ? "refused"
							       : shown(&address.address);
}

static void inet(void)
{
	CHECK(socket_of(NET_TCP,
			"   0: 0100007F:1F90 0200000A:0016 0A 00000000:00000000 "
			"00:00000000 00000000  1000        0 12345 1 "
			"0000000000000000 100 0 0 10 0                     ") == 0);
	CHECK_STR(shown(&got.local), "127.0.0.1");
	CHECK(got.local.port == 8080);
	CHECK_STR(shown(&got.remote), "10.0.0.2");
	CHECK(got.remote.port == 22);
	CHECK_STR(net_state_name(&got), "LISTEN");
	CHECK(got.has_uid && got.uid == 1000 && got.inode == 12345);
	/* A timeout below zero, an inode above 32 bits, a slot of many digits. */
	CHECK(socket_of(NET_UDP, "12345678: 00000000:0044 00000000:0000 07 "
				 "00000000:00000000 00:00000000 00000000     0       -1 "
				 "4294967296 2 0000000000000000 0") == 0);
	CHECK(got.inode == 4294967296 && got.local.port == 68);
	CHECK(!net_state_name(&got));
	CHECK(socket_of(NET_TCP6, "   1: 0000000000000000FFFF00000100007F:0050 "
				  "B80D0120000000000000000001000000:01BB 01 "
				  "00000000:00000000 02:000A7214 00000000    33        0 "
				  "77 2 0000000000000000 20 4 31 10 -1") == 0);
	CHECK_STR(shown(&got.local), "::ffff:127.0.0.1");
	CHECK_STR(shown(&got.remote), "2001:db8::1");
	CHECK_STR(net_state_name(&got), "ESTABLISHED");
}

static void inet_refused(void)
{
	static const char *const lines[] = {
		"",
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when",
		/* no slot */
		"0100007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0 12345",
		/* too short, too long, no port, no hexadecimal digit */
		"0: 100007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0 12345",
		"0: 00100007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0 12345",
		"0: 0100007F 00000000:0000 0A 0:0 00:0 0 0 0 12345",
		"0: 0100007G:1F90 00000000:0000 0A 0:0 00:0 0 0 0 12345",
		"0: 0100007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0",
		"0: 0100007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0 -1",
		"0: 0100007F:1F90 00000000:0000 0A 0:0 00:0 0 4294967296 0 1",
		"0: 0100007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0 18446744073709551616",
		"0: 0100007F:1F90 00000000:0000 100 0:0 00:0 0 0 0 1",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		CHECK(socket_of(NET_TCP, lines[i]) == -1);
	CHECK(nettable_heading(lines[1], strlen(lines[1])));
	CHECK(!nettable_heading("  0: 0100007F:1F90", 18));
	CHECK(nettable_heading("Inter-|   Receive", 17));
	CHECK(nettable_heading("Num       RefCount", 18));
}

static void unix_sockets(void)
{
	CHECK(socket_of(NET_UNIX, "0000000000000000: 00000002 00000000 00010000 0001 01 "
				  "20434 /run/a b\t\x01\xff ") == 0);
	CHECK(got.path_bytes == 12 && !memcmp(got.path, "/run/a b\t\x01\xff ", 12));
	CHECK(!got.abstract && got.inode == 20434);
	CHECK_STR(net_state_name(&got), "LISTEN");
	CHECK_STR(net_kind_name(&got), "stream");
	CHECK(socket_of(NET_UNIX, "ffff88003c1dcc00: 00000003 00000000 00000000 0005 03 "
				  "7 @abs@x") == 0);
	CHECK(got.abstract && got.path_bytes == 6);
	CHECK_STR(net_state_name(&got), "ESTABLISHED");
	CHECK_STR(net_kind_name(&got), "seqpacket");
	CHECK(socket_of(NET_UNIX, "0: 00000002 00000000 00000000 0002 01 20434") == 0);
	CHECK(got.path_bytes == 0);
	CHECK_STR(net_state_name(&got), "UNCONNECTED");
	CHECK(socket_of(NET_UNIX, "/run/x: 00000002 0 0 0002 01 20434") == -1);
	CHECK(socket_of(NET_UNIX, "0: 00000002 0 0 0002 05 20434") == -1);
	CHECK(socket_of(NET_UNIX, "0: 00000002 0 0 0002 01") == -1);
}

static void packet_and_netlink(void)
{
	CHECK(socket_of(NET_PACKET, "0000000000000000 3      3    0003   2     1 0      "
				    "1000   28421") == 0);
	CHECK(got.kind == 3 && got.ethertype == 3 && got.interface == 2);
	CHECK(got.uid == 1000 && got.inode == 28421);
	CHECK(socket_of(NET_NETLINK,
			"0000000000000000 15  612        00000002 0        0        0 "
			"   2        0        18127   ") == 0);
	CHECK_STR(net_kind_name(&got), "kobject_uevent");
	CHECK(got.port_id == 612 && got.inode == 18127);
	CHECK(socket_of(NET_PACKET, "0 3 3 0003 -1 1 0 1000 28421") == -1);
	CHECK(socket_of(NET_NETLINK, "0 15 612 2 0 0 0 2 0") == -1);
}

static void addresses(void)
{
	CHECK_STR(ip6("00000000000000000000000000000000"), "::");
	CHECK_STR(ip6("00000000000000000000000000000001"), "::1");
	CHECK_STR(ip6("fe800000000000000000000000000000"), "fe80::");
	/* One group of zeros stays; of two runs the longer is cut, of equals the first.
	 */
	CHECK_STR(ip6("20010db8000000010001000100010001"), "2001:db8:0:1:1:1:1:1");
	CHECK_STR(ip6("20010000000000010000000000000001"), "2001:0:0:1::1");
	CHECK_STR(ip6("20010db8000000000001000000000001"), "2001:db8::1:0:0:1");
	CHECK_STR(ip6("0001000200030004000500060007000a"), "1:2:3:4:5:6:7:a");
	CHECK_STR(ip6("00000000000000000000ffff7f000001"), "::ffff:127.0.0.1");
	CHECK_STR(ip6("fe80"), "refused");
}

static void routes(void)
{
	struct net_route route;
	struct net_neighbour neighbour;
	struct net_device device;
	static const char default4[] =
		"eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0";
	static const char net4[] =
		"eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0 ";
	static const char net6[] =
		"fe800000000000000000000000000000 40 00000000000000000000000000000000 00 "
		"20010db8000000000000000000000001 00000100 00000001 00000000 00000001 "
		"  ens5";
	static const char arp[] = "172.18.0.2       0x1         0x2         "
				  "02:42:ac:12:00:02     *        br-1";

	CHECK(nettable_route(default4, strlen(default4), &route) == 0);
	CHECK(route.has_gateway && route.prefix == 0);
	CHECK_STR(shown(&route.gateway), "172.18.0.1");
	CHECK(nettable_route(net4, strlen(net4), &route) == 0);
	CHECK(!route.has_gateway && route.prefix == 16);
	CHECK_STR(shown(&route.destination), "172.18.0.0");
	CHECK_STR(route.name, "eth0");
	CHECK(nettable_route(net4, 20, &route) == -1);
	CHECK(nettable_route6(net6, strlen(net6), &route) == 0);
	CHECK(route.prefix == 64 && route.has_gateway);
	CHECK_STR(shown(&route.destination), "fe80::");
	CHECK_STR(route.name, "ens5");
	CHECK(nettable_arp(arp, strlen(arp), &neighbour) == 0);
	CHECK_STR(neighbour.mac, "02:42:ac:12:00:02");
	CHECK_STR(neighbour.name, "br-1");
	CHECK(neighbour.flags == 2);
	CHECK(nettable_arp(arp, 40, &neighbour) == -1);
	CHECK(nettable_device("  eth0: 12 3", 12, &device) == 0);
	CHECK_STR(device.name, "eth0");
	CHECK(nettable_device("a name that is too long: 1", 26, &device) == -1);
	CHECK(nettable_device(" : 1", 4, &device) == -1);
}

static void counts(void)
{
	static const char tcp[] =
		"TCP       2304     12     408   no     192   yes  kernel      y  y  n";
	static const char less[] = "UNIX-STREAM 1152     -1      -1   NI       0   yes";
	static const char heading[] = "protocol  size sockets  memory press maxhdr  slab";
	static const char name[] = "a-name-of-more-than-thirty-two-bytes 1 1 1";
	struct net_count count;

	CHECK(nettable_count(tcp, strlen(tcp), &count) == 0);
	CHECK_STR(count.name, "TCP");
	CHECK(count.sockets == 12);
	CHECK(nettable_count(less, strlen(less), &count) == 0);
	CHECK_STR(count.name, "UNIX-STREAM");
	CHECK(count.sockets == -1);
	CHECK(nettable_count(heading, strlen(heading), &count) == -1);
	CHECK(nettable_count(name, strlen(name), &count) == -1);
	CHECK(nettable_count(tcp, 14, &count) == -1);
	CHECK(nettable_count("TCP 1 -", 7, &count) == -1);
	CHECK(nettable_count("", 0, &count) == -1);
}

int main(void)
{
	RUN(counts);
	RUN(inet);
	RUN(inet_refused);
	RUN(unix_sockets);
	RUN(packet_and_netlink);
	RUN(addresses);
	RUN(routes);
	return DONE();
}
