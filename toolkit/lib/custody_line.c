/* One line of the custody log: written, and read in exactly that form. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "toolkit/lib/custody.h"
#include "toolkit/lib/utf8.h"

/* Text that is built in a caller's buffer of CUSTODY_LINE_MAX bytes, which always does.
 */
struct out {
	char *text;
	size_t len;
};

static void put(struct out *out, const char *text)
{
	size_t len = strlen(text);

	memcpy(out->text + out->len, text, len + 1);
	out->len += len;
}

/* Returns false when the value is not UTF-8. */
static bool put_string(struct out *out, const char *key, const char *value)
{
	char escape[8];

	put(out, key);
	put(out, "\"");
	while (*value) {
		unsigned char c = (unsigned char)*value;
		size_t len = utf8_len((const unsigned char *)value);

		if (!len)
			return false;
		if (c == '"' || c == '\\')
			snprintf(escape, sizeof(escape), "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			snprintf(escape, sizeof(escape), "\\u%04x", c);
		else
			snprintf(escape, sizeof(escape), "%.*s", (int)len, value);
		put(out, escape);
		value += len;
	}
	put(out, "\"");
	return true;
}

static void put_digest(struct out *out, const char *key, const uint8_t *digest)
{
	char hex[SHA256_HEX_SIZE] = "null";

	if (digest)
		sha256_to_hex(digest, hex);
	put(out, key);
	put(out, digest ? "\"" : "");
	put(out, hex);
	put(out, digest ? "\"" : "");
}

static void put_number(struct out *out, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	put(out, key);
	put(out, digits);
}

static bool good_action(const char *action)
{
	return *action && action[strspn(action, "abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

/* 2026-11-21T16:20:00.123456789Z; whether there is such a day is the reader's affair. */
static bool good_time(const char *time)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddddddddZ";

	if (strlen(time) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? time[i] < '0' || time[i] > '9' : time[i] != form[i])
			return false;
	return true;
}

int custody_format(const struct custody_line *line, char text[CUSTODY_LINE_MAX],
		   struct err *err)
{
	struct out out = { text, 0 };
	bool good;

	if (!good_action(line->action) || !good_time(line->time) || !*line->tool ||
	    !*line->version || !*line->instance || !*line->file || !line->seq)
		return err_set(err, ERR_USAGE, "a custody line needs every member");
	put_number(&out, "{\"seq\":", line->seq);
	put_digest(&out, ",\"prev\":", line->prev);
	good = put_string(&out, ",\"time\":", line->time) &&
	       put_string(&out, ",\"tool\":", line->tool) &&
	       put_string(&out, ",\"version\":", line->version) &&
	       put_string(&out, ",\"instance\":", line->instance);
	put_number(&out, ",\"uid\":", line->uid);
	good = good && put_string(&out, ",\"action\":", line->action) &&
	       put_string(&out, ",\"file\":", line->file);
	put_digest(&out, ",\"sha256\":", line->has_sha256 ? line->sha256 : NULL);
	good = good && put_string(&out, ",\"note\":", line->note);
	put(&out, "}\n");
	if (!good)
		return err_set(err, ERR_USAGE,
			       "a custody line cannot say what is not "
			       "UTF-8");
	return (int)out.len;
}

#define SIZE_OF(member) sizeof(((struct custody_line *)0)->member)
_Static_assert(6 * (SIZE_OF(tool) + SIZE_OF(version) + SIZE_OF(instance) + SIZE_OF(file) +
		    SIZE_OF(note)) +
			       512 <=
		       CUSTODY_LINE_MAX,
	       "every line must fit");

struct in {
	const char *at, *end;
};

static bool take(struct in *in, const char *literal)
{
	size_t len = strlen(literal);

	if ((size_t)(in->end - in->at) < len || memcmp(in->at, literal, len) != 0)
		return false;
	in->at += len;
	return true;
}

static bool take_number(struct in *in, const char *key, uint64_t max, uint64_t *value)
{
	const char *start;

	*value = 0;
	if (!take(in, key))
		return false;
	for (start = in->at; in->at < in->end && *in->at >= '0' && *in->at <= '9';
	     in->at++)
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(*in->at - '0'), value))
			return false;
	return in->at > start && *value <= max;
}

static bool take_digest(struct in *in, const char *key, uint8_t digest[SHA256_LEN])
{
	if (!take(in, key) || !take(in, "\"") || in->end - in->at < 2 * SHA256_LEN ||
	    !sha256_from_hex(in->at, digest))
		return false;
	in->at += 2 * SHA256_LEN;
	return take(in, "\"");
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character after a backslash; -1 for an escape that put_string() does not make. */
static int take_escape(struct in *in)
{
	int high, low;

	if (take(in, "\""))
		return '"';
	if (take(in, "\\"))
		return '\\';
	if (!take(in, "u00") || in->end - in->at < 2)
		return -1;
	high = hex_digit(in->at[0]);
	low = hex_digit(in->at[1]);
	in->at += 2;
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool take_string(struct in *in, const char *key, char *value, size_t size)
{
	size_t len = 0;

	if (!take(in, key) || !take(in, "\""))
		return false;
	while (in->at < in->end && *in->at != '"') {
		int c = (unsigned char)*in->at++;

		if (c == '\\')
			c = take_escape(in);
		if (c <= 0 || len + 1 >= size)
			return false;
		value[len++] = (char)c;
	}
	value[len] = '\0';
	return take(in, "\"");
}

bool custody_parse(const char *text, size_t len_bytes, struct custody_line *line)
{
	struct in in = { text, text + len_bytes };
	char again[CUSTODY_LINE_MAX];
	uint64_t uid;
	struct err ignored;
	int len;

	if (!take_number(&in, "{\"seq\":", UINT64_MAX, &line->seq) ||
	    !take_digest(&in, ",\"prev\":", line->prev) ||
	    !take_string(&in, ",\"time\":", line->time, sizeof(line->time)) ||
	    !take_string(&in, ",\"tool\":", line->tool, sizeof(line->tool)) ||
	    !take_string(&in, ",\"version\":", line->version, sizeof(line->version)) ||
	    !take_string(&in, ",\"instance\":", line->instance, sizeof(line->instance)) ||
	    !take_number(&in, ",\"uid\":", UINT32_MAX, &uid) ||
	    !take_string(&in, ",\"action\":", line->action, sizeof(line->action)) ||
	    !take_string(&in, ",\"file\":", line->file, sizeof(line->file)))
		return false;
	line->uid = (uint32_t)uid;
	line->has_sha256 = !take(&in, ",\"sha256\":null");
	if ((line->has_sha256 && !take_digest(&in, ",\"sha256\":", line->sha256)) ||
	    !take_string(&in, ",\"note\":", line->note, sizeof(line->note)) ||
	    !take(&in, "}") || in.at != in.end)
		return false;
	/* The same members can be spelt in other ways: only ours is accepted. */
	len = custody_format(line, again, &ignored);
	return len > 0 && (size_t)len == len_bytes + 1 &&
	       memcmp(again, text, len_bytes) == 0;
}
