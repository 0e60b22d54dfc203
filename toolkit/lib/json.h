/*
 * JSON, written and read: records that machines read. The library behind it is
 * included by json.c alone.
 */
#ifndef FVOL_JSON_H
#define FVOL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

/*
 * Writing. A document is an object that members are added to in order. `in` is an object
 * (key needed) or an array (key NULL). Strings are copied; bytes that are not UTF-8 are
 * written as U+FFFD. A failed allocation is remembered and reported by json_text().
 */
struct json;
struct json_node;

struct json *json_new(void);
/*
 * The same, and its kept text, in memory of the caller's as far as that reaches; it must
 * be aligned for anything and outlive the document.
 */
struct json *json_new_in(void *memory, size_t len_bytes);
void json_free(struct json *doc);
struct json_node *json_root(struct json *doc);
struct json_node *json_add_object(struct json *doc, struct json_node *in,
				  const char *key);
struct json_node *json_add_array(struct json *doc, struct json_node *in, const char *key);
void json_add_str(struct json *doc, struct json_node *in, const char *key,
		  const char *value);
/* The same for len bytes, which may hold anything. */
void json_add_strn(struct json *doc, struct json_node *in, const char *key,
		   const char *value, size_t len_bytes);
void json_add_null(struct json *doc, struct json_node *in, const char *key);
void json_add_u64(struct json *doc, struct json_node *in, const char *key,
		  uint64_t value);
void json_add_i64(struct json *doc, struct json_node *in, const char *key, int64_t value);
void json_add_real(struct json *doc, struct json_node *in, const char *key, double value);
void json_add_bool(struct json *doc, struct json_node *in, const char *key, bool value);
/* Marks the document as one that memory ran out for: see json_text(). */
void json_fail(struct json *doc);

/*
 * The document as text, one line, or indented and ended by a newline when pretty. The
 * caller frees it. Returns NULL and fills err when memory ran out.
 */
char *json_text(struct json *doc, bool pretty, size_t *len_bytes, struct err *err);

/* The same, but it belongs to the document. */
const char *json_text_kept(struct json *doc, bool pretty, size_t *len_bytes,
			   struct err *err);

/*
 * One line of printable ASCII without its newline: everything else in strings, DEL
 * included, as \uXXXX. The caller frees it. NULL and err when memory ran out.
 */
char *json_text_ascii(struct json *doc, size_t *len_bytes, struct err *err);

/*
 * Reading. Values belong to the document and live as long as it does. Every accessor
 * takes NULL and a value of another type and answers NULL, false or 0.
 */
struct json_read;
struct json_value;

/* Returns NULL and fills err (with the position) when text is not one JSON value. */
struct json_read *json_parse(const char *text, size_t len_bytes, struct err *err);
/*
 * The same within memory of the caller's, which must outlive the document, when it
 * reaches: some twelve bytes for each byte of text.
 */
struct json_read *json_parse_in(const char *text, size_t len_bytes, void *memory,
				size_t memory_bytes, struct err *err);
void json_read_free(struct json_read *doc);
const struct json_value *json_top(const struct json_read *doc);
const struct json_value *json_get(const struct json_value *object, const char *key);
size_t json_len(const struct json_value *array);
const struct json_value *json_at(const struct json_value *array, size_t index);
/*
 * Calls each for every member of an object, in order, until one returns other than 0,
 * which is then returned. 0 for anything that is no object.
 */
int json_each(const struct json_value *object,
	      int (*each)(void *context, const char *key, const struct json_value *value),
	      void *context);
/* The same for the items of an array, in a time that grows with their number. */
int json_each_item(const struct json_value *array,
		   int (*each)(void *context, const struct json_value *value),
		   void *context);
const char *json_str(const struct json_value *value);
/* With its length, for a string may hold NULs. NULL, *len_bytes 0, for anything else. */
const char *json_strn(const struct json_value *value, size_t *len_bytes);
bool json_u64(const struct json_value *value, uint64_t *out);
bool json_i64(const struct json_value *value, int64_t *out);
double json_real(const struct json_value *value);    /* of any number */
bool json_is_number(const struct json_value *value); /* an integer, also negative */
bool json_is_bool(const struct json_value *value);
bool json_is_object(const struct json_value *value);
bool json_is_array(const struct json_value *value);
bool json_is_real(const struct json_value *value);
bool json_true(const struct json_value *value);

#endif
