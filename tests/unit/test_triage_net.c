/* Sockets of a tree that was made up, in which nobody may be asked over netlink. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/triagelines.h"
#include "tests/unit/check.h"
#include "toolkit/triage/network.h"

static char scratch[] = "/dev/shm/fvol-net.XXXXXX";
static struct triage triage;
static struct err err;

static void make_dir(const char *path)
{
	if (mkdirat(triage.procfd, path, 0755) < 0)
		abort();
}

static void write_file(const char *path, const char *text)
{
	int fd = openat(triage.procfd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

static void make_link(const char *target, const char *path)
{
	(void)unlinkat(triage.procfd, path, 0);
	if (symlinkat(target, triage.procfd, path) < 0)
		abort();
}

#define TCP_HEADING "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n"
#define LISTENS                                                                          \
	"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  "  \
	"1000        0 111 1 0 100 0 0 10 0\n"
#define NOBODYS                                                                            \
	"   1: 00000000:7A69 00000000:0000 0A 00000000:00000000 00:00000000 00000000     " \
	"0        0 222 1 0 100 0 0 10 0\n"
#define WAITS                                                                              \
	"   2: 0100007F:1F90 0100007F:C350 06 00000000:00000000 03:00000A00 00000000     " \
	"0        0 0 3 0\n"

/* Two processes in one namespace, one in another. */
static void make_tree(void)
{
	static const struct {
		int32_t pid;
		uint64_t netns;
		const char *link;
	} lives[] = { { 10, 4026531840, "net:[4026531840]" },
		      { 11, 4026531840, "net:[4026531840]" },
		      { 12, 4026532999, "net:[4026532999]" } };

	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
		struct person person = { .pid = lives[i].pid,
					 .start_ticks = 5,
					 .netns = lives[i].netns,
					 .fds_read = true };
		char path[64];

		snprintf(path, sizeof(path), "%d", lives[i].pid);
		make_dir(path);
		snprintf(path, sizeof(path), "%d/ns", lives[i].pid);
		make_dir(path);
		snprintf(path, sizeof(path), "%d/net", lives[i].pid);
		make_dir(path);
		snprintf(path, sizeof(path), "%d/fd", lives[i].pid);
		make_dir(path);
		snprintf(path, sizeof(path), "%d/ns/net", lives[i].pid);
		make_link(lives[i].link, path);
		census_add_person(&triage.census, &person);
	}
	census_add_owner(&triage.census, 111, 10, 3);
	census_add_owner(&triage.census, 333, 11, 4);
	census_sort(&triage.census);
	make_link("socket:[111]", "10/fd/3");
	for (int pid = 10; pid < 12; pid++) {
		char path[64];

		snprintf(path, sizeof(path), "%d/net/tcp", pid);
		write_file(path, TCP_HEADING LISTENS NOBODYS WAITS "not a socket\n");
	}
	write_file("12/net/packet",
		   "sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n"
		   "0000000000000000 3      3    0003   2     1 0      0      333\n");
	write_file("12/net/route",
		   "Iface\tDestination\tGateway\n"
		   "eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
	write_file("12/net/dev", "Inter-|\n face |\n  eth0: 1 2 3\n");
	/* A table that no interface is made of. */
	write_file("12/net/protocols",
		   "protocol  size sockets  memory press maxhdr  slab module\n"
		   "PACKET    1600      1      -1   NI       0   no   kernel\n");
	write_file("12/net/if_inet6",
		   "fe8000000000000000000000000000ab 02 40 20 80 eth0\n");
}

static void sockets(void)
{
	triage_lines_clear();
	triage.sockets = 0;
	CHECK(collect_network(&triage, &err) == 0);
	CHECK(triage.sockets == 4);
	CHECK(triage_line_with("\"type\":\"socket\"", "\"netns\":4026531840",
			       "\"port\":8080", "\"address\":\"127.0.0.1\"", "LISTEN",
			       "\"uid\":1000", "{\"pid\":10,\"start_ticks\":5,\"fd\":3}",
			       "[\"proc\"]", NULL));
	CHECK(triage_line_with("\"inode\":0", "TIME_WAIT", "\"owners\":[]", NULL));
	CHECK(triage_line_with("\"type\":\"unread\"",
			       "1 lines or messages of tcp of net:[4026531840]", NULL));
	CHECK(triage_lines_count("hidden_socket") == 0);
	/* A tree that is nobody's kernel: nothing would have been changed. */
	CHECK(triage_lines_count("would_change_host") == 0);
}

static void namespaces(void)
{
	CHECK(triage_lines_count("\"type\":\"namespace\"") == 2);
	CHECK(triage_line_with("\"type\":\"namespace\"", "\"pids\":2", "\"pid\":10",
			       NULL));
	CHECK(triage_line_with("\"type\":\"namespace\"", "\"pids\":1",
			       "\"name\":\"eth0\",\"addresses\":[\"fe80::ab/64\"]",
			       "\"gateway\":\"172.18.0.1\",\"device\":\"eth0\"", NULL));
}

static void owners(void)
{
	CHECK(triage_lines_count("unowned_socket") == 1);
	CHECK(triage_line_with("unowned_socket", "medium", "tcp 0.0.0.0:31337",
			       "\"inode\":222", NULL));
	CHECK(triage_line_with("packet_socket", "low", "(pid 11)", "\"inode\":333",
			       NULL));
	/* One that was opened after the census, and is found by looking again. */
	make_link("socket:[222]", "11/fd/9");
	triage_lines_clear();
	CHECK(collect_network(&triage, &err) == 0);
	CHECK(triage_lines_count("unowned_socket") == 0);
	(void)unlinkat(triage.procfd, "11/fd/9", 0);
	/* Whose descriptors are not known may hold it. */
	triage.census.persons[1].fds_read = false;
	triage_lines_clear();
	CHECK(collect_network(&triage, &err) == 0);
	CHECK(triage_lines_count("unowned_socket") == 0);
	triage.census.persons[1].fds_read = true;
}

/* Who lived there has moved, or was never there. */
static void gone(void)
{
	make_link("net:[4026532000]", "10/ns/net");
	triage_lines_clear();
	CHECK(collect_network(&triage, &err) == 0);
	CHECK(triage_line_with("\"pids\":2", "\"pid\":11", NULL));
	make_link("net:[4026532000]", "11/ns/net");
	triage_lines_clear();
	CHECK(collect_network(&triage, &err) == 0);
	CHECK(triage_line_with("\"type\":\"unread\"", "net:[4026531840]", "gone", NULL));
	CHECK(triage_lines_count("\"type\":\"namespace\"") == 1);
}

int main(void)
{
	char command[80];

	if (!mkdtemp(scratch))
		return 5;
	triage.procfd = triage.sysfd = triage.rootfd =
		open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_tree();
	RUN(sockets);
	RUN(namespaces);
	RUN(owners);
	RUN(gone);
	census_free(&triage.census);
	close(triage.procfd);
	snprintf(command, sizeof(command), "rm -rf %s", scratch);
	return system(command) || DONE();
}
