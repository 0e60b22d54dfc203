#include "toolkit/triage/redact.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "toolkit/triage/triage.h"

bool redact_is_secret_name(const char *name, size_t len_bytes)
{
	static const char *const words[] = { "pass",	"pwd",	      "secret",
					     "token",	"apikey",     "api-key",
					     "api_key", "credential", "auth",
					     "private", "signature",  "key" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t len = strlen(words[i]);

		for (size_t at = 0; at + len <= len_bytes; at++)
			if (strncasecmp(name + at, words[i], len) == 0)
				return true;
	}
	return false;
}

/* Adds what stands before the secret, and the word for it. */
static void add_hidden(struct json *doc, struct json_node *list, const char *text,
		       size_t shown_len, const char *rest, size_t rest_len)
{
	size_t len = shown_len + strlen(REDACTED) + rest_len;
	char *out = malloc(len + 1);

	if (!out) {
		json_fail(doc);
		return;
	}
	memcpy(out, text, shown_len);
	memcpy(out + shown_len, REDACTED, strlen(REDACTED));
	memcpy(out + shown_len + strlen(REDACTED), rest, rest_len);
	triage_add_text(doc, list, NULL, out, len);
	free(out);
}

bool redact_argument(struct json *doc, struct json_node *list, const char *text,
		     size_t len_bytes, bool hide)
{
	const char *end = text + len_bytes;
	const char *scheme = memmem(text, len_bytes, "://", 3);
	const char *at;

	if (hide && len_bytes && text[0] != '-') {
		add_hidden(doc, list, text, 0, end, 0);
		return false;
	}
	/* NAME=VALUE, and https://host/?a=b&NAME=VALUE. */
	for (const char *from = text, *equals;
	     (equals = memchr(from, '=', (size_t)(end - from))); from = equals + 1) {
		if (!redact_is_secret_name(from, (size_t)(equals - from)))
			continue;
		add_hidden(doc, list, text, (size_t)(equals + 1 - text), end, 0);
		return false;
	}
	/* scheme://user:password@host; a password may hold an @ itself. */
	at = scheme ? memrchr(scheme, '@', (size_t)(end - scheme)) : NULL;
	if (at) {
		add_hidden(doc, list, text, (size_t)(scheme + 3 - text), at,
			   (size_t)(end - at));
		return false;
	}
	/* A header, as in curl -H "Authorization: …". */
	at = memchr(text, ':', len_bytes);
	if (at && at + 1 < end && at[1] == ' ' &&
	    redact_is_secret_name(text, (size_t)(at - text))) {
		add_hidden(doc, list, text, (size_t)(at + 2 - text), end, 0);
		return false;
	}
	triage_add_text(doc, list, NULL, text, len_bytes);
	return len_bytes > 1 && text[0] == '-' && redact_is_secret_name(text, len_bytes);
}

void redact_variable(struct json *doc, struct json_node *list, const char *text,
		     size_t len_bytes)
{
	struct json_node *node = json_add_object(doc, list, NULL);
	const char *equals = memchr(text, '=', len_bytes);
	size_t name_len = equals ? (size_t)(equals - text) : 0;

	triage_add_text(doc, node, "name", text, name_len);
	json_add_u64(doc, node, "value_bytes", len_bytes - name_len - (equals != NULL));
}
