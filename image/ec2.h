/*
 * What EC2 knows of snapshots: their state, who may use them, locks and copies. Its Query
 * API takes forms and answers in XML.
 *
 * Source: Amazon EC2 API Reference, 2016-11-15.
 */
#ifndef FVOL_IMAGE_EC2_H
#define FVOL_IMAGE_EC2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/aws.h"
#include "image/blocks.h"
#include "image/ebs.h"

#define EC2_TAGS_MAX 50
#define EC2_IDS_PER_CALL 500
#define ACCOUNT_SIZE 13 /* 12 digits and a NUL */

struct ec2_snapshot {
	char id[SNAPSHOT_ID_SIZE];
	char state[24]; /* pending, completed, error, ... */
	char message[256];
	char start_time[40]; /* ISO 8601, UTC */
	char kms_key[256];   /* ARN, "" when not encrypted */
	char owner[ACCOUNT_SIZE];
	char progress[16];
	bool encrypted;
	uint32_t gib;
	size_t n_tags;
	struct {
		char key[129], value[257];
	} tags[EC2_TAGS_MAX];
};

/* The value of a tag, or NULL. */
const char *ec2_tag(const struct ec2_snapshot *snapshot, const char *key);

/* Zero-initialised; freed by ec2_snapshots_free(). */
struct ec2_snapshots {
	struct ec2_snapshot *at;
	size_t count, room;
};

void ec2_snapshots_free(struct ec2_snapshots *snapshots);

/* One snapshot by its id. ERR_NO when there is none. */
int ec2_snapshot(struct aws *aws, const char *id, struct ec2_snapshot *snapshot,
		 struct err *err);

/* All of this account that have the tag; value NULL: whatever it says. */
int ec2_tagged(struct aws *aws, const char *key, const char *value,
	       struct ec2_snapshots *snapshots, struct err *err);

/* Reads one answer of DescribeSnapshots, adding to snapshots. For the above and tests. */
int ec2_read_snapshots(const char *text, size_t len_bytes,
		       struct ec2_snapshots *snapshots, char next[1024], struct err *err);

/*
 * Waits until the snapshot is completed: ERR_FAILED with its message when its state
 * becomes error, or when wait_s seconds are over. told, which may be NULL, hears of its
 * progress.
 */
int ec2_wait(struct aws *aws, const char *id, unsigned wait_s,
	     void (*told)(void *arg, const struct ec2_snapshot *snapshot), void *arg,
	     struct ec2_snapshot *snapshot, struct err *err);

/* Account ids, ascending, none twice. Zero-initialised; freed by accounts_free(). */
struct accounts {
	char (*at)[ACCOUNT_SIZE];
	size_t count, room;
};

void accounts_free(struct accounts *accounts);
int accounts_add(struct accounts *accounts, const char *id, struct err *err);
bool accounts_have(const struct accounts *accounts, const char *id);
/* Those of first that second has not. */
int accounts_less(const struct accounts *first, const struct accounts *second,
		  struct accounts *result, struct err *err);

/* Who may make volumes of a snapshot; *everybody: it is public. */
int ec2_permitted(struct aws *aws, const char *id, struct accounts *accounts,
		  bool *everybody, struct err *err);

/* Adds or removes accounts, in calls of EC2_IDS_PER_CALL. */
int ec2_permit(struct aws *aws, const char *id, bool add, const struct accounts *accounts,
	       struct err *err);
/* Removes the permission of everybody. */
int ec2_unpublish(struct aws *aws, const char *id, struct err *err);

#define EC2_STATE_SIZE 40

/* Block Public Access of the Region: unblocked, block-new-sharing, block-all-sharing. */
int ec2_public_access(struct aws *aws, char state[EC2_STATE_SIZE], struct err *err);
int ec2_block_public_access(struct aws *aws, const char *state, struct err *err);

/* LockSnapshot; mode is governance or compliance. state: what the service answers. */
int ec2_lock(struct aws *aws, const char *id, const char *mode, unsigned days,
	     unsigned cool_off_hours, char state[EC2_STATE_SIZE], struct err *err);
/* "" when it is not locked (or the lock has expired). */
int ec2_lock_state(struct aws *aws, const char *id, char state[EC2_STATE_SIZE],
		   struct err *err);

/*
 * Copies a snapshot from source's Region into aws's, encrypted with kms_key, with tags.
 * Returns at once; a key that the service cannot use shows in the state, later.
 */
int ec2_copy(struct aws *aws, struct aws *source, const char *id, const char *kms_key,
	     const char *description, const struct tag *tags, size_t n_tags,
	     char copy[SNAPSHOT_ID_SIZE], struct err *err);

int ec2_delete(struct aws *aws, const char *id, struct err *err);

#endif
