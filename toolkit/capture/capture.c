/*
 * capture: the machine's memory into a LiME image. Thin: options, where the evidence
 * goes, and the record of what was captured; toolkit/lib/acquire.c does the work.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/acquire.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/kcore.h"
#include "toolkit/lib/lime.h"
#include "toolkit/lib/progress.h"
#include "toolkit/lib/ranges.h"
#include "toolkit/lib/sink.h"
#include "toolkit/lib/sums.h"

static const char usage[] =
	"Usage: capture --evidence DIR --instance ID [--json]\n"
	"       capture --output FILE [--json]\n"
	"\n"
	"Writes this machine's memory as a LiME image: the exact System RAM ranges of\n"
	"/proc/iomem, read from /proc/kcore, written past the page cache, hashed on the way.\n"
	"Bytes that cannot be read are zero in the image and are listed.\n"
	"\n"
	"  -e, --evidence DIR  make DIR/ID/TIME/ and write memory.lime and SHA256SUMS there\n"
	"  -i, --instance ID   the instance's id, for the directory's name\n"
	"  -o, --output FILE   write the image to FILE (a new file)\n"
	"  -j, --json          end with one line of JSON on stdout\n"
	"      --proc DIR      read DIR/iomem and DIR/kcore instead of /proc\n"
	"  -h, --help          show this text\n"
	"  -V, --version       show the version\n"
	"\n"
	"Exit: 0 everything captured; 2 usage; 3 captured, but with the gaps listed;\n"
	"4 refused by the system; 5 failed, NAME.partial holds what was written.\n";

/* The arena is all the memory that the image passes through. */
#define ARENA_BYTES (1024 * 1024)
static _Alignas(IO_BLOCK) unsigned char arena[ARENA_BYTES];

static volatile sig_atomic_t interrupted;

struct options {
	const char *evidence;
	const char *instance;
	const char *output;
	const char *proc;
	bool json;
};

struct capture {
	const char *image; /* the image's name, as the caller would give it */
	struct ranges ranges;
	struct kcore kcore;
	struct sink sink;
	struct gaps gaps;
	uint8_t digest[SHA256_LEN];
};

/* Too large for a stack that is locked in memory. */
static struct capture capture;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Letters, digits, '-', '_' and '.', not at the start: the id becomes a directory. */
static bool good_instance(const char *id)
{
	size_t len = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"0123456789-_.");

	return len > 0 && len <= 64 && id[len] == '\0' && id[0] != '.' && id[0] != '-';
}

/*
 * Makes EVIDENCE/INSTANCE/TIME/, TIME in UTC, and returns its descriptor. A directory
 * that is there already belongs to another run of the same second: the next is tried.
 */
static int make_evidence_dir(const struct options *opt, char *path, size_t size,
			     struct err *err)
{
	int topfd = open(opt->evidence, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = -1;

	if (topfd < 0)
		return err_sys(err, errno, "opening %s", opt->evidence);
	if (io_mkdir(topfd, opt->instance, 0700, err) < 0)
		goto out;
	for (int tries = 0; tries < 10 && fd < 0; tries++) {
		time_t now = time(NULL) + tries;
		char stamp[32];
		struct tm tm;

		strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
		snprintf(path, size, "%s/%s", opt->instance, stamp);
		if (mkdirat(topfd, path, 0700) == 0)
			fd = openat(topfd, path,
				    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		else if (errno == EEXIST)
			continue;
		if (fd < 0) {
			err_sys(err, errno, "making %s/%s", opt->evidence, path);
			goto out;
		}
	}
	if (fd < 0)
		err_set(err, ERR_FAILED, "%s/%s exists already", opt->evidence, path);
	else if (io_sync_dir(topfd, err) < 0)
		io_close(&fd);
out:
	io_close(&topfd);
	return fd;
}

static int open_source(const struct options *opt, struct err *err)
{
	int procfd = open(opt->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = -1;

	if (procfd < 0)
		return err_sys(err, errno, "opening %s", opt->proc);
	if (ranges_read_iomem(procfd, &capture.ranges, err) == 0 &&
	    kcore_open(&capture.kcore, procfd, &capture.ranges, err) == 0)
		rc = 0;
	io_close(&procfd);
	return rc;
}

static int write_image(int dirfd, const char *name, struct err *err)
{
	uint64_t bytes = lime_image_bytes(&capture.ranges);
	struct progress progress;
	int rc;

	if (sink_open(&capture.sink, dirfd, name, arena, sizeof(arena), bytes, true,
		      err) < 0)
		return -1;
	if (!capture.sink.direct)
		fprintf(stderr, "capture: warning: this file system has no O_DIRECT: "
				"the image passes through the page cache\n");
	progress_start(&progress, "capture", bytes);
	rc = acquire(&capture.kcore, &capture.ranges, &capture.sink, &capture.gaps,
		     &progress, &interrupted, err);
	if (rc == 0)
		rc = sink_finish(&capture.sink, capture.digest, err);
	progress_end(&progress);
	sink_abandon(&capture.sink);
	return rc;
}

static int write_sums(int dirfd, const char *name, struct err *err)
{
	static char line[SUMS_LINE_MAX];
	size_t len = sums_format(capture.digest, name, line);

	return sink_write_file(dirfd, "SHA256SUMS", line, len, err);
}

static void format_hex64(uint64_t value, char text[24])
{
	snprintf(text, 24, "0x%" PRIx64, value);
}

static void add_range(struct json *doc, struct json_node *in, const struct range *range)
{
	char text[24];

	format_hex64(range->start, text);
	json_add_str(doc, in, "start", text);
	format_hex64(range->end, text);
	json_add_str(doc, in, "end", text);
}

static const char *gap_reason(const struct gap *gap)
{
	if (gap->kind == GAP_UNMAPPED)
		return "not in the source";
	return gap->errnum ? strerror(gap->errnum) : "the source gave nothing";
}

/* The list in the JSON line is short: an SSM step's output is cut at 24,000 characters.
 */
#define GAPS_SHOWN 32

static int print_json(struct err *err)
{
	struct json *doc = json_new();
	struct json_node *root, *gaps;
	char hex[SHA256_HEX_SIZE];
	char *text;

	if (!doc)
		return err_sys(err, ENOMEM, "describing the capture");
	root = json_root(doc);
	sha256_to_hex(capture.digest, hex);
	json_add_str(doc, root, "image", capture.image);
	json_add_str(doc, root, "format", "lime");
	json_add_str(doc, root, "source", "kcore");
	json_add_u64(doc, root, "bytes", lime_image_bytes(&capture.ranges));
	json_add_str(doc, root, "sha256", hex);
	json_add_u64(doc, root, "ranges", capture.ranges.count);
	json_add_u64(doc, root, "ram_bytes", ranges_bytes(&capture.ranges));
	json_add_u64(doc, root, "gap_bytes", capture.gaps.bytes);
	json_add_u64(doc, root, "gaps", capture.gaps.count + capture.gaps.unlisted);
	gaps = json_add_array(doc, root, "gap_list");
	for (size_t i = 0; i < capture.gaps.count && i < GAPS_SHOWN; i++) {
		struct json_node *gap = json_add_object(doc, gaps, NULL);

		add_range(doc, gap, &capture.gaps.at[i].range);
		json_add_str(doc, gap, "reason", gap_reason(&capture.gaps.at[i]));
	}
	json_add_bool(doc, root, "direct_io", capture.sink.direct);
	text = json_text(doc, false, NULL, err);
	json_free(doc);
	if (!text)
		return -1;
	puts(text);
	free(text);
	return 0;
}

static void print_gaps(void)
{
	for (size_t i = 0; i < capture.gaps.count; i++) {
		const struct gap *gap = &capture.gaps.at[i];

		fprintf(stderr, "capture: gap 0x%" PRIx64 "-0x%" PRIx64 ": %s\n",
			gap->range.start, gap->range.end, gap_reason(gap));
	}
	if (capture.gaps.unlisted)
		fprintf(stderr, "capture: %" PRIu64 " more gaps\n",
			capture.gaps.unlisted);
}

/* Where the image goes: a directory's descriptor and the names. Returns -1 on failure. */
static int open_destination(const struct options *opt, char *path, size_t size,
			    const char **name, struct err *err)
{
	static char copy_dir[PATH_MAX], copy_base[PATH_MAX];
	size_t len;
	int fd;

	if (opt->evidence) {
		fd = make_evidence_dir(opt, path, size, err);
		len = strlen(path);
		snprintf(path + len, size - len, "/%s", *name);
		return fd;
	}
	if (strlen(opt->output) >= sizeof(copy_dir))
		return err_set(err, ERR_USAGE, "%s: name too long", opt->output);
	strcpy(copy_dir, opt->output);
	strcpy(copy_base, opt->output);
	*name = basename(copy_base);
	snprintf(path, size, "%s", opt->output);
	fd = open(dirname(copy_dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "opening the directory of %s", opt->output)
		      : fd;
}

static int run(const struct options *opt, struct err *err)
{
	static char path[PATH_MAX];
	const char *name = "memory.lime";
	int dirfd = -1, rc = -1;

	/* Source first: a refusal leaves no empty evidence directory behind. */
	if (open_source(opt, err) < 0)
		return -1;
	dirfd = open_destination(opt, path, sizeof(path), &name, err);
	if (dirfd < 0)
		goto out;
	capture.image = path;
	/* Best effort: a host that forbids locking is captured all the same. */
	mlockall(MCL_CURRENT);
	if (write_image(dirfd, name, err) < 0)
		goto out;
	if (opt->evidence && write_sums(dirfd, name, err) < 0)
		goto out;
	print_gaps();
	if (opt->json && print_json(err) < 0)
		goto out;
	rc = 0;
out:
	io_close(&dirfd);
	kcore_close(&capture.kcore);
	return rc;
}

enum { OPT_PROC = 256 };

/* Returns -1 to go on, or the exit code. */
static int parse(int argc, char **argv, struct options *opt)
{
	static const struct option options[] = {
		{ "evidence", required_argument, NULL, 'e' },
		{ "instance", required_argument, NULL, 'i' },
		{ "output", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "proc", required_argument, NULL, OPT_PROC },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int c, bad = 0;

	/* getopt speaks under this name. */
	argv[0] = "capture";
	while (!bad && (c = getopt_long(argc, argv, "e:i:o:jhV", options, NULL)) != -1) {
		switch (c) {
		case 'e':
			bad = cli_set_once("capture", &opt->evidence, "evidence");
			break;
		case 'i':
			bad = cli_set_once("capture", &opt->instance, "instance");
			break;
		case 'o':
			bad = cli_set_once("capture", &opt->output, "output");
			break;
		case 'j':
			opt->json = true;
			break;
		case OPT_PROC:
			bad = cli_set_once("capture", &opt->proc, "proc");
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("capture (fvol) " FVOL_VERSION);
			return 0;
		default:
			fputs("Try 'capture --help'.\n", stderr);
			return ERR_USAGE;
		}
	}
	return bad ? bad : -1;
}

static const char *contradiction(const struct options *opt, int rest)
{
	if (rest)
		return "it takes no argument without an option";
	if (!opt->evidence == !opt->output)
		return "one of --evidence and --output is needed";
	if (!opt->evidence != !opt->instance)
		return "--evidence and --instance go together";
	if (opt->instance && !good_instance(opt->instance))
		return "the instance id may hold letters, digits, '-', '_' and '.'";
	return NULL;
}

int main(int argc, char **argv)
{
	struct options opt = { 0 };
	struct err err = { 0 };
	const char *why;
	int code = parse(argc, argv, &opt);

	if (code < 0) {
		why = contradiction(&opt, argc - optind);
		if (why)
			return cli_usage("capture", why);
		if (!opt.proc)
			opt.proc = "/proc";
		capture.kcore.fd = -1;
		catch_signals();
		if (run(&opt, &err) < 0)
			code = err_report(&err, "capture");
		else
			code = capture.gaps.bytes ? ERR_GAPS : 0;
	}
	if (io_close_stdout(&err) < 0)
		return err_report(&err, "capture");
	return code;
}
