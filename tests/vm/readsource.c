/*
 * In a guest: opens one source of physical memory and tells what it gives.
 *   readsource check [KMODS]               NAME usable|refused: REASON, for each source
 *   readsource sum SOURCE START LEN        the SHA-256 of LEN bytes (hex numbers)
 *   readsource pages SOURCE FILE           checks the pages of `vmctl plant'
 *   readsource outside SOURCE              checks what it says to addresses outside RAM
 *   readsource all SOURCE KMODS            reads every range in order: bytes, gaps,
 * SHA-256 readsource hold SOURCE KMODS           opens, and stays until killed readsource
 * lo                          brings the interface lo up Exit: 0 done; 1 something
 * differs; 2 usage; otherwise the kind of the error.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "toolkit/lib/preflight.h"
#include "toolkit/lib/sha256.h"

#define PAGE 4096
#define PIECE (256 * 1024)

static struct ranges ranges;
static unsigned char piece[PIECE];

static int usage(void)
{
	fputs("usage: readsource check|sum|pages|outside|all|hold ...\n", stderr);
	return ERR_USAGE;
}

static int check(const struct source_env *env)
{
	struct preflight list;
	int first = preflight(env, &ranges, true, &list);

	for (int i = 0; i < PREFLIGHT_SOURCES; i++)
		printf("%s %s: %s\n", list.at[i].ops->name,
		       list.at[i].verdict.usable ? "usable" : "refused",
		       list.at[i].verdict.reason);
	printf("first %s\n", first < 0 ? "none" : list.at[first].ops->name);
	return 0;
}

/* Hashes len bytes from phys on; what is refused page by page counts as zeros. */
static uint64_t hash(struct source *source, uint64_t phys, uint64_t len,
		     struct sha256 *sums)
{
	uint64_t gaps = 0;

	while (len) {
		uint64_t hole = source->ops->hole(source, phys, len);
		size_t want = len < PIECE ? (size_t)len : PIECE;
		ssize_t n = hole ? 0 : source->ops->read(source, phys, piece, want);

		if (n <= 0 && !hole) {
			want = want < PAGE ? want : PAGE - (size_t)(phys % PAGE);
			n = source->ops->read(source, phys, piece, want);
		}
		if (n <= 0) {
			if (hole && hole < want)
				want = (size_t)hole;
			memset(piece, 0, want);
			gaps += want;
			n = (ssize_t)want;
		}
		sha256_update(sums, piece, (size_t)n);
		phys += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return gaps;
}

static void print_digest(struct sha256 *sums)
{
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];

	sha256_final(sums, digest);
	sha256_to_hex(digest, hex);
	printf("%s\n", hex);
}

/* One line of `vmctl plant': an address and a page, both in hex. 1, 0 at the end, -1. */
static int next_page(FILE *file, uint64_t *phys, unsigned char *page)
{
	if (fscanf(file, "%" SCNx64, phys) != 1)
		return 0;
	for (size_t i = 0; i < PAGE; i++) {
		unsigned byte;

		if (fscanf(file, "%2x", &byte) != 1)
			return -1;
		page[i] = (unsigned char)byte;
	}
	return 1;
}

static int pages(struct source *source, const char *path)
{
	static unsigned char want[PAGE];
	FILE *file = fopen(path, "re");
	int good = 0, wrong = 0, is;
	uint64_t phys;

	if (!file)
		return ERR_FAILED;
	while ((is = next_page(file, &phys, want)) > 0) {
		if (source->ops->read(source, phys, piece, PAGE) == PAGE &&
		    memcmp(piece, want, PAGE) == 0) {
			good++;
		} else {
			printf("0x%" PRIx64 " differs\n", phys);
			wrong++;
		}
	}
	fclose(file);
	printf("good %d wrong %d\n", good, wrong);
	return good && !wrong && is == 0 ? 0 : ERR_NO;
}

static int outside(struct source *source)
{
	const struct range *last = &ranges.at[ranges.count - 1];
	uint64_t behind = (last->end | (PAGE - 1)) + 1;
	ssize_t at_end, after;

	at_end = source->ops->read(source, last->end - 99, piece, PAGE);
	after = source->ops->read(source, behind, piece, PAGE);
	printf("at the end %zd, after it %zd, hole %" PRIu64 "\n", at_end, after,
	       source->ops->hole(source, behind, 123));
	return at_end == 100 && after == 0 ? 0 : ERR_NO;
}

static int all(struct source *source)
{
	uint64_t gaps = 0;
	struct sha256 sums;

	sha256_init(&sums);
	for (size_t i = 0; i < ranges.count; i++)
		gaps += hash(source, ranges.at[i].start, range_bytes(&ranges.at[i]),
			     &sums);
	printf("bytes %" PRIu64 " gaps %" PRIu64 " ", ranges_bytes(&ranges), gaps);
	print_digest(&sums);
	return gaps ? ERR_GAPS : 0;
}

/* Guests begin with lo down, which is a case of its own. */
static int raise_lo(void)
{
	struct ifreq request = { .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	strcpy(request.ifr_name, "lo");
	rc = fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &request);
	return rc < 0 ? ERR_FAILED : 0;
}

/*
 * connect() as the sources see it (the linker's --wrap). RIVAL=1: somebody else connects
 * to the module first, and reads. DROP=1: nothing ever comes back, as behind a firewall.
 */
int __real_connect(int fd, const struct sockaddr *to, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len);

static void rival(const struct sockaddr *to, socklen_t len)
{
	static bool done;
	int fds[2], fd;
	char byte;

	if (done || pipe(fds) < 0)
		return;
	done = true;
	if (fork() == 0) {
		/* Whoever runs us waits for the end of our output, not for a rival. */
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		for (;;) {
			fd = socket(AF_INET, SOCK_STREAM, 0);
			if (fd >= 0 && __real_connect(fd, to, len) == 0)
				break;
			close(fd);
		}
		/* Only the first bytes, so that the module is in the middle of a write.
		 */
		_exit(read(fd, piece, 32) == 32 && write(fds[1], "x", 1) == 1 ? pause()
									      : 1);
	}
	if (read(fds[0], &byte, 1) != 1)
		puts("the rival failed");
}

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len)
{
	if (getenv("RIVAL"))
		rival(to, len);
	if (getenv("DROP")) {
		errno = EINPROGRESS;
		return -1;
	}
	return __real_connect(fd, to, len);
}

static int use(struct source *source, int argc, char **argv)
{
	if (strcmp(argv[1], "pages") == 0 && argc == 4)
		return pages(source, argv[3]);
	if (strcmp(argv[1], "sum") == 0 && argc == 5) {
		struct sha256 sums;
		uint64_t gaps;

		sha256_init(&sums);
		gaps = hash(source, strtoull(argv[3], NULL, 16),
			    strtoull(argv[4], NULL, 16), &sums);
		print_digest(&sums);
		return gaps ? ERR_GAPS : 0;
	}
	if (strcmp(argv[1], "outside") == 0)
		return outside(source);
	if (strcmp(argv[1], "all") == 0)
		return all(source);
	if (strcmp(argv[1], "hold") == 0) {
		puts("open");
		fflush(stdout);
		for (;;)
			pause();
	}
	return usage();
}

static int open_and_use(const struct source_env *env, int argc, char **argv)
{
	struct source source = { .ops = source_find(argv[2]) };
	struct err err = { 0 }, close_err = { 0 };
	int rc;

	if (!source.ops)
		return usage();
	rc = source.ops->open(&source, env, &ranges, &err);
	rc = rc < 0 ? err_report(&err, "readsource") : use(&source, argc, argv);
	if (source.ops->close(&source, &close_err) < 0) {
		int closed = err_report(&close_err, "readsource: closing");

		rc = rc ? rc : closed;
	}
	return rc;
}

int main(int argc, char **argv)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	struct source_env env = { .max_read_bytes = PIECE };
	struct err err = { 0 };

	if (argc < 2)
		return usage();
	env.proc_dirfd = open("/proc", flags);
	env.sys_dirfd = open("/sys", flags);
	env.dev_dirfd = open("/dev", flags);
	env.allow_untested = getenv("ALLOW_UNTESTED") != NULL;
	if (ranges_read_iomem(env.proc_dirfd, &ranges, &err) < 0)
		return err_report(&err, "readsource");
	if (strcmp(argv[1], "check") == 0) {
		env.kmods_dir = argc > 2 ? argv[2] : NULL;
		return check(&env);
	}
	if (strcmp(argv[1], "lo") == 0)
		return raise_lo();
	if (argc < 3)
		return usage();
	env.kmods_dir = getenv("KMODS");
	if ((strcmp(argv[1], "all") == 0 || strcmp(argv[1], "hold") == 0) && argc > 3)
		env.kmods_dir = argv[3];
	return open_and_use(&env, argc, argv);
}
