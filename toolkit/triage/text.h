/*
 * Text that derived outputs are made of: a buffer that grows, goes to its file from time
 * to time, and takes an attacker's text only in a form that shows what is in it.
 *
 * Shown: what is UTF-8 and has a form of its own stands as it is; "\\" is a backslash;
 * control bytes (C1 too), bytes that are no UTF-8 are \xHH; characters without a form or
 * that turn the direction of writing are \uXXXX. Whoever reads it can undo it.
 */
#ifndef FVOL_TRIAGE_TEXT_H
#define FVOL_TRIAGE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/json.h"
#include "toolkit/triage/out.h"

struct text {
	char *data; /* ended by a NUL as soon as anything was put */
	size_t len, room;
	bool failed; /* memory ran out; stays */
};

void text_put(struct text *text, const void *bytes, size_t len_bytes);
void text_puts(struct text *text, const char *string);
void text_printf(struct text *text, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void text_free(struct text *text);

/*
 * A text of the schema, a string or {"base64": ...}, as its bytes. *len_bytes may be 0.
 * NULL when value is none. *owned is to be freed after use; it may be NULL.
 */
const char *text_bytes(const struct json_value *value, size_t *len_bytes, char **owned);
bool text_is(const struct json_value *value);

/* Shown in short names of fields that are separated: these bytes become \xHH as well. */
#define TEXT_BODYFILE "|%"

/*
 * Puts bytes as they are shown, at most max_bytes of the input, and then " [cut]".
 * also: further bytes that become \xHH; may be "".
 */
void text_shown(struct text *text, const char *bytes, size_t len_bytes, size_t max_bytes,
		const char *also);
/* The same of a text of the schema; nothing when value is none. */
void text_show(struct text *text, const struct json_value *value, size_t max_bytes,
	       const char *also);

/* "2026-11-22T03:50:00.123456789Z" as ns since 1970; false for any other form. */
bool text_time(const struct json_value *value, int64_t *ns);

/* A file that text goes to. */
struct text_file {
	const struct place_ops *ops;
	struct out_file *file;
	struct text text;
};
/* Writes what has gathered when it is much. 0 or -1 with err, also for text that failed.
 */
int text_flow(struct text_file *file, struct err *err);
/* Writes all that has gathered. */
int text_flush(struct text_file *file, struct err *err);
/* Puts doc as a line of ASCII. Does not free doc. */
int text_line(struct text_file *file, struct json *doc, struct err *err);

#endif
