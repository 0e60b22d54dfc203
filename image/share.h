/*
 * A snapshot shared with exactly a list of accounts, no more and no fewer: whatever it
 * takes that those accounts can really make a volume of it (the key's policy or grants),
 * and what protects it (Block Public Access, a lock), in its own Region and in copies.
 */
#ifndef FVOL_IMAGE_SHARE_H
#define FVOL_IMAGE_SHARE_H

#include <stdbool.h>
#include <stddef.h>

#include "image/ec2.h"
#include "image/kms.h"

#define SHARE_COPIES_MAX 32

struct share_request {
	struct aws_config aws; /* of the snapshot's Region */
	const char *snapshot;
	struct accounts accounts;
	bool dry_run;
	/* What to do where the key's policy does not name an account; neither: ERR_NO. */
	bool write_key_policy, grants;
	bool no_key_check;	  /* the key is another account's: nobody here may ask */
	const char *block_public; /* NULL, or the state to set */
	const char *lock_mode;	  /* NULL, governance, compliance */
	unsigned lock_days, cool_off_hours;
	struct {
		const char *region, *kms_key;
	} copies[SHARE_COPIES_MAX];
	size_t n_copies;
	unsigned wait_s;
};

/* What was found and done for one snapshot. Freed by share_report_free(). */
struct share_report {
	struct ec2_snapshot snapshot;
	const char *region;
	bool copied;  /* made now; a copy that an earlier run made is found again */
	bool planned; /* a copy that --dry-run did not make: nothing else is known */
	char key[256], key_state[40];
	struct accounts key_missing; /* before anything was done */
	char *statements;	     /* that the key's policy lacks, or NULL */
	bool key_written, key_granted;
	struct accounts before, add, remove;
	bool everybody; /* it was public */
	char public_access[EC2_STATE_SIZE], lock[EC2_STATE_SIZE];
};

void share_report_free(struct share_report *report);

/*
 * Does all of it for the snapshot of the request. ERR_REFUSED for a key that cannot be
 * shared, ERR_NO where the key's policy lacks accounts and nothing may be done about it
 * (report->statements has what is missing); then nobody was added.
 */
int share_snapshot(const struct share_request *request, struct share_report *report,
		   struct err *err);

/* Copies it into Region n of the request, or finds the copy, and shares that alike. */
int share_copy(const struct share_request *request, const struct ec2_snapshot *source,
	       size_t n, struct share_report *report, struct err *err);

/* Reads accounts: "1,2,3", or the name of a file with one on each line and # comments. */
int share_accounts(const char *text, struct accounts *accounts, struct err *err);

/* The text of such a file, ended by a NUL. */
int share_accounts_parse(const char *text, struct accounts *accounts, struct err *err);

#endif
