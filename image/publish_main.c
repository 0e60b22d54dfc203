#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/kms.h"
#include "image/publish.h"
#include "image/release.h"
#include "toolkit/lib/clijson.h"
#include "toolkit/lib/interrupt.h"
#include "toolkit/lib/s3.h"

#define CONNECTIONS 32
#define SAMPLE_BLOCKS 64
#define WAIT_S 3600
#define TIMEOUT_MIN 60

static const char usage[] =
	"usage: image publish [OPTION]... (--key PUBLIC.pem | --keys DIR | --unsigned) IMAGE\n"
	"       image publish --plan [OPTION]... IMAGE\n"
	"       image publish --to-file FILE [OPTION]... IMAGE\n"
	"\n"
	"Verifies a signed image and writes it into an EBS snapshot by the EBS direct APIs;\n"
	"waits until the snapshot is completed, reads it back and compares. Run again after\n"
	"it was interrupted it sends what is missing.\n"
	"\n"
	"      --key PUBLIC.pem       who must have signed the image's MANIFEST, or\n"
	"      --keys DIR             a directory of trusted keys\n"
	"      --unsigned             publish an image whose signature is not checked\n"
	"      --kms-key ARN          encrypt with this key; without it the snapshot is as the\n"
	"                             account's default says, which often cannot be shared\n"
	"      --parent SNAPSHOT      send only what differs from this snapshot; encrypted as\n"
	"                             that one is\n"
	"      --parent-blocks FILE   the parent's list of blocks; without it the parent is\n"
	"                             read back first\n"
	"      --description TEXT     at most 255 characters\n"
	"      --tag KEY=VALUE        beside the tags of a release; may come more than once\n"
	"      --journal FILE         what was sent (default: IMAGE.publish)\n"
	"      --blocks FILE          the list of blocks that is written (default:\n"
	"                             IMAGE.blocks; of --to-file FILE.blocks)\n"
	"      --verify HOW           what is read back: all (the default), sample, none\n"
	"      --sample N             blocks of a sample (default 64)\n"
	"      --connections N        at most so many calls in flight (default 32)\n"
	"      --wait SECONDS         for the completed snapshot (default 3600)\n"
	"      --salt TEXT            another snapshot of what was published before\n"
	"      --plan                 only say what would be sent; needs no account\n"
	"      --to-file FILE         write the volume into a sparse file instead\n" RELEASE_USAGE
	"\n"
	"exit codes: 0 published, completed and compared, 1 the image or what was read back is\n"
	"not what it should be, 2 usage, 4 refused, 5 failed\n";

enum {
	OPT_KEY = RELEASE_OPT_OWN,
	OPT_KEYS,
	OPT_UNSIGNED,
	OPT_KMS,
	OPT_PARENT,
	OPT_PARENT_BLOCKS,
	OPT_DESCRIPTION,
	OPT_TAG,
	OPT_JOURNAL,
	OPT_BLOCKS,
	OPT_VERIFY,
	OPT_SAMPLE,
	OPT_CONNECTIONS,
	OPT_WAIT,
	OPT_SALT,
	OPT_PLAN,
	OPT_TO_FILE,
	OPT_END
};

static const struct option long_options[] = {
	RELEASE_LONG_OPTIONS,
	{ "key", required_argument, NULL, OPT_KEY },
	{ "keys", required_argument, NULL, OPT_KEYS },
	{ "unsigned", no_argument, NULL, OPT_UNSIGNED },
	{ "kms-key", required_argument, NULL, OPT_KMS },
	{ "parent", required_argument, NULL, OPT_PARENT },
	{ "parent-blocks", required_argument, NULL, OPT_PARENT_BLOCKS },
	{ "description", required_argument, NULL, OPT_DESCRIPTION },
	{ "tag", required_argument, NULL, OPT_TAG },
	{ "journal", required_argument, NULL, OPT_JOURNAL },
	{ "blocks", required_argument, NULL, OPT_BLOCKS },
	{ "verify", required_argument, NULL, OPT_VERIFY },
	{ "sample", required_argument, NULL, OPT_SAMPLE },
	{ "connections", required_argument, NULL, OPT_CONNECTIONS },
	{ "wait", required_argument, NULL, OPT_WAIT },
	{ "salt", required_argument, NULL, OPT_SALT },
	{ "plan", no_argument, NULL, OPT_PLAN },
	{ "to-file", required_argument, NULL, OPT_TO_FILE },
	{ NULL, 0, NULL, 0 },
};

struct command {
	struct release_options options;
	const char *own[OPT_END - RELEASE_OPT_OWN];
	bool unsigned_ok, plan;
	char journal[4200], blocks[4200];
	struct publish_request request;
};

#define OWN(name) command->own[(name)-RELEASE_OPT_OWN]

/* KEY=VALUE, as EC2 takes them: 128 and 256 characters, nothing of its own. */
static int add_tag(struct publish_request *request, char *text, struct err *err)
{
	char *equals = strchr(text, '=');

	if (!equals || equals == text || equals - text > 128 ||
	    strlen(equals + 1) > 256 || strncmp(text, "aws:", 4) == 0 ||
	    strncmp(text, "fvol:", 5) == 0)
		return err_set(err, ERR_USAGE,
			       "--tag takes KEY=VALUE, and no key of aws: or fvol:");
	if (request->n_tags == PUBLISH_TAGS_MAX)
		return err_set(err, ERR_USAGE, "at most %d tags", PUBLISH_TAGS_MAX);
	*equals = '\0';
	for (size_t i = 0; i < request->n_tags; i++)
		if (strcmp(request->tags[i].key, text) == 0)
			return err_set(err, ERR_USAGE, "the tag %s is given twice", text);
	request->tags[request->n_tags++] = (struct tag){ text, equals + 1 };
	return 0;
}

static int take_option(void *arg, int c, char **argv, struct err *err)
{
	struct command *command = arg;

	switch (c) {
	case OPT_UNSIGNED:
		command->unsigned_ok = true;
		return 0;
	case OPT_PLAN:
		command->plan = true;
		return 0;
	case OPT_TAG:
		return add_tag(&command->request, optarg, err);
	default:
		return release_option(&command->options, c,
				      c >= RELEASE_OPT_OWN ? &OWN(c) : NULL, argv, err);
	}
}

static int check_values(struct command *command, struct err *err)
{
	struct publish_request *request = &command->request;
	const char *verify = OWN(OPT_VERIFY);

	if (!verify || strcmp(verify, "all") == 0)
		request->verify = VERIFY_ALL;
	else if (strcmp(verify, "sample") == 0)
		request->verify = VERIFY_SAMPLE;
	else if (strcmp(verify, "none") == 0)
		request->verify = VERIFY_NONE;
	else
		return err_set(err, ERR_USAGE, "--verify takes all, sample or none");
	if (!s3_options_number(OWN(OPT_SAMPLE), 1, 1000000, &request->sample))
		return err_set(err, ERR_USAGE, "--sample takes 1 to 1000000");
	if (!s3_options_number(OWN(OPT_CONNECTIONS), 1, POOL_CONNECTIONS_MAX,
			       &request->connections))
		return err_set(err, ERR_USAGE, "--connections takes 1 to %d",
			       POOL_CONNECTIONS_MAX);
	if (!s3_options_number(OWN(OPT_WAIT), 1, 86400, &request->wait_s))
		return err_set(err, ERR_USAGE, "--wait takes 1 to 86400 seconds");
	if (request->kms_key && kms_check_arn(request->kms_key, NULL, err) < 0)
		return err_prefix(err, "--kms-key");
	if (request->parent && !blocks_snapshot_ok(request->parent))
		return err_set(err, ERR_USAGE, "--parent takes snap-…");
	if (request->parent_blocks && !request->parent)
		return err_set(err, ERR_USAGE, "--parent-blocks is the list of --parent");
	if (request->description && strlen(request->description) > 255)
		return err_set(err, ERR_USAGE, "--description is longer than 255");
	return 0;
}

static int check_together(struct command *command, struct err *err)
{
	struct publish_request *request = &command->request;

	if (request->kms_key && request->parent)
		return err_set(err, ERR_USAGE,
			       "a snapshot with a parent is encrypted as its parent is: "
			       "--kms-key and --parent exclude one another");
	if ((request->key != NULL) + (request->keys != NULL) + command->unsigned_ok > 1)
		return err_set(err, ERR_USAGE,
			       "--key, --keys and --unsigned exclude one another");
	if (command->plan && OWN(OPT_TO_FILE))
		return err_set(err, ERR_USAGE,
			       "--plan and --to-file exclude one another");
	if (OWN(OPT_TO_FILE) && request->parent)
		return err_set(err, ERR_USAGE,
			       "--to-file writes everything: it takes no --parent");
	if (command->plan && request->parent && !request->parent_blocks)
		return err_set(err, ERR_USAGE,
			       "--plan reads no snapshot: it needs --parent-blocks");
	return 0;
}

static int fill_request(struct command *command, const char *image, struct err *err)
{
	struct publish_request *request = &command->request;
	const char *to_file = OWN(OPT_TO_FILE);

	if (strlen(image) > 4096 || (to_file && strlen(to_file) > 4096))
		return err_set(err, ERR_USAGE, "the name is too long");
	request->image = image;
	request->connections = CONNECTIONS;
	request->sample = SAMPLE_BLOCKS;
	request->wait_s = WAIT_S;
	request->timeout_min = TIMEOUT_MIN;
	request->kms_key = OWN(OPT_KMS);
	request->parent = OWN(OPT_PARENT);
	request->parent_blocks = OWN(OPT_PARENT_BLOCKS);
	request->description = OWN(OPT_DESCRIPTION);
	request->salt = OWN(OPT_SALT);
	request->key = OWN(OPT_KEY);
	request->keys = OWN(OPT_KEYS);
	request->unsigned_ok = command->unsigned_ok;
	request->interrupted = &interrupted;
	snprintf(command->journal, sizeof(command->journal), "%s.publish", image);
	snprintf(command->blocks, sizeof(command->blocks), "%s.blocks",
		 to_file ? to_file : image);
	request->journal = OWN(OPT_JOURNAL) ? OWN(OPT_JOURNAL) : command->journal;
	request->blocks_out = OWN(OPT_BLOCKS) ? OWN(OPT_BLOCKS) : command->blocks;
	if (check_values(command, err) < 0)
		return -1;
	return check_together(command, err);
}

static void add_plan(struct json *doc, const struct command *command,
		     const struct publish_plan *plan, const char *checksum)
{
	struct json_node *root = json_root(doc);
	const struct blocks *changes = &plan->changes;

	json_add_str(doc, root, "image", command->request.image);
	json_add_u64(doc, root, "image_bytes", plan->now.image_bytes);
	json_add_str(doc, root, "image_sha256", plan->image_hex);
	json_add_str(doc, root, "manifest_sha256", plan->manifest_hex);
	json_add_bool(doc, root, "signed", plan->is_signed);
	if (plan->is_signed)
		json_add_str(doc, root, "key", plan->key_hex);
	json_add_u64(doc, root, "volume_gib", plan->gib);
	json_add_u64(doc, root, "blocks", plan->now.count);
	json_add_u64(doc, root, "blocks_to_send", changes->count);
	json_add_u64(doc, root, "bytes_to_send", (uint64_t)changes->count * BLOCKS_BYTES);
	json_add_u64(doc, root, "requests", changes->count + 2);
	if (command->request.aws.region)
		json_add_str(doc, root, "token", plan->token);
	json_add_str(doc, root, "checksum", checksum);
	if (command->request.parent)
		json_add_str(doc, root, "parent", command->request.parent);
}

static void print_plan(const struct command *command, const struct publish_plan *plan,
		       const char *checksum)
{
	const struct publish_request *request = &command->request;

	printf("%s: %llu bytes, SHA-256 %s\n", request->image,
	       (unsigned long long)plan->now.image_bytes, plan->image_hex);
	printf("MANIFEST: SHA-256 %s, %s%s\n", plan->manifest_hex,
	       plan->is_signed ? "signed by key " : "signature not checked",
	       plan->key_hex);
	printf("volume: %u GiB, %zu of %llu blocks of 512 KiB are not zero\n", plan->gib,
	       plan->now.count, (unsigned long long)plan->gib * BLOCKS_PER_GIB);
	if (request->parent)
		printf("parent: %s\n", request->parent);
	printf("to send: %zu blocks, %llu bytes, %zu requests\n", plan->changes.count,
	       (unsigned long long)plan->changes.count * BLOCKS_BYTES,
	       plan->changes.count + 2);
	printf("checksum (LINEAR): %s\n", checksum);
	if (request->aws.region)
		printf("client token: %s\n", plan->token);
	else
		puts("client token: depends on --region");
}

static void add_result(struct json *doc, const struct command *command,
		       const struct publish_result *result)
{
	static const char *const how[] = { "all", "sample", "none" };
	struct json_node *root = json_root(doc);

	json_add_str(doc, root, "snapshot", result->snapshot);
	json_add_str(doc, root, "region", command->request.aws.region);
	json_add_u64(doc, root, "put", result->put);
	json_add_u64(doc, root, "kept", result->kept);
	json_add_bool(doc, root, "was_complete", result->was_complete);
	json_add_str(doc, root, "verify", how[command->request.verify]);
	json_add_u64(doc, root, "read_back", result->read_back);
	json_add_bool(doc, root, "encrypted", result->encrypted);
	if (result->kms_key[0])
		json_add_str(doc, root, "kms_key", result->kms_key);
	json_add_u64(doc, root, "retries", result->sending.retries);
	json_add_u64(doc, root, "throttled", result->sending.throttled);
	json_add_str(doc, root, "block_list", command->request.blocks_out);
}

static void print_result(const struct command *command,
			 const struct publish_result *result)
{
	printf("%s: completed in %s", result->snapshot, command->request.aws.region);
	if (result->was_complete)
		fputs(", was complete", stdout);
	else
		printf(", %llu blocks sent", (unsigned long long)result->put);
	if (result->kept && !result->was_complete)
		printf(" (%llu from before)", (unsigned long long)result->kept);
	if (command->request.verify == VERIFY_NONE)
		fputs(", not read back", stdout);
	else
		printf(", %llu blocks read back and equal",
		       (unsigned long long)result->read_back);
	printf(", %s%s\n", result->encrypted ? "encrypted with " : "not encrypted",
	       result->kms_key);
	printf("list of blocks: %s\n", command->request.blocks_out);
}

static int publish(struct command *command, struct publish_plan *plan, struct err *err)
{
	struct publish_request *request = &command->request;
	const char *to_file = OWN(OPT_TO_FILE);
	struct release_session session = { 0 };
	struct publish_result result = { 0 };
	char checksum[S3_BASE64_SIZE];
	bool local = command->plan || to_file;
	struct json *doc = NULL;
	int rc = -1;

	interrupt_catch();
	request->aws.region = release_region(&command->options);
	if (!local) {
		if (release_open(&session, &command->options, err) < 0)
			goto out;
		request->aws = session.aws;
	}
	if (request->kms_key &&
	    kms_check_arn(request->kms_key, request->aws.region, err) < 0) {
		err_prefix(err, "--kms-key");
		goto out;
	}
	if (publish_plan_make(request, plan, err) < 0)
		goto out;
	s3_base64(plan->linear, checksum);
	if (command->options.json) {
		doc = json_new();
		if (!doc) {
			err_set(err, ERR_FAILED, "out of memory");
			goto out;
		}
		add_plan(doc, command, plan, checksum);
	} else {
		print_plan(command, plan, checksum);
		fflush(stdout);
	}
	if (to_file) {
		if (publish_to_file(request, plan, to_file, err) < 0)
			goto out;
		if (doc)
			json_add_str(doc, json_root(doc), "file", to_file);
		else
			printf("%s: written and read back; its blocks are in %s\n",
			       to_file, request->blocks_out);
	} else if (!local) {
		if (publish_send(request, plan, &result, err) < 0)
			goto out;
		if (doc)
			add_result(doc, command, &result);
		else
			print_result(command, &result);
	}
	rc = 0;
out:
	if (rc == 0 && doc)
		rc = cli_print_json(doc, err);
	else
		json_free(doc);
	release_close(&session);
	return rc;
}

static int run(void *arg, char **operands, size_t count, struct err *err)
{
	struct command *command = arg;
	struct publish_plan plan = { .fd = -1 };
	int rc = -1;

	if (count != 1)
		err_set(err, ERR_USAGE, "one image is needed");
	else if (fill_request(command, operands[0], err) == 0)
		rc = publish(command, &plan, err);
	publish_plan_free(&plan);
	return rc;
}

int publish_main(int argc, char **argv)
{
	struct command command = { 0 };
	const struct release_command publish_command = {
		.name = "publish",
		.usage = usage,
		.long_options = long_options,
		.options = &command.options,
		.arg = &command,
		.option = take_option,
		.run = run,
	};

	return release_main(&publish_command, argc, argv);
}
