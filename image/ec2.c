#include "image/ec2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/ec2_form.h"

#define PRESIGNED_S 3600

struct permitted {
	struct accounts *accounts;
	bool everybody;
};

static int on_permission(void *arg, const char *path, const char *text, struct err *err)
{
	static const char set[] =
		"DescribeSnapshotAttributeResponse/createVolumePermission/item/";
	struct permitted *permitted = arg;

	if (strncmp(path, set, sizeof(set) - 1) != 0)
		return 0;
	if (strcmp(path + sizeof(set) - 1, "userId") == 0)
		return accounts_add(permitted->accounts, text, err);
	if (strcmp(path + sizeof(set) - 1, "group") == 0)
		permitted->everybody = true;
	return 0;
}

int ec2_permitted(struct aws *aws, const char *id, struct accounts *accounts,
		  bool *everybody, struct err *err)
{
	struct permitted permitted = { .accounts = accounts };
	struct ec2_form form;

	ec2_form(&form, "DescribeSnapshotAttribute");
	ec2_field(&form, "Attribute", "createVolumePermission");
	ec2_field(&form, "SnapshotId", id);
	if (ec2_send(aws, &form, "asking who may use the snapshot", err) < 0 ||
	    ec2_xml(aws, on_permission, &permitted, err) < 0)
		return err_prefix(err, "%s", id);
	*everybody = permitted.everybody;
	return 0;
}

struct word {
	const char *name; /* the last name of the path */
	char *value;
	size_t size;
	bool found;
};

static int on_word(void *arg, const char *path, const char *text, struct err *err)
{
	struct word *word = arg;
	const char *slash = strrchr(path, '/');

	if (!slash || strcmp(slash + 1, word->name) != 0 || word->found)
		return 0;
	if (strlen(text) >= word->size)
		return err_set(err, ERR_FAILED, "%s is too long", word->name);
	strcpy(word->value, text);
	word->found = true;
	return 0;
}

/* The first element of that name, anywhere in the answer; "" where there is none. */
static int answer_word(struct aws *aws, const char *name, char *value, size_t size,
		       struct err *err)
{
	struct word word = { .name = name, .value = value, .size = size };

	value[0] = '\0';
	return ec2_xml(aws, on_word, &word, err);
}

static int modify(struct aws *aws, const char *id, bool add,
		  const struct accounts *accounts, size_t from, size_t n, struct err *err)
{
	const char *what = add ? "adding accounts" : "removing accounts";
	struct ec2_form form;

	ec2_form(&form, "ModifySnapshotAttribute");
	ec2_field(&form, "Attribute", "createVolumePermission");
	ec2_field(&form, "OperationType", add ? "add" : "remove");
	ec2_field(&form, "SnapshotId", id);
	if (accounts)
		for (size_t i = 0; i < n; i++)
			ec2_field_n(&form, "UserId.", i + 1, "", accounts->at[from + i]);
	else
		ec2_field(&form, "UserGroup.1", "all");
	/* Whether it was done is seen by asking who may, afterwards. */
	return ec2_send(aws, &form, what, err);
}

int ec2_permit(struct aws *aws, const char *id, bool add, const struct accounts *accounts,
	       struct err *err)
{
	for (size_t from = 0; from < accounts->count; from += EC2_IDS_PER_CALL) {
		size_t n = accounts->count - from;

		if (n > EC2_IDS_PER_CALL)
			n = EC2_IDS_PER_CALL;
		if (modify(aws, id, add, accounts, from, n, err) < 0)
			return err_prefix(err, "%s", id);
	}
	return 0;
}

int ec2_unpublish(struct aws *aws, const char *id, struct err *err)
{
	return modify(aws, id, false, NULL, 0, 0, err);
}

int ec2_public_access(struct aws *aws, char state[EC2_STATE_SIZE], struct err *err)
{
	struct ec2_form form;

	ec2_form(&form, "GetSnapshotBlockPublicAccessState");
	if (ec2_send(aws, &form, "asking for Block Public Access", err) < 0)
		return -1;
	return answer_word(aws, "state", state, EC2_STATE_SIZE, err);
}

int ec2_block_public_access(struct aws *aws, const char *state, struct err *err)
{
	char now[EC2_STATE_SIZE];
	struct ec2_form form;

	ec2_form(&form, "EnableSnapshotBlockPublicAccess");
	ec2_field(&form, "State", state);
	if (ec2_send(aws, &form, "enabling Block Public Access", err) < 0 ||
	    ec2_public_access(aws, now, err) < 0)
		return -1;
	if (strcmp(now, state) != 0)
		return err_set(err, ERR_FAILED,
			       "Block Public Access is %s after it was made %s", now,
			       state);
	return 0;
}

int ec2_lock(struct aws *aws, const char *id, const char *mode, unsigned days,
	     unsigned cool_off_hours, char state[EC2_STATE_SIZE], struct err *err)
{
	char number[16];
	struct ec2_form form;

	ec2_form(&form, "LockSnapshot");
	ec2_field(&form, "SnapshotId", id);
	ec2_field(&form, "LockMode", mode);
	snprintf(number, sizeof(number), "%u", days);
	ec2_field(&form, "LockDuration", number);
	if (cool_off_hours) {
		snprintf(number, sizeof(number), "%u", cool_off_hours);
		ec2_field(&form, "CoolOffPeriod", number);
	}
	if (ec2_send(aws, &form, "locking the snapshot", err) < 0 ||
	    ec2_lock_state(aws, id, state, err) < 0)
		return -1;
	if (strncmp(state, mode, strlen(mode)) != 0)
		return err_set(err, ERR_FAILED,
			       "%s: its lock is '%s' after it was locked", id, state);
	return 0;
}

int ec2_lock_state(struct aws *aws, const char *id, char state[EC2_STATE_SIZE],
		   struct err *err)
{
	struct ec2_form form;

	ec2_form(&form, "DescribeLockedSnapshots");
	ec2_field(&form, "SnapshotId.1", id);
	if (ec2_send(aws, &form, "asking for locks", err) < 0 ||
	    answer_word(aws, "lockState", state, EC2_STATE_SIZE, err) < 0)
		return err_prefix(err, "%s", id);
	if (strcmp(state, "expired") == 0)
		state[0] = '\0';
	return 0;
}

int ec2_copy(struct aws *aws, struct aws *source, const char *id, const char *kms_key,
	     const char *description, const struct tag *tags, size_t n_tags,
	     char copy[SNAPSHOT_ID_SIZE], struct err *err)
{
	const char *from = aws_config_of(source)->region;
	const struct sigv4_pair query[] = {
		{ "Action", "CopySnapshot" },
		{ "DestinationRegion", aws_config_of(aws)->region },
		{ "SourceRegion", from },
		{ "SourceSnapshotId", id },
		{ "Version", "2016-11-15" },
	};
	char *url = malloc(AWS_URL_SIZE);
	struct ec2_form form;
	int rc = -1;

	if (!url)
		return err_set(err, ERR_FAILED, "out of memory");
	/* The form of an encrypted copy carries the source Region's own word for it. */
	if (aws_presign_ec2(source, query, 5, PRESIGNED_S, url, err) < 0)
		goto out;
	ec2_form(&form, "CopySnapshot");
	ec2_field(&form, "SourceRegion", from);
	ec2_field(&form, "SourceSnapshotId", id);
	ec2_field(&form, "DestinationRegion", aws_config_of(aws)->region);
	ec2_field(&form, "PresignedUrl", url);
	ec2_field(&form, "Description", description);
	if (kms_key) {
		ec2_field(&form, "Encrypted", "true");
		ec2_field(&form, "KmsKeyId", kms_key);
	}
	if (n_tags)
		ec2_field(&form, "TagSpecification.1.ResourceType", "snapshot");
	for (size_t i = 0; i < n_tags; i++) {
		ec2_field_n(&form, "TagSpecification.1.Tag.", i + 1, ".Key", tags[i].key);
		ec2_field_n(&form, "TagSpecification.1.Tag.", i + 1, ".Value",
			    tags[i].value);
	}
	if (ec2_send(aws, &form, "copying the snapshot", err) < 0 ||
	    answer_word(aws, "snapshotId", copy, SNAPSHOT_ID_SIZE, err) < 0)
		goto out;
	if (!blocks_snapshot_ok(copy)) {
		err_set(err, ERR_FAILED, "the answer to CopySnapshot names no snapshot");
		goto out;
	}
	rc = 0;
out:
	sigv4_wipe(url, AWS_URL_SIZE);
	free(url);
	return rc;
}

int ec2_delete(struct aws *aws, const char *id, struct err *err)
{
	struct ec2_form form;
	char value[16];

	ec2_form(&form, "DeleteSnapshot");
	ec2_field(&form, "SnapshotId", id);
	if (ec2_send(aws, &form, "deleting the snapshot", err) < 0) {
		/* Of an attempt whose answer was lost. */
		if (strcmp(aws_code(aws), "InvalidSnapshot.NotFound") == 0)
			return 0;
		return err_prefix(err, "%s", id);
	}
	if (answer_word(aws, "return", value, sizeof(value), err) < 0)
		return err_prefix(err, "%s", id);
	if (strcmp(value, "true") != 0)
		return err_set(err, ERR_FAILED,
			       "%s: EC2 does not say that it was deleted", id);
	return 0;
}
