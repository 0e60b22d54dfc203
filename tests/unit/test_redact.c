/* What --redact leaves out, and what it leaves. */
#include <stdlib.h>

#include "tests/unit/check.h"
#include "toolkit/triage/redact.h"

/* The arguments as they are written, in one line. The caller frees it. */
static char *redacted(const char *const *arguments)
{
	struct json *doc = json_new();
	struct json_node *list = json_add_array(doc, json_root(doc), "argv");
	struct err err;
	bool hide = false;
	char *text;

	for (; *arguments; arguments++) {
		size_t len = strlen(*arguments);
		/* Of just this size, for the sanitizer. */
		char *copy = malloc(len ? len : 1);

		memcpy(copy, *arguments, len);
		hide = redact_argument(doc, list, copy, len, hide);
		free(copy);
	}
	text = json_text(doc, false, NULL, &err);
	json_free(doc);
	return text;
}

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void expect(const char *const *arguments, const char *expected)
{
	char *text = redacted(arguments), whole[512];

	snprintf(whole, sizeof(whole), "{\"argv\":[%s]}", expected);
	CHECK_STR(text, whole);
	free(text);
}

static void secrets(void)
{
	expect(ARGV("mysql", "--password=hunter2"),
	       "\"mysql\",\"--password=[redacted]\"");
	expect(ARGV("aws", "--secret-access-key", "hunter2", "ls"),
	       "\"aws\",\"--secret-access-key\",\"[redacted]\",\"ls\"");
	expect(ARGV("PGPASSWORD=hunter2"), "\"PGPASSWORD=[redacted]\"");
	expect(ARGV("https://me:hunter2@host/x"), "\"https://[redacted]@host/x\"");
	expect(ARGV("Authorization: Bearer hunter2"), "\"Authorization: [redacted]\"");
	expect(ARGV("X-API-KEY: hunter2"), "\"X-API-KEY: [redacted]\"");
	expect(ARGV("--TOKEN", "hunter2"), "\"--TOKEN\",\"[redacted]\"");
	expect(ARGV("postgres://u:hun@ter2@host/db"),
	       "\"postgres://[redacted]@host/db\"");
	expect(ARGV("--header=Authorization: Bearer hunter2"),
	       "\"--header=Authorization: [redacted]\"");
	expect(ARGV("https://host/x?token=hunter2&a=b"),
	       "\"https://host/x?token=[redacted]\"");
}

static void what_is_none(void)
{
	expect(ARGV("ls", "-la", "/etc", ""), "\"ls\",\"-la\",\"/etc\",\"\"");
	expect(ARGV("--name=value", "a=b"), "\"--name=value\",\"a=b\"");
	expect(ARGV("https://host/path"), "\"https://host/path\"");
	expect(ARGV("12:30", "Note: this"), "\"12:30\",\"Note: this\"");
	/* An option follows: it is none's value. */
	expect(ARGV("--password", "--verbose", "x"),
	       "\"--password\",\"--verbose\",\"x\"");
	expect(ARGV("password", "x"), "\"password\",\"x\"");
	expect(ARGV("-", "x"), "\"-\",\"x\"");
}

static void variables(void)
{
	static const char *const names[] = { "NAME=hunter2", "EMPTY=", "nothing",
					     "=hunter2" };
	struct json *doc = json_new();
	struct json_node *list = json_add_array(doc, json_root(doc), "environ");
	struct err err;
	char *text;

	for (size_t i = 0; i < 4; i++)
		redact_variable(doc, list, names[i], strlen(names[i]));
	text = json_text(doc, false, NULL, &err);
	CHECK_STR(text, "{\"environ\":[{\"name\":\"NAME\",\"value_bytes\":7},"
			"{\"name\":\"EMPTY\",\"value_bytes\":0},"
			"{\"name\":\"\",\"value_bytes\":7},"
			"{\"name\":\"\",\"value_bytes\":7}]}");
	free(text);
	json_free(doc);
}

int main(void)
{
	RUN(secrets);
	RUN(what_is_none);
	RUN(variables);
	return DONE();
}
