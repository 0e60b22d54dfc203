#include "toolkit/upload/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/cli.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/s3.h"
#include "toolkit/lib/transfer.h"

static const char usage[] =
	"Usage: upload [OPTION...] SOURCE... s3://BUCKET/KEY\n"
	"       upload --presigned WHERE [OPTION...] SOURCE\n"
	"       upload presign --state FILE --size BYTES [OPTION...] s3://BUCKET/KEY\n"
	"       upload complete --state FILE {--parts FILE|--sha256 HEX} [OPTION...]\n"
	"       upload abort {--state FILE|--journal FILE} [OPTION...] [s3://BUCKET/KEY]\n"
	"\n"
	"Sends files, or standard input (-), to S3 in parts, and checks what arrived. A KEY\n"
	"that ends in / is a prefix: the name of each source is added.\n"
	"\n" S3_USAGE
	"  -s, --size BYTES           how much standard input will give, or more\n"
	"      --sha256 HEX           what the source must have; stored as metadata\n"
	"  -j, --journal FILE         note what is done, and go on from there when it exists\n"
	"      --companion            store KEY.sha256 beside an object of several parts\n"
	"      --verify               read the object back and compare\n"
	"      --unsigned-payload     sign a part's checksum, not its bytes: for servers that\n"
	"                             hash slowly, and check checksums\n"
	"      --custody FILE         add a line to this log for each source, which must be\n"
	"                             in its directory\n"
	"      --instance ID          whose evidence it is; with --custody\n"
	"      --presigned WHERE      no keys: WHERE is a file with the URL of a list that\n"
	"                             presign made, - for standard input, env for\n"
	"                             FVOL_PRESIGNED_URL\n"
	"      --parts FILE           with --presigned: write (a new file) what was sent;\n"
	"                             with complete: compare with it\n"
	"      --state FILE           what presign noted (a new file)\n"
	"      --expires SECONDS      how long presigned URLs hold (default 3600)\n"
	"      --list-key KEY         where presign stores the list (default KEY.list)\n"
	"      --json                 print the result as JSON, a line for each object\n"
	"  -h, --help                 show this text\n"
	"  -V, --version              show the version\n"
	"\n"
	"Exit: 0 stored and checked; 1 the bytes are not those expected; 2 usage; 4 refused by\n"
	"the system or the service; 5 failed (with --journal: say the same again to go on).\n";

enum {
	OPT_SHA256 = 256,
	OPT_COMPANION,
	OPT_VERIFY,
	OPT_PRESIGNED,
	OPT_PARTS,
	OPT_STATE,
	OPT_EXPIRES,
	OPT_LIST_KEY,
	OPT_CUSTODY,
	OPT_INSTANCE,
	OPT_UNSIGNED,
	OPT_JSON,
};

static const struct option long_options[] = {
	S3_LONG_OPTIONS,
	{ "size", required_argument, NULL, 's' },
	{ "sha256", required_argument, NULL, OPT_SHA256 },
	{ "journal", required_argument, NULL, 'j' },
	{ "companion", no_argument, NULL, OPT_COMPANION },
	{ "verify", no_argument, NULL, OPT_VERIFY },
	{ "presigned", required_argument, NULL, OPT_PRESIGNED },
	{ "parts", required_argument, NULL, OPT_PARTS },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "expires", required_argument, NULL, OPT_EXPIRES },
	{ "list-key", required_argument, NULL, OPT_LIST_KEY },
	{ "custody", required_argument, NULL, OPT_CUSTODY },
	{ "instance", required_argument, NULL, OPT_INSTANCE },
	{ "unsigned-payload", no_argument, NULL, OPT_UNSIGNED },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

/* The slot of an option that takes a word, or NULL. */
static const char **slot_of(struct options *opt, int c)
{
	switch (c) {
	case 's':
		return &opt->size;
	case OPT_SHA256:
		return &opt->sha256;
	case 'j':
		return &opt->journal;
	case OPT_PRESIGNED:
		return &opt->presigned;
	case OPT_PARTS:
		return &opt->parts;
	case OPT_STATE:
		return &opt->state;
	case OPT_EXPIRES:
		return &opt->expires;
	case OPT_LIST_KEY:
		return &opt->list_key;
	case OPT_CUSTODY:
		return &opt->custody;
	case OPT_INSTANCE:
		return &opt->instance;
	default:
		return s3_options_slot(&opt->s3, c == 'p'   ? S3_OPT_PART_SIZE
						 : c == 'P' ? S3_OPT_PARALLEL
							    : c);
	}
}

/* The value of the long form. */
static int long_of(int c)
{
	return c == 'p' ? S3_OPT_PART_SIZE : c == 'P' ? S3_OPT_PARALLEL : c;
}

static bool *flag_of(struct options *opt, int c)
{
	switch (c) {
	case OPT_COMPANION:
		return &opt->companion;
	case OPT_VERIFY:
		return &opt->verify;
	case OPT_JSON:
		return &opt->json;
	case OPT_UNSIGNED:
		return &opt->unsigned_payload;
	default:
		return s3_options_flag(&opt->s3, c);
	}
}

static const char *check_numbers(struct options *opt)
{
	uint8_t digest[SHA256_LEN];

	opt->size_bytes = TRANSFER_UNKNOWN;
	opt->expires_s = 3600;
	if (opt->size && (!s3_options_size(opt->size, &opt->size_bytes) ||
			  opt->size_bytes > S3_OBJECT_MAX_BYTES))
		return "--size takes at most 5T";
	/* SigV4 holds a week at most. */
	if (!s3_options_number(opt->expires, 1, 604800, &opt->expires_s))
		return "--expires takes 1 to 604800 seconds";
	if (opt->sha256 &&
	    (!sha256_from_hex(opt->sha256, digest) || opt->sha256[2 * SHA256_LEN]))
		return "--sha256 takes 64 hex digits";
	return NULL;
}

static const char *check_send(struct options *opt, char **words, int count)
{
	const char *why;
	int from_stdin = 0;

	if (opt->state || opt->expires || opt->list_key)
		return "--state, --expires and --list-key belong to presign and complete";
	if (!opt->presigned) {
		if (count < 2)
			return "what is to be sent, and where to?";
		why = s3_options_target(&opt->s3, words[--count]);
		if (why)
			return why;
		if (opt->parts)
			return "--parts belongs to --presigned and complete";
	} else if (opt->journal || opt->companion || opt->verify || opt->s3.region ||
		   opt->s3.endpoint || opt->s3.credentials || opt->s3.owner ||
		   opt->s3.kms_key || opt->s3.lock || opt->s3.legal_hold ||
		   opt->s3.overwrite || opt->s3.part_size || opt->unsigned_payload) {
		return "--presigned leaves that to presign and complete";
	} else if (count != 1) {
		return "--presigned takes one source";
	}
	opt->sources = words;
	opt->n_sources = count;
	for (int i = 0; i < count; i++)
		from_stdin += strcmp(words[i], "-") == 0;
	if (!opt->custody != !opt->instance)
		return "--custody and --instance belong together";
	if (opt->custody && from_stdin)
		return "--custody is for files";
	if (count > 1 && !opt->s3.prefix)
		return "several sources need a KEY that ends in /";
	if (count > 1 && (opt->journal || opt->sha256 || opt->size))
		return "--journal, --sha256 and --size are for one source";
	if (from_stdin && opt->s3.prefix && !opt->presigned)
		return "standard input needs a KEY, not a prefix";
	if (opt->presigned && from_stdin && strcmp(opt->presigned, "-") == 0)
		return "standard input cannot give both the URL and the source";
	return NULL;
}

static const char *check_others(struct options *opt, char **words, int count)
{
	if (opt->presigned || (opt->journal && opt->command != ABORT))
		return "--presigned and --journal belong to sending";
	if (opt->custody || opt->instance || opt->unsigned_payload)
		return "--custody, --instance and --unsigned-payload belong to sending";
	if (opt->command == PRESIGN) {
		if (!opt->state || !opt->size)
			return "presign needs --state and --size";
		if (count != 1)
			return "presign takes one target";
		if (opt->parts || opt->sha256 || opt->verify)
			return "--parts, --sha256 and --verify belong to complete";
		if (s3_options_target(&opt->s3, words[0]) || opt->s3.prefix)
			return "the target is not s3://BUCKET/KEY";
		return NULL;
	}
	if (opt->command == COMPLETE) {
		if (count || !opt->state || (!opt->parts && !opt->sha256))
			return "complete needs --state, and --parts or --sha256";
		return NULL;
	}
	if (!opt->state == !opt->journal)
		return "abort needs --state or --journal";
	if (opt->journal &&
	    (count != 1 || s3_options_target(&opt->s3, words[0]) || opt->s3.prefix))
		return "abort --journal needs s3://BUCKET/KEY";
	return opt->state && count ? "abort --state takes no target" : NULL;
}

/* Takes "presign", "complete" or "abort" off the front. */
static void take_command(struct options *opt, int *argc, char ***argv)
{
	static const char *const names[] = {
		[PRESIGN] = "presign", [COMPLETE] = "complete", [ABORT] = "abort"
	};

	for (enum command c = PRESIGN; *argc > 1 && c <= ABORT; c++) {
		if (strcmp((*argv)[1], names[c]) == 0) {
			opt->command = c;
			(*argc)--;
			(*argv)++;
			return;
		}
	}
}

int options_parse(int argc, char **argv, struct options *opt)
{
	const char **slot, *why;
	int c, bad = 0;

	take_command(opt, &argc, &argv);
	argv[0] = "upload";
	while (!bad &&
	       (c = getopt_long(argc, argv, "p:P:s:j:hV", long_options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (c == 'V') {
			puts("upload (fvol) " FVOL_VERSION);
			return 0;
		}
		slot = slot_of(opt, c);
		if (slot) {
			bad = cli_take_once("upload", slot, long_options, long_of(c));
		} else if (flag_of(opt, c)) {
			*flag_of(opt, c) = true;
		} else {
			fputs("Try 'upload --help'.\n", stderr);
			return ERR_USAGE;
		}
	}
	if (bad)
		return bad;
	why = check_numbers(opt);
	if (!why)
		why = s3_options_check(&opt->s3);
	if (!why)
		why = opt->command == SEND
			      ? check_send(opt, argv + optind, argc - optind)
			      : check_others(opt, argv + optind, argc - optind);
	return why ? cli_usage("upload", why) : -1;
}
