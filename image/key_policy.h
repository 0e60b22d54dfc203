/*
 * Does a KMS key's policy let other accounts use the snapshots that it encrypts? And the
 * statements that it lacks. An account's root must be allowed
 *	kms:Encrypt, Decrypt, ReEncrypt*, GenerateDataKey*, DescribeKey
 *	kms:CreateGrant, ListGrants, RevokeGrant	(only for services: the condition
 *	                                         kms:GrantIsForAWSResource)
 * also where they are allowed through EC2 alone (kms:ViaService), which is who uses them.
 * What the policy says in a way that is not understood here (NotAction, other conditions)
 * counts as not said: better one statement too many than a snapshot that nobody can open.
 * An unconditional Deny counts against all that is allowed.
 *
 * Source: "Share an Amazon EBS snapshot: share a customer managed key" (EBS user guide).
 */
#ifndef FVOL_IMAGE_KEY_POLICY_H
#define FVOL_IMAGE_KEY_POLICY_H

#include <stddef.h>

#include "image/ec2.h"
#include "toolkit/lib/err.h"

#define KEY_POLICY_MAX 32768 /* bytes that KMS accepts */

/*
 * Which of the accounts the policy does not let use the key in region; added to missing.
 * ERR_FAILED
 * when the policy is not one.
 */
int key_policy_missing(const char *policy, size_t len_bytes, const char *region,
		       const struct accounts *accounts, struct accounts *missing,
		       struct err *err);

/*
 * The policy with our two statements (Sid FVolShareUse, FVolShareGrant) for exactly these
 * accounts, in place of those that an earlier run left; everything else stays. partition
 * is aws, aws-cn, aws-us-gov. The caller frees it; NULL with err.
 */
char *key_policy_with(const char *policy, size_t len_bytes, const char *partition,
		      const struct accounts *accounts, size_t *out_bytes,
		      struct err *err);

/* The two statements alone, indented, for somebody who edits the policy by hand. */
char *key_policy_statements(const char *partition, const struct accounts *accounts,
			    struct err *err);

#endif
