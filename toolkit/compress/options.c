#include "toolkit/compress/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/cli.h"
#include "toolkit/lib/decoder.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/pipeline.h"

static const char usage[] =
	"Usage: compress --format FORMAT --output OUTPUT [--from FORMAT] [--ranges FILE]\n"
	"                [--salvage] [--json] IMAGE\n"
	"       compress --info [--from FORMAT] [--json] IMAGE\n"
	"       compress --check [--from FORMAT] [--ranges FILE] [--json] IMAGE\n"
	"       compress bundle [--json] DIRECTORY OUTPUT.tar.zst\n"
	"       compress bundle --check [--json] BUNDLE.tar.zst\n"
	"\n"
	"Converts memory images, says what an image holds, checks one; and packs a directory\n"
	"of evidence into one file. What was written is read back and compared.\n"
	"\n"
	"  -f, --format FORMAT  lime, avml (blocks of snappy), raw (padded), zst (lime in\n"
	"                       seekable zstd)\n"
	"  -o, --output OUTPUT  the image to write (a new file)\n"
	"      --from FORMAT    the format of IMAGE; lime, avml and zst are recognised, raw is\n"
	"                       not\n"
	"  -r, --ranges FILE    the ranges that the memory has, for avml and raw, which do not\n"
	"                       tell: a copy of /proc/iomem, record.json, or what --info\n"
	"                       --json printed\n"
	"      --salvage        go on behind what is damaged: it is named, and zero in OUTPUT\n"
	"      --no-verify      do not read OUTPUT back\n"
	"      --info           list format, ranges and bytes; checks the structure alone\n"
	"      --check          read everything and compare every checksum there is\n"
	"      --arena SIZE     memory that the image passes through, with K or M (default 4M)\n"
	"      --workers N      threads that compress (default: one a processor, at most 4)\n"
	"  -j, --json           end with one line of JSON on stdout\n"
	"  -h, --help           show this text\n"
	"  -V, --version        show the version\n"
	"\n"
	"Exit: 0 done and read back; 1 --check found damage; 2 usage; 3 written, but with the\n"
	"gaps listed; 4 refused by the system; 5 failed, and there is no OUTPUT.\n";

#define ARENA_DEFAULT (4u << 20)

enum {
	OPT_FROM = 256,
	OPT_SALVAGE,
	OPT_NO_VERIFY,
	OPT_INFO,
	OPT_CHECK,
	OPT_ARENA,
	OPT_WORKERS,
};

static const struct option long_options[] = {
	{ "format", required_argument, NULL, 'f' },
	{ "output", required_argument, NULL, 'o' },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "ranges", required_argument, NULL, 'r' },
	{ "salvage", no_argument, NULL, OPT_SALVAGE },
	{ "no-verify", no_argument, NULL, OPT_NO_VERIFY },
	{ "info", no_argument, NULL, OPT_INFO },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "arena", required_argument, NULL, OPT_ARENA },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

/* As they were given, before they are held against each other. */
struct given {
	const char *arena, *workers;
	bool info, check, bundle;
};

/* A number of at most 9 digits, then what stands behind it. Returns false for none. */
static bool parse_number(const char *text, unsigned long *value, const char **rest)
{
	size_t digits = strspn(text, "0123456789");

	*value = strtoul(text, NULL, 10);
	*rest = text + digits;
	return digits && digits <= 9;
}

static bool parse_size(const char *text, size_t *bytes)
{
	unsigned long value;
	const char *rest;

	if (!parse_number(text, &value, &rest))
		return false;
	*bytes = value;
	if (strcmp(rest, "M") == 0)
		*bytes <<= 20;
	else if (strcmp(rest, "K") == 0)
		*bytes <<= 10;
	else if (*rest)
		return false;
	return *bytes >= PIPELINE_ARENA_MIN && *bytes <= 1ul << 30;
}

static bool parse_workers(const char *text, unsigned *workers)
{
	unsigned long value;
	const char *rest;

	if (!parse_number(text, &value, &rest) || *rest || !value ||
	    value > PIPELINE_WORKERS_MAX)
		return false;
	*workers = (unsigned)value;
	return true;
}

static const char **slot_of(struct options *opt, struct given *given, int c)
{
	switch (c) {
	case 'f':
		return &opt->format;
	case 'o':
		return &opt->output;
	case 'r':
		return &opt->ranges;
	case OPT_FROM:
		return &opt->from;
	case OPT_ARENA:
		return &given->arena;
	case OPT_WORKERS:
		return &given->workers;
	default:
		return NULL;
	}
}

static bool *flag_of(struct options *opt, struct given *given, int c)
{
	switch (c) {
	case 'j':
		return &opt->json;
	case OPT_SALVAGE:
		return &opt->salvage;
	case OPT_NO_VERIFY:
		return &opt->no_verify;
	case OPT_INFO:
		return &given->info;
	case OPT_CHECK:
		return &given->check;
	default:
		return NULL;
	}
}

/* What is wrong with a bundle's arguments, or NULL. */
static const char *bundle_mode(struct options *opt, const struct given *given, int argc,
			       char **argv)
{
	if (opt->format || opt->output || opt->from || opt->ranges || opt->salvage ||
	    opt->no_verify || given->info || given->arena || given->workers)
		return "bundle takes --check and --json only";
	opt->mode = given->check ? MODE_BUNDLE_CHECK : MODE_BUNDLE;
	if (argc != (given->check ? 1 : 2))
		return given->check ? "bundle --check takes one file"
				    : "bundle takes a directory and the file to write";
	opt->input = argv[0];
	opt->output = given->check ? NULL : argv[1];
	return NULL;
}

static const char *image_mode(struct options *opt, const struct given *given, int argc,
			      char **argv)
{
	bool convert = !given->info && !given->check;

	if (given->info && given->check)
		return "--info and --check exclude each other";
	if (argc != 1)
		return "one image is needed";
	opt->input = argv[0];
	opt->mode = given->info ? MODE_INFO : given->check ? MODE_CHECK : MODE_CONVERT;
	if (opt->from && !decoder_find(opt->from))
		return "--from takes lime, avml, raw or zst";
	if (!convert && (opt->format || opt->output || opt->salvage || opt->no_verify ||
			 given->arena || given->workers))
		return "--info and --check write nothing";
	if (given->info && opt->ranges)
		return "--ranges does not belong to --info";
	if (convert && (!opt->format || !opt->output))
		return "--format and --output are needed, or --info, or --check";
	if (convert && !decoder_find(opt->format))
		return "--format takes lime, avml, raw or zst";
	if (given->arena && !parse_size(given->arena, &opt->arena_bytes))
		return "--arena takes 128K to 1024M";
	if (given->workers && !parse_workers(given->workers, &opt->workers))
		return "--workers takes 1 to 16";
	return NULL;
}

static void set_defaults(struct options *opt)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	opt->arena_bytes = ARENA_DEFAULT;
	opt->workers = processors < 1 ? 1 : processors > 4 ? 4 : (unsigned)processors;
}

int options_parse(int argc, char **argv, struct options *opt)
{
	struct given given = { 0 };
	const char *why;
	int c, bad = 0;

	set_defaults(opt);
	/* getopt speaks under this name. */
	argv[0] = "compress";
	while (!bad &&
	       (c = getopt_long(argc, argv, "f:o:r:jhV", long_options, NULL)) != -1) {
		const char **slot = slot_of(opt, &given, c);
		bool *flag = flag_of(opt, &given, c);

		if (slot) {
			bad = cli_take_once("compress", slot, long_options, c);
		} else if (flag) {
			*flag = true;
		} else if (c == 'h') {
			fputs(usage, stdout);
			return 0;
		} else if (c == 'V') {
			puts("compress (fvol) " FVOL_VERSION);
			return 0;
		} else {
			fputs("Try 'compress --help'.\n", stderr);
			return ERR_USAGE;
		}
	}
	if (bad)
		return bad;
	argc -= optind;
	argv += optind;
	given.bundle = argc > 0 && strcmp(argv[0], "bundle") == 0;
	why = given.bundle ? bundle_mode(opt, &given, argc - 1, argv + 1)
			   : image_mode(opt, &given, argc, argv);
	return why ? cli_usage("compress", why) : -1;
}
