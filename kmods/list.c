#include "kmods/list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmods/file.h"

#define LIST_BYTES_MAX (1u << 20)
#define WORDS_MAX 24
#define COUNT_MAX 10000

struct words {
	char *word[WORDS_MAX];
	size_t count;
};

static int copy(char *to, size_t size, const char *word, struct err *err)
{
	if (word[0] == '\0' || strlen(word) >= size)
		return err_set(err, ERR_USAGE, "\"%.60s\" is empty or too long", word);
	memcpy(to, word, strlen(word) + 1);
	return 0;
}

const struct source *list_source(const struct list *list, const char *name)
{
	for (size_t i = 0; i < list->source_count; i++) {
		if (strcmp(list->sources[i].name, name) == 0)
			return &list->sources[i];
	}
	return NULL;
}

static int take_option(struct source *s, const char *word, struct err *err)
{
	if (strcmp(word, "unsigned") == 0) {
		s->unsigned_ok = true;
		return 0;
	}
	if (strcmp(word, "expired") == 0) {
		s->expired_ok = true;
		return 0;
	}
	if (strncmp(word, "key=", 4) == 0)
		return copy(s->key, sizeof(s->key), word + 4, err);
	if (strncmp(word, "series=", 7) == 0)
		return copy(s->series, sizeof(s->series), word + 7, err);
	if (strncmp(word, "kbuild=", 7) == 0)
		return copy(s->kbuild, sizeof(s->kbuild), word + 7, err);
	if (strncmp(word, "component=", 10) == 0)
		return copy(s->component, sizeof(s->component), word + 10, err);
	if (strchr(word, '=') || s->ops != &repo_deb)
		return err_set(err, ERR_USAGE, "%.60s is not an option", word);
	if (s->suite_count == REPO_SUITES_MAX)
		return err_set(err, ERR_USAGE, "more than %d suites", REPO_SUITES_MAX);
	if (word[0] == '.' || word[0] == '/')
		return err_set(err, ERR_USAGE, "%.60s is not a suite", word);
	return copy(s->suites[s->suite_count++], sizeof(s->suites[0]), word, err);
}

/* An index without a key that vouches for it is taken only when the list says so. */
static int check_source(const struct source *s, struct err *err)
{
	bool index = s->ops == &repo_deb || s->ops == &repo_rpm;
	bool apt = strcmp(s->location, "apt") == 0;

	if (s->ops == &repo_deb && s->suite_count == 0)
		return err_set(err, ERR_USAGE, "a Debian archive needs a suite");
	if (index && !s->key[0] && !s->unsigned_ok)
		return err_set(err, ERR_USAGE,
			       "it needs key=FILE (or the word unsigned, when it has no "
			       "signature)");
	if (index && s->key[0] && s->unsigned_ok)
		return err_set(err, ERR_USAGE, "key= and unsigned contradict each other");
	if (s->key[0] && s->key[0] != '/')
		return err_set(err, ERR_USAGE, "the key's path must be absolute");
	if (apt && s->ops != &repo_deb)
		return err_set(err, ERR_USAGE, "apt is for deb alone");
	if (!apt && s->location[0] != '/' &&
	    !(index && (strncmp(s->location, "http://", 7) == 0 ||
			strncmp(s->location, "https://", 8) == 0 ||
			strncmp(s->location, "file:///", 8) == 0)))
		return err_set(err, ERR_USAGE,
			       "%.100s is not a location, which must be %s", s->location,
			       !index ? "an absolute path"
			       : s->ops == &repo_deb
				       ? "an absolute path, an address or apt"
				       : "an absolute path or an address");
	return 0;
}

static int take_source(struct list *list, const struct words *w, struct err *err)
{
	struct source *s = &list->sources[list->source_count];

	if (w->count < 4)
		return err_set(err, ERR_USAGE, "a source has a name, a kind, a location");
	memset(s, 0, sizeof(*s));
	snprintf(s->component, sizeof(s->component), "main");
	if (list_source(list, w->word[1]))
		return err_set(err, ERR_USAGE, "there are two sources %.60s", w->word[1]);
	s->ops = repo_find(w->word[2]);
	if (!s->ops)
		return err_set(err, ERR_USAGE, "%.60s is not a kind of source",
			       w->word[2]);
	if (copy(s->name, sizeof(s->name), w->word[1], err) < 0 ||
	    copy(s->location, sizeof(s->location), w->word[3], err) < 0)
		return -1;
	for (size_t i = 4; i < w->count; i++) {
		if (take_option(s, w->word[i], err) < 0)
			return -1;
	}
	if (check_source(s, err) < 0)
		return -1;
	list->source_count++;
	return 0;
}

static int take_selector(struct wanted *k, const struct words *w, struct err *err)
{
	const char *word = w->word[4];
	bool counted = true;
	unsigned long n;
	char *end;

	if (strcmp(word, "newest") == 0)
		k->selector = SELECT_NEWEST;
	else if (strcmp(word, "oldest") == 0)
		k->selector = SELECT_OLDEST;
	else
		counted = false;
	if (w->count != (counted ? 6 : 5))
		return err_set(err, ERR_USAGE,
			       "a selection is all, newest N, oldest N or a release");
	if (!counted && strcmp(word, "all") == 0) {
		k->selector = SELECT_ALL;
		return 0;
	}
	if (!counted) {
		k->selector = SELECT_RELEASE;
		return copy(k->release, sizeof(k->release), word, err);
	}
	n = strtoul(w->word[5], &end, 10);
	if (*end != '\0' || w->word[5][0] < '1' || w->word[5][0] > '9' || n > COUNT_MAX)
		return err_set(err, ERR_USAGE, "%.60s is not a number of kernels",
			       w->word[5]);
	k->count = (unsigned)n;
	return 0;
}

static int take_kernel(struct list *list, const struct words *w, unsigned line,
		       struct err *err)
{
	struct wanted *k = &list->wanted[list->wanted_count];

	if (w->count < 5)
		return err_set(err, ERR_USAGE,
			       "a kernel has a source, a flavour, an architecture and a "
			       "selection");
	memset(k, 0, sizeof(*k));
	k->line = line;
	k->source = list_source(list, w->word[1]);
	if (!k->source)
		return err_set(err, ERR_USAGE, "there is no source %.60s above",
			       w->word[1]);
	k->arch = arch_find(w->word[3]);
	if (!k->arch)
		return err_set(err, ERR_USAGE, "%.60s is not a known architecture",
			       w->word[3]);
	if (copy(k->flavour, sizeof(k->flavour), w->word[2], err) < 0 ||
	    take_selector(k, w, err) < 0)
		return -1;
	list->wanted_count++;
	return 0;
}

static int take_line(struct list *list, char *line, unsigned number, struct err *err)
{
	struct words w = { .count = 0 };
	char *save = NULL;

	line[strcspn(line, "#")] = '\0';
	for (char *word = strtok_r(line, " \t\r", &save); word;
	     word = strtok_r(NULL, " \t\r", &save)) {
		if (w.count == WORDS_MAX)
			return err_set(err, ERR_USAGE, "more than %d words", WORDS_MAX);
		w.word[w.count++] = word;
	}
	if (w.count == 0)
		return 0;
	if (list->source_count == LIST_LINES_MAX || list->wanted_count == LIST_LINES_MAX)
		return err_set(err, ERR_USAGE, "more than %d lines", LIST_LINES_MAX);
	if (strcmp(w.word[0], "source") == 0)
		return take_source(list, &w, err);
	if (strcmp(w.word[0], "kernel") == 0)
		return take_kernel(list, &w, number, err);
	return err_set(err, ERR_USAGE, "%.60s is neither source nor kernel", w.word[0]);
}

/* The other source may stand further down. */
static int check_kbuild(const struct list *list, struct err *err)
{
	for (size_t i = 0; i < list->source_count; i++) {
		const struct source *s = &list->sources[i];

		if (s->kbuild[0] && !list_source(list, s->kbuild))
			return err_set(err, ERR_USAGE, "source %s: there is no source %s",
				       s->name, s->kbuild);
	}
	return 0;
}

int list_read(const char *path, struct list *list, struct err *err)
{
	char *text, *line, *next;
	unsigned number = 0;
	size_t len;
	int rc = 0;

	memset(list, 0, sizeof(*list));
	if (file_read(AT_FDCWD, path, LIST_BYTES_MAX, &text, &len, err) < 0)
		return -1;
	/* Kernels point at sources, so these must not move. */
	list->sources = calloc(LIST_LINES_MAX + 1, sizeof(*list->sources));
	list->wanted = calloc(LIST_LINES_MAX + 1, sizeof(*list->wanted));
	if (!list->sources || !list->wanted)
		rc = err_sys(err, errno, "reading %s", path);
	for (line = text; rc == 0 && line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		number++;
		rc = take_line(list, line, number, err);
		if (rc < 0)
			err_prefix(err, "%s:%u", path, number);
	}
	free(text);
	if (rc == 0 && check_kbuild(list, err) < 0)
		rc = err_prefix(err, "%s", path);
	return rc;
}

void list_free(struct list *list)
{
	free(list->sources);
	free(list->wanted);
	memset(list, 0, sizeof(*list));
}
