#include "toolkit/triage/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/cli.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/place.h"

/* A volume of FVol-Acquire has 1 GiB and a sixteenth of the memory beside the image. */
#define RECOVER_MAX_DEFAULT (UINT64_C(512) << 20)

static const char usage[] =
	"Usage: triage [OPTION...]                              records to stdout\n"
	"       triage --evidence DIR --instance ID [OPTION...]\n"
	"       triage --output DIR [OPTION...]\n"
	"       triage --tar FILE|- [OPTION...]\n"
	"       triage --to s3://BUCKET/PREFIX/ --instance ID [OPTION...]\n"
	"       triage --from RECORDS --output DIR\n"
	"\n"
	"The live state of this machine, or of the container that it runs in: processes,\n"
	"sockets of every network namespace, modules, mounts, what starts by itself, and what\n"
	"one view shows and another hides. Nothing of the host is changed. What cannot be read\n"
	"is listed with the reason.\n"
	"\n"
	"  -e, --evidence DIR   make DIR/ID/TIME/ with triage.jsonl, report.html,\n"
	"                       timesketch.jsonl, bodyfile.txt, processes.json,\n"
	"                       open_files.json, recovered/, SHA256SUMS, custody.jsonl\n"
	"  -i, --instance ID    the instance's or container's id, for the directory's name\n"
	"  -o, --output DIR     the same into DIR, which must not be there yet\n"
	"      --tar FILE       the same as one tar.zst, '-' to stdout\n"
	"      --to URL         the same as one object in S3, without a byte on a disk\n"
	"      --from RECORDS   make the other outputs of a triage.jsonl that is there\n"
	"      --only LIST      processes and no more than the parts in LIST: network,\n"
	"                       modules, bpf, mounts, sessions, units, files\n"
	"      --redact         leave out the values of environments, and of arguments that\n"
	"                       are called secret\n"
	"      --no-environ     read no environments\n"
	"      --no-hash        hash no executables\n"
	"      --no-recover     save no deleted files\n"
	"      --recover-max SIZE  save no more than this in all, with K, M or G (default\n"
	"                       512M)\n"
	"      --memory PID     save the memory of a process; may be given 16 times\n"
	"      --all-pids       look for hidden processes among all pids there can be, also\n"
	"                       those that were never given out (half a second a million)\n"
	"  -j, --json           end with one line of JSON on stdout\n"
	"\nInto S3:\n" S3_USAGE "\n"
	"      --proc DIR, --sys DIR, --root DIR   read these instead of /proc, /sys, /\n"
	"  -h, --help           show this text\n"
	"  -V, --version        show the version\n"
	"\n"
	"Exit: 0 done, whatever was found; 2 usage; 3 done, and what could not be read is\n"
	"listed; 4 refused by the system; 5 failed.\n";

enum {
	OPT_TAR = 256,
	OPT_TO,
	OPT_FROM,
	OPT_REDACT,
	OPT_NO_ENVIRON,
	OPT_NO_HASH,
	OPT_NO_RECOVER,
	OPT_RECOVER_MAX,
	OPT_ALL_PIDS,
	OPT_ONLY,
	OPT_MEMORY,
	OPT_PROC,
	OPT_SYS,
	OPT_ROOT,
};

static const struct option long_options[] = {
	S3_LONG_OPTIONS,
	{ "evidence", required_argument, NULL, 'e' },
	{ "instance", required_argument, NULL, 'i' },
	{ "output", required_argument, NULL, 'o' },
	{ "tar", required_argument, NULL, OPT_TAR },
	{ "to", required_argument, NULL, OPT_TO },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "redact", no_argument, NULL, OPT_REDACT },
	{ "no-environ", no_argument, NULL, OPT_NO_ENVIRON },
	{ "no-hash", no_argument, NULL, OPT_NO_HASH },
	{ "no-recover", no_argument, NULL, OPT_NO_RECOVER },
	{ "recover-max", required_argument, NULL, OPT_RECOVER_MAX },
	{ "only", required_argument, NULL, OPT_ONLY },
	{ "all-pids", no_argument, NULL, OPT_ALL_PIDS },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "json", no_argument, NULL, 'j' },
	{ "proc", required_argument, NULL, OPT_PROC },
	{ "sys", required_argument, NULL, OPT_SYS },
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

/* Those that are read once all are known. */
struct texts {
	const char *recover_max, *only;
};

/* Where an option's text goes, or NULL when it takes none. */
static const char **slot_of(struct options *opt, int c, struct texts *texts)
{
	switch (c) {
	case 'e':
		return &opt->evidence;
	case 'i':
		return &opt->instance;
	case 'o':
		return &opt->output;
	case OPT_TAR:
		return &opt->tar;
	case OPT_TO:
		return &opt->to;
	case OPT_FROM:
		return &opt->from;
	case OPT_RECOVER_MAX:
		return &texts->recover_max;
	case OPT_ONLY:
		return &texts->only;
	case OPT_PROC:
		return &opt->proc;
	case OPT_SYS:
		return &opt->sys;
	case OPT_ROOT:
		return &opt->root;
	default:
		return s3_options_slot(&opt->s3, c);
	}
}

static bool *flag_of(struct options *opt, int c)
{
	switch (c) {
	case 'j':
		return &opt->json;
	case OPT_REDACT:
		return &opt->redact;
	case OPT_NO_ENVIRON:
		return &opt->no_environ;
	case OPT_NO_HASH:
		return &opt->no_hash;
	case OPT_NO_RECOVER:
		return &opt->no_recover;
	case OPT_ALL_PIDS:
		return &opt->all_pids;
	default:
		return s3_options_flag(&opt->s3, c);
	}
}

/* Takes one of the pids of --memory. Returns ERR_USAGE when it is none, 0 otherwise. */
static int take_pid(struct options *opt, const char *text)
{
	char *end;
	unsigned long pid = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || !pid || pid > INT32_MAX)
		return cli_usage("triage", "--memory takes the number of a process");
	if (opt->memory_count == TRIAGE_MEMORY_MAX)
		return cli_usage("triage", "--memory may be given 16 times");
	opt->memory[opt->memory_count++] = (int32_t)pid;
	return 0;
}

/* A list of names with commas between them; NULL: all. */
static bool take_parts(const char *list, unsigned *parts)
{
	static const struct {
		const char *name;
		unsigned part;
	} known[] = {
		{ "processes", 0 },	     { "network", PART_NETWORK },
		{ "modules", PART_MODULES }, { "bpf", PART_BPF },
		{ "mounts", PART_MOUNTS },   { "sessions", PART_SESSIONS },
		{ "units", PART_UNITS },     { "files", PART_FILES },
	};
	size_t i, len;

	*parts = list ? 0 : PART_ALL;
	for (; list && *list; list += len + (list[len] == ',')) {
		len = strcspn(list, ",");
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strlen(known[i].name) == len &&
			    memcmp(known[i].name, list, len) == 0)
				break;
		if (i == sizeof(known) / sizeof(known[0]))
			return false;
		*parts |= known[i].part;
	}
	return true;
}

/* What is wrong with the combination, or NULL. */
static const char *contradiction(struct options *opt, int rest)
{
	int places = !!opt->evidence + !!opt->output + !!opt->tar + !!opt->to;

	if (rest)
		return "it takes no argument without an option";
	if (places > 1)
		return "--evidence, --output, --tar and --to exclude each other";
	if ((opt->evidence || opt->to) && !opt->instance)
		return "--evidence and --to need --instance";
	if (opt->instance && !place_good_instance(opt->instance))
		return "the instance id may hold letters, digits, '-', '_' and '.'";
	if (!opt->to && s3_options_any(&opt->s3))
		return "options of S3 belong to --to s3://BUCKET/PREFIX/";
	if (opt->from && !opt->output)
		return "--from needs --output";
	if (opt->from && (opt->memory_count || opt->redact || opt->json || opt->proc))
		return "--from reads nothing but records";
	if (opt->tar && strcmp(opt->tar, "-") == 0 && opt->json)
		return "--json and an archive on standard output exclude each other";
	if (!places && (opt->json || opt->memory_count))
		return "--json and --memory need a place: --evidence, --output, --tar or "
		       "--to";
	if (opt->tar && strcmp(opt->tar, "-") == 0 && isatty(STDOUT_FILENO))
		return "standard output is a terminal: no archive is written to it";
	if (!opt->proc != !opt->sys || !opt->proc != !opt->root)
		return "--proc, --sys and --root go together";
	return NULL;
}

/* One option. Returns 0, ERR_USAGE, or -1 with *code for an end at once. */
static int take(struct options *opt, int c, struct texts *texts, int *code)
{
	const char **slot = slot_of(opt, c, texts);

	if (slot)
		return cli_take_once("triage", slot, long_options, c);
	if (flag_of(opt, c)) {
		*flag_of(opt, c) = true;
		return 0;
	}
	*code = 0;
	if (c == OPT_MEMORY)
		return take_pid(opt, optarg);
	if (c == 'h') {
		fputs(usage, stdout);
	} else if (c == 'V') {
		puts("triage (fvol) " FVOL_VERSION);
	} else {
		fputs("Try 'triage --help'.\n", stderr);
		*code = ERR_USAGE;
	}
	return -1;
}

int options_parse(int argc, char **argv, struct options *opt)
{
	struct texts texts = { 0 };
	const char *why;
	int c, bad, code = 0;

	/* getopt speaks under this name. */
	argv[0] = "triage";
	while ((c = getopt_long(argc, argv, "e:i:o:jhV", long_options, NULL)) != -1) {
		bad = take(opt, c, &texts, &code);
		if (bad)
			return bad < 0 ? code : bad;
	}
	why = contradiction(opt, argc - optind);
	opt->recover_max_bytes = RECOVER_MAX_DEFAULT;
	if (!why && !take_parts(texts.only, &opt->parts))
		why = "--only takes a list of processes, network, modules, bpf, mounts, "
		      "sessions, units and files";
	if (!why && texts.recover_max &&
	    !s3_options_size(texts.recover_max, &opt->recover_max_bytes))
		why = "--recover-max takes a number with K, M or G";
	if (!why && opt->to)
		why = s3_options_target(&opt->s3, opt->to);
	if (!why)
		why = s3_options_check(&opt->s3);
	if (why)
		return cli_usage("triage", why);
	opt->instance = opt->instance ? opt->instance : "unknown";
	return -1;
}
