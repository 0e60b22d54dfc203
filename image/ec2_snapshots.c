#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "image/ec2.h"
#include "image/ec2_form.h"
#include "toolkit/lib/clock.h"

#define PAGES_MAX 10000
#define PAGE_SNAPSHOTS "200"
#define WAIT_FIRST_MS 200
#define WAIT_MOST_MS 15000

const char *ec2_tag(const struct ec2_snapshot *snapshot, const char *key)
{
	for (size_t i = 0; i < snapshot->n_tags; i++)
		if (strcmp(snapshot->tags[i].key, key) == 0)
			return snapshot->tags[i].value;
	return NULL;
}

void ec2_snapshots_free(struct ec2_snapshots *snapshots)
{
	free(snapshots->at);
	*snapshots = (struct ec2_snapshots){ 0 };
}

struct reading {
	struct ec2_snapshots *snapshots;
	struct ec2_snapshot now;
	char key[129], value[257];
	char *next;
};

static bool take(const char *text, char *out, size_t size)
{
	size_t len = strlen(text);

	if (len >= size)
		return false;
	memcpy(out, text, len + 1);
	return true;
}

static int add_snapshot(struct reading *reading, struct err *err)
{
	struct ec2_snapshots *all = reading->snapshots;

	if (!blocks_snapshot_ok(reading->now.id) || !reading->now.state[0])
		return err_set(err, ERR_FAILED, "a snapshot has no id or no state");
	if (all->count == all->room) {
		size_t room = all->room ? 2 * all->room : 8;
		struct ec2_snapshot *at = realloc(all->at, room * sizeof(*at));

		if (!at)
			return err_set(err, ERR_FAILED, "out of memory");
		all->at = at;
		all->room = room;
	}
	all->at[all->count++] = reading->now;
	reading->now = (struct ec2_snapshot){ 0 };
	return 0;
}

static bool on_item(struct reading *reading, const char *name, const char *text)
{
	struct ec2_snapshot *now = &reading->now;
	char *end;

	if (strcmp(name, "snapshotId") == 0)
		return take(text, now->id, sizeof(now->id));
	if (strcmp(name, "status") == 0)
		return take(text, now->state, sizeof(now->state));
	if (strcmp(name, "statusMessage") == 0)
		snprintf(now->message, sizeof(now->message), "%s", text);
	if (strcmp(name, "startTime") == 0)
		return take(text, now->start_time, sizeof(now->start_time));
	if (strcmp(name, "ownerId") == 0)
		return take(text, now->owner, sizeof(now->owner));
	if (strcmp(name, "progress") == 0)
		return take(text, now->progress, sizeof(now->progress));
	if (strcmp(name, "kmsKeyId") == 0)
		return take(text, now->kms_key, sizeof(now->kms_key));
	if (strcmp(name, "encrypted") == 0)
		now->encrypted = strcmp(text, "true") == 0;
	if (strcmp(name, "volumeSize") == 0) {
		now->gib = (uint32_t)strtoul(text, &end, 10);
		return end != text && !*end;
	}
	if (strcmp(name, "tagSet/item/key") == 0)
		return take(text, reading->key, sizeof(reading->key));
	if (strcmp(name, "tagSet/item/value") == 0)
		return take(text, reading->value, sizeof(reading->value));
	if (strcmp(name, "tagSet/item") == 0) {
		if (now->n_tags == EC2_TAGS_MAX)
			return false;
		strcpy(now->tags[now->n_tags].key, reading->key);
		strcpy(now->tags[now->n_tags++].value, reading->value);
		reading->key[0] = reading->value[0] = '\0';
	}
	return true;
}

static int on_snapshot(void *arg, const char *path, const char *text, struct err *err)
{
	static const char item[] = "DescribeSnapshotsResponse/snapshotSet/item";
	struct reading *reading = arg;
	size_t len = sizeof(item) - 1;

	if (strcmp(path, item) == 0)
		return add_snapshot(reading, err);
	if (strncmp(path, item, len) == 0 && path[len] == '/') {
		if (!on_item(reading, path + len + 1, text))
			return err_set(err, ERR_FAILED, "%s cannot be that", path);
		return 0;
	}
	if (strcmp(path, "DescribeSnapshotsResponse/nextToken") == 0 &&
	    !take(text, reading->next, 1024))
		return err_set(err, ERR_FAILED, "the page's token is too long");
	return 0;
}

int ec2_read_snapshots(const char *text, size_t len_bytes,
		       struct ec2_snapshots *snapshots, char next[1024], struct err *err)
{
	struct reading *reading = calloc(1, sizeof(*reading));
	int rc;

	next[0] = '\0';
	if (!reading)
		return err_set(err, ERR_FAILED, "out of memory");
	reading->snapshots = snapshots;
	reading->next = next;
	rc = xml_read(text, len_bytes, on_snapshot, reading, err);
	free(reading);
	return rc;
}

static int read_page(struct aws *aws, struct ec2_snapshots *snapshots, char next[1024],
		     struct err *err)
{
	size_t len;
	const char *text = aws_answer(aws, &len);

	if (ec2_read_snapshots(text, len, snapshots, next, err) < 0)
		return err_prefix(err, "the answer to DescribeSnapshots");
	return 0;
}

int ec2_snapshot(struct aws *aws, const char *id, struct ec2_snapshot *snapshot,
		 struct err *err)
{
	struct ec2_snapshots found = { 0 };
	struct ec2_form form;
	char next[1024];
	int rc = -1;

	ec2_form(&form, "DescribeSnapshots");
	ec2_field(&form, "SnapshotId.1", id);
	if (ec2_send(aws, &form, "describing the snapshot", err) < 0) {
		if (strcmp(aws_code(aws), "InvalidSnapshot.NotFound") == 0)
			err_set(err, ERR_NO, "there is no snapshot %s here", id);
		return -1;
	}
	if (read_page(aws, &found, next, err) == 0) {
		if (found.count == 1 && strcmp(found.at[0].id, id) == 0) {
			*snapshot = found.at[0];
			rc = 0;
		} else {
			err_set(err, ERR_NO, "there is no snapshot %s here", id);
		}
	}
	ec2_snapshots_free(&found);
	return rc;
}

int ec2_tagged(struct aws *aws, const char *key, const char *value,
	       struct ec2_snapshots *snapshots, struct err *err)
{
	char token[1024] = "", next[1024], name[200];

	snprintf(name, sizeof(name), "tag:%s", key);
	for (size_t page = 0; page < PAGES_MAX; page++) {
		struct ec2_form form;

		ec2_form(&form, "DescribeSnapshots");
		ec2_field(&form, "Owner.1", "self");
		ec2_field(&form, "Filter.1.Name", value ? name : "tag-key");
		ec2_field(&form, "Filter.1.Value.1", value ? value : key);
		ec2_field(&form, "MaxResults", PAGE_SNAPSHOTS);
		if (token[0])
			ec2_field(&form, "NextToken", token);
		if (ec2_send(aws, &form, "listing the snapshots", err) < 0 ||
		    read_page(aws, snapshots, next, err) < 0)
			return -1;
		if (!next[0])
			return 0;
		if (strcmp(next, token) == 0)
			break;
		strcpy(token, next);
	}
	return err_set(err, ERR_FAILED, "the list of snapshots does not end");
}

static bool interrupted(struct aws *aws)
{
	const struct aws_config *config = aws_config_of(aws);

	return config->http.interrupted && *config->http.interrupted;
}

static void wait_ms(struct aws *aws, unsigned ms)
{
	while (ms && !interrupted(aws)) {
		unsigned step = ms < 100 ? ms : 100;

		nanosleep(&(struct timespec){ .tv_nsec = (long)step * 1000000 }, NULL);
		ms -= step;
	}
}

int ec2_wait(struct aws *aws, const char *id, unsigned wait_s,
	     void (*told)(void *arg, const struct ec2_snapshot *snapshot), void *arg,
	     struct ec2_snapshot *snapshot, struct err *err)
{
	int64_t until = clock_ns(CLOCK_MONOTONIC) + (int64_t)wait_s * 1000000000;
	unsigned ms = WAIT_FIRST_MS;
	int rc;

	for (;;) {
		rc = ec2_snapshot(aws, id, snapshot, err);
		/* A copy that was made a moment ago may not be seen yet. */
		if (rc < 0 && err->kind != ERR_NO)
			return -1;
		if (rc == 0) {
			if (told)
				told(arg, snapshot);
			if (strcmp(snapshot->state, "completed") == 0)
				return 0;
			if (strcmp(snapshot->state, "pending") != 0)
				return err_set(err, ERR_FAILED, "%s is in state %s%s%s",
					       id, snapshot->state,
					       snapshot->message[0] ? ": " : "",
					       snapshot->message);
		}
		if (interrupted(aws))
			return err_set(err, ERR_FAILED,
				       "interrupted while waiting for %s", id);
		if (clock_ns(CLOCK_MONOTONIC) >= until)
			return rc < 0 ? -1
				      : err_set(err, ERR_FAILED,
						"%s is still %s (%s) after %u s", id,
						snapshot->state, snapshot->progress,
						wait_s);
		wait_ms(aws, ms);
		ms = ms * 3 / 2 < WAIT_MOST_MS ? ms * 3 / 2 : WAIT_MOST_MS;
	}
}
