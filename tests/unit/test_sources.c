#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/lib/fakeproc.h"
#include "tests/unit/check.h"
#include "toolkit/lib/host.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/lime.h"
#include "toolkit/lib/limeload.h"
#include "toolkit/lib/limestream.h"
#include "toolkit/lib/preflight.h"
#include "toolkit/lib/sha256.h"
#include "toolkit/lib/sourceutil.h"

/* A tree that is /proc, /sys, /dev and the catalogue's directory in one. */
static char dir[64];
static int dirfd;
static struct ranges ranges;
static struct preflight list;
static struct source_env env;
static struct err err;

static const char *const dirs[] = {
	"kernel",
	"kernel/security",
	"module",
	"module/lime",
	"module/lime/parameters",
	"module/module",
	"module/module/parameters",
	"self",
	"sys",
	"sys/kernel",
};
static const char *const files[] = {
	"iomem",
	"kcore",
	"crash",
	"catalogue.json",
	"cmdline",
	"modules",
	"version",
	"version_signature",
	"kernel/security/lockdown",
	"module/lime/parameters/format",
	"module/lime/parameters/localhostonly",
	"module/lime/parameters/path",
	"module/module/parameters/sig_enforce",
	"self/status",
	"sys/kernel/osrelease",
	"sys/kernel/modules_disabled",
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void put(const char *path, const char *text)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

static void set_up(void)
{
	strcpy(dir, "build/check/sources-XXXXXX");
	if (!mkdtemp(dir) || (dirfd = open(dir, O_RDONLY | O_DIRECTORY)) < 0)
		abort();
	for (size_t i = 0; i < COUNT(dirs); i++)
		if (mkdirat(dirfd, dirs[i], 0700) < 0)
			abort();
	if (fakeproc_write(dirfd, FAKE_IOMEM, 0) < 0 ||
	    ranges_read_iomem(dirfd, &ranges, &err) < 0)
		abort();
	put("sys/kernel/osrelease", "6.1.0-56-cloud-amd64\n");
	put("self/status", "Name:\tx\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n");
	put("version", "Linux version 6.1.0-56-cloud-amd64 (x) (gcc-12 (Debian 12.2.0-14)"
		       " 12.2.0) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-01)\n");
	put("modules", "");
	put("kernel/security/lockdown", "[none] integrity confidentiality\n");
	env = (struct source_env){ .proc_dirfd = dirfd,
				   .sys_dirfd = dirfd,
				   .dev_dirfd = dirfd,
				   .kmods_dir = dir,
				   .max_read_bytes = 65536 };
}

static void tear_down(void)
{
	for (size_t i = 0; i < COUNT(files); i++)
		unlinkat(dirfd, files[i], 0);
	for (size_t i = COUNT(dirs); i--;)
		unlinkat(dirfd, dirs[i], AT_REMOVEDIR);
	close(dirfd);
	if (rmdir(dir) < 0)
		printf("  %s: %s\n", dir, strerror(errno));
}

static const struct source_verdict *verdict(const char *name)
{
	preflight(&env, &ranges, true, &list);
	for (int i = 0; i < PREFLIGHT_SOURCES; i++)
		if (strcmp(list.at[i].ops->name, name) == 0)
			return &list.at[i].verdict;
	abort();
}

static bool refused(const char *name, const char *why)
{
	const struct source_verdict *v = verdict(name);

	if (v->usable || !strstr(v->reason, why))
		printf("  %s: %d %s\n", name, v->usable, v->reason);
	return !v->usable && strstr(v->reason, why);
}

static bool usable(const char *name, const char *why)
{
	const struct source_verdict *v = verdict(name);

	if (!v->usable || !strstr(v->reason, why))
		printf("  %s: %d %s\n", name, v->usable, v->reason);
	return v->usable && strstr(v->reason, why);
}

/* Each file that is looked at costs pages of the machine. */
static void others_are_asked_when_they_are_needed(void)
{
	const struct source_verdict *lime = &list.at[3].verdict;

	set_up();
	preflight(&env, &ranges, true, &list);
	for (size_t i = 0; i < PREFLIGHT_SOURCES; i++)
		CHECK(list.at[i].asked &&
		      !strstr(list.at[i].verdict.reason, "not asked"));
	CHECK(preflight(&env, &ranges, false, &list) == 0);
	CHECK(list.at[0].asked);
	for (size_t i = 1; i < PREFLIGHT_SOURCES; i++)
		CHECK(!list.at[i].asked && !list.at[i].verdict.usable &&
		      strstr(list.at[i].verdict.reason, "not asked: kcore is usable"));
	unlinkat(dirfd, "kcore", 0);
	put("kernel/security/lockdown", "none integrity [confidentiality]\n");
	CHECK(preflight(&env, &ranges, false, &list) == -1);
	CHECK(!strstr(lime->reason, "not asked"));
	tear_down();
}

static void the_order_is_the_preference(void)
{
	set_up();
	CHECK(preflight(&env, &ranges, true, &list) == 0);
	CHECK_STR(list.at[0].ops->name, "kcore");
	CHECK_STR(list.at[1].ops->name, "bpf");
	CHECK_STR(list.at[2].ops->name, "crash");
	CHECK_STR(list.at[3].ops->name, "lime");
	CHECK(source_find("bpf") == &source_bpf && !source_find("none"));
	unlinkat(dirfd, "kcore", 0);
	CHECK(preflight(&env, &ranges, true, &list) == 1);
	put("kernel/security/lockdown", "none integrity [confidentiality]\n");
	CHECK(preflight(&env, &ranges, true, &list) == -1);
	tear_down();
}

static void every_refusal_has_its_reason(void)
{
	set_up();
	CHECK(usable("kcore", "opens") && usable("bpf", "Linux 6.1"));
	CHECK(refused("crash", "No such file"));
	put("crash", "");
	CHECK(refused("crash", "not a character device"));
	put("self/status", "Name:\tx\nCapEff:\t0000000000000000\n");
	CHECK(refused("bpf", "CAP_SYS_ADMIN") && refused("lime", "CAP_SYS_MODULE"));
	unlinkat(dirfd, "self/status", 0);
	put("kernel/security/lockdown", "none [integrity] confidentiality\n");
	CHECK(usable("bpf", "integrity") && refused("lime", "lockdown"));
	put("kernel/security/lockdown", "none integrity [confidentiality]\n");
	CHECK(refused("bpf", "lockdown=confidentiality"));
	unlinkat(dirfd, "kernel/security/lockdown", 0);
	CHECK(usable("bpf", "unknown"));
	put("cmdline", "quiet xlockdown=integrity lockdown=confidentiality\n");
	CHECK(refused("bpf", "lockdown=confidentiality"));
	unlinkat(dirfd, "cmdline", 0);
	put("module/module/parameters/sig_enforce", "Y\n");
	CHECK(refused("lime", "sig_enforce"));
	put("sys/kernel/modules_disabled", "1\n");
	CHECK(refused("lime", "modules_disabled"));
	unlinkat(dirfd, "kcore", 0);
	CHECK(refused("kcore", "CONFIG_PROC_KCORE"));
	tear_down();
}

/* The edges of the list of kernels whose kcore fails whole reads. */
static void kernels_that_fail_whole_reads(void)
{
	static const struct {
		const char *release;
		bool bad;
	} kernels[] = {
		{ "6.1.115", false }, { "6.1.116", true }, { "6.1.119", true },
		{ "6.1.120", false }, { "6.6.56", false }, { "6.6.57", true },
		{ "6.6.63", true },   { "6.6.64", false }, { "6.11.3", false },
		{ "6.11.4", true },   { "6.11.11", true }, { "6.12.0", true },
		{ "6.12.3", true },   { "6.12.4", false }, { "6.13.0", false },
	};

	set_up();
	put("version", "Linux version (x) #1 SMP\n");
	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
		put("sys/kernel/osrelease", kernels[i].release);
		CHECK(usable("kcore", kernels[i].bad ? "single pages" : "opens"));
		CHECK(!strstr(verdict("kcore")->reason, "single") == !kernels[i].bad);
	}
	tear_down();
}

static void upstream_versions_are_found(void)
{
	struct host host;

	set_up();
	host_read(dirfd, dirfd, &host);
	CHECK(host.version == HOST_VERSION(6, 1, 192));
	put("version", "Linux version 6.1.0-28-amd64 (gcc-12 (Debian 12.2.0-14) 12.2.0)"
		       " #1 SMP Debian 6.1.119-1 (2024-11-22)\n");
	CHECK(usable("kcore", "single pages"));
	put("version", "Linux version 6.1.0-29-amd64 #1 SMP Debian 6.1.120-1\n");
	CHECK(usable("kcore", "opens") && !strstr(verdict("kcore")->reason, "single"));
	put("version", "Linux version 6.6.60-1.amzn2023 (x) #1 SMP\n");
	put("sys/kernel/osrelease", "6.6.60-1.amzn2023\n");
	CHECK(usable("kcore", "single pages"));
	put("version_signature", "Ubuntu 5.4.0-91.101-generic 5.4.131\n");
	CHECK(refused("bpf", "5.10"));
	unlinkat(dirfd, "version_signature", 0);
	put("sys/kernel/osrelease", "nonsense\n");
	put("version", "nonsense\n");
	host_read(dirfd, dirfd, &host);
	CHECK(host.version == 0);
	CHECK(usable("bpf", "runs bpf programs"));
	tear_down();
}

/* Of the running kernel no file but /proc itself is opened: system calls tell the same.
 */
static void the_running_kernel_is_asked_itself(void)
{
	int procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct utsname name;
	struct host host, whole;

	if (procfd < 0 || uname(&name) < 0)
		abort();
	set_up();
	put("sys/kernel/osrelease", "9.9.9\n");
	host_identify(dirfd, &host);
	CHECK_STR(host.release, "9.9.9");
	CHECK(host.lockdown == LOCKDOWN_UNKNOWN);
	host_identify(procfd, &host);
	CHECK_STR(host.release, name.release);
	CHECK(host.version != 0 && host.has_capabilities);
	host_read(procfd, dirfd, &whole);
	CHECK(whole.capabilities == host.capabilities);
	CHECK(whole.lockdown == LOCKDOWN_NONE);
	close(procfd);
	tear_down();
}

#define HEX64 "a6cde8997c37a4f46765c43d4f5af4eb0241ce058d55b04c3ebacbf796225c69"
static const char entry[] =
	"{\"format\":2,\"catalogue_version\":7,\"modules\":[{\"arch\":\"%s\",\"release\":"
	"\"6.1.0-56-cloud-amd64\",\"sha256\":\"%s\",\"size\":%s,\"vermagic\":\"%s\","
	"\"kernel_build_id\":\"%s\",\"tested\":%s}]}";
#define MAGIC "6.1.0-56-cloud-amd64 SMP preempt mod_unload modversions "

/* The volume's root is the parent of the directory of modules. */
static void the_manifest_vouches_for_the_catalogue(void)
{
	char text[1024], line[256], hex[SHA256_HEX_SIZE], sub[96];
	struct utsname name;
	uint8_t digest[SHA256_LEN];

	if (uname(&name) < 0)
		abort();
	set_up();
	snprintf(sub, sizeof(sub), "%s/kernel", dir);
	env.kmods_dir = sub;
	env.allow_untested = true;
	snprintf(text, sizeof(text), entry, name.machine, HEX64, "1", MAGIC, "", "false");
	put("kernel/catalogue.json", text);
	sha256(text, strlen(text), digest);
	sha256_to_hex(digest, hex);
	snprintf(line, sizeof(line), "%s  kmods/catalogue.json\n", hex);
	put("MANIFEST", line);
	sha256(line, strlen(line), digest);
	sha256_to_hex(digest, hex);
	env.manifest_sha256 = hex;
	CHECK(usable("lime", "a module for"));
	env.catalogue_least = 8;
	CHECK(refused("lime", "older than 8"));
	env.catalogue_least = 7;
	text[strlen(text) - 1] = '\n';
	put("kernel/catalogue.json", text);
	CHECK(refused("lime", "not what MANIFEST lists"));
	put("MANIFEST", "x");
	CHECK(refused("lime", "MANIFEST is not the one"));
	unlinkat(dirfd, "MANIFEST", 0);
	CHECK(refused("lime", "MANIFEST"));
	unlinkat(dirfd, "kernel/catalogue.json", 0);
	env.manifest_sha256 = NULL;
	env.catalogue_least = 0;
	tear_down();
}

static void lime_is_asked_of_the_catalogue(void)
{
	struct utsname name;
	char text[1024];

	if (uname(&name) < 0)
		abort();
	set_up();
	CHECK(refused("lime", "catalogue.json"));
	put("catalogue.json", "{\"format\":2,\"catalogue_version\":1,\"modules\":[]}");
	CHECK(refused("lime", "has no module for"));
	snprintf(text, sizeof(text), entry, name.machine, HEX64, "1", MAGIC, "", "false");
	put("catalogue.json", text);
	CHECK(refused("lime", "not boot-tested"));
	env.allow_untested = true;
	CHECK(usable("lime", "not boot-tested"));
	CHECK(usable("lime", "by name and vermagic alone"));
	put("modules", "ext4 1 0 - Live 0x0\nlime 16384 0 - Live 0x0 (OE)\n");
	CHECK(refused("lime", "loaded already"));
	put("sys/kernel/osrelease", "../../etc\n");
	put("modules", "slime 16384 0 - Live 0x0\nlimes 1 0 - Live 0x0\n");
	CHECK(refused("lime", "no catalogue"));
	env.kmods_dir = NULL;
	CHECK(refused("lime", "no catalogue"));
	CHECK(limeload_present(dirfd) == 0);
	put("modules", "lime 16384 1 - Loading 0x0 (OE+)\n");
	CHECK(limeload_present(dirfd) == 2);
	put("modules", "lime 16384 0 - Live 0x0");
	CHECK(limeload_present(dirfd) == 1);
	tear_down();
}

/* Whose module is it that was left loaded? */
static void lime_left_behind(void)
{
	bool removed = true;

	set_up();
	put("modules", "ext4 1 0 - Live 0x0\n");
	CHECK(limeload_remove_left(dirfd, dirfd, &removed, &err) == 0);
	CHECK(!removed);
	put("modules", "lime 16384 0 - Live 0x0\n");
	CHECK(limeload_remove_left(dirfd, dirfd, &removed, &err) < 0);
	CHECK_STR(err.text, "the module lime is loaded, but no capture loaded it");
	CHECK(err.kind == ERR_REFUSED);
	put("module/lime/parameters/format", "lime\n");
	put("module/lime/parameters/localhostonly", "1\n");
	put("module/lime/parameters/path", "/root/memory\n");
	CHECK(!limeload_is_ours(dirfd));
	put("module/lime/parameters/path", "tcp:4444\n");
	CHECK(!limeload_is_ours(dirfd));
	put("module/lime/parameters/path", "tcp:12345x\n");
	CHECK(!limeload_is_ours(dirfd));
	put("module/lime/parameters/path", "tcp:12345\n");
	CHECK(limeload_is_ours(dirfd));
	put("module/lime/parameters/localhostonly", "0\n");
	CHECK(!limeload_is_ours(dirfd));
	put("module/lime/parameters/localhostonly", "1\n");
	put("modules", "lime 16384 1 - Loading 0x0\n");
	CHECK(limeload_remove_left(dirfd, dirfd, &removed, &err) < 0);
	CHECK_STR(err.text, "the module lime is still at work");
	tear_down();
}

/* Connections to 127.0.0.1:10000 (2710), as the kernel lists them. */
#define HEAD "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when ...\n"
#define ROW(state, remote, uid, inode)                                                   \
	"   0: 0100007F:2710 " remote " " state                                          \
	" 00000000:00000000 00:00000000 00000000 "                                       \
	"    " uid "        0 " inode " 1 0000000000000000 100 0 0 10 0\n"
#define LISTENS ROW("0A", "00000000:0000", "0", "777")
#define OURS ROW("01", "0100007F:9C40", "0", "779")

static void only_our_connection_is_ours(void)
{
	CHECK(limeload_judge("", 10000, 40000) == PEER_WAITING);
	CHECK(limeload_judge(HEAD LISTENS, 10000, 40000) == PEER_WAITING);
	CHECK(limeload_judge(HEAD LISTENS OURS, 10000, 40000) == PEER_OURS);
	CHECK(limeload_judge(HEAD LISTENS OURS, 10000, 40001) == PEER_OTHER);
	CHECK(limeload_judge(HEAD LISTENS OURS, 10001, 40000) == PEER_WAITING);
	/* In the queue behind us: it gets nothing. Before us: it gets everything. */
	CHECK(limeload_judge(HEAD LISTENS ROW("01", "0100007F:9C41", "0", "0") OURS,
			     10000, 40000) == PEER_OURS);
	CHECK(limeload_judge(HEAD ROW("01", "0100007F:9C41", "0", "9")
				     ROW("01", "0100007F:9C40", "0", "0"),
			     10000, 40000) == PEER_OTHER);
	/* It came, took and went: its end of the connection is still known. */
	CHECK(limeload_judge(HEAD OURS ROW("08", "0100007F:9C41", "0", "9"), 10000,
			     40000) == PEER_OTHER);
	/* Another user's server in the place of the kernel's. */
	CHECK(limeload_judge(HEAD ROW("01", "0100007F:9C40", "1000", "9"), 10000,
			     40000) == PEER_OTHER);
}

static const struct ranges two = { 2, { { 0x1000, 0x2bff }, { 0x10000, 0x11fff } } };

static int stream_of(size_t cut_bytes, int wrong_byte)
{
	static unsigned char image[2 * LIME_HEADER_BYTES + 0x1c00 + 0x2000];
	size_t at = 0;
	int fds[2];

	for (size_t i = 0; i < two.count; i++) {
		lime_header(&two.at[i], image + at);
		at += LIME_HEADER_BYTES;
		for (uint64_t p = two.at[i].start; p <= two.at[i].end; p++)
			image[at++] = (unsigned char)(p >> 4);
	}
	if (wrong_byte >= 0)
		image[wrong_byte] ^= 1;
	if (pipe(fds) < 0 ||
	    write(fds[1], image, at - cut_bytes) != (ssize_t)(at - cut_bytes))
		abort();
	close(fds[1]);
	return fds[0];
}

static void a_stream_is_read_in_order(void)
{
	int fd = stream_of(0, -1);
	struct limestream s;
	unsigned char buf[0x3000];

	limestream_init(&s, fd, &two, 1000, 4096);
	CHECK(limestream_hole(&s, 0, 10) == 10 && limestream_hole(&s, 0xfff, 10) == 1);
	CHECK(limestream_hole(&s, 0x1000, 0x1000) == 0);
	/* The part of a page is zeros of the module's, not memory. */
	CHECK(limestream_hole(&s, 0x2000, 0x1000) == 0xc00);
	CHECK(limestream_read(&s, 0x2000, buf, 0x1000) == 0);
	CHECK(limestream_read(&s, 0x1100, buf, sizeof(buf)) == 0xf00);
	CHECK(buf[0] == 0x10 && buf[0xeff] == 0xff);
	errno = 0;
	CHECK(limestream_read(&s, 0x1000, buf, 16) < 0 && errno == ESPIPE);
	CHECK(limestream_read(&s, 0x10000, buf, 0x800) == 0x800 && buf[0x7f0] == 0x7f);
	CHECK(limestream_read(&s, 0x11ff0, buf, 64) == 16 && buf[0] == 0xff);
	CHECK(limestream_read(&s, 0x12000, buf, 64) == 0);
	CHECK(limestream_read(&s, 0x1000, buf, 16) < 0 && errno == ESPIPE);
	close(fd);
}

static void a_wrong_stream_is_an_error(void)
{
	unsigned char buf[0x2000];
	struct limestream s;
	int fd;

	for (int byte = 0; byte < LIME_HEADER_BYTES; byte++) {
		fd = stream_of(0, byte);
		limestream_init(&s, fd, &two, 1000, 4096);
		CHECK(limestream_read(&s, 0x1000, buf, 16) < 0 && errno == EPROTO);
		CHECK(limestream_read(&s, 0x10000, buf, 16) < 0 && errno == EPROTO);
		close(fd);
	}
	fd = stream_of(1, -1);
	limestream_init(&s, fd, &two, 1000, 4096);
	CHECK(limestream_read(&s, 0x10000, buf, 0x2000) == 0x1fff);
	CHECK(limestream_read(&s, 0x11fff, buf, 1) < 0 && errno == EPIPE);
	close(fd);
}

static void a_silent_stream_times_out(void)
{
	unsigned char buf[16];
	struct limestream s;
	int fds[2];

	if (pipe(fds) < 0)
		abort();
	limestream_init(&s, fds[0], &two, 20, 4096);
	CHECK(limestream_read(&s, 0x1000, buf, 16) < 0 && errno == ETIMEDOUT);
	close(fds[0]);
	close(fds[1]);
}

/* The same fake memory through kcore, and as a file in the place of /dev/crash. */
static void sources_read_what_is_there(void)
{
	struct source source = { .ops = &source_kcore };
	uint64_t words[1024];
	int fd;

	set_up();
	CHECK(source.ops->open(&source, &env, &ranges, &err) == 0);
	CHECK(source.ops->read(&source, 0x100000000, words, 8192) == 8192);
	CHECK(words[0] == fake_word(0x100000000) &&
	      words[1023] == fake_word(0x100001ff8));
	CHECK(source.ops->hole(&source, FAKE_GAP_START, FAKE_GAP_BYTES) ==
	      FAKE_GAP_BYTES);
	CHECK(source.ops->close(&source, &err) == 0 && !source.state);
	CHECK(source.ops->close(&source, &err) == 0);
	source = (struct source){ .ops = &source_crash };
	CHECK(source.ops->open(&source, &env, &ranges, &err) < 0 &&
	      err.kind == ERR_REFUSED);
	CHECK(source.ops->close(&source, &err) == 0);
	fd = openat(dirfd, "crash", O_RDWR | O_CREAT, 0600);
	words[0] = 42;
	CHECK(ftruncate(fd, 0x9f800) == 0 && pwrite(fd, words, 8, 0x9f000) == 8);
	close(fd);
	CHECK(source.ops->open(&source, &env, &ranges, &err) == 0);
	words[0] = 0;
	CHECK(source.ops->read(&source, 0x9f000, words, 8192) == 0x800 && words[0] == 42);
	CHECK(source.ops->read(&source, 0xfffff, words, 1) == 0);
	CHECK(source.ops->hole(&source, 0x9fc00, 1 << 20) == 0x100000 - 0x9fc00);
	CHECK(source.ops->close(&source, &err) == 0);
	tear_down();
}

static void room_and_holes_meet(void)
{
	CHECK(source_room(&two, 0x1000, 0x10000) == 0x1c00);
	CHECK(source_room(&two, 0x2bff, 10) == 1 && source_room(&two, 0x2c00, 10) == 0);
	CHECK(source_room(&two, 0x1000, 0) == 0);
	CHECK(source_hole(&two, 0x2bff, 10) == 0);
	CHECK(source_hole(&two, 0x2c00, UINT64_MAX) == 0x10000 - 0x2c00);
	CHECK(source_hole(&two, 0x12000, 5) == 5);
}

int main(void)
{
	RUN(the_order_is_the_preference);
	RUN(others_are_asked_when_they_are_needed);
	RUN(every_refusal_has_its_reason);
	RUN(kernels_that_fail_whole_reads);
	RUN(upstream_versions_are_found);
	RUN(the_running_kernel_is_asked_itself);
	RUN(the_manifest_vouches_for_the_catalogue);
	RUN(lime_is_asked_of_the_catalogue);
	RUN(lime_left_behind);
	RUN(only_our_connection_is_ours);
	RUN(room_and_holes_meet);
	RUN(a_stream_is_read_in_order);
	RUN(a_wrong_stream_is_an_error);
	RUN(a_silent_stream_times_out);
	RUN(sources_read_what_is_there);
	return DONE();
}
