#include "toolkit/capture/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/catversion.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/pipeline.h"
#include "toolkit/lib/place.h"
#include "toolkit/lib/preflight.h"
#include "toolkit/lib/sha256.h"

static const char usage[] =
	"Usage: capture --evidence DIR --instance ID [OPTION...]\n"
	"       capture --to s3://BUCKET/PREFIX [--to DIR] --instance ID [OPTION...]\n"
	"       capture --output FILE [OPTION...]\n"
	"       capture --check [--json]\n"
	"       capture --unload\n"
	"\n"
	"Writes this machine's memory: the exact System RAM ranges of /proc/iomem, from the\n"
	"first usable source, past the page cache, hashed on the way. Bytes that no source\n"
	"gives are zero in the image and are listed.\n"
	"\n"
	"  -e, --evidence DIR    make DIR/ID/TIME/ with the image, record.json, memory.chunks,\n"
	"                        symbols.tar and SHA256SUMS\n"
	"      --to WHERE            the same, WHERE being a directory or s3://BUCKET/PREFIX;\n"
	"                        twice: both at once\n"
	"  -i, --instance ID     the instance's id, for the directory's name\n"
	"  -o, --output FILE     write the image alone to FILE (a new file), '-' to stdout\n"
	"  -c, --check           say which sources are usable and why not the others; write\n"
	"                        nothing\n"
	"      --unload          unload the LiME module that a killed capture left loaded\n"
	"  -s, --source NAME     kcore, bpf, crash or lime, instead of the first usable one\n"
	"  -f, --format NAME     lime (default), avml (compressed), raw (padded), zst (lime in\n"
	"                        seekable zstd)\n"
	"      --arena SIZE      memory that the image passes through, with K or M (default\n"
	"                        1/16384 of all, 256K to 1M)\n"
	"      --workers N       threads that hash and compress (default: one a processor,\n"
	"                        at most 4)\n"
	"      --no-hash         make no SHA-256\n"
	"      --kmods DIR       the catalogue of LiME modules\n"
	"      --manifest-sha256 HEX  the MANIFEST beside DIR, which lists the catalogue\n"
	"      --catalogue-least N    use no catalogue of a lower version\n"
	"      --allow-untested  load a module that was not tested on this very kernel\n"
	"  -j, --json            end with one line of JSON on stdout\n"
	"\nInto S3, without a byte on a disk:\n" S3_USAGE "\n"
	"      --proc DIR, --sys DIR, --dev DIR   read these instead of /proc, /sys, /dev\n"
	"  -h, --help            show this text\n"
	"  -V, --version         show the version\n"
	"\n"
	"Exit: 0 everything captured; 2 usage; 3 captured, but with the gaps listed;\n"
	"4 refused by the system; 5 failed, NAME.partial holds what was written.\n";

enum {
	OPT_PROC = 256,
	OPT_TO,
	OPT_SYS,
	OPT_DEV,
	OPT_ARENA,
	OPT_WORKERS,
	OPT_NO_HASH,
	OPT_UNLOAD,
	OPT_KMODS,
	OPT_UNTESTED,
	OPT_MANIFEST,
	OPT_LEAST,
};

static const struct option long_options[] = {
	S3_LONG_OPTIONS,
	{ "to", required_argument, NULL, OPT_TO },
	{ "evidence", required_argument, NULL, 'e' },
	{ "instance", required_argument, NULL, 'i' },
	{ "output", required_argument, NULL, 'o' },
	{ "check", no_argument, NULL, 'c' },
	{ "unload", no_argument, NULL, OPT_UNLOAD },
	{ "source", required_argument, NULL, 's' },
	{ "format", required_argument, NULL, 'f' },
	{ "arena", required_argument, NULL, OPT_ARENA },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "no-hash", no_argument, NULL, OPT_NO_HASH },
	{ "kmods", required_argument, NULL, OPT_KMODS },
	{ "manifest-sha256", required_argument, NULL, OPT_MANIFEST },
	{ "catalogue-least", required_argument, NULL, OPT_LEAST },
	{ "allow-untested", no_argument, NULL, OPT_UNTESTED },
	{ "json", no_argument, NULL, 'j' },
	{ "proc", required_argument, NULL, OPT_PROC },
	{ "sys", required_argument, NULL, OPT_SYS },
	{ "dev", required_argument, NULL, OPT_DEV },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

/* The texts of options that are numbers. */
struct numbers {
	const char *arena;
	const char *workers;
	const char *least;
};

/* Where an option's text goes, or NULL when it takes none. */
static const char **slot_of(struct options *opt, int c, struct numbers *numbers)
{
	switch (c) {
	case 'e':
		return &opt->evidence;
	case 'i':
		return &opt->instance;
	case 'o':
		return &opt->output;
	case 's':
		return &opt->source;
	case 'f':
		return &opt->format;
	case OPT_ARENA:
		return &numbers->arena;
	case OPT_WORKERS:
		return &numbers->workers;
	case OPT_KMODS:
		return &opt->kmods;
	case OPT_MANIFEST:
		return &opt->manifest_sha256;
	case OPT_LEAST:
		return &numbers->least;
	case OPT_PROC:
		return &opt->proc;
	case OPT_SYS:
		return &opt->sys;
	case OPT_DEV:
		return &opt->dev;
	case OPT_TO:
		return strncmp(optarg, "s3://", 5) == 0 ? &opt->to_s3 : &opt->evidence;
	default:
		return s3_options_slot(&opt->s3, c);
	}
}

/* A number with K or M behind it, at most 1 GiB. */
static bool parse_size(const char *text, size_t *bytes)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || value > 1ul << 30)
		return false;
	if (strcmp(end, "M") == 0)
		value <<= 20;
	else if (strcmp(end, "K") == 0)
		value <<= 10;
	else if (*end)
		return false;
	*bytes = value;
	return value >= PIPELINE_ARENA_MIN && value <= 1ul << 30;
}

static bool parse_workers(const char *text, unsigned *workers)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || !value ||
	    value > PIPELINE_WORKERS_MAX)
		return false;
	*workers = (unsigned)value;
	return true;
}

/* What is wrong with the numbers, or NULL. */
static const char *take_numbers(struct options *opt, const struct numbers *numbers)
{
	if (numbers->arena && !parse_size(numbers->arena, &opt->arena_bytes))
		return "--arena takes 128K to 1024M";
	if (numbers->workers && !parse_workers(numbers->workers, &opt->workers))
		return "--workers takes 1 to 16";
	if (numbers->least && !catversion_parse(numbers->least, &opt->catalogue_least))
		return "--catalogue-least takes a number";
	return NULL;
}

static bool good_format(const char *format)
{
	static const char *const formats[] = { "lime", "avml", "raw", "zst" };

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(format, formats[i]) == 0)
			return true;
	return false;
}

/* What is wrong with the combination, or NULL. */
static const char *contradiction(const struct options *opt, int rest)
{
	uint8_t digest[SHA256_LEN];

	if (rest)
		return "it takes no argument without an option";
	if ((opt->evidence || opt->to_s3) + !!opt->output + opt->check + opt->unload != 1)
		return "one of --evidence, --to, --output, --check and --unload is "
		       "needed";
	if (!opt->to_s3 && s3_options_any(&opt->s3))
		return "options of S3 belong to --to s3://BUCKET/PREFIX";
	if (opt->output && strcmp(opt->output, "-") == 0 && opt->json)
		return "--json and an image on standard output exclude each other";
	if (opt->output && strcmp(opt->output, "-") == 0 && isatty(STDOUT_FILENO))
		return "standard output is a terminal: no image is written to it";
	if ((opt->evidence || opt->to_s3) != !!opt->instance)
		return "--evidence or --to and --instance go together";
	if (opt->instance && !place_good_instance(opt->instance))
		return "the instance id may hold letters, digits, '-', '_' and '.'";
	if (opt->source && !source_find(opt->source))
		return "--source takes kcore, bpf, crash or lime";
	if (!opt->proc != !opt->sys || !opt->proc != !opt->dev)
		return "--proc, --sys and --dev go together";
	if (!opt->kmods && (opt->manifest_sha256 || opt->catalogue_least))
		return "--manifest-sha256 and --catalogue-least belong to --kmods";
	if (opt->manifest_sha256 && (!sha256_from_hex(opt->manifest_sha256, digest) ||
				     opt->manifest_sha256[2 * SHA256_LEN]))
		return "--manifest-sha256 takes 64 hex digits";
	if (!good_format(opt->format))
		return "--format takes lime, avml, raw or zst";
	return NULL;
}

static void set_defaults(struct options *opt)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	opt->workers = processors < 1 ? 1 : processors > 4 ? 4 : (unsigned)processors;
}

int options_parse(int argc, char **argv, struct options *opt)
{
	struct numbers numbers = { NULL, NULL, NULL };
	const char *why;
	int c, bad = 0;

	set_defaults(opt);
	/* getopt speaks under this name. */
	argv[0] = "capture";
	while (!bad && (c = getopt_long(argc, argv, "e:i:o:cs:f:jhV", long_options,
					NULL)) != -1) {
		const char **slot = slot_of(opt, c, &numbers);

		if (slot) {
			bad = cli_take_once("capture", slot, long_options, c);
		} else if (c == 'c') {
			opt->check = true;
		} else if (c == 'j') {
			opt->json = true;
		} else if (s3_options_flag(&opt->s3, c)) {
			*s3_options_flag(&opt->s3, c) = true;
		} else if (c == OPT_NO_HASH) {
			opt->no_hash = true;
		} else if (c == OPT_UNLOAD) {
			opt->unload = true;
		} else if (c == OPT_UNTESTED) {
			opt->allow_untested = true;
		} else if (c == 'h') {
			fputs(usage, stdout);
			return 0;
		} else if (c == 'V') {
			puts("capture (fvol) " FVOL_VERSION);
			return 0;
		} else {
			fputs("Try 'capture --help'.\n", stderr);
			return ERR_USAGE;
		}
	}
	if (bad)
		return bad;
	opt->format = opt->format ? opt->format : "lime";
	why = take_numbers(opt, &numbers);
	if (why)
		return cli_usage("capture", why);
	why = contradiction(opt, argc - optind);
	if (!why && opt->to_s3)
		why = s3_options_target(&opt->s3, opt->to_s3);
	if (!why)
		why = s3_options_check(&opt->s3);
	if (why)
		return cli_usage("capture", why);
	opt->proc = opt->proc ? opt->proc : "/proc";
	opt->sys = opt->sys ? opt->sys : "/sys";
	opt->dev = opt->dev ? opt->dev : "/dev";
	return -1;
}
