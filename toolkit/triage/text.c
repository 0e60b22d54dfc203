#include "toolkit/triage/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "toolkit/lib/base64.h"
#include "toolkit/lib/utf8.h"

/* One write of a derived output. */
#define FLOW_BYTES (64 * 1024)

static bool reserve(struct text *text, size_t more)
{
	size_t room = text->room ? text->room : 256;
	char *data;

	if (text->failed || more > SIZE_MAX / 4 - text->len) {
		text->failed = true;
		return false;
	}
	while (room < text->len + more + 1)
		room *= 2;
	if (room == text->room)
		return true;
	data = realloc(text->data, room);
	if (!data) {
		text->failed = true;
		return false;
	}
	text->data = data;
	text->room = room;
	return true;
}

void text_put(struct text *text, const void *bytes, size_t len_bytes)
{
	if (!reserve(text, len_bytes))
		return;
	if (len_bytes)
		memcpy(text->data + text->len, bytes, len_bytes);
	text->len += len_bytes;
	text->data[text->len] = '\0';
}

void text_puts(struct text *text, const char *string)
{
	text_put(text, string, strlen(string));
}

void text_printf(struct text *text, const char *fmt, ...)
{
	va_list ap, again;
	int len;

	va_start(ap, fmt);
	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, ap);
	if (len >= 0 && reserve(text, (size_t)len)) {
		vsnprintf(text->data + text->len, (size_t)len + 1, fmt, again);
		text->len += (size_t)len;
	}
	va_end(again);
	va_end(ap);
}

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){ 0 };
}

const char *text_bytes(const struct json_value *value, size_t *len_bytes, char **owned)
{
	const char *string = json_strn(value, len_bytes);
	ssize_t len;

	*owned = NULL;
	if (string || !json_is_object(value))
		return string;
	string = json_strn(json_get(value, "base64"), len_bytes);
	if (!string)
		return NULL;
	*owned = malloc(*len_bytes + 1);
	len = *owned ? base64_decode(string, *len_bytes, *owned, *len_bytes) : -1;
	if (len < 0) {
		free(*owned);
		*owned = NULL;
		*len_bytes = 0;
		return NULL;
	}
	*len_bytes = (size_t)len;
	return *owned;
}

bool text_is(const struct json_value *value)
{
	return json_str(value) || json_str(json_get(value, "base64"));
}

/* The code point of a well-formed sequence. */
static uint32_t code_point(const unsigned char *s, size_t len)
{
	static const unsigned char first_mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t point = s[0] & first_mask[len];

	for (size_t i = 1; i < len; i++)
		point = point << 6 | (s[i] & 0x3f);
	return point;
}

/*
 * Characters without a form of their own, or that change the order in which others are
 * read (Unicode: Default_Ignorable_Code_Point, Bidi_Control, line separators).
 */
static bool unseen(uint32_t point)
{
	static const struct {
		uint32_t from, to;
	} ranges[] = {
		{ 0xad, 0xad },	      { 0x34f, 0x34f },	    { 0x61c, 0x61c },
		{ 0x115f, 0x1160 },   { 0x17b4, 0x17b5 },   { 0x180b, 0x180f },
		{ 0x200b, 0x200f },   { 0x2028, 0x202e },   { 0x2060, 0x206f },
		{ 0x3164, 0x3164 },   { 0xfe00, 0xfe0f },   { 0xfeff, 0xfeff },
		{ 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb },   { 0x1bca0, 0x1bca3 },
		{ 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (point >= ranges[i].from && point <= ranges[i].to)
			return true;
	return false;
}

/* How much of it stands as it is: nearly all of nearly every text. */
static size_t plain_run(const char *bytes, size_t len, const char *also)
{
	size_t at = 0;

	while (at < len && bytes[at] >= 0x20 && bytes[at] < 0x7f && bytes[at] != '\\' &&
	       (!*also || !strchr(also, bytes[at])))
		at++;
	return at;
}

void text_shown(struct text *text, const char *bytes, size_t len_bytes, size_t max_bytes,
		const char *also)
{
	size_t cut = len_bytes < max_bytes ? len_bytes : max_bytes;

	for (size_t at = 0, len; at < cut; at += len) {
		const unsigned char *s = (const unsigned char *)bytes + at;
		uint32_t point;

		len = plain_run(bytes + at, cut - at, also);
		if (len) {
			text_put(text, s, len);
			continue;
		}
		len = utf8_len_in(bytes + at, len_bytes - at);
		if (len && at + len > cut)
			break;
		point = len ? code_point(s, len) : 0;
		if (len == 0 || *s < 0x20 || *s == 0x7f ||
		    (*s < 0x80 && strchr(also, *s))) {
			text_printf(text, "\\x%02x", *s);
			len = 1;
		} else if (point >= 0x80 && point < 0xa0) {
			text_printf(text, "\\x%02x\\x%02x", s[0], s[1]);
		} else if (unseen(point)) {
			text_printf(text, point > 0xffff ? "\\U%08x" : "\\u%04x", point);
		} else {
			text_put(text, s, len);
			if (*s == '\\')
				text_put(text, "\\", 1);
		}
	}
	if (cut < len_bytes)
		text_puts(text, " [cut]");
}

void text_show(struct text *text, const struct json_value *value, size_t max_bytes,
	       const char *also)
{
	size_t len;
	char *owned;
	const char *bytes = text_bytes(value, &len, &owned);

	if (bytes)
		text_shown(text, bytes, len, max_bytes, also);
	free(owned);
}

/* `count` digits; false when there is anything else. */
static bool digits(const char **at, int count, int *value)
{
	*value = 0;
	for (; count; count--, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		*value = *value * 10 + (**at - '0');
	}
	return true;
}

bool text_time(const struct json_value *value, int64_t *ns)
{
	size_t len;
	const char *at = json_strn(value, &len);
	struct tm tm = { 0 };
	int fraction = 0, scale = 100000000;
	int64_t seconds;

	if (!at || len != strlen(at) || len > 40 || !digits(&at, 4, &tm.tm_year) ||
	    *at++ != '-' || !digits(&at, 2, &tm.tm_mon) || *at++ != '-' ||
	    !digits(&at, 2, &tm.tm_mday) || *at++ != 'T' ||
	    !digits(&at, 2, &tm.tm_hour) || *at++ != ':' || !digits(&at, 2, &tm.tm_min) ||
	    *at++ != ':' || !digits(&at, 2, &tm.tm_sec))
		return false;
	/* What int64_t holds of nanoseconds: 1677 to 2262. */
	if (tm.tm_year < 1678 || tm.tm_year > 2261 || tm.tm_mon < 1 || tm.tm_mon > 12 ||
	    tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
	    tm.tm_sec > 60)
		return false;
	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9'; at++, scale /= 10)
			fraction += (*at - '0') * scale;
	if (strcmp(at, "Z") != 0)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	seconds = timegm(&tm);
	*ns = seconds * 1000000000 + fraction;
	return true;
}

int text_flush(struct text_file *file, struct err *err)
{
	struct text *text = &file->text;
	size_t len = text->len;

	if (text->failed)
		return err_sys(err, ENOMEM, "making an output of records");
	text->len = 0;
	if (!len)
		return 0;
	return file->ops->write(file->file, text->data, len, err);
}

int text_flow(struct text_file *file, struct err *err)
{
	if (!file->text.failed && file->text.len < FLOW_BYTES)
		return 0;
	return text_flush(file, err);
}

int text_line(struct text_file *file, struct json *doc, struct err *err)
{
	size_t len;
	char *line = json_text_ascii(doc, &len, err);

	if (!line)
		return -1;
	text_put(&file->text, line, len);
	text_put(&file->text, "\n", 1);
	free(line);
	return text_flow(file, err);
}
