#include "image/plan.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "image/ext4.h"
#include "image/path.h"

#define WORDS_MAX 4

struct word {
	const char *at;
	size_t len;
};

static const struct form {
	const char *keyword;
	enum plan_kind kind;
	size_t words;
	const char *usage;
} forms[] = {
	{ "dir", PLAN_DIR, 3, "dir MODE DEST" },
	{ "file", PLAN_FILE, 4, "file MODE DEST SOURCE" },
	{ "tree", PLAN_TREE, 3, "tree DEST SOURCE" },
};

static bool is(const struct word *word, const char *text)
{
	return word->len == strlen(text) && memcmp(word->at, text, word->len) == 0;
}

/* Counts every word, also those beyond WORDS_MAX, which are not kept. */
static size_t split(const char *line, size_t len, struct word words[WORDS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < len;) {
		size_t start = i;

		if (line[i] == ' ' || line[i] == '\t') {
			i++;
			continue;
		}
		if (line[i] == '#' && count == 0)
			break;
		while (i < len && line[i] != ' ' && line[i] != '\t')
			i++;
		if (count < WORDS_MAX)
			words[count] = (struct word){ line + start, i - start };
		count++;
	}
	return count;
}

static int parse_mode(const struct word *word, uint32_t *mode, struct err *err)
{
	*mode = 0;
	for (size_t i = 0; i < word->len; i++) {
		if (word->at[i] < '0' || word->at[i] > '7')
			*mode = 01000;
		*mode = *mode * 8 + (uint32_t)(word->at[i] - '0');
	}
	/* Neither setuid nor sticky: nothing on an evidence volume needs them. */
	if (word->len != 4 || word->at[0] != '0' || *mode > 0777)
		return err_set(err, ERR_FAILED,
			       "the mode must be four octal digits from 0000 to 0777");
	return 0;
}

static int parse_path(const struct word *word, bool dest, bool root_allowed, char **out,
		      struct err *err)
{
	const char *role = dest ? "DEST" : "SOURCE";
	size_t skip = dest ? 1 : 0;
	const char *fault = NULL;

	if (memchr(word->at, '\0', word->len))
		return err_set(err, ERR_FAILED, "%s holds a NUL byte", role);
	if (dest && word->at[0] != '/')
		return err_set(err, ERR_FAILED, "DEST must begin with /");
	if (!dest && word->at[0] == '/')
		return err_set(err, ERR_FAILED,
			       "SOURCE must be relative to the source root");
	*out = strndup(word->at + skip, word->len - skip);
	if (!*out)
		return err_set(err, ERR_FAILED, "out of memory");
	if (!(root_allowed && !**out))
		fault = path_fault(*out);
	if (!fault)
		return 0;
	err_set(err, ERR_FAILED, "%s %s", role, fault);
	free(*out);
	*out = NULL;
	return -1;
}

bool plan_number(const char *text, size_t len, uint64_t *value)
{
	*value = 0;
	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' ||
		    __builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(text[i] - '0'), value))
			return false;
	}
	return true;
}

const char *plan_size(const char *text, size_t len, uint64_t *size_bytes)
{
	static const char suffixes[] = "KMGT";
	const char *suffix = len ? memchr(suffixes, text[len - 1], 4) : NULL;
	unsigned shift = suffix ? 10 * (unsigned)(suffix - suffixes + 1) : 0;

	if (!plan_number(text, len - (suffix != NULL), size_bytes) ||
	    *size_bytes > (uint64_t)INT64_MAX >> shift)
		return "is not a number of bytes";
	*size_bytes <<= shift;
	if (*size_bytes % 4096 != 0 || *size_bytes == 0)
		return "is not a multiple of 4K";
	return NULL;
}

static int set_label(const struct word *words, struct plan_settings *settings,
		     struct err *err)
{
	(void)settings;
	if (is(&words[0], EXT4_LABEL))
		return 0;
	return err_set(err, ERR_FAILED,
		       "the label must be " EXT4_LABEL ": mount and capture look for it");
}

static int set_size(const struct word *words, struct plan_settings *settings,
		    struct err *err)
{
	const char *fault = plan_size(words[0].at, words[0].len, &settings->size_bytes);

	return fault ? err_set(err, ERR_FAILED, "the size %s", fault) : 0;
}

/* 8-4-4-4-12 lower-case hex digits, as RFC 9562 writes it. */
static int set_uuid(const struct word *words, struct plan_settings *settings,
		    struct err *err)
{
	static const char hex[] = "0123456789abcdef";
	size_t digits = 0;

	if (is(&words[0], "content"))
		return 0;
	for (size_t i = 0; i < words[0].len && words[0].len == 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		char c = words[0].at[i];
		const char *digit = c ? strchr(hex, c) : NULL;

		if (dash ? c != '-' : !digit)
			break;
		if (dash)
			continue;
		settings->uuid[digits / 2] =
			(uint8_t)(settings->uuid[digits / 2] << 4 | (digit - hex));
		digits++;
	}
	settings->has_uuid = true;
	if (digits == 32)
		return 0;
	return err_set(err, ERR_FAILED, "the UUID must be content, or 8-4-4-4-12 digits");
}

static int set_sbom(const struct word *words, struct plan_settings *settings,
		    struct err *err)
{
	if (parse_path(&words[0], false, false, &settings->sbom_sources, err) < 0)
		return -1;
	return parse_path(&words[1], false, false, &settings->sbom_parts, err);
}

static const struct setting {
	const char *keyword;
	size_t words;
	const char *usage;
	int (*set)(const struct word *words, struct plan_settings *settings,
		   struct err *err);
} settings_known[] = {
	{ "label", 2, "label FVOL", set_label },
	{ "size", 2, "size SIZE", set_size },
	{ "uuid", 2, "uuid content|UUID", set_uuid },
	{ "sbom", 3, "sbom SOURCES PARTS", set_sbom },
};

#define SETTINGS (sizeof(settings_known) / sizeof(settings_known[0]))

/* Returns 1 when the line was a setting, 0 when it is none, -1 when it is a bad one. */
static int parse_setting(const struct word *words, size_t count, bool seen[SETTINGS],
			 struct plan_settings *settings, struct err *err)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		if (!is(&words[0], settings_known[i].keyword))
			continue;
		if (seen[i])
			return err_set(err, ERR_FAILED, "%s is said twice",
				       settings_known[i].keyword);
		seen[i] = true;
		if (count != settings_known[i].words)
			return err_set(err, ERR_FAILED, "expected: %s",
				       settings_known[i].usage);
		return settings_known[i].set(words + 1, settings, err) < 0 ? -1 : 1;
	}
	return 0;
}

static int parse_words(const struct word *words, size_t count, struct plan_line *line,
		       struct err *err)
{
	const struct form *form = NULL;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (is(&words[0], forms[i].keyword))
			form = &forms[i];
	if (!form)
		return err_set(err, ERR_FAILED,
			       "a line begins with dir, file, tree, "
			       "label, size, uuid or sbom");
	if (count != form->words)
		return err_set(err, ERR_FAILED, "expected: %s", form->usage);
	line->kind = form->kind;
	words++;
	if (line->kind != PLAN_TREE && parse_mode(words++, &line->mode, err) < 0)
		return -1;
	if (parse_path(words++, true, line->kind == PLAN_TREE, &line->dest, err) < 0)
		return -1;
	if (line->kind != PLAN_DIR &&
	    parse_path(words, false, false, &line->source, err) < 0)
		return -1;
	return 0;
}

static struct plan_line *add(struct plan *plan)
{
	struct plan_line *grown;

	/* Grows at every power of two: the count alone says how much room there is. */
	if ((plan->count & (plan->count - 1)) == 0) {
		size_t room = plan->count ? 2 * plan->count : 1;

		grown = reallocarray(plan->lines, room, sizeof(*grown));
		if (!grown)
			return NULL;
		plan->lines = grown;
	}
	plan->lines[plan->count] = (struct plan_line){ 0 };
	return &plan->lines[plan->count++];
}

int plan_parse(const char *text, size_t len_bytes, struct plan *plan, struct err *err)
{
	bool seen[SETTINGS] = { false };
	unsigned number = 0;

	*plan = (struct plan){ 0 };
	for (size_t at = 0; at < len_bytes;) {
		const char *end = memchr(text + at, '\n', len_bytes - at);
		size_t len = end ? (size_t)(end - text) - at : len_bytes - at;
		struct word words[WORDS_MAX];
		size_t count = split(text + at, len, words);
		struct plan_line *line;
		int setting;

		number++;
		at += len + 1;
		if (count == 0)
			continue;
		setting = parse_setting(words, count, seen, &plan->settings, err);
		if (setting < 0)
			goto fail;
		if (setting)
			continue;
		line = add(plan);
		if (!line) {
			err_set(err, ERR_FAILED, "out of memory");
			goto fail;
		}
		line->line = number;
		if (parse_words(words, count, line, err) < 0)
			goto fail;
	}
	return 0;
fail:
	err_prefix(err, "line %u", number);
	plan_free(plan);
	return -1;
}

void plan_free(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		free(plan->lines[i].dest);
		free(plan->lines[i].source);
	}
	free(plan->lines);
	free(plan->settings.sbom_sources);
	free(plan->settings.sbom_parts);
	*plan = (struct plan){ 0 };
}
