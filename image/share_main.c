#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/release.h"
#include "image/share.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/clijson.h"

#define WAIT_S 7200

static const char usage[] =
	"usage: image share [OPTION]... --accounts LIST|FILE SNAPSHOT\n"
	"\n"
	"Shares a snapshot with exactly these accounts: others are removed. Checks beforehand\n"
	"that its key can be used by them. Run again it changes nothing.\n"
	"\n"
	"      --accounts LIST|FILE   111122223333,..., or a file with one on each line\n"
	"      --nobody               in place of --accounts: take all away\n"
	"      --dry-run              only say what would change\n"
	"      --write-key-policy     add the accounts to the key's policy where they lack\n"
	"      --grants               give them grants instead\n"
	"      --no-key-check         do not look at the key (it is another account's)\n"
	"      --block-public-access  block all public sharing of snapshots in the Region\n"
	"      --lock MODE            governance or compliance, with\n"
	"      --lock-days N          1 to 36500\n"
	"      --cool-off HOURS       of compliance: 1 to 72, in which it can be changed\n"
	"      --copy-to REGION       copy it there, encrypted with the --kms-key that follows,\n"
	"      --kms-key ARN          and share the copy alike; both may come more than once\n"
	"      --wait SECONDS         for a copy (default 7200)\n" RELEASE_USAGE "\n"
	"exit codes: 0 shared and looked at, 1 the key's policy lacks accounts or EC2 has\n"
	"something else, 2 usage, 4 refused (also a default key), 5 failed\n";

enum {
	OPT_ACCOUNTS = RELEASE_OPT_OWN,
	OPT_LOCK,
	OPT_LOCK_DAYS,
	OPT_COOL_OFF,
	OPT_WAIT,
	OPT_VALUES_END,
	OPT_NOBODY,
	OPT_DRY_RUN,
	OPT_WRITE_POLICY,
	OPT_GRANTS,
	OPT_NO_KEY_CHECK,
	OPT_BLOCK_PUBLIC,
	OPT_COPY_TO,
	OPT_KMS
};

static const struct option long_options[] = {
	RELEASE_LONG_OPTIONS,
	{ "accounts", required_argument, NULL, OPT_ACCOUNTS },
	{ "lock", required_argument, NULL, OPT_LOCK },
	{ "lock-days", required_argument, NULL, OPT_LOCK_DAYS },
	{ "cool-off", required_argument, NULL, OPT_COOL_OFF },
	{ "wait", required_argument, NULL, OPT_WAIT },
	{ "nobody", no_argument, NULL, OPT_NOBODY },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "write-key-policy", no_argument, NULL, OPT_WRITE_POLICY },
	{ "grants", no_argument, NULL, OPT_GRANTS },
	{ "no-key-check", no_argument, NULL, OPT_NO_KEY_CHECK },
	{ "block-public-access", no_argument, NULL, OPT_BLOCK_PUBLIC },
	{ "copy-to", required_argument, NULL, OPT_COPY_TO },
	{ "kms-key", required_argument, NULL, OPT_KMS },
	{ NULL, 0, NULL, 0 },
};

struct command {
	struct release_options options;
	const char *own[OPT_VALUES_END - RELEASE_OPT_OWN];
	bool nobody;
	size_t n_keys;
	struct share_request request;
};

#define OWN(name) command->own[(name)-RELEASE_OPT_OWN]

static int add_copy(struct command *command, int c, struct err *err)
{
	struct share_request *request = &command->request;

	if (c == OPT_COPY_TO) {
		if (command->n_keys != request->n_copies)
			return err_set(err, ERR_USAGE,
				       "each --copy-to is followed by its --kms-key");
		if (request->n_copies == SHARE_COPIES_MAX)
			return err_set(err, ERR_USAGE, "at most %d copies",
				       SHARE_COPIES_MAX);
		request->copies[request->n_copies++].region = optarg;
		return 0;
	}
	if (command->n_keys + 1 != request->n_copies)
		return err_set(err, ERR_USAGE, "--kms-key belongs to a --copy-to");
	if (kms_check_arn(optarg, request->copies[command->n_keys].region, err) < 0)
		return err_prefix(err, "--kms-key");
	request->copies[command->n_keys++].kms_key = optarg;
	return 0;
}

static int take_option(void *arg, int c, char **argv, struct err *err)
{
	struct command *command = arg;
	struct share_request *request = &command->request;

	switch (c) {
	case OPT_NOBODY:
		command->nobody = true;
		return 0;
	case OPT_DRY_RUN:
		request->dry_run = true;
		return 0;
	case OPT_WRITE_POLICY:
		request->write_key_policy = true;
		return 0;
	case OPT_GRANTS:
		request->grants = true;
		return 0;
	case OPT_NO_KEY_CHECK:
		request->no_key_check = true;
		return 0;
	case OPT_BLOCK_PUBLIC:
		request->block_public = "block-all-sharing";
		return 0;
	case OPT_COPY_TO:
	case OPT_KMS:
		return add_copy(command, c, err);
	default:
		return release_option(&command->options, c,
				      c >= RELEASE_OPT_OWN ? &OWN(c) : NULL, argv, err);
	}
}

static int check(struct command *command, struct err *err)
{
	struct share_request *request = &command->request;

	if (!blocks_snapshot_ok(request->snapshot))
		return err_set(err, ERR_USAGE, "a snapshot's id is snap-…");
	if (!OWN(OPT_ACCOUNTS) == !command->nobody)
		return err_set(err, ERR_USAGE,
			       "one of --accounts and --nobody is needed");
	if (request->write_key_policy + request->grants + request->no_key_check > 1)
		return err_set(err, ERR_USAGE,
			       "--write-key-policy, --grants and --no-key-check exclude "
			       "one another");
	request->lock_mode = OWN(OPT_LOCK);
	if (request->lock_mode && strcmp(request->lock_mode, "governance") != 0 &&
	    strcmp(request->lock_mode, "compliance") != 0)
		return err_set(err, ERR_USAGE, "--lock takes governance or compliance");
	if (!request->lock_mode != !OWN(OPT_LOCK_DAYS))
		return err_set(err, ERR_USAGE, "--lock and --lock-days belong together");
	if (OWN(OPT_COOL_OFF) &&
	    (!request->lock_mode || strcmp(request->lock_mode, "compliance") != 0))
		return err_set(err, ERR_USAGE, "--cool-off is of --lock compliance");
	if (!s3_options_number(OWN(OPT_LOCK_DAYS), 1, 36500, &request->lock_days))
		return err_set(err, ERR_USAGE, "--lock-days takes 1 to 36500");
	if (!s3_options_number(OWN(OPT_COOL_OFF), 1, 72, &request->cool_off_hours))
		return err_set(err, ERR_USAGE, "--cool-off takes 1 to 72 hours");
	if (command->n_keys != request->n_copies)
		return err_set(err, ERR_USAGE, "each --copy-to needs its --kms-key");
	request->wait_s = WAIT_S;
	if (!s3_options_number(OWN(OPT_WAIT), 1, 86400, &request->wait_s))
		return err_set(err, ERR_USAGE, "--wait takes 1 to 86400 seconds");
	if (OWN(OPT_ACCOUNTS) &&
	    share_accounts(OWN(OPT_ACCOUNTS), &request->accounts, err) < 0)
		return -1;
	if (OWN(OPT_ACCOUNTS) && !request->accounts.count)
		return err_set(err, ERR_USAGE,
			       "the list has no account: --nobody takes all away");
	return 0;
}

static void print_list(const char *word, const struct accounts *accounts)
{
	for (size_t i = 0; i < accounts->count; i++)
		printf("  %s %s\n", word, accounts->at[i]);
}

static void print_report(const struct command *command, const struct share_report *report)
{
	bool dry = command->request.dry_run;

	if (report->planned) {
		printf("%s: would be copied to\n", report->region);
		return;
	}
	printf("%s: in %s%s, ", report->snapshot.id, report->region,
	       report->copied ? ", copied" : "");
	if (report->key[0])
		printf("key %s%s%s\n", report->key, report->key_state[0] ? " " : "",
		       report->key_state);
	else
		puts(report->snapshot.encrypted
			     ? "encrypted, its key is not known"
			     : "not encrypted: whoever has it can read it");
	print_list("the key's policy lacks", &report->key_missing);
	if (report->statements && !(report->key_written || report->key_granted)) {
		puts("statements for the key's policy:");
		fputs(report->statements, stdout);
	}
	if (report->key_written)
		puts("  the key's policy was written and looked at");
	if (report->key_granted)
		puts("  grants were made");
	if (report->everybody)
		puts(dry ? "  would no longer be public" : "  is no longer public");
	print_list(dry ? "would add" : "added", &report->add);
	print_list(dry ? "would remove" : "removed", &report->remove);
	if (!report->add.count && !report->remove.count && !report->everybody &&
	    report->public_access[0])
		printf("  shared with these %zu accounts already\n",
		       command->request.accounts.count);
	if (report->public_access[0])
		printf("  Block Public Access: %s\n", report->public_access);
	if (command->request.lock_mode && report->public_access[0])
		printf("  lock: %s\n", report->lock[0] ? report->lock : "none");
}

static void add_list(struct json *doc, struct json_node *in, const char *key,
		     const struct accounts *accounts)
{
	struct json_node *list = json_add_array(doc, in, key);

	for (size_t i = 0; i < accounts->count; i++)
		json_add_str(doc, list, NULL, accounts->at[i]);
}

static void add_report(struct json *doc, struct json_node *list,
		       const struct share_report *report)
{
	struct json_node *in = json_add_object(doc, list, NULL);

	json_add_str(doc, in, "region", report->region ? report->region : "");
	json_add_str(doc, in, "snapshot", report->snapshot.id);
	json_add_bool(doc, in, "planned", report->planned);
	json_add_bool(doc, in, "copied", report->copied);
	json_add_str(doc, in, "kms_key", report->key);
	json_add_str(doc, in, "key_state", report->key_state);
	add_list(doc, in, "key_lacked", &report->key_missing);
	json_add_bool(doc, in, "key_policy_written", report->key_written);
	json_add_bool(doc, in, "key_granted", report->key_granted);
	if (report->statements)
		json_add_str(doc, in, "key_policy_statements", report->statements);
	json_add_bool(doc, in, "was_public", report->everybody);
	add_list(doc, in, "before", &report->before);
	add_list(doc, in, "added", &report->add);
	add_list(doc, in, "removed", &report->remove);
	json_add_str(doc, in, "block_public_access", report->public_access);
	json_add_str(doc, in, "lock", report->lock);
}

struct output {
	struct json *doc; /* NULL: text */
	struct json_node *list;
};

static void show(const struct command *command, struct output *output,
		 const struct share_report *report)
{
	if (!report->snapshot.id[0] && !report->planned)
		return;
	if (output->doc)
		add_report(output->doc, output->list, report);
	else
		print_report(command, report);
}

/* A Region that fails does not keep the others from being shared. */
static int share(struct command *command, struct err *err)
{
	struct release_session session = { 0 };
	struct share_request *request = &command->request;
	struct share_report report = { 0 };
	struct ec2_snapshot source;
	struct output output = { 0 };
	struct err late = { 0 };
	int rc = -1;

	if (release_open(&session, &command->options, err) < 0)
		goto out;
	request->aws = session.aws;
	if (command->options.json) {
		output.doc = json_new();
		if (!output.doc) {
			err_set(err, ERR_FAILED, "out of memory");
			goto out;
		}
		json_add_bool(output.doc, json_root(output.doc), "dry_run",
			      request->dry_run);
		output.list =
			json_add_array(output.doc, json_root(output.doc), "snapshots");
	}
	rc = share_snapshot(request, &report, err);
	source = report.snapshot;
	show(command, &output, &report);
	share_report_free(&report);
	for (size_t n = 0; source.id[0] && n < request->n_copies; n++) {
		int done = share_copy(request, &source, n, &report, &late);

		show(command, &output, &report);
		share_report_free(&report);
		if (done < 0) {
			if (rc < 0)
				err_report(&late, "image");
			else
				*err = late;
			rc = -1;
		}
	}
	if (output.doc && cli_print_json(output.doc, &late) < 0 && rc == 0) {
		*err = late;
		rc = -1;
	}
out:
	release_close(&session);
	return rc;
}

static int run(void *arg, char **operands, size_t count, struct err *err)
{
	struct command *command = arg;

	command->request.snapshot = operands[0];
	if (count != 1)
		return err_set(err, ERR_USAGE, "one snapshot is needed");
	return check(command, err) < 0 ? -1 : share(command, err);
}

int share_main(int argc, char **argv)
{
	struct command command = { 0 };
	const struct release_command share_command = {
		.name = "share",
		.usage = usage,
		.long_options = long_options,
		.options = &command.options,
		.arg = &command,
		.option = take_option,
		.run = run,
	};
	int code = release_main(&share_command, argc, argv);

	accounts_free(&command.request.accounts);
	return code;
}
