#include "toolkit/triage/unittext.h"

#include <string.h>

#include "toolkit/triage/redact.h"

void unit_text_begin(struct unit_text *text, enum unit_form form, char *bytes,
		     size_t len_bytes)
{
	*text = (struct unit_text){ form, bytes, bytes + len_bytes };
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool starts(const char *line, size_t len, const char *with)
{
	size_t need = strlen(with);

	return len >= need && memcmp(line, with, need) == 0;
}

static bool holds(const char *line, size_t len, const char *what)
{
	return memmem(line, len, what, strlen(what)) != NULL;
}

/* systemd.exec(5), systemd.timer(5), systemd.socket(5), systemd.path(5). */
static bool systemd_line(const char *line, size_t len)
{
	static const char *const keys[] = {
		"Exec",
		"On",
		"Listen",
		"Environment",
		"User=",
		"Group=",
		"Unit=",
		"Path",
		"DirectoryNotEmpty=",
		"PAMName",
		"WantedBy=",
		"RequiredBy=",
		"Alias=",
		"RootDirectory=",
		"RootImage=",
		"Where=",
		"What=",
		"LoadCredential",
		"BusName=",
		"AmbientCapabilities=",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (starts(line, len, keys[i]))
			return true;
	return false;
}

/* NAME=VALUE; export NAME */
static bool assignment(const char *line, size_t len)
{
	size_t at = 0;

	while (at < len && (line[at] == '_' || (line[at] >= '0' && line[at] <= '9') ||
			    (line[at] >= 'A' && line[at] <= 'Z') ||
			    (line[at] >= 'a' && line[at] <= 'z')))
		at++;
	return at && at < len && line[at] == '=' && holds(line, len, "; export ");
}

static bool wanted(enum unit_form form, const char *line, size_t len)
{
	if (!len || *line == '#' || (*line == ';' && form == UNIT_FORM_SYSTEMD))
		return false;
	switch (form) {
	case UNIT_FORM_NONE:
		return false;
	case UNIT_FORM_SYSTEMD:
		return systemd_line(line, len);
	case UNIT_FORM_PLAIN:
		return true;
	case UNIT_FORM_UDEV:
		return holds(line, len, "RUN+=") || holds(line, len, "RUN=") ||
		       holds(line, len, "RUN:=") || holds(line, len, "RUN{program}") ||
		       holds(line, len, "PROGRAM=") || holds(line, len, "{program}=");
	case UNIT_FORM_AT:
		return !assignment(line, len);
	case UNIT_FORM_MODPROBE:
		return starts(line, len, "install") || starts(line, len, "remove");
	case UNIT_FORM_PAM:
		return holds(line, len, "pam_exec") || holds(line, len, "pam_script") ||
		       holds(line, len, "pam_python");
	}
	return false;
}

/* Joins a line with those behind it, in place. Returns its end. */
static char *whole_line(struct unit_text *text, char *begin)
{
	char *end = memchr(begin, '\n', (size_t)(text->end - begin));
	char *next = end ? end + 1 : text->end;

	end = end ? end : text->end;
	while (text->form != UNIT_FORM_PLAIN && end > begin && end[-1] == '\\' &&
	       next < text->end) {
		char *stop = memchr(next, '\n', (size_t)(text->end - next));
		size_t len = (size_t)((stop ? stop : text->end) - next);

		end[-1] = ' ';
		memmove(end, next, len);
		end += len;
		next = stop ? stop + 1 : text->end;
	}
	text->at = next;
	return end;
}

const char *unit_text_next(struct unit_text *text, size_t *len_bytes)
{
	while (text->form != UNIT_FORM_NONE && text->at < text->end) {
		char *begin = text->at, *end = whole_line(text, begin);

		while (begin < end && blank(*begin))
			begin++;
		while (end > begin && blank(end[-1]))
			end--;
		*len_bytes = (size_t)(end - begin);
		if (wanted(text->form, begin, *len_bytes))
			return begin;
	}
	return NULL;
}

struct filling {
	char *out;
	size_t size, len;
};

static void put(struct filling *to, const char *bytes, size_t len)
{
	if (len > to->size - to->len)
		len = to->size - to->len;
	memcpy(to->out + to->len, bytes, len);
	to->len += len;
}

/* The end of a value: quotes hold blanks together. */
static size_t value_end(const char *line, size_t len, size_t at)
{
	char quote = 0;

	for (; at < len && (quote || !blank(line[at])); at++) {
		if (!quote && (line[at] == '"' || line[at] == '\''))
			quote = line[at];
		else if (quote == line[at])
			quote = 0;
	}
	return at;
}

/* One word, quotes and all; true when it names a secret that is the next word. */
static bool put_word(const char *word, size_t len, bool all, struct filling *to)
{
	const char *sign = NULL, *name = word;
	size_t name_len;

	for (size_t at = 0; at < len && !sign; at++)
		if (word[at] == '=' || (word[at] == ':' && at && !all))
			sign = word + at;
	name_len = sign ? (size_t)(sign - name) : len;
	if (sign && (all || redact_is_secret_name(name, name_len))) {
		put(to, word, name_len + 1);
		put(to, REDACTED, strlen(REDACTED));
		return false;
	}
	put(to, word, len);
	return !sign && *word == '-' && redact_is_secret_name(word, len);
}

/* How long is "NAME=" at the beginning? 0 when there is none. */
static size_t key_len(const char *line, size_t len)
{
	size_t at = 0;

	while (at < len && ((line[at] >= 'A' && line[at] <= 'Z') ||
			    (line[at] >= 'a' && line[at] <= 'z')))
		at++;
	return at && at < len && line[at] == '=' ? at + 1 : 0;
}

size_t unit_text_redact(const char *line, size_t len_bytes, char *out, size_t size)
{
	struct filling to = { out, size, 0 };
	bool all = starts(line, len_bytes, "Environment="), hide = false;
	size_t at = key_len(line, len_bytes);

	if (at && redact_is_secret_name(line, at))
		at = 0;
	put(&to, line, at);
	while (at < len_bytes) {
		size_t begin = at;

		if (blank(line[at])) {
			put(&to, line + at++, 1);
			continue;
		}
		at = value_end(line, len_bytes, begin);
		if (hide) {
			put(&to, REDACTED, strlen(REDACTED));
			hide = false;
		} else {
			hide = put_word(line + begin, at - begin, all, &to);
		}
	}
	return to.len;
}
