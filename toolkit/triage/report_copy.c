#include "toolkit/triage/report_copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* 2^53: the integers up to it are numbers of JavaScript's too. */
#define SAFE_INTEGER ((uint64_t)1 << 53)

/* Where members or items are added. */
struct copying {
	struct json *doc;
	struct json_node *in;
	int depth;
	size_t count, left_out;
};

static int copy_value(struct copying *copying, const char *key,
		      const struct json_value *value);

static int copy_member(void *context, const char *key, const struct json_value *value)
{
	return copy_value(context, key, value);
}

static int copy_item(void *context, const struct json_value *value)
{
	return copy_value(context, NULL, value);
}

static void copy_string(struct copying *copying, const char *key, const char *form,
			const char *string, size_t len)
{
	size_t cut = REPORT_TEXT_MAX;
	struct json_node *text;

	if (len <= cut) {
		json_add_strn(copying->doc, copying->in, key, string, len);
		return;
	}
	/* Not within a character; base64 is ASCII and the bound a multiple of four. */
	while (cut && ((unsigned char)string[cut] & 0xc0) == 0x80)
		cut--;
	text = json_add_object(copying->doc, copying->in, key);
	json_add_strn(copying->doc, text, form, string, cut);
	json_add_u64(copying->doc, text, "cut_bytes",
		     strcmp(form, "text") == 0 ? len - cut : (len - cut) / 4 * 3);
}

static void copy_list(struct copying *outer, const char *key,
		      const struct json_value *value)
{
	bool object = json_is_object(value);
	struct copying inner = { .doc = outer->doc, .depth = outer->depth + 1 };
	struct json_node *note;

	if (inner.depth > REPORT_DEPTH_MAX) {
		json_add_str(outer->doc, outer->in, key, "[too deep for the report]");
		return;
	}
	inner.in = object ? json_add_object(outer->doc, outer->in, key)
			  : json_add_array(outer->doc, outer->in, key);
	if (object)
		json_each(value, copy_member, &inner);
	else
		json_each_item(value, copy_item, &inner);
	if (!inner.left_out)
		return;
	note = object ? inner.in : json_add_object(outer->doc, inner.in, NULL);
	json_add_u64(outer->doc, note, "cut_items", inner.left_out);
}

static void copy_integer(struct copying *copying, const char *key,
			 const struct json_value *value)
{
	char text[24];
	uint64_t large;
	int64_t number;

	if (json_u64(value, &large) && large > SAFE_INTEGER) {
		snprintf(text, sizeof(text), "%" PRIu64, large);
		json_add_str(copying->doc, copying->in, key, text);
		return;
	}
	if (!json_i64(value, &number))
		return;
	if (number < -(int64_t)SAFE_INTEGER) {
		snprintf(text, sizeof(text), "%" PRId64, number);
		json_add_str(copying->doc, copying->in, key, text);
		return;
	}
	json_add_i64(copying->doc, copying->in, key, number);
}

static int copy_value(struct copying *copying, const char *key,
		      const struct json_value *value)
{
	const struct json_value *base64 = json_get(value, "base64");
	const char *string;
	size_t len;

	if (copying->count++ >= REPORT_LIST_MAX) {
		copying->left_out++;
		return 0;
	}
	if ((string = json_strn(value, &len)))
		copy_string(copying, key, "text", string, len);
	else if ((string = json_strn(base64, &len)) && len > REPORT_TEXT_MAX)
		copy_string(copying, key, "base64", string, len);
	else if (json_is_object(value) || json_is_array(value))
		copy_list(copying, key, value);
	else if (json_is_number(value))
		copy_integer(copying, key, value);
	else if (json_is_real(value))
		json_add_real(copying->doc, copying->in, key, json_real(value));
	else if (json_is_bool(value))
		json_add_bool(copying->doc, copying->in, key, json_true(value));
	else
		json_add_null(copying->doc, copying->in, key);
	return 0;
}

struct json *report_copy(const struct json_value *record, void *memory,
			 size_t memory_bytes)
{
	struct copying copying = { .doc = json_new_in(memory, memory_bytes) };

	if (!copying.doc)
		return NULL;
	copying.in = json_root(copying.doc);
	json_each(record, copy_member, &copying);
	if (copying.left_out)
		json_add_u64(copying.doc, copying.in, "cut_items", copying.left_out);
	return copying.doc;
}
