#include "image/share.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "image/key_policy.h"
#include "image/publish.h"
#include "toolkit/lib/io.h"

#define ACCOUNTS_FILE_MAX (1024 * 1024)

void share_report_free(struct share_report *report)
{
	accounts_free(&report->key_missing);
	accounts_free(&report->before);
	accounts_free(&report->add);
	accounts_free(&report->remove);
	free(report->statements);
	*report = (struct share_report){ 0 };
}

int share_accounts_parse(const char *text, struct accounts *accounts, struct err *err)
{
	unsigned line = 1;

	while (*text) {
		size_t len = strspn(text, "0123456789");
		char id[ACCOUNT_SIZE];

		if (len == ACCOUNT_SIZE - 1 && strchr(", \t\r\n#", text[len])) {
			memcpy(id, text, len);
			id[len] = '\0';
			if (accounts_add(accounts, id, err) < 0)
				return -1;
			text += len;
		} else if (*text == '#') {
			text += strcspn(text, "\n");
		} else if (strchr(", \t\r\n", *text)) {
			line += *text++ == '\n';
		} else {
			return err_set(err, ERR_USAGE, "line %u: an account is 12 digits",
				       line);
		}
	}
	return 0;
}

int share_accounts(const char *text, struct accounts *accounts, struct err *err)
{
	char *content;
	size_t len;
	int fd, rc;

	if (strspn(text, "0123456789, ") == strlen(text))
		return share_accounts_parse(text, accounts, err);
	fd = io_open_direct(AT_FDCWD, text, true, err);
	if (fd < 0)
		return err_prefix(err, "--accounts");
	content = io_read_direct(fd, ACCOUNTS_FILE_MAX, &len, err);
	io_close(&fd);
	if (!content)
		return err_prefix(err, "--accounts %s", text);
	rc = strlen(content) == len ? share_accounts_parse(content, accounts, err)
				    : err_set(err, ERR_USAGE, "not a text");
	free(content);
	return rc < 0 ? err_prefix(err, "%s", text) : 0;
}

/* "aws" of "arn:aws:kms:...". */
static void partition_of(const char *arn, char partition[20])
{
	const char *from = strncmp(arn, "arn:", 4) == 0 ? arn + 4 : "aws:";
	size_t len = strcspn(from, ":");

	if (len >= 20)
		len = 19;
	memcpy(partition, from, len);
	partition[len] = '\0';
}

/* Neither the key's own account nor those that have a grant need to be in its policy. */
static int find_missing(struct aws *aws, const struct share_request *request,
			const char *policy, size_t len, struct share_report *report,
			struct err *err)
{
	struct accounts granted = { 0 }, unnamed = { 0 };
	char owner[32] = ":";
	int rc = -1;

	if (key_policy_missing(policy, len, aws_config_of(aws)->region,
			       &request->accounts, &unnamed, err) < 0)
		goto out;
	if (unnamed.count && kms_granted(aws, report->key, &granted, err) < 0)
		goto out;
	for (size_t i = 0; i < unnamed.count; i++) {
		strcpy(owner + 1, unnamed.at[i]);
		strcat(owner, ":key/");
		if (accounts_have(&granted, unnamed.at[i]) || strstr(report->key, owner))
			continue;
		if (accounts_add(&report->key_missing, unnamed.at[i], err) < 0)
			goto out;
	}
	rc = 0;
out:
	accounts_free(&granted);
	accounts_free(&unnamed);
	return rc;
}

static int write_policy(struct aws *aws, const struct share_request *request,
			const char *policy, size_t len, const char *partition,
			struct share_report *report, struct err *err)
{
	struct accounts missing = { 0 };
	char *text, *now = NULL;
	int rc = -1;

	text = key_policy_with(policy, len, partition, &request->accounts, &len, err);
	if (!text)
		return -1;
	if (kms_put_policy(aws, report->key, text, err) < 0)
		goto out;
	now = kms_policy(aws, report->key, &len, err);
	if (!now || key_policy_missing(now, len, aws_config_of(aws)->region,
				       &request->accounts, &missing, err) < 0)
		goto out;
	if (missing.count) {
		err_set(err, ERR_NO,
			"the key's policy does not let account %s use it after it was "
			"written: a statement denies it",
			missing.at[0]);
		goto out;
	}
	report->key_written = true;
	rc = 0;
out:
	accounts_free(&missing);
	free(now);
	free(text);
	return rc;
}

static int mend_key(struct aws *aws, const struct share_request *request,
		    const char *policy, size_t len, struct share_report *report,
		    struct err *err)
{
	char partition[20];

	partition_of(report->key, partition);
	report->statements = key_policy_statements(partition, &request->accounts, err);
	if (!report->statements)
		return -1;
	if (request->dry_run)
		return 0;
	if (request->write_key_policy)
		return write_policy(aws, request, policy, len, partition, report, err);
	if (request->grants) {
		for (size_t i = 0; i < report->key_missing.count; i++)
			if (kms_grant(aws, report->key, partition,
				      report->key_missing.at[i], err) < 0)
				return -1;
		report->key_granted = true;
		return 0;
	}
	return err_set(
		err, ERR_NO,
		"the policy of %s does not let %zu of the accounts use it: add the "
		"statements, or say --write-key-policy or --grants",
		report->key, report->key_missing.count);
}

static int check_key(struct aws *aws, const struct share_request *request,
		     struct share_report *report, struct err *err)
{
	const struct ec2_snapshot *snapshot = &report->snapshot;
	struct kms_key key;
	char *policy;
	size_t len;
	int rc = -1;

	if (!snapshot->encrypted)
		return 0;
	if (!snapshot->kms_key[0])
		return err_set(err, ERR_FAILED, "%s: EC2 does not name its key",
			       snapshot->id);
	strcpy(report->key, snapshot->kms_key);
	if (request->no_key_check)
		return 0;
	if (kms_describe(aws, snapshot->kms_key, &key, err) < 0)
		return err_prefix(err, "%s", snapshot->kms_key);
	strcpy(report->key_state, key.state);
	if (key.of_aws)
		return err_set(err, ERR_REFUSED,
			       "%s is encrypted with the account's default key (%s), "
			       "which AWS manages and no other account can use: publish "
			       "with --kms-key, or copy it with --copy-to and --kms-key",
			       snapshot->id, key.arn);
	if (strcmp(key.state, "Enabled") != 0)
		return err_set(err, ERR_REFUSED, "the key %s is %s", key.arn, key.state);
	policy = kms_policy(aws, report->key, &len, err);
	if (!policy)
		return err_prefix(err, "%s", report->key);
	rc = find_missing(aws, request, policy, len, report, err);
	if (rc == 0 && report->key_missing.count)
		rc = mend_key(aws, request, policy, len, report, err);
	free(policy);
	return rc;
}

/* Adds and removes, and looks whether that is what EC2 has then. */
static int match_accounts(struct aws *aws, const struct share_request *request,
			  struct share_report *report, struct err *err)
{
	const char *id = report->snapshot.id;
	struct accounts now = { 0 };
	bool everybody;
	int rc = -1;

	if (ec2_permitted(aws, id, &report->before, &report->everybody, err) < 0 ||
	    accounts_less(&request->accounts, &report->before, &report->add, err) < 0 ||
	    accounts_less(&report->before, &request->accounts, &report->remove, err) < 0)
		return -1;
	if (request->dry_run ||
	    (!report->add.count && !report->remove.count && !report->everybody))
		return 0;
	if ((report->everybody && ec2_unpublish(aws, id, err) < 0) ||
	    ec2_permit(aws, id, false, &report->remove, err) < 0 ||
	    ec2_permit(aws, id, true, &report->add, err) < 0 ||
	    ec2_permitted(aws, id, &now, &everybody, err) < 0)
		goto out;
	if (everybody || now.count != request->accounts.count ||
	    (now.count &&
	     memcmp(now.at, request->accounts.at, now.count * sizeof(*now.at)) != 0)) {
		err_set(err, ERR_NO,
			"%s is shared with %zu accounts after it was shared with %zu", id,
			now.count, request->accounts.count);
		goto out;
	}
	rc = 0;
out:
	accounts_free(&now);
	return rc;
}

static int protect(struct aws *aws, const struct share_request *request,
		   struct share_report *report, struct err *err)
{
	const char *id = report->snapshot.id;

	struct err unread = { 0 };

	/* Who may share need not be allowed to ask for it. */
	if (ec2_public_access(aws, report->public_access,
			      request->block_public ? err : &unread) < 0) {
		if (request->block_public)
			return -1;
		strcpy(report->public_access, "not known");
	}
	if (request->block_public && !request->dry_run &&
	    strcmp(report->public_access, request->block_public) != 0) {
		if (ec2_block_public_access(aws, request->block_public, err) < 0)
			return -1;
		strcpy(report->public_access, request->block_public);
	}
	if (!request->lock_mode)
		return 0;
	if (ec2_lock_state(aws, id, report->lock, err) < 0)
		return -1;
	if (request->dry_run ||
	    strncmp(report->lock, request->lock_mode, strlen(request->lock_mode)) == 0)
		return 0;
	return ec2_lock(aws, id, request->lock_mode, request->lock_days,
			request->cool_off_hours, report->lock, err);
}

/* The same for a snapshot and for each of its copies. */
static int share_one(struct aws *aws, const struct share_request *request,
		     struct share_report *report, struct err *err)
{
	report->region = aws_config_of(aws)->region;
	if (strcmp(report->snapshot.state, "completed") != 0)
		return err_set(err, ERR_FAILED, "%s is %s%s%s", report->snapshot.id,
			       report->snapshot.state,
			       report->snapshot.message[0] ? ": " : "",
			       report->snapshot.message);
	if (check_key(aws, request, report, err) < 0 ||
	    match_accounts(aws, request, report, err) < 0)
		return -1;
	return protect(aws, request, report, err);
}

int share_snapshot(const struct share_request *request, struct share_report *report,
		   struct err *err)
{
	struct aws *aws = aws_new(&request->aws, err);
	int rc = -1;

	*report = (struct share_report){ 0 };
	if (aws && ec2_snapshot(aws, request->snapshot, &report->snapshot, err) == 0)
		rc = share_one(aws, request, report, err);
	aws_free(aws);
	return rc;
}

/* A copy that an earlier run made and that has not failed; false when there is none. */
static int find_copy(struct aws *aws, const char *id, const char *kms_key,
		     struct ec2_snapshot *copy, bool *found, struct err *err)
{
	struct ec2_snapshots snapshots = { 0 };
	int rc = ec2_tagged(aws, TAG_COPY_OF, id, &snapshots, err);

	*found = false;
	for (size_t i = 0; rc == 0 && i < snapshots.count && !*found; i++) {
		const struct ec2_snapshot *at = &snapshots.at[i];

		if (strcmp(at->state, "error") == 0 ||
		    (at->kms_key[0] && strcmp(at->kms_key, kms_key) != 0))
			continue;
		*copy = *at;
		*found = true;
	}
	ec2_snapshots_free(&snapshots);
	return rc;
}

static int make_copy(struct aws *aws, struct aws *home, const struct ec2_snapshot *source,
		     const char *kms_key, char id[SNAPSHOT_ID_SIZE], struct err *err)
{
	struct tag tags[EC2_TAGS_MAX];
	size_t n = 0;

	/* CopySnapshot leaves tags behind. */
	for (size_t i = 0; i < source->n_tags && n + 1 < EC2_TAGS_MAX; i++)
		if (strncmp(source->tags[i].key, "aws:", 4) != 0 &&
		    strcmp(source->tags[i].key, TAG_COPY_OF) != 0)
			tags[n++] = (struct tag){ source->tags[i].key,
						  source->tags[i].value };
	tags[n++] = (struct tag){ TAG_COPY_OF, source->id };
	return ec2_copy(aws, home, source->id, kms_key, "copy of a forensic volume", tags,
			n, id, err);
}

int share_copy(const struct share_request *request, const struct ec2_snapshot *source,
	       size_t n, struct share_report *report, struct err *err)
{
	const char *kms_key = request->copies[n].kms_key;
	struct aws_config config = request->aws;
	struct aws *home = aws_new(&request->aws, err), *aws = NULL;
	char id[SNAPSHOT_ID_SIZE];
	bool found;
	int rc = -1;

	*report = (struct share_report){ 0 };
	config.region = request->copies[n].region;
	if (!home || !(aws = aws_new(&config, err)) ||
	    find_copy(aws, source->id, kms_key, &report->snapshot, &found, err) < 0)
		goto out;
	report->region = config.region;
	if (!found && request->dry_run) {
		report->planned = true;
		rc = 0;
		goto out;
	}
	if (found) {
		strcpy(id, report->snapshot.id);
	} else if (make_copy(aws, home, source, kms_key, id, err) < 0) {
		goto out;
	} else {
		report->copied = true;
	}
	/* A key that cannot be used shows only here, in the state's message. */
	if (ec2_wait(aws, id, request->wait_s, NULL, NULL, &report->snapshot, err) < 0)
		goto out;
	if (strcmp(report->snapshot.kms_key, kms_key) != 0) {
		err_set(err, ERR_NO, "%s is encrypted with %s, not with %s", id,
			report->snapshot.kms_key, kms_key);
		goto out;
	}
	rc = share_one(aws, request, report, err);
out:
	aws_free(aws);
	aws_free(home);
	return rc < 0 ? err_prefix(err, "%s", config.region) : 0;
}
