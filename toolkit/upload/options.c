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
	"\n"
	"      --region NAME          the bucket's Region (default: AWS_REGION, or what the\n"
	"                             metadata service says)\n"
	"      --endpoint URL         https://HOST[:PORT], not AWS's own; path style\n"
	"      --connect-to HOST:PORT where to connect to, whatever the name\n"
	"      --proxy URL            http://HOST:PORT\n"
	"      --ca FILE              trusted CAs (default: etc/ca.pem of the volume)\n"
	"      --credentials FROM     auto (the default), env, imds, container, or\n"
	"                             FILE[:PROFILE] with mode 0600\n"
	"      --imds-endpoint URL    where the metadata service is\n"
	"  -p, --part-size BYTES      5M to 5G (default: 8M, more where 10,000 are too few)\n"
	"  -P, --parallel N           parts in memory at a time (default 4)\n"
	"  -s, --size BYTES           how much standard input will give, or more\n"
	"      --sha256 HEX           what the source must have; stored as metadata\n"
	"  -j, --journal FILE         note what is done, and go on from there when it exists\n"
	"      --owner ID             the account that must own the bucket\n"
	"      --kms-key ARN          encrypt with this key; default: with S3's own\n"
	"      --lock MODE            GOVERNANCE or COMPLIANCE, with\n"
	"      --retain-until TIME    2027-01-01T00:00:00Z\n"
	"      --legal-hold           put the object under legal hold\n"
	"      --overwrite            replace an object that is there\n"
	"      --companion            store KEY.sha256 beside an object of several parts\n"
	"      --verify               read the object back and compare\n"
	"      --retries N            attempts of one call (default 10)\n"
	"      --stall SECONDS        give a connection up that moves no byte (default 30)\n"
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
	OPT_REGION = 256,
	OPT_ENDPOINT,
	OPT_CONNECT_TO,
	OPT_PROXY,
	OPT_CA,
	OPT_CREDENTIALS,
	OPT_IMDS,
	OPT_SHA256,
	OPT_OWNER,
	OPT_KMS,
	OPT_LOCK,
	OPT_RETAIN,
	OPT_HOLD,
	OPT_OVERWRITE,
	OPT_COMPANION,
	OPT_VERIFY,
	OPT_RETRIES,
	OPT_STALL,
	OPT_PRESIGNED,
	OPT_PARTS,
	OPT_STATE,
	OPT_EXPIRES,
	OPT_LIST_KEY,
	OPT_JSON,
};

static const struct option long_options[] = {
	{ "region", required_argument, NULL, OPT_REGION },
	{ "endpoint", required_argument, NULL, OPT_ENDPOINT },
	{ "connect-to", required_argument, NULL, OPT_CONNECT_TO },
	{ "proxy", required_argument, NULL, OPT_PROXY },
	{ "ca", required_argument, NULL, OPT_CA },
	{ "credentials", required_argument, NULL, OPT_CREDENTIALS },
	{ "imds-endpoint", required_argument, NULL, OPT_IMDS },
	{ "part-size", required_argument, NULL, 'p' },
	{ "parallel", required_argument, NULL, 'P' },
	{ "size", required_argument, NULL, 's' },
	{ "sha256", required_argument, NULL, OPT_SHA256 },
	{ "journal", required_argument, NULL, 'j' },
	{ "owner", required_argument, NULL, OPT_OWNER },
	{ "kms-key", required_argument, NULL, OPT_KMS },
	{ "lock", required_argument, NULL, OPT_LOCK },
	{ "retain-until", required_argument, NULL, OPT_RETAIN },
	{ "legal-hold", no_argument, NULL, OPT_HOLD },
	{ "overwrite", no_argument, NULL, OPT_OVERWRITE },
	{ "companion", no_argument, NULL, OPT_COMPANION },
	{ "verify", no_argument, NULL, OPT_VERIFY },
	{ "retries", required_argument, NULL, OPT_RETRIES },
	{ "stall", required_argument, NULL, OPT_STALL },
	{ "presigned", required_argument, NULL, OPT_PRESIGNED },
	{ "parts", required_argument, NULL, OPT_PARTS },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "expires", required_argument, NULL, OPT_EXPIRES },
	{ "list-key", required_argument, NULL, OPT_LIST_KEY },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

/* The slot of an option that takes a word, or NULL. */
static const char **slot_of(struct options *opt, int c)
{
	switch (c) {
	case OPT_REGION:
		return &opt->region;
	case OPT_ENDPOINT:
		return &opt->endpoint;
	case OPT_CONNECT_TO:
		return &opt->connect_to;
	case OPT_PROXY:
		return &opt->proxy;
	case OPT_CA:
		return &opt->ca;
	case OPT_CREDENTIALS:
		return &opt->credentials;
	case OPT_IMDS:
		return &opt->imds_endpoint;
	case 'p':
		return &opt->part_size;
	case 'P':
		return &opt->parallel;
	case 's':
		return &opt->size;
	case OPT_SHA256:
		return &opt->sha256;
	case 'j':
		return &opt->journal;
	case OPT_OWNER:
		return &opt->owner;
	case OPT_KMS:
		return &opt->kms_key;
	case OPT_LOCK:
		return &opt->lock;
	case OPT_RETAIN:
		return &opt->retain_until;
	case OPT_RETRIES:
		return &opt->retries;
	case OPT_STALL:
		return &opt->stall;
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
	default:
		return NULL;
	}
}

static const char *name_of(int c)
{
	for (const struct option *o = long_options; o->name; o++)
		if (o->val == c)
			return o->name;
	return "?";
}

static bool *flag_of(struct options *opt, int c)
{
	switch (c) {
	case OPT_HOLD:
		return &opt->legal_hold;
	case OPT_OVERWRITE:
		return &opt->overwrite;
	case OPT_COMPANION:
		return &opt->companion;
	case OPT_VERIFY:
		return &opt->verify;
	case OPT_JSON:
		return &opt->json;
	default:
		return NULL;
	}
}

/* "64M": digits, perhaps with K, M, G or T (1024). Returns false for anything else. */
static bool parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	uint64_t value = 0;
	const char *unit;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return false;
	if (*text) {
		unit = strchr(units, *text);
		if (!unit || text[1])
			return false;
		for (const char *u = units; u <= unit; u++)
			if (__builtin_mul_overflow(value, 1024, &value))
				return false;
	}
	*out = value;
	return true;
}

static bool parse_number(const char *text, unsigned least, unsigned most, unsigned *out)
{
	uint64_t value;

	if (!text)
		return true;
	if (!parse_size(text, &value) || value < least || value > most)
		return false;
	*out = (unsigned)value;
	return true;
}

/* Takes s3://BUCKET/KEY apart. Returns what is wrong, or NULL. */
static const char *take_target(struct options *opt, const char *target)
{
	const char *slash;
	size_t len;

	if (strncmp(target, "s3://", 5) != 0)
		return "the target is not s3://BUCKET/KEY";
	slash = strchr(target + 5, '/');
	len = slash ? (size_t)(slash - target - 5) : strlen(target + 5);
	if (!len || len >= sizeof(opt->bucket))
		return "no bucket can have this name";
	memcpy(opt->bucket, target + 5, len);
	opt->key = slash ? slash + 1 : "";
	len = strlen(opt->key);
	opt->prefix = !len || opt->key[len - 1] == '/';
	return NULL;
}

static const char *check_numbers(struct options *opt)
{
	uint8_t digest[SHA256_LEN];

	opt->size_bytes = TRANSFER_UNKNOWN;
	opt->expires_s = 3600;
	if (opt->part_size &&
	    (!parse_size(opt->part_size, &opt->part_bytes) || opt->part_bytes % 4096 ||
	     opt->part_bytes < S3_PART_MIN_BYTES || opt->part_bytes > S3_PART_MAX_BYTES))
		return "--part-size takes 5M to 5G, in blocks of 4096 bytes";
	if (opt->size && (!parse_size(opt->size, &opt->size_bytes) ||
			  opt->size_bytes > S3_OBJECT_MAX_BYTES))
		return "--size takes at most 5T";
	if (!parse_number(opt->parallel, 1, TRANSFER_PARALLEL_MAX, &opt->n_parallel))
		return "--parallel takes 1 to 64";
	if (!parse_number(opt->retries, 1, 1000, &opt->n_retries))
		return "--retries takes 1 to 1000";
	if (!parse_number(opt->stall, 1, 3600, &opt->stall_s))
		return "--stall takes 1 to 3600 seconds";
	/* SigV4 holds a week at most. */
	if (!parse_number(opt->expires, 1, 604800, &opt->expires_s))
		return "--expires takes 1 to 604800 seconds";
	if (opt->sha256 &&
	    (!sha256_from_hex(opt->sha256, digest) || opt->sha256[2 * SHA256_LEN]))
		return "--sha256 takes 64 hex digits";
	return NULL;
}

static const char *check_lock(const struct options *opt)
{
	if (!opt->lock != !opt->retain_until)
		return "--lock and --retain-until belong together";
	if (opt->lock && strcmp(opt->lock, "GOVERNANCE") != 0 &&
	    strcmp(opt->lock, "COMPLIANCE") != 0)
		return "--lock takes GOVERNANCE or COMPLIANCE";
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
		why = take_target(opt, words[--count]);
		if (why)
			return why;
		if (opt->parts)
			return "--parts belongs to --presigned and complete";
	} else if (opt->journal || opt->companion || opt->verify || opt->region ||
		   opt->endpoint || opt->credentials || opt->owner || opt->kms_key ||
		   opt->lock || opt->legal_hold || opt->overwrite || opt->part_size) {
		return "--presigned leaves that to presign and complete";
	} else if (count != 1) {
		return "--presigned takes one source";
	}
	opt->sources = words;
	opt->n_sources = count;
	for (int i = 0; i < count; i++)
		from_stdin += strcmp(words[i], "-") == 0;
	if (count > 1 && !opt->prefix)
		return "several sources need a KEY that ends in /";
	if (count > 1 && (opt->journal || opt->sha256 || opt->size))
		return "--journal, --sha256 and --size are for one source";
	if (from_stdin && opt->prefix && !opt->presigned)
		return "standard input needs a KEY, not a prefix";
	if (opt->presigned && from_stdin && strcmp(opt->presigned, "-") == 0)
		return "standard input cannot give both the URL and the source";
	return NULL;
}

static const char *check_others(struct options *opt, char **words, int count)
{
	if (opt->presigned || (opt->journal && opt->command != ABORT))
		return "--presigned and --journal belong to sending";
	if (opt->command == PRESIGN) {
		if (!opt->state || !opt->size)
			return "presign needs --state and --size";
		if (count != 1)
			return "presign takes one target";
		if (opt->parts || opt->sha256 || opt->verify)
			return "--parts, --sha256 and --verify belong to complete";
		if (take_target(opt, words[0]) || opt->prefix)
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
	if (opt->journal && (count != 1 || take_target(opt, words[0]) || opt->prefix))
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
			bad = cli_set_once("upload", slot, name_of(c));
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
		why = check_lock(opt);
	if (!why)
		why = opt->command == SEND
			      ? check_send(opt, argv + optind, argc - optind)
			      : check_others(opt, argv + optind, argc - optind);
	return why ? cli_usage("upload", why) : -1;
}
