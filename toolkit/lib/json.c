#include "toolkit/lib/json.h"

#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "toolkit/lib/utf8.h"

/* Memory that is given out from its start and taken back only at its end. */
struct pool {
	unsigned char *start, *at, *end;
};

struct json {
	yyjson_mut_doc *doc;
	bool failed;
	struct pool pool;
	yyjson_alc alc;
	char *text;
};

#define POOL_ALIGN (size_t)16

static bool in_pool(const struct pool *pool, const void *ptr)
{
	return (const unsigned char *)ptr < pool->end &&
	       (const unsigned char *)ptr >= pool->start;
}

static void *pool_malloc(void *ctx, size_t size)
{
	struct pool *pool = ctx;
	void *ptr = pool->at;

	if (size > (size_t)(pool->end - pool->at))
		return malloc(size);
	size = (size + POOL_ALIGN - 1) / POOL_ALIGN * POOL_ALIGN;
	pool->at += size < (size_t)(pool->end - pool->at)
			    ? size
			    : (size_t)(pool->end - pool->at);
	return ptr;
}

static void pool_free(void *ctx, void *ptr)
{
	if (!in_pool(ctx, ptr))
		free(ptr);
}

static void *pool_realloc(void *ctx, void *ptr, size_t old_size, size_t size)
{
	void *larger;

	if (!in_pool(ctx, ptr))
		return realloc(ptr, size);
	larger = pool_malloc(ctx, size);
	if (larger)
		memcpy(larger, ptr, old_size < size ? old_size : size);
	return larger;
}

static yyjson_mut_val *mut(struct json_node *node)
{
	return (yyjson_mut_val *)node;
}

struct json *json_new(void)
{
	return json_new_in(NULL, 0);
}

struct json *json_new_in(void *memory, size_t len_bytes)
{
	struct json *doc = calloc(1, sizeof(*doc));

	if (!doc)
		return NULL;
	doc->pool.start = doc->pool.at = memory;
	doc->pool.end = doc->pool.start + len_bytes;
	doc->alc = (yyjson_alc){ pool_malloc, pool_realloc, pool_free, &doc->pool };
	doc->doc = yyjson_mut_doc_new(&doc->alc);
	if (!doc->doc) {
		free(doc);
		return NULL;
	}
	yyjson_mut_doc_set_root(doc->doc, yyjson_mut_obj(doc->doc));
	return doc;
}

void json_free(struct json *doc)
{
	if (!doc)
		return;
	pool_free(&doc->pool, doc->text);
	yyjson_mut_doc_free(doc->doc);
	free(doc);
}

struct json_node *json_root(struct json *doc)
{
	return (struct json_node *)yyjson_mut_doc_get_root(doc->doc);
}

static struct json_node *add(struct json *doc, struct json_node *in, const char *key,
			     yyjson_mut_val *value)
{
	bool done =
		key ? yyjson_mut_obj_add(mut(in), yyjson_mut_strcpy(doc->doc, key), value)
		    : yyjson_mut_arr_append(mut(in), value);

	if (!done)
		doc->failed = true;
	return (struct json_node *)value;
}

struct json_node *json_add_object(struct json *doc, struct json_node *in, const char *key)
{
	return add(doc, in, key, yyjson_mut_obj(doc->doc));
}

struct json_node *json_add_array(struct json *doc, struct json_node *in, const char *key)
{
	return add(doc, in, key, yyjson_mut_arr(doc->doc));
}

void json_add_str(struct json *doc, struct json_node *in, const char *key,
		  const char *value)
{
	json_add_strn(doc, in, key, value, strlen(value));
}

void json_add_strn(struct json *doc, struct json_node *in, const char *key,
		   const char *value, size_t len_bytes)
{
	static const char replacement[] = "\xef\xbf\xbd";
	char *clean, *to;

	if (utf8_valid(value, len_bytes)) {
		add(doc, in, key, yyjson_mut_strncpy(doc->doc, value, len_bytes));
		return;
	}
	clean = to = malloc(3 * len_bytes + 1);
	if (!clean) {
		doc->failed = true;
		return;
	}
	for (size_t at = 0; at < len_bytes;) {
		size_t len = utf8_len_in(value + at, len_bytes - at);

		memcpy(to, len ? value + at : replacement, len ? len : 3);
		to += len ? len : 3;
		at += len ? len : 1;
	}
	add(doc, in, key, yyjson_mut_strncpy(doc->doc, clean, (size_t)(to - clean)));
	free(clean);
}

void json_add_null(struct json *doc, struct json_node *in, const char *key)
{
	add(doc, in, key, yyjson_mut_null(doc->doc));
}

void json_add_u64(struct json *doc, struct json_node *in, const char *key, uint64_t value)
{
	add(doc, in, key, yyjson_mut_uint(doc->doc, value));
}

void json_add_i64(struct json *doc, struct json_node *in, const char *key, int64_t value)
{
	add(doc, in, key, yyjson_mut_sint(doc->doc, value));
}

void json_add_real(struct json *doc, struct json_node *in, const char *key, double value)
{
	add(doc, in, key, yyjson_mut_real(doc->doc, value));
}

void json_add_bool(struct json *doc, struct json_node *in, const char *key, bool value)
{
	add(doc, in, key, yyjson_mut_bool(doc->doc, value));
}

void json_fail(struct json *doc)
{
	doc->failed = true;
}

static char *write_text(struct json *doc, bool pretty, const yyjson_alc *alc,
			size_t *len_bytes, struct err *err)
{
	yyjson_write_flag flags =
		pretty ? YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_NEWLINE_AT_END : 0;
	char *text = NULL;

	if (!doc->failed)
		text = yyjson_mut_write_opts(doc->doc, flags, alc, len_bytes, NULL);
	if (!text)
		err_set(err, ERR_FAILED, "writing JSON: out of memory");
	return text;
}

char *json_text(struct json *doc, bool pretty, size_t *len_bytes, struct err *err)
{
	return write_text(doc, pretty, NULL, len_bytes, err);
}

char *json_text_ascii(struct json *doc, size_t *len_bytes, struct err *err)
{
	static const char escaped[] = "\\u007f";
	char *plain = NULL, *text, *to;
	size_t len = 0, dels = 0;

	if (!doc->failed)
		plain = yyjson_mut_write_opts(doc->doc, YYJSON_WRITE_ESCAPE_UNICODE, NULL,
					      &len, NULL);
	for (const char *at = plain;
	     at && (at = memchr(at, 0x7f, len - (size_t)(at - plain))); at++)
		dels++;
	*len_bytes = len;
	if (plain && !dels)
		return plain;
	/* The library leaves DEL as it is. It stands nowhere but within strings. */
	to = text = plain ? malloc(len + dels * (sizeof(escaped) - 2) + 1) : NULL;
	if (!text) {
		free(plain);
		err_set(err, ERR_FAILED, "writing JSON: out of memory");
		return NULL;
	}
	for (size_t i = 0; i < len; i++) {
		bool del = plain[i] == 0x7f;

		memcpy(to, del ? escaped : plain + i, del ? sizeof(escaped) - 1 : 1);
		to += del ? sizeof(escaped) - 1 : 1;
	}
	*to = '\0';
	*len_bytes = (size_t)(to - text);
	free(plain);
	return text;
}

const char *json_text_kept(struct json *doc, bool pretty, size_t *len_bytes,
			   struct err *err)
{
	pool_free(&doc->pool, doc->text);
	doc->text = write_text(doc, pretty, &doc->alc, len_bytes, err);
	return doc->text;
}

static yyjson_val *val(const struct json_value *value)
{
	return (yyjson_val *)value;
}

struct json_read *json_parse(const char *text, size_t len_bytes, struct err *err)
{
	yyjson_read_err why;
	/* Without YYJSON_READ_INSITU the text is copied and not written to. */
	yyjson_doc *doc = yyjson_read_opts((char *)text, len_bytes, 0, NULL, &why);

	if (!doc)
		err_set(err, ERR_FAILED, "not JSON at byte %zu: %s", why.pos, why.msg);
	return (struct json_read *)doc;
}

struct json_read *json_parse_in(const char *text, size_t len_bytes, void *memory,
				size_t memory_bytes, struct err *err)
{
	yyjson_doc *doc = NULL;
	yyjson_alc alc;

	if (yyjson_read_max_memory_usage(len_bytes, 0) + 4096 < memory_bytes &&
	    yyjson_alc_pool_init(&alc, memory, memory_bytes))
		doc = yyjson_read_opts((char *)text, len_bytes, 0, &alc, NULL);
	return doc ? (struct json_read *)doc : json_parse(text, len_bytes, err);
}

void json_read_free(struct json_read *doc)
{
	yyjson_doc_free((yyjson_doc *)doc);
}

const struct json_value *json_top(const struct json_read *doc)
{
	return (const struct json_value *)yyjson_doc_get_root((yyjson_doc *)doc);
}

const struct json_value *json_get(const struct json_value *object, const char *key)
{
	return (const struct json_value *)yyjson_obj_get(val(object), key);
}

size_t json_len(const struct json_value *array)
{
	return yyjson_arr_size(val(array));
}

const struct json_value *json_at(const struct json_value *array, size_t index)
{
	return (const struct json_value *)yyjson_arr_get(val(array), index);
}

const char *json_str(const struct json_value *value)
{
	return yyjson_get_str(val(value));
}

const char *json_strn(const struct json_value *value, size_t *len_bytes)
{
	*len_bytes = yyjson_is_str(val(value)) ? yyjson_get_len(val(value)) : 0;
	return yyjson_get_str(val(value));
}

bool json_i64(const struct json_value *value, int64_t *out)
{
	if (!yyjson_is_int(val(value)) ||
	    (yyjson_is_uint(val(value)) && yyjson_get_uint(val(value)) > INT64_MAX))
		return false;
	*out = yyjson_get_sint(val(value));
	return true;
}

double json_real(const struct json_value *value)
{
	return yyjson_get_num(val(value));
}

bool json_u64(const struct json_value *value, uint64_t *out)
{
	if (!yyjson_is_uint(val(value)))
		return false;
	*out = yyjson_get_uint(val(value));
	return true;
}

bool json_true(const struct json_value *value)
{
	return yyjson_is_true(val(value));
}

int json_each(const struct json_value *object,
	      int (*each)(void *context, const char *key, const struct json_value *value),
	      void *context)
{
	yyjson_obj_iter iter;
	yyjson_val *key;
	int rc = 0;

	if (!yyjson_obj_iter_init(val(object), &iter))
		return 0;
	while (rc == 0 && (key = yyjson_obj_iter_next(&iter)))
		rc = each(context, yyjson_get_str(key),
			  (const struct json_value *)yyjson_obj_iter_get_val(key));
	return rc;
}

int json_each_item(const struct json_value *array,
		   int (*each)(void *context, const struct json_value *value),
		   void *context)
{
	yyjson_arr_iter iter;
	yyjson_val *item;
	int rc = 0;

	if (!yyjson_arr_iter_init(val(array), &iter))
		return 0;
	while (rc == 0 && (item = yyjson_arr_iter_next(&iter)))
		rc = each(context, (const struct json_value *)item);
	return rc;
}

bool json_is_number(const struct json_value *value)
{
	return yyjson_is_int(val(value));
}

bool json_is_bool(const struct json_value *value)
{
	return yyjson_is_bool(val(value));
}

bool json_is_object(const struct json_value *value)
{
	return yyjson_is_obj(val(value));
}

bool json_is_array(const struct json_value *value)
{
	return yyjson_is_arr(val(value));
}

bool json_is_real(const struct json_value *value)
{
	return yyjson_is_real(val(value));
}
