#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/build.h"
#include "image/diff.h"
#include "image/extract.h"
#include "image/plan.h"
#include "image/release.h"
#include "image/sign.h"
#include "image/verify.h"
#include "toolkit/lib/err.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/sha256.h"

#ifndef FVOL_VERSION
#define FVOL_VERSION "unknown"
#endif

static const char usage[] =
	"usage: image build --plan PLAN --epoch SECONDS [OPTION]... OUT\n"
	"       image add --plan PLAN [OPTION]... OLD NEW\n"
	"       image diff [--json] OLD NEW\n"
	"       image verify [--manifest-sha256 HEX] [--key PUBLIC.pem | --keys DIR] "
	"VOLUME\n"
	"       image ls VOLUME [PATH]\n"
	"       image cat VOLUME PATH\n"
	"       image extract VOLUME PATH DIR\n"
	"       image keygen KEY.pem PUBLIC.pem\n"
	"       image sign SIGNER FILE...\n"
	"       image verify-signature (--key PUBLIC.pem | --keys DIR) FILE [SIGNATURE]\n"
	"       image trust DIR PUBLIC.pem\n"
	"       image revoke SIGNER --reason TEXT DIR ID\n"
	"       image publish|share|prune ...   (each has a --help of its own)\n"
	"       SIGNER is --sign-key KEY.pem, or --sign-command PROGRAM --key PUBLIC.pem\n"
	"\n"
	"Makes the forensic volume and reads it back. VOLUME is an image file or a block\n"
	"device; it is only read, never mounted, and may come from a hostile host.\n"
	"\n"
	"build writes the ext4 image OUT from the plan, with its MANIFEST; needs no root.\n"
	"  --plan PLAN          what stands where (see image/volume.plan)\n"
	"  --size SIZE          bytes, or with suffix K, M, G, T; a multiple of 4K\n"
	"                       (default: what the plan says)\n"
	"  --epoch SECONDS      every time in the image, since 1970\n"
	"  --root DIR           sources are relative to DIR (default: .)\n"
	"  --manifest-out FILE  write the MANIFEST to FILE, too\n"
	"  --keys DIR           trusted keys, for /keys on the volume\n"
	"  SIGNER               sign the MANIFEST: MANIFEST.sig\n"
	"\n"
	"  --like OLD           keep places and UUID of what is the same in the image OLD,\n"
	"                       so that few blocks of a snapshot change\n"
	"\n"
	"add makes NEW from the image OLD, which stays, and a plan of what is added or\n"
	"replaced; options as for build.\n"
	"diff tells what differs: files, modes, the file system, kernels; 1 if anything.\n"
	"\n"
	"verify hashes every file that the MANIFEST names, looks for others and counts\n"
	"the file system over again.\n"
	"  --manifest-sha256 HEX  the MANIFEST itself must have this hash\n"
	"  --key, --keys          it must be signed by this key, or a trusted one of DIR\n"
	"\n"
	"ls lists type, mode, bytes, time and path of everything below PATH.\n"
	"cat writes one file to standard output.\n"
	"extract copies PATH, with all below it, into the existing directory DIR.\n"
	"\n"
	"keygen makes a key pair (ECDSA, P-256) and prints its id.\n"
	"sign writes FILE.sig, as 'openssl dgst -sha256 -sign' does.\n"
	"verify-signature checks FILE.sig by a key or by the trusted keys of DIR.\n"
	"trust adds a public key to DIR; revoke adds a key's id to the signed list there.\n"
	"  --sign-key KEY.pem      the private key\n"
	"  --sign-command PROGRAM  gets the SHA-256 (32 bytes) on standard input, prints the\n"
	"                          signature in DER; it is checked by --key\n"
	"\n"
	"publish writes the image into an EBS snapshot, share gives that to accounts, prune\n"
	"deletes old ones.\n"
	"\n"
	"  -h, --help           this text\n"
	"  -V, --version        the version\n"
	"\n"
	"exit codes: 0 done and checked, 1 the answer is no, 2 usage, 3 extracted with gaps\n"
	"(something was left out, or the volume was not unmounted), 4 refused, 5 failed\n";

enum option_name {
	OPT_PLAN,
	OPT_SIZE,
	OPT_EPOCH,
	OPT_ROOT,
	OPT_MANIFEST,
	OPT_SHA,
	OPT_SIGN_KEY,
	OPT_SIGN_COMMAND,
	OPT_KEY,
	OPT_KEYS,
	OPT_REASON,
	OPT_LIKE,
	OPT_JSON,
	OPT_HELP,
	OPT_VERSION,
	OPT_COUNT
};

static const struct option long_options[] = {
	{ "plan", required_argument, NULL, OPT_PLAN },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "epoch", required_argument, NULL, OPT_EPOCH },
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "manifest-out", required_argument, NULL, OPT_MANIFEST },
	{ "manifest-sha256", required_argument, NULL, OPT_SHA },
	{ "sign-key", required_argument, NULL, OPT_SIGN_KEY },
	{ "sign-command", required_argument, NULL, OPT_SIGN_COMMAND },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "keys", required_argument, NULL, OPT_KEYS },
	{ "reason", required_argument, NULL, OPT_REASON },
	{ "like", required_argument, NULL, OPT_LIKE },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

struct arguments {
	const char *options[OPT_COUNT]; /* NULL: not given */
	char **operands;
	size_t operand_count;
};

static int run_build(const struct arguments *args, struct err *err);
static int run_add(const struct arguments *args, struct err *err);
static int run_diff(const struct arguments *args, struct err *err);
static int run_verify(const struct arguments *args, struct err *err);
static int run_ls(const struct arguments *args, struct err *err);
static int run_cat(const struct arguments *args, struct err *err);
static int run_extract(const struct arguments *args, struct err *err);
static int run_keygen(const struct arguments *args, struct err *err);
static int run_sign(const struct arguments *args, struct err *err);
static int run_verify_signature(const struct arguments *args, struct err *err);
static int run_trust(const struct arguments *args, struct err *err);
static int run_revoke(const struct arguments *args, struct err *err);

#define SIGNER_OPTIONS (1 << OPT_SIGN_KEY | 1 << OPT_SIGN_COMMAND | 1 << OPT_KEY)

static const struct command {
	const char *name;
	int (*run)(const struct arguments *args, struct err *err);
	unsigned options;  /* allowed, one bit for each */
	unsigned required; /* of them */
	size_t operands_min;
	size_t operands_max;
} commands[] = {
	{ "build", run_build,
	  1 << OPT_PLAN | 1 << OPT_SIZE | 1 << OPT_EPOCH | 1 << OPT_ROOT |
		  1 << OPT_MANIFEST | 1 << OPT_KEYS | 1 << OPT_LIKE | SIGNER_OPTIONS,
	  1 << OPT_PLAN | 1 << OPT_EPOCH, 1, 1 },
	{ "add", run_add,
	  1 << OPT_PLAN | 1 << OPT_EPOCH | 1 << OPT_ROOT | 1 << OPT_MANIFEST |
		  1 << OPT_KEYS | SIGNER_OPTIONS,
	  1 << OPT_PLAN, 2, 2 },
	{ "diff", run_diff, 1 << OPT_JSON, 0, 2, 2 },
	{ "verify", run_verify, 1 << OPT_SHA | 1 << OPT_KEY | 1 << OPT_KEYS, 0, 1, 1 },
	{ "ls", run_ls, 0, 0, 1, 2 },
	{ "cat", run_cat, 0, 0, 2, 2 },
	{ "extract", run_extract, 0, 0, 3, 3 },
	{ "keygen", run_keygen, 0, 0, 2, 2 },
	{ "sign", run_sign, SIGNER_OPTIONS, 0, 1, SIZE_MAX },
	{ "verify-signature", run_verify_signature, 1 << OPT_KEY | 1 << OPT_KEYS, 0, 1,
	  2 },
	{ "trust", run_trust, 0, 0, 2, 2 },
	{ "revoke", run_revoke, SIGNER_OPTIONS | 1 << OPT_REASON, 1 << OPT_REASON, 2, 2 },
};

/* Returns 1 when the options name a signer, 0 when they name none, -1 on half of one. */
static int take_signer(const struct arguments *args, struct signer *signer,
		       struct err *err)
{
	signer->key_path = args->options[OPT_SIGN_KEY];
	signer->command = args->options[OPT_SIGN_COMMAND];
	signer->public_path = args->options[OPT_KEY];
	if (!signer->command != !signer->public_path ||
	    (signer->key_path && signer->command))
		return err_set(err, ERR_USAGE,
			       "--sign-key, or --sign-command with --key, is needed");
	return signer->key_path || signer->command;
}

static int need_signer(const struct arguments *args, struct signer *signer,
		       struct err *err)
{
	int named = take_signer(args, signer, err);

	return named ? named
		     : err_set(err, ERR_USAGE,
			       "--sign-key, or --sign-command with --key, is needed");
}

static int parse_size(const char *text, uint64_t *size_bytes, struct err *err)
{
	const char *fault = plan_size(text, strlen(text), size_bytes);

	return fault ? err_set(err, ERR_USAGE, "--size %s %s", text, fault) : 0;
}

static int parse_epoch(const char *text, int64_t *epoch, struct err *err)
{
	uint64_t value;

	if (!plan_number(text, strlen(text), &value) || value > BUILD_EPOCH_MAX)
		return err_set(err, ERR_USAGE,
			       "--epoch %s is not a time that ext4 can hold", text);
	*epoch = (int64_t)value;
	return 0;
}

/* What build and add have in common; the operands are set by them. */
static int make_image(const struct arguments *args, struct build_request *request,
		      struct err *err)
{
	const char *size = args->options[OPT_SIZE], *epoch = args->options[OPT_EPOCH];
	struct build_result result;
	char hex[SHA256_HEX_SIZE];
	struct signer signer;
	int named;

	request->plan = args->options[OPT_PLAN];
	request->root = args->options[OPT_ROOT] ? args->options[OPT_ROOT] : ".";
	request->manifest_out = args->options[OPT_MANIFEST];
	request->keys = args->options[OPT_KEYS];
	request->epoch = -1;
	if ((size && parse_size(size, &request->size_bytes, err) < 0) ||
	    (epoch && parse_epoch(epoch, &request->epoch, err) < 0))
		return -1;
	named = take_signer(args, &signer, err);
	if (named < 0)
		return -1;
	if (named)
		request->signer = &signer;
	if (build_image(request, &result, err) < 0)
		return -1;
	sha256_to_hex(result.manifest_sha256, hex);
	printf("%s: %zu files, %llu bytes, MANIFEST sha256 %s\n", request->out,
	       result.files, (unsigned long long)result.data_bytes, hex);
	if (result.is_signed) {
		sha256_to_hex(result.key_id, hex);
		printf("%s: MANIFEST signed by key %s\n", request->out, hex);
	}
	return 0;
}

static int run_build(const struct arguments *args, struct err *err)
{
	struct build_request request = { .out = args->operands[0],
					 .parent = args->options[OPT_LIKE] };

	return make_image(args, &request, err);
}

static int run_add(const struct arguments *args, struct err *err)
{
	struct build_request request = { .out = args->operands[1],
					 .parent = args->operands[0],
					 .add = true };

	return make_image(args, &request, err);
}

static int run_diff(const struct arguments *args, struct err *err)
{
	return diff_images(args->operands[0], args->operands[1],
			   args->options[OPT_JSON] != NULL, stdout, err);
}

static int run_verify(const struct arguments *args, struct err *err)
{
	static struct trust trust;
	const char *hex = args->options[OPT_SHA];
	const char *key = args->options[OPT_KEY], *keys = args->options[OPT_KEYS];
	struct verify_request request = { .path = args->operands[0], .report = stdout };
	struct verify_result result;
	uint8_t digest[SHA256_LEN];
	char id[SHA256_HEX_SIZE];

	if (hex && (strlen(hex) != SHA256_HEX_SIZE - 1 || !sha256_from_hex(hex, digest)))
		return err_set(err, ERR_USAGE, "--manifest-sha256 needs 64 hex digits");
	if (hex)
		request.manifest_sha256 = digest;
	if (key && keys)
		return err_set(err, ERR_USAGE, "one of --key and --keys is enough");
	if (key || keys) {
		if (sign_load_trust(key, keys, &trust, err) < 0)
			return -1;
		request.trust = &trust;
	}
	if (verify_volume(&request, &result, err) < 0)
		return -1;
	printf("%s: %zu files, %llu bytes as the MANIFEST says%s\n", request.path,
	       result.files, (unsigned long long)result.bytes,
	       result.needs_recovery ? " (the volume was not unmounted)" : "");
	if (result.is_signed) {
		sha256_to_hex(result.key_id, id);
		printf("%s: MANIFEST signed by key %s\n", request.path, id);
	}
	return 0;
}

static int run_ls(const struct arguments *args, struct err *err)
{
	return extract_list(args->operands[0],
			    args->operand_count > 1 ? args->operands[1] : NULL, stdout,
			    err);
}

static int run_cat(const struct arguments *args, struct err *err)
{
	return extract_cat(args->operands[0], args->operands[1], STDOUT_FILENO, err);
}

static int run_extract(const struct arguments *args, struct err *err)
{
	return extract_copy(args->operands[0], args->operands[1], args->operands[2],
			    stdout, err);
}

static int run_keygen(const struct arguments *args, struct err *err)
{
	return sign_keygen(args->operands[0], args->operands[1], stdout, err);
}

static int run_sign(const struct arguments *args, struct err *err)
{
	struct signer signer;

	if (need_signer(args, &signer, err) < 0)
		return -1;
	return sign_files(&signer, args->operands, args->operand_count, stdout, err);
}

static int run_verify_signature(const struct arguments *args, struct err *err)
{
	if (!args->options[OPT_KEY] == !args->options[OPT_KEYS])
		return err_set(err, ERR_USAGE, "one of --key and --keys is needed");
	return sign_verify(
		args->options[OPT_KEY], args->options[OPT_KEYS], args->operands[0],
		args->operand_count > 1 ? args->operands[1] : NULL, stdout, err);
}

static int run_trust(const struct arguments *args, struct err *err)
{
	return sign_trust(args->operands[0], args->operands[1], stdout, err);
}

static int run_revoke(const struct arguments *args, struct err *err)
{
	struct signer signer;

	if (need_signer(args, &signer, err) < 0)
		return -1;
	return sign_revoke(&signer, args->operands[0], args->operands[1],
			   args->options[OPT_REASON], stdout, err);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int parse(int argc, char **argv, struct arguments *args, struct err *err)
{
	int option;

	/* Our own sentences instead of getopt's. */
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":hV", long_options, NULL)) != -1) {
		if (option == ':')
			return err_set(err, ERR_USAGE, "%s needs a value",
				       argv[optind - 1]);
		if (option == '?')
			return err_set(err, ERR_USAGE, "unknown option %s",
				       argv[optind - 1]);
		if (option == 'h')
			option = OPT_HELP;
		if (option == 'V')
			option = OPT_VERSION;
		if (args->options[option])
			return err_set(err, ERR_USAGE, "--%s is given twice",
				       long_options[option].name);
		args->options[option] = optarg ? optarg : "";
	}
	args->operands = argv + optind;
	args->operand_count = (size_t)(argc - optind);
	return 0;
}

static int dispatch(struct arguments *args, struct err *err)
{
	const struct command *command;

	if (args->operand_count == 0)
		return err_set(err, ERR_USAGE, "which command?");
	command = find_command(args->operands[0]);
	if (!command)
		return err_set(err, ERR_USAGE, "unknown command %s", args->operands[0]);
	for (unsigned i = 0; i < OPT_COUNT; i++) {
		if (args->options[i] && !(command->options & 1U << i))
			return err_set(err, ERR_USAGE, "%s takes no --%s", command->name,
				       long_options[i].name);
		if (!args->options[i] && (command->required & 1U << i))
			return err_set(err, ERR_USAGE, "%s needs --%s", command->name,
				       long_options[i].name);
	}
	args->operands++;
	args->operand_count--;
	if (args->operand_count < command->operands_min ||
	    args->operand_count > command->operands_max)
		return err_set(err, ERR_USAGE, "wrong number of arguments for %s",
			       command->name);
	if (command->run(args, err) < 0)
		return err_prefix(err, "%s", command->name);
	return 0;
}

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} releases[] = { { "publish", publish_main },
		 { "share", share_main },
		 { "prune", prune_main } };

int main(int argc, char **argv)
{
	struct arguments args = { 0 };
	struct err err = { 0 };
	struct err late = { 0 };
	int rc;

	/* The commands that talk to AWS have options of their own. */
	for (size_t i = 0; argc > 1 && i < sizeof(releases) / sizeof(releases[0]); i++)
		if (strcmp(argv[1], releases[i].name) == 0)
			return releases[i].main(argc - 1, argv + 1);
	rc = parse(argc, argv, &args, &err);
	if (rc == 0 && args.options[OPT_HELP])
		fputs(usage, stdout);
	else if (rc == 0 && args.options[OPT_VERSION])
		puts("image (fvol) " FVOL_VERSION);
	else if (rc == 0)
		rc = dispatch(&args, &err);
	if (io_close_stdout(&late) < 0 && rc == 0) {
		err = late;
		rc = -1;
	}
	if (rc == 0)
		return 0;
	rc = err_report(&err, "image");
	if (rc == ERR_USAGE)
		fputs("Try 'image --help'.\n", stderr);
	return rc;
}
