#include <string.h>

#include "toolkit/lib/credentials.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/sigv4.h"

/* Keys are printable and without blanks: they go into headers. */
static bool take(char *to, size_t size, const char *from, size_t len)
{
	if (!len || len >= size)
		return false;
	for (size_t i = 0; i < len; i++)
		if (from[i] <= ' ' || from[i] > '~')
			return false;
	memcpy(to, from, len);
	to[len] = '\0';
	return true;
}

/* "2026-11-21T16:30:00Z", perhaps with a fraction. */
static bool parse_time(const char *text, time_t *out)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!rest || (rest[0] != 'Z' && rest[0] != '.' && rest[0] != '+'))
		return false;
	*out = timegm(&tm);
	return *out > 0;
}

/* The strings belong to the document, which is freed next. */
static void wipe_string(const char *text)
{
	if (text)
		sigv4_wipe((char *)text, strlen(text));
}

int credentials_parse_json(const char *text, size_t len_bytes, bool imds,
			   struct credentials_keys *keys, struct err *err)
{
	struct err why;
	struct json_read *doc = json_parse(text, len_bytes, &why);
	const struct json_value *top = json_top(doc);
	const char *code = json_str(json_get(top, "Code"));
	const char *id = json_str(json_get(top, "AccessKeyId"));
	const char *secret = json_str(json_get(top, "SecretAccessKey"));
	const char *token = json_str(json_get(top, "Token"));
	const char *expires = json_str(json_get(top, "Expiration"));
	int rc = -1;

	memset(keys, 0, sizeof(*keys));
	if (!doc)
		err_set(err, ERR_FAILED, "the answer is not JSON");
	else if (imds && (!code || strcmp(code, "Success") != 0))
		err_set(err, ERR_REFUSED, "the role's credentials are not to be had");
	else if (!id || !take(keys->access_key, sizeof(keys->access_key), id, strlen(id)))
		err_set(err, ERR_FAILED, "the answer has no usable access key");
	else if (!secret || !take(keys->secret_key, sizeof(keys->secret_key), secret,
				  strlen(secret)))
		err_set(err, ERR_FAILED, "the answer has no usable secret key");
	else if (!token || !take(keys->token, sizeof(keys->token), token, strlen(token)))
		err_set(err, ERR_FAILED, "the answer has no usable session token");
	else if (!expires || !parse_time(expires, &keys->expires))
		err_set(err, ERR_FAILED, "the answer does not say when the keys expire");
	else
		rc = 0;
	wipe_string(secret);
	wipe_string(token);
	json_read_free(doc);
	if (rc < 0)
		sigv4_wipe(keys, sizeof(*keys));
	return rc;
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

static size_t trimmed(const char *at, const char *end)
{
	while (end > at && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	return (size_t)(end - at);
}

/* One line "name = value" of the profile. Returns false when the value is not usable. */
static bool take_line(struct credentials_keys *keys, const char *at, const char *end)
{
	const struct {
		const char *name;
		char *to;
		size_t size;
	} known[] = {
		{ "aws_access_key_id", keys->access_key, sizeof(keys->access_key) },
		{ "aws_secret_access_key", keys->secret_key, sizeof(keys->secret_key) },
		{ "aws_session_token", keys->token, sizeof(keys->token) },
	};
	const char *is = memchr(at, '=', (size_t)(end - at)), *value;
	size_t name_len;

	if (!is)
		return true;
	name_len = trimmed(at, is);
	value = skip_blanks(is + 1, end);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].name) == name_len &&
		    memcmp(known[i].name, at, name_len) == 0)
			return take(known[i].to, known[i].size, value,
				    trimmed(value, end));
	return true;
}

int credentials_parse_file(const char *text, const char *profile,
			   struct credentials_keys *keys, struct err *err)
{
	bool inside = false, found = false;

	memset(keys, 0, sizeof(*keys));
	while (*text) {
		const char *end = text + strcspn(text, "\n");
		const char *at = skip_blanks(text, end);
		size_t len = trimmed(at, end);

		text = *end ? end + 1 : end;
		if (!len || *at == '#' || *at == ';')
			continue;
		if (*at == '[') {
			inside = len == strlen(profile) + 2 && at[len - 1] == ']' &&
				 memcmp(at + 1, profile, len - 2) == 0;
			found |= inside;
		} else if (inside && !take_line(keys, at, end)) {
			sigv4_wipe(keys, sizeof(*keys));
			return err_set(err, ERR_USAGE,
				       "a key of profile %s is not usable", profile);
		}
	}
	if (found && keys->access_key[0] && keys->secret_key[0])
		return 0;
	sigv4_wipe(keys, sizeof(*keys));
	return err_set(err, ERR_USAGE, "has no profile %s with a pair of keys", profile);
}
