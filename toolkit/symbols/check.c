/*
 * The rules of ISF 6.2.0, as Volatility's schema-6.2.0.json has them, and those it cannot
 * say: what is referred to is there, sizes hold what stands in them, the banner is one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "toolkit/lib/base64.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/xzfile.h"
#include "toolkit/symbols/symbols.h"

#define FILE_MAX (256u << 20)
/* The header of a .xz file and its end; no symbol file is as short. */
#define FILE_LEAST 24
#define DEPTH_MAX 80

struct checking {
	const struct json_value *top, *base_types, *user_types, *enums;
	const char *in; /* the entry that is looked at */
	struct check_report *report;
	struct err *err;
};

static int no(const struct checking *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int no(const struct checking *c, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return c->in ? err_set(c->err, ERR_NO, "%.120s: %s", c->in, why)
		     : err_set(c->err, ERR_NO, "%s", why);
}

/* Is value one of the words in list, which are parted by '|'? */
static bool is_one_of(const struct json_value *value, const char *list)
{
	const char *word = json_str(value);
	size_t len = word ? strlen(word) : 0;

	while (word && *list) {
		size_t n = strcspn(list, "|");

		if (n == len && memcmp(list, word, n) == 0)
			return true;
		list += n + (list[n] == '|');
	}
	return false;
}

struct allowed {
	const char *list;
	const char *strange;
};

static int look_for_strange(void *context, const char *key,
			    const struct json_value *value)
{
	struct allowed *allowed = context;
	size_t n, len = strlen(key);

	(void)value;
	for (const char *at = allowed->list; *at; at += n + (at[n] == '|')) {
		n = strcspn(at, "|");
		if (n == len && memcmp(at, key, n) == 0)
			return 0;
	}
	allowed->strange = key;
	return 1;
}

/* An object with no other members than those in list. */
static int only(const struct checking *c, const struct json_value *object,
		const char *list)
{
	struct allowed allowed = { .list = list };

	if (!json_is_object(object))
		return no(c, "not an object");
	if (json_each(object, look_for_strange, &allowed))
		return no(c, "\"%.64s\" is not allowed here", allowed.strange);
	return 0;
}

static bool is_natural(const struct json_value *value, uint64_t *out)
{
	return json_u64(value, out);
}

/* A named type must be where its kind says. Behind pointers it may be missing. */
static int check_reference(const struct checking *c, const struct json_value *type,
			   const struct json_value *among, bool pointed)
{
	const char *name = json_str(json_get(type, "name"));

	if (!name)
		return no(c, "a type without a name");
	if (!pointed && !json_get(among, name))
		return no(c, "there is no type %.100s", name);
	return only(c, type, "kind|name");
}

static int check_bitfield(const struct checking *c, const struct json_value *type)
{
	uint64_t position, bits;

	if (only(c, type, "kind|bit_position|bit_length|type") < 0)
		return -1;
	if (!is_natural(json_get(type, "bit_position"), &position) ||
	    !is_natural(json_get(type, "bit_length"), &bits) || position > 63 ||
	    bits < 1 || bits > 64)
		return no(c, "a bitfield without a place");
	return 0;
}

static int check_type(const struct checking *c, const struct json_value *type)
{
	bool pointed = false;

	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		const struct json_value *kind = json_get(type, "kind");
		uint64_t count;

		if (is_one_of(kind, "pointer")) {
			if (only(c, type, "kind|base|subtype") < 0)
				return -1;
			pointed = true;
		} else if (is_one_of(kind, "array")) {
			if (only(c, type, "kind|subtype|count") < 0)
				return -1;
			if (!is_natural(json_get(type, "count"), &count))
				return no(c, "an array without a count");
		} else if (is_one_of(kind, "bitfield")) {
			if (check_bitfield(c, type) < 0)
				return -1;
			type = json_get(type, "type");
			continue;
		} else if (is_one_of(kind, "base")) {
			return check_reference(c, type, c->base_types, false);
		} else if (is_one_of(kind, "struct|union|class")) {
			return check_reference(c, type, c->user_types, pointed);
		} else if (is_one_of(kind, "enum")) {
			return check_reference(c, type, c->enums, false);
		} else if (is_one_of(kind, "function")) {
			return only(c, type, "kind");
		} else {
			return no(c, "a type of no kind that there is");
		}
		type = json_get(type, "subtype");
	}
	return no(c, "types too deep in one another");
}

static int check_base_type(void *context, const char *key, const struct json_value *value)
{
	struct checking *c = context;
	uint64_t size;

	c->in = key;
	c->report->base_types++;
	if (only(c, value, "size|signed|kind|endian") < 0)
		return -1;
	if (!is_natural(json_get(value, "size"), &size) ||
	    !json_is_bool(json_get(value, "signed")) ||
	    !is_one_of(json_get(value, "kind"), "void|int|float|char|bool") ||
	    !is_one_of(json_get(value, "endian"), "little|big"))
		return no(c, "not a base type");
	return 0;
}

static int check_field(void *context, const char *key, const struct json_value *value)
{
	struct checking *c = context;
	uint64_t offset;

	if (only(c, value, "type|offset|anonymous") < 0)
		return -1;
	if (!is_natural(json_get(value, "offset"), &offset))
		return no(c, "the member %.64s has no offset", key);
	if (json_get(value, "anonymous") && !json_is_bool(json_get(value, "anonymous")))
		return no(c, "the member %.64s is anonymous or not", key);
	return check_type(c, json_get(value, "type"));
}

static int check_user_type(void *context, const char *key, const struct json_value *value)
{
	struct checking *c = context;
	const struct json_value *fields = json_get(value, "fields");
	uint64_t size;

	c->in = key;
	c->report->user_types++;
	if (only(c, value, "kind|size|fields") < 0)
		return -1;
	if (!is_one_of(json_get(value, "kind"), "struct|union|class") ||
	    !is_natural(json_get(value, "size"), &size) || !json_is_object(fields))
		return no(c, "not a structure");
	return json_each(fields, check_field, c);
}

static int check_constant(void *context, const char *key, const struct json_value *value)
{
	return json_is_number(value) ? 0 : no(context, "%.64s is not a number", key);
}

static int check_enum(void *context, const char *key, const struct json_value *value)
{
	struct checking *c = context;
	const char *base = json_str(json_get(value, "base"));
	const struct json_value *constants = json_get(value, "constants");
	uint64_t size;

	c->in = key;
	c->report->enums++;
	if (only(c, value, "size|base|constants") < 0)
		return -1;
	if (!is_natural(json_get(value, "size"), &size) || !base ||
	    !json_get(c->base_types, base) || !json_is_object(constants))
		return no(c, "not an enumeration");
	return json_each(constants, check_constant, c);
}

static int check_symbol(void *context, const char *key, const struct json_value *value)
{
	struct checking *c = context;
	const struct json_value *data = json_get(value, "constant_data");
	uint64_t address;

	c->in = key;
	c->report->symbols++;
	if (only(c, value, "address|linkage_name|type|constant_data") < 0)
		return -1;
	if (!is_natural(json_get(value, "address"), &address))
		return no(c, "a symbol without an address");
	if (data && !json_str(data))
		return no(c, "constant data that are no text");
	return json_get(value, "type") ? check_type(c, json_get(value, "type")) : 0;
}

static int check_metadata(struct checking *c)
{
	const struct json_value *metadata = json_get(c->top, "metadata");
	const char *format = json_str(json_get(metadata, "format"));

	c->in = "metadata";
	if (only(c, metadata, "format|producer|linux") < 0)
		return -1;
	if (!format || strncmp(format, "6.", 2) != 0 ||
	    strspn(format, "0123456789.") != strlen(format))
		return no(c, "not of format 6");
	return 0;
}

static int check_banner(struct checking *c)
{
	const struct json_value *symbol =
		json_get(json_get(c->top, "symbols"), "linux_banner");
	const char *text = json_str(json_get(symbol, "constant_data"));
	char banner[VMLINUX_BANNER_MAX];
	ssize_t n =
		text ? base64_decode(text, strlen(text), banner, sizeof(banner) - 1) : -1;
	size_t len;

	c->in = "linux_banner";
	/* Files made from DWARF have the NUL at its end too. */
	while (n > 0 && banner[n - 1] == '\0')
		n--;
	if (n < 1 || vmlinux_find_banner(banner, (size_t)n, &len) != banner ||
	    len != (size_t)n)
		return no(c, "its constant_data are no banner: the file will not be "
			     "found");
	banner[n - 1] = '\0';
	strcpy(c->report->banner, banner);
	return 0;
}

static int check_needed(struct checking *c)
{
	c->in = NULL;
	for (size_t i = 0; isf_required_types[i]; i++)
		if (!json_get(c->user_types, isf_required_types[i]))
			return no(c, "struct %s is missing: Volatility will not load it",
				  isf_required_types[i]);
	return 0;
}

static int check_document(struct checking *c)
{
	if (only(c, c->top, "metadata|base_types|user_types|enums|symbols") < 0)
		return -1;
	c->base_types = json_get(c->top, "base_types");
	c->user_types = json_get(c->top, "user_types");
	c->enums = json_get(c->top, "enums");
	if (!json_is_object(c->base_types) || !json_is_object(c->user_types) ||
	    !json_is_object(c->enums) || !json_is_object(json_get(c->top, "symbols")))
		return no(c, "base_types, user_types, enums or symbols are missing");
	if (check_metadata(c) < 0 || json_each(c->base_types, check_base_type, c) < 0 ||
	    json_each(c->user_types, check_user_type, c) < 0 ||
	    json_each(c->enums, check_enum, c) < 0 ||
	    json_each(json_get(c->top, "symbols"), check_symbol, c) < 0)
		return -1;
	return check_banner(c) < 0 ? -1 : check_needed(c);
}

static int check_text(const char *text, size_t len, struct check_report *report,
		      struct err *err)
{
	struct checking c = { .report = report, .err = err };
	struct json_read *doc = json_parse(text, len, err);
	int rc;

	if (!doc) {
		err->kind = ERR_NO;
		return -1;
	}
	c.top = json_top(doc);
	rc = check_document(&c);
	json_read_free(doc);
	return rc;
}

int check_file(const char *path, struct check_report *report, struct err *err)
{
	static struct loaded loaded;
	size_t len;
	char *data = load_file(&loaded, AT_FDCWD, path, FILE_MAX, &len, err);
	char *text;
	int rc = -1;

	if (!data)
		return -1;
	if (len < FILE_LEAST || data[0] == '{') {
		rc = len < FILE_LEAST
			     ? err_set(err, ERR_NO, "%zu bytes are no symbol file", len)
			     : check_text(data, len, report, err);
		loaded_free(&loaded);
		return rc < 0 ? err_prefix(err, "%.200s", path) : 0;
	}
	text = mmap(NULL, FILE_MAX, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (text == MAP_FAILED) {
		err_sys(err, errno, "memory to unpack it in");
	} else {
		if (xzfile_unpack(data, len, text, FILE_MAX, &len, err) == 0)
			rc = check_text(text, len, report, err);
		else
			err->kind = ERR_NO;
		munmap(text, FILE_MAX);
	}
	loaded_free(&loaded);
	return rc < 0 ? err_prefix(err, "%.200s", path) : 0;
}
