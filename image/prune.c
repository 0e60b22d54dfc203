/*
 * image prune: the newest releases are kept, the others deleted. What is a release is
 * said by a tag that publish sets; anything else is never touched.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/ec2.h"
#include "image/publish.h"
#include "image/release.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/clijson.h"

static const char usage[] =
	"usage: image prune [OPTION]... --keep N\n"
	"\n"
	"Deletes the releases of this account and Region but for the newest N. A release is a\n"
	"completed snapshot that publish made (tag fvol:release), or a copy of one that share\n"
	"made. Never deleted: what is locked, what is the parent of a snapshot that is still\n"
	"being published, what is not completed, and whatever has no such tag.\n"
	"\n"
	"      --keep N               1 to 1000\n"
	"      --dry-run              only say what would be deleted\n" RELEASE_USAGE "\n"
	"exit codes: 0 done and looked at, 2 usage, 3 something could not be deleted, 4\n"
	"refused, 5 failed\n";

enum { OPT_KEEP = RELEASE_OPT_OWN, OPT_DRY_RUN };

static const struct option long_options[] = {
	RELEASE_LONG_OPTIONS,
	{ "keep", required_argument, NULL, OPT_KEEP },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ NULL, 0, NULL, 0 },
};

struct command {
	struct release_options options;
	const char *keep_text;
	unsigned keep;
	bool dry_run;
};

/* Newest first; ISO 8601 sorts as text. */
static int compare_time(const void *a, const void *b)
{
	const struct ec2_snapshot *first = a, *second = b;
	int by_time = strcmp(second->start_time, first->start_time);

	return by_time ? by_time : strcmp(second->id, first->id);
}

static bool is_parent(const struct ec2_snapshots *all, const char *id)
{
	for (size_t i = 0; i < all->count; i++) {
		const char *parent = ec2_tag(&all->at[i], TAG_PARENT);

		if (parent && strcmp(parent, id) == 0 &&
		    strcmp(all->at[i].state, "pending") == 0)
			return true;
	}
	return false;
}

/* A copy of evidence may have our tags by mistake: its own say what it is. */
static bool is_evidence(const struct ec2_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->n_tags; i++)
		if (strcasestr(snapshot->tags[i].key, "evidence") ||
		    strcasestr(snapshot->tags[i].key, "custody"))
			return true;
	return false;
}

/*
 * Why a snapshot stays, NULL: it goes. *newer counts the completed releases seen so far.
 * lock is written when it is locked.
 */
static const char *reason(struct aws *aws, const struct command *command,
			  const struct ec2_snapshots *all,
			  const struct ec2_snapshot *snapshot, unsigned *newer,
			  char lock[EC2_STATE_SIZE], struct err *err)
{
	const char *release = ec2_tag(snapshot, TAG_RELEASE);

	/* The service was asked for it; what it answered is looked at all the same. */
	if (!release || !release[0])
		return "not a release";
	if (is_evidence(snapshot))
		return "evidence by its tags";
	if (strcmp(snapshot->state, "completed") != 0)
		return "not completed";
	if ((*newer)++ < command->keep)
		return "among the newest";
	if (is_parent(all, snapshot->id))
		return "parent of a snapshot that is being published";
	if (ec2_lock_state(aws, snapshot->id, lock, err) < 0)
		return NULL;
	return lock[0] ? "locked" : NULL;
}

static int say(const struct command *command, struct json *doc, struct json_node *list,
	       const struct ec2_snapshot *snapshot, const char *what, const char *why)
{
	const char *release = ec2_tag(snapshot, TAG_RELEASE);
	struct json_node *in;

	(void)command;
	if (!doc) {
		printf("%s %s %s ", what, snapshot->id, snapshot->start_time);
		cli_put_text(stdout, release ? release : "-");
		printf(": ");
		cli_put_text(stdout, why);
		putchar('\n');
		return 0;
	}
	in = json_add_object(doc, list, NULL);
	json_add_str(doc, in, "snapshot", snapshot->id);
	json_add_str(doc, in, "start_time", snapshot->start_time);
	json_add_str(doc, in, "release", release ? release : "");
	json_add_str(doc, in, "done", what);
	json_add_str(doc, in, "why", why);
	return 0;
}

static int prune(struct aws *aws, const struct command *command,
		 const struct ec2_snapshots *all, struct json *doc, struct err *err)
{
	struct json_node *list =
		doc ? json_add_array(doc, json_root(doc), "snapshots") : NULL;
	unsigned newer = 0, failed = 0;
	char lock[EC2_STATE_SIZE];

	for (size_t i = 0; i < all->count; i++) {
		const struct ec2_snapshot *snapshot = &all->at[i];
		struct err why = { 0 };
		const char *stays =
			reason(aws, command, all, snapshot, &newer, lock, &why);

		if (!stays && why.kind == ERR_NONE && !command->dry_run)
			ec2_delete(aws, snapshot->id, &why);
		if (stays) {
			say(command, doc, list, snapshot, "kept", stays);
		} else if (why.kind != ERR_NONE) {
			say(command, doc, list, snapshot, "kept", why.text);
			failed++;
		} else {
			say(command, doc, list, snapshot,
			    command->dry_run ? "would delete" : "deleted",
			    "older than those that are kept");
		}
	}
	if (failed)
		return err_set(err, ERR_GAPS, "%u snapshots could not be deleted",
			       failed);
	return 0;
}

static int run(void *arg, char **operands, size_t count, struct err *err)
{
	struct command *command = arg;
	struct release_session session = { 0 };
	struct ec2_snapshots all = { 0 };
	struct json *doc = NULL;
	struct aws *aws = NULL;
	struct err late = { 0 };
	int rc = -1;

	(void)operands;
	if (count)
		return err_set(err, ERR_USAGE, "prune takes no operands");
	if (!command->keep_text ||
	    !s3_options_number(command->keep_text, 1, 1000, &command->keep))
		return err_set(err, ERR_USAGE, "--keep takes 1 to 1000");
	if (release_open(&session, &command->options, err) < 0 ||
	    !(aws = aws_new(&session.aws, err)) ||
	    ec2_tagged(aws, TAG_RELEASE, NULL, &all, err) < 0)
		goto out;
	if (command->options.json) {
		doc = json_new();
		if (!doc) {
			err_set(err, ERR_FAILED, "out of memory");
			goto out;
		}
		json_add_bool(doc, json_root(doc), "dry_run", command->dry_run);
	}
	if (all.count)
		qsort(all.at, all.count, sizeof(*all.at), compare_time);
	rc = prune(aws, command, &all, doc, err);
	if (doc && cli_print_json(doc, &late) < 0 && rc == 0) {
		*err = late;
		rc = -1;
	}
out:
	ec2_snapshots_free(&all);
	aws_free(aws);
	release_close(&session);
	return rc;
}

static int take_option(void *arg, int c, char **argv, struct err *err)
{
	struct command *command = arg;

	if (c != OPT_DRY_RUN)
		return release_option(&command->options, c,
				      c == OPT_KEEP ? &command->keep_text : NULL, argv,
				      err);
	command->dry_run = true;
	return 0;
}

int prune_main(int argc, char **argv)
{
	struct command command = { 0 };
	const struct release_command prune_command = {
		.name = "prune",
		.usage = usage,
		.long_options = long_options,
		.options = &command.options,
		.arg = &command,
		.option = take_option,
		.run = run,
	};

	return release_main(&prune_command, argc, argv);
}
