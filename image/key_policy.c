#include "image/key_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "toolkit/lib/json.h"

#define SID_USE "FVolShareUse"
#define SID_GRANT "FVolShareGrant"
#define DEPTH_MAX 24

static const char *const use_actions[] = { "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*",
					   "kms:GenerateDataKey*", "kms:DescribeKey" };
static const char *const grant_actions[] = { "kms:CreateGrant", "kms:ListGrants",
					     "kms:RevokeGrant" };

/* What an account must be able to do, spelt out: patterns match these. */
static const char *const needed[] = {
	"kms:Decrypt",	   "kms:DescribeKey",	  "kms:ReEncryptFrom",
	"kms:ReEncryptTo", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext",
	"kms:Encrypt",	   "kms:CreateGrant"
};
#define NEEDED (sizeof(needed) / sizeof(needed[0]))
#define NEEDED_GRANT (1U << (NEEDED - 1))
#define NEEDED_ALL ((1U << NEEDED) - 1)

/* '*' and '?' as IAM has them; actions have no case. */
static bool matches(const char *pattern, const char *text)
{
	const char *star = NULL, *back = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			back = text;
		} else if (*pattern == '?' || strncasecmp(pattern, text, 1) == 0) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++back;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

/* Calls for a string, or for each string of an array. */
static const char *string_at(const struct json_value *value, size_t n)
{
	if (json_str(value))
		return n == 0 ? json_str(value) : NULL;
	return json_str(json_at(value, n));
}

static unsigned actions_of(const struct json_value *statement)
{
	const struct json_value *action = json_get(statement, "Action");
	const char *pattern;
	unsigned bits = 0;

	for (size_t n = 0; (pattern = string_at(action, n)); n++)
		for (size_t i = 0; i < NEEDED; i++)
			if (matches(pattern, needed[i]))
				bits |= 1U << i;
	return bits;
}

static bool is_account(const char *principal, const char *account)
{
	static const char iam[] = ":iam::";
	const char *at;

	if (strcmp(principal, "*") == 0 || strcmp(principal, account) == 0)
		return true;
	at = strstr(principal, iam);
	return strncmp(principal, "arn:aws", 7) == 0 && at &&
	       strncmp(at + strlen(iam), account, ACCOUNT_SIZE - 1) == 0 &&
	       strcmp(at + strlen(iam) + ACCOUNT_SIZE - 1, ":root") == 0;
}

static bool names_account(const struct json_value *statement, const char *account)
{
	const struct json_value *principal = json_get(statement, "Principal");
	const struct json_value *aws = json_get(principal, "AWS");
	const char *text;

	if (json_str(principal))
		return strcmp(json_str(principal), "*") == 0;
	for (size_t n = 0; (text = string_at(aws, n)); n++)
		if (is_account(text, account))
			return true;
	return false;
}

struct members {
	size_t count;
};

static int count_member(void *arg, const char *key, const struct json_value *value)
{
	struct members *members = arg;

	(void)key;
	(void)value;
	members->count++;
	return 0;
}

/* The value of {operator: {key: value}} where there is nothing else, or NULL. */
static const struct json_value *sole_condition(const struct json_value *condition,
					       const char *operator, const char * key)
{
	const struct json_value *of = json_get(condition, operator);
	struct members outer = { 0 }, inner = { 0 };

	json_each(condition, count_member, &outer);
	json_each(of, count_member, &inner);
	return outer.count == 1 && inner.count == 1 ? json_get(of, key) : NULL;
}

static bool only_for_services(const struct json_value *condition)
{
	const struct json_value *of =
		sole_condition(condition, "Bool", "kms:GrantIsForAWSResource");
	const char *text = string_at(of, 0);

	return json_true(of) || (text && strcasecmp(text, "true") == 0);
}

static bool only_through_ec2(const struct json_value *condition, const char *region)
{
	static const char *const operators[] = { "StringLike", "StringEquals" };
	char service[80];
	const char *text;

	snprintf(service, sizeof(service), "ec2.%s.amazonaws.com", region);
	for (size_t i = 0; i < 2; i++) {
		const struct json_value *via =
			sole_condition(condition, operators[i], "kms:ViaService");

		for (size_t n = 0; (text = string_at(via, n)); n++)
			if (i == 0 ? matches(text, service) : !strcmp(text, service))
				return true;
	}
	return false;
}

/* What one statement allows an account, or denies it. */
static void weigh(const struct json_value *statement, const char *account,
		  const char *region, unsigned *allowed, unsigned *denied)
{
	const char *effect = json_str(json_get(statement, "Effect"));
	const struct json_value *condition = json_get(statement, "Condition");
	unsigned bits;

	if (!effect || !names_account(statement, account))
		return;
	bits = actions_of(statement);
	if (strcmp(effect, "Allow") == 0) {
		if (condition && !only_through_ec2(condition, region))
			bits &= only_for_services(condition) ? NEEDED_GRANT : 0;
		*allowed |= bits;
	} else if (!condition) {
		*denied |= bits;
	}
}

static const struct json_value *statement_at(const struct json_value *top, size_t n)
{
	const struct json_value *list = json_get(top, "Statement");

	if (json_is_object(list))
		return n == 0 ? list : NULL;
	return json_at(list, n);
}

static struct json_read *parse(const char *policy, size_t len, struct err *err)
{
	struct json_read *doc = json_parse(policy, len, err);

	if (!doc) {
		err_prefix(err, "the key's policy");
		return NULL;
	}
	if (json_is_object(statement_at(json_top(doc), 0)))
		return doc;
	err_set(err, ERR_FAILED, "the key's policy has no statement");
	json_read_free(doc);
	return NULL;
}

int key_policy_missing(const char *policy, size_t len_bytes, const char *region,
		       const struct accounts *accounts, struct accounts *missing,
		       struct err *err)
{
	struct json_read *doc = parse(policy, len_bytes, err);
	const struct json_value *statement;
	int rc = -1;

	if (!doc)
		return -1;
	for (size_t i = 0; i < accounts->count; i++) {
		unsigned allowed = 0, denied = 0;

		for (size_t n = 0; (statement = statement_at(json_top(doc), n)); n++)
			weigh(statement, accounts->at[i], region, &allowed, &denied);
		if ((allowed & ~denied & NEEDED_ALL) != NEEDED_ALL &&
		    accounts_add(missing, accounts->at[i], err) < 0)
			goto out;
	}
	rc = 0;
out:
	json_read_free(doc);
	return rc;
}

/* ---- The statements that are added. ---- */

static void add_statement(struct json *doc, struct json_node *list, const char *sid,
			  const char *const *actions, size_t n_actions,
			  const char *partition, const struct accounts *accounts)
{
	struct json_node *statement = json_add_object(doc, list, NULL), *in;
	char arn[80];

	json_add_str(doc, statement, "Sid", sid);
	json_add_str(doc, statement, "Effect", "Allow");
	in = json_add_array(doc, json_add_object(doc, statement, "Principal"), "AWS");
	for (size_t i = 0; i < accounts->count; i++) {
		snprintf(arn, sizeof(arn), "arn:%.20s:iam::%s:root", partition,
			 accounts->at[i]);
		json_add_str(doc, in, NULL, arn);
	}
	in = json_add_array(doc, statement, "Action");
	for (size_t i = 0; i < n_actions; i++)
		json_add_str(doc, in, NULL, actions[i]);
	json_add_str(doc, statement, "Resource", "*");
	if (actions == grant_actions) {
		in = json_add_object(doc, json_add_object(doc, statement, "Condition"),
				     "Bool");
		json_add_str(doc, in, "kms:GrantIsForAWSResource", "true");
	}
}

static void add_both(struct json *doc, struct json_node *list, const char *partition,
		     const struct accounts *accounts)
{
	add_statement(doc, list, SID_USE, use_actions,
		      sizeof(use_actions) / sizeof(use_actions[0]), partition, accounts);
	add_statement(doc, list, SID_GRANT, grant_actions,
		      sizeof(grant_actions) / sizeof(grant_actions[0]), partition,
		      accounts);
}

char *key_policy_statements(const char *partition, const struct accounts *accounts,
			    struct err *err)
{
	struct json *doc = json_new();
	char *text;

	if (!doc) {
		err_set(err, ERR_FAILED, "out of memory");
		return NULL;
	}
	add_both(doc, json_add_array(doc, json_root(doc), "Statement"), partition,
		 accounts);
	text = json_text(doc, true, NULL, err);
	json_free(doc);
	return text;
}

/* ---- A copy of what is there. ---- */

struct copying {
	struct json *doc;
	struct json_node *in;
	int depth;
	const char *skip; /* a member of the top that is left out */
};

static int copy_value(struct copying *copying, const char *key,
		      const struct json_value *value);

static int copy_member(void *arg, const char *key, const struct json_value *value)
{
	struct copying *copying = arg;

	if (copying->skip && strcmp(key, copying->skip) == 0)
		return 0;
	return copy_value(copying, key, value);
}

/* Returns -1 for what no policy has: null, fractions, empty lists, depths. */
static int copy_value(struct copying *copying, const char *key,
		      const struct json_value *value)
{
	struct copying inner = { .doc = copying->doc, .depth = copying->depth + 1 };
	uint64_t number;

	if (inner.depth > DEPTH_MAX)
		return -1;
	if (json_str(value)) {
		json_add_str(copying->doc, copying->in, key, json_str(value));
	} else if (json_is_bool(value)) {
		json_add_bool(copying->doc, copying->in, key, json_true(value));
	} else if (json_u64(value, &number)) {
		json_add_u64(copying->doc, copying->in, key, number);
	} else if (json_is_object(value)) {
		inner.in = json_add_object(copying->doc, copying->in, key);
		return json_each(value, copy_member, &inner);
	} else if (json_len(value)) {
		inner.in = json_add_array(copying->doc, copying->in, key);
		for (size_t i = 0; i < json_len(value); i++)
			if (copy_value(&inner, NULL, json_at(value, i)) < 0)
				return -1;
	} else {
		return -1;
	}
	return 0;
}

static bool is_ours(const struct json_value *statement)
{
	const char *sid = json_str(json_get(statement, "Sid"));

	return sid && (strcmp(sid, SID_USE) == 0 || strcmp(sid, SID_GRANT) == 0);
}

char *key_policy_with(const char *policy, size_t len_bytes, const char *partition,
		      const struct accounts *accounts, size_t *out_bytes, struct err *err)
{
	struct json_read *from = parse(policy, len_bytes, err);
	struct copying copying = { .skip = "Statement" };
	const struct json_value *statement;
	struct json_node *root, *list;
	char *text = NULL;
	int rc;

	if (!from)
		return NULL;
	copying.doc = json_new();
	if (!copying.doc) {
		err_set(err, ERR_FAILED, "out of memory");
		goto out;
	}
	root = copying.in = json_root(copying.doc);
	rc = json_each(json_top(from), copy_member, &copying);
	list = json_add_array(copying.doc, root, "Statement");
	copying.in = list;
	for (size_t n = 0; rc == 0 && (statement = statement_at(json_top(from), n)); n++)
		if (!is_ours(statement))
			rc = copy_value(&copying, NULL, statement);
	if (rc != 0) {
		err_set(err, ERR_FAILED,
			"the key's policy has a value that none has: "
			"add the statement by hand");
		goto out;
	}
	if (accounts->count)
		add_both(copying.doc, list, partition, accounts);
	text = json_text(copying.doc, false, out_bytes, err);
	if (text && *out_bytes > KEY_POLICY_MAX) {
		err_set(err, ERR_FAILED,
			"the key's policy would have %zu bytes, and KMS takes %d: use "
			"--grants",
			*out_bytes, KEY_POLICY_MAX);
		free(text);
		text = NULL;
	}
out:
	json_free(copying.doc);
	json_read_free(from);
	return text;
}
