/*
 * What KMS knows of the key that encrypts a snapshot.
 * Source: AWS KMS API Reference, 2014-11-01 (JSON 1.1).
 */
#ifndef FVOL_IMAGE_KMS_H
#define FVOL_IMAGE_KMS_H

#include "image/aws.h"
#include "image/ec2.h"

struct kms_key {
	char arn[256];
	char state[40]; /* Enabled, Disabled, PendingDeletion, ... */
	bool of_aws;	/* managed by AWS: nobody can share it */
};

/*
 * Checks that arn is the ARN of a key, not of an alias:
 * arn:PARTITION:kms:REGION:ACCOUNT:key/ID (AWS General Reference); and that its Region is
 * this one, unless that is NULL: a key of another Region cannot encrypt here, which EBS
 * says only when the snapshot has failed. ERR_USAGE names both.
 */
int kms_check_arn(const char *arn, const char *region, struct err *err);

int kms_describe(struct aws *aws, const char *key, struct kms_key *described,
		 struct err *err);

/* The key's policy (there is one, "default"); the caller frees it. NULL with err. */
char *kms_policy(struct aws *aws, const char *key, size_t *len_bytes, struct err *err);
/* Replaces it. KMS checks it, and that its caller keeps access. */
int kms_put_policy(struct aws *aws, const char *key, const char *policy, struct err *err);

/* Accounts whose root has a grant with all that EBS needs; added to accounts. */
int kms_granted(struct aws *aws, const char *key, struct accounts *accounts,
		struct err *err);
int kms_grant(struct aws *aws, const char *key, const char *partition,
	      const char *account, struct err *err);

/* Reads one page of ListGrants; next is "" at the end. For kms_granted() and tests. */
int kms_read_grants(const char *text, size_t len_bytes, struct accounts *accounts,
		    char next[1024], struct err *err);

#endif
