#include "toolkit/triage/contents.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/custody.h"
#include "toolkit/lib/sums.h"

static bool has_ending(const char *name, const char *ending)
{
	size_t len = strlen(name), n = strlen(ending);

	return len >= n && strcmp(name + len - n, ending) == 0;
}

/* A part of a name: not empty, no "." or "..", nothing that anybody has to escape. */
static bool is_part(const char *at, size_t len)
{
	if (!len || at[0] == '.' || at[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (at[i] <= ' ' || at[i] > '~' || strchr("\\\"'*?/", at[i]))
			return false;
	return true;
}

static bool is_name(const char *name)
{
	const char *slash = strchr(name, '/');
	const char *base = slash ? slash + 1 : name;

	if (slash && !is_part(name, (size_t)(slash - name)))
		return false;
	return strlen(name) <= CONTENTS_NAME_MAX && is_part(base, strlen(base)) &&
	       !has_ending(name, ".partial") && !has_ending(name, ".failed") &&
	       strcmp(name, "SHA256SUMS") != 0 && strcmp(name, CUSTODY_NAME) != 0;
}

static const struct contents_member *find(const struct contents *contents,
					  const char *name)
{
	for (size_t i = 0; i < contents->count; i++)
		if (strcmp(contents->whole[i].name, name) == 0)
			return &contents->whole[i];
	return NULL;
}

int contents_check(const struct contents *contents, const char *name, struct err *err)
{
	if (!is_name(name))
		return err_set(err, ERR_USAGE, "%.200s: no name of a member", name);
	if (find(contents, name))
		return err_set(err, ERR_USAGE, "%s: twice in one place", name);
	return 0;
}

int contents_add(struct contents *contents, const char *name,
		 const uint8_t sha256[SHA256_LEN], struct err *err)
{
	struct contents_member *member;

	if (contents->count == contents->room) {
		size_t room = contents->room ? 2 * contents->room : 64;
		void *larger = reallocarray(contents->whole, room, sizeof(*member));

		if (!larger)
			return err_sys(err, ENOMEM, "%s", name);
		contents->whole = larger;
		contents->room = room;
	}
	member = &contents->whole[contents->count++];
	snprintf(member->name, sizeof(member->name), "%s", name);
	memcpy(member->sha256, sha256, SHA256_LEN);
	return 0;
}

void contents_failed(struct contents *contents, const char *name, const char *suffix)
{
	size_t most = sizeof(contents->failed) / sizeof(contents->failed[0]);

	if (contents->failures < most)
		snprintf(contents->failed[contents->failures],
			 sizeof(contents->failed[0]), "%s%s", name, suffix);
	contents->failures++;
}

/* The records first, then the other files of the top: whoever looks at a few lines only,
 * as unmount does, sees them, however many files were saved. */
static int rank(const struct contents_member *member)
{
	if (strcmp(member->name, PLACE_RECORDS) == 0)
		return 0;
	return strchr(member->name, '/') ? 2 : 1;
}

static int by_name(const void *a, const void *b)
{
	int before = rank(a) - rank(b);

	return before ? before
		      : strcmp(((const struct contents_member *)a)->name,
			       ((const struct contents_member *)b)->name);
}

char *contents_sums(struct contents *contents, size_t *len_bytes, struct err *err)
{
	/* Names that need no escapes: hash, two blanks, name, newline. */
	size_t each = 2 * SHA256_LEN + 2 + CONTENTS_NAME_MAX + 1, len = 0;
	char *text = calloc(contents->count + 1, each), line[SUMS_LINE_MAX];

	if (!text) {
		err_sys(err, ENOMEM, "SHA256SUMS");
		return NULL;
	}
	if (contents->count)
		qsort(contents->whole, contents->count, sizeof(*contents->whole),
		      by_name);
	for (size_t i = 0; i < contents->count; i++) {
		size_t n = sums_format(contents->whole[i].sha256, contents->whole[i].name,
				       line);

		memcpy(text + len, line, n);
		len += n;
	}
	*len_bytes = len;
	return text;
}

static int enter(const struct contents *contents, int fd, const char *action,
		 const char *file, const uint8_t *sha256, const char *note,
		 struct place_result *result, struct err *err)
{
	struct custody_event event = { .tool = "triage",
				       .instance = contents->instance,
				       .action = action,
				       .file = file,
				       .sha256 = sha256,
				       .note = note };

	return custody_append_fd(fd, CUSTODY_NAME, &event, result->custody_head, err);
}

/* Each line is made durable by itself: not one for each of thousands. */
static int enter_failures(const struct contents *contents, int fd,
			  const struct err *failure, struct place_result *result,
			  struct err *err)
{
	size_t most = sizeof(contents->failed) / sizeof(contents->failed[0]);
	const char *note = failure ? failure->text : "it did not become whole";
	char more[64];

	for (size_t i = 0; i < contents->failures && i < most; i++)
		if (enter(contents, fd, "failed", contents->failed[i], NULL, note, result,
			  err) < 0)
			return -1;
	if (!contents->failures && failure)
		return enter(contents, fd, "failed", PLACE_RECORDS, NULL, note, result,
			     err);
	if (contents->failures <= most)
		return 0;
	snprintf(more, sizeof(more), "and %" PRIu64 " others", contents->failures - most);
	return enter(contents, fd, "failed", contents->failed[most - 1], NULL, more,
		     result, err);
}

int contents_custody(const struct contents *contents, int fd, const struct err *failure,
		     bool has_sums, struct place_result *result, struct err *err)
{
	const struct contents_member *records = find(contents, PLACE_RECORDS);

	result->files = contents->count;
	result->failed = contents->failures;
	result->has_records = records != NULL;
	if (records) {
		memcpy(result->records_sha256, records->sha256, SHA256_LEN);
		if (enter(contents, fd, "collected", PLACE_RECORDS, records->sha256, NULL,
			  result, err) < 0)
			return -1;
	}
	if (enter_failures(contents, fd, failure, result, err) < 0)
		return -1;
	if (!has_sums)
		return 0;
	return enter(contents, fd, "hashed", "SHA256SUMS", result->sums_sha256, NULL,
		     result, err);
}

void contents_free(struct contents *contents)
{
	free(contents->whole);
	*contents = (struct contents){ 0 };
}
