#include "image/kms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/json.h"

#define PAGES_MAX 1000

static const char *const operations[] = {
	"Decrypt",	   "Encrypt",
	"GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
	"ReEncryptFrom",   "ReEncryptTo",
	"CreateGrant",	   "DescribeKey"
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/* Sends a document as KMS takes it, and frees it. */
static int send(struct aws *aws, const char *action, struct json *doc, const char *what,
		struct err *err)
{
	char target[64];
	struct aws_call call = { .service = AWS_KMS,
				 .method = "POST",
				 .path = "/",
				 .what = what,
				 .content_type = "application/x-amz-json-1.1",
				 .headers = { { "x-amz-target", target } },
				 .n_headers = 1 };
	char *text = json_text(doc, false, &call.len_bytes, err);
	int rc;

	json_free(doc);
	if (!text)
		return -1;
	snprintf(target, sizeof(target), "TrentService.%s", action);
	call.data = text;
	rc = aws_call(aws, &call, err);
	free(text);
	return rc;
}

static struct json *for_key(const char *key, struct err *err)
{
	struct json *doc = json_new();

	if (!doc)
		err_set(err, ERR_FAILED, "out of memory");
	else
		json_add_str(doc, json_root(doc), "KeyId", key);
	return doc;
}

static struct json_read *answer(struct aws *aws, const char *what, struct err *err)
{
	size_t len;
	const char *text = aws_answer(aws, &len);
	struct json_read *doc = json_parse(text, len, err);

	if (!doc)
		err_prefix(err, "%s", what);
	return doc;
}

#define ARN_FORM "arn:aws:kms:REGION:ACCOUNT:key/ID"

int kms_check_arn(const char *arn, const char *region, struct err *err)
{
	static const size_t most[] = { 3, 20, 3, 40, ACCOUNT_SIZE - 1 };
	const char *part[5], *rest = arn;
	size_t len[5];

	for (size_t i = 0; i < 5; i++) {
		part[i] = rest;
		len[i] = strcspn(rest, ":");
		if (!len[i] || len[i] > most[i] || !rest[len[i]])
			return err_set(err, ERR_USAGE, "is not an ARN " ARN_FORM);
		rest += len[i] + 1;
	}
	if (strncmp(arn, "arn:aws", 7) != 0 || strncmp(part[2], "kms", len[2]) != 0 ||
	    len[4] != ACCOUNT_SIZE - 1 || strncmp(rest, "key/", 4) != 0 || !rest[4] ||
	    strlen(arn) >= sizeof(((struct kms_key *)NULL)->arn))
		return err_set(err, ERR_USAGE, "is not an ARN " ARN_FORM);
	if (region && (strlen(region) != len[3] || strncmp(region, part[3], len[3]) != 0))
		return err_set(err, ERR_USAGE,
			       "the key is of Region %.*s, the snapshot would be in %s",
			       (int)len[3], part[3], region);
	return 0;
}

int kms_describe(struct aws *aws, const char *key, struct kms_key *described,
		 struct err *err)
{
	static const char what[] = "describing the key";
	struct json *request = for_key(key, err);
	const struct json_value *meta;
	const char *arn, *state, *manager;
	struct json_read *doc;
	int rc = -1;

	if (!request || send(aws, "DescribeKey", request, what, err) < 0)
		return -1;
	doc = answer(aws, what, err);
	if (!doc)
		return -1;
	meta = json_get(json_top(doc), "KeyMetadata");
	arn = json_str(json_get(meta, "Arn"));
	state = json_str(json_get(meta, "KeyState"));
	manager = json_str(json_get(meta, "KeyManager"));
	if (!arn || !state || !manager || strlen(arn) >= sizeof(described->arn) ||
	    strlen(state) >= sizeof(described->state)) {
		err_set(err, ERR_FAILED, "%s: no ARN, state or manager", what);
	} else {
		strcpy(described->arn, arn);
		strcpy(described->state, state);
		/* Anything but a customer's key is nobody's to share. */
		described->of_aws = strcmp(manager, "CUSTOMER") != 0;
		rc = 0;
	}
	json_read_free(doc);
	return rc;
}

char *kms_policy(struct aws *aws, const char *key, size_t *len_bytes, struct err *err)
{
	static const char what[] = "reading the key's policy";
	struct json *request = for_key(key, err);
	struct json_read *doc;
	const char *policy;
	char *text = NULL;

	if (!request)
		return NULL;
	json_add_str(request, json_root(request), "PolicyName", "default");
	if (send(aws, "GetKeyPolicy", request, what, err) < 0)
		return NULL;
	doc = answer(aws, what, err);
	if (!doc)
		return NULL;
	policy = json_str(json_get(json_top(doc), "Policy"));
	if (!policy)
		err_set(err, ERR_FAILED, "%s: there is none in the answer", what);
	else if (!(text = strdup(policy)))
		err_set(err, ERR_FAILED, "out of memory");
	else
		*len_bytes = strlen(text);
	json_read_free(doc);
	return text;
}

int kms_put_policy(struct aws *aws, const char *key, const char *policy, struct err *err)
{
	struct json *request = for_key(key, err);

	if (!request)
		return -1;
	json_add_str(request, json_root(request), "PolicyName", "default");
	json_add_str(request, json_root(request), "Policy", policy);
	return send(aws, "PutKeyPolicy", request, "writing the key's policy", err);
}

/* "arn:aws:iam::123456789012:root", or the number alone; NULL for anybody else. */
static bool root_of(const char *principal, char account[ACCOUNT_SIZE])
{
	const char *at = strstr(principal, ":iam::");

	if (strlen(principal) == ACCOUNT_SIZE - 1) {
		strcpy(account, principal);
	} else if (at && strlen(at) == 6 + ACCOUNT_SIZE - 1 + 5 &&
		   strcmp(at + 6 + ACCOUNT_SIZE - 1, ":root") == 0) {
		memcpy(account, at + 6, ACCOUNT_SIZE - 1);
		account[ACCOUNT_SIZE - 1] = '\0';
	} else {
		return false;
	}
	return strspn(account, "0123456789") == ACCOUNT_SIZE - 1;
}

static bool grant_is_enough(const struct json_value *grant)
{
	const struct json_value *list = json_get(grant, "Operations");
	size_t found = 0;

	if (json_get(grant, "Constraints"))
		return false;
	for (size_t i = 0; i < OPERATIONS; i++)
		for (size_t n = 0; n < json_len(list); n++) {
			const char *name = json_str(json_at(list, n));

			if (name && strcmp(name, operations[i]) == 0) {
				found++;
				break;
			}
		}
	return found == OPERATIONS;
}

int kms_read_grants(const char *text, size_t len_bytes, struct accounts *accounts,
		    char next[1024], struct err *err)
{
	struct json_read *doc = json_parse(text, len_bytes, err);
	const struct json_value *top, *grants;
	const char *principal, *marker;
	char account[ACCOUNT_SIZE];
	int rc = -1;

	next[0] = '\0';
	if (!doc)
		return -1;
	top = json_top(doc);
	grants = json_get(top, "Grants");
	for (size_t i = 0; i < json_len(grants); i++) {
		principal = json_str(json_get(json_at(grants, i), "GranteePrincipal"));
		if (principal && root_of(principal, account) &&
		    grant_is_enough(json_at(grants, i)) &&
		    accounts_add(accounts, account, err) < 0)
			goto out;
	}
	marker = json_str(json_get(top, "NextMarker"));
	if (json_true(json_get(top, "Truncated")) && marker) {
		if (strlen(marker) >= 1024) {
			err_set(err, ERR_FAILED, "the page's marker is too long");
			goto out;
		}
		strcpy(next, marker);
	}
	rc = 0;
out:
	json_read_free(doc);
	return rc;
}

int kms_granted(struct aws *aws, const char *key, struct accounts *accounts,
		struct err *err)
{
	static const char what[] = "listing the key's grants";
	char marker[1024] = "", next[1024];
	const char *text;
	size_t len;

	for (int page = 0; page < PAGES_MAX; page++) {
		struct json *request = for_key(key, err);

		if (!request)
			return -1;
		json_add_u64(request, json_root(request), "Limit", 100);
		if (marker[0])
			json_add_str(request, json_root(request), "Marker", marker);
		if (send(aws, "ListGrants", request, what, err) < 0)
			return -1;
		text = aws_answer(aws, &len);
		if (kms_read_grants(text, len, accounts, next, err) < 0)
			return err_prefix(err, "%s", what);
		if (!next[0])
			return 0;
		strcpy(marker, next);
	}
	return err_set(err, ERR_FAILED, "%s: the list does not end", what);
}

int kms_grant(struct aws *aws, const char *key, const char *partition,
	      const char *account, struct err *err)
{
	struct json *request = for_key(key, err);
	struct json_node *root, *list;
	char text[80];

	if (!request)
		return -1;
	root = json_root(request);
	snprintf(text, sizeof(text), "arn:%.20s:iam::%s:root", partition, account);
	json_add_str(request, root, "GranteePrincipal", text);
	/* The same name and parameters make no second grant. */
	snprintf(text, sizeof(text), "fvol-share-%s", account);
	json_add_str(request, root, "Name", text);
	list = json_add_array(request, root, "Operations");
	for (size_t i = 0; i < OPERATIONS; i++)
		json_add_str(request, list, NULL, operations[i]);
	if (send(aws, "CreateGrant", request, "granting the key", err) < 0)
		return err_prefix(err, "account %s", account);
	return 0;
}
