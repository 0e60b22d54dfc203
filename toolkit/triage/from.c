#include "toolkit/triage/from.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/json.h"

#define SCHEMA "fvol-triage/1"
#define READ_BYTES (size_t)(256 * 1024)
#define PARSE_BYTES (size_t)(256 * 1024)

struct reading {
	struct out *out;
	struct from *from;
	char *line;
	char *memory; /* PARSE_BYTES, for the parsed */
	size_t len, room;
	bool too_long; /* the rest of the line is passed over */
	uint64_t number;
};

static void bad(struct reading *reading, const char *why)
{
	struct from *from = reading->from;

	if (from->bad++ < FROM_BAD_SAID && from->bad_line)
		from->bad_line(from->context, reading->number, why);
}

/* The header, once and first; NULL when all is well, or what is wrong with it. */
static const char *check_header(struct from *from, const struct json_value *record,
				bool is_header, struct err *err)
{
	const char *schema = json_str(json_get(record, "schema"));

	if (from->header)
		return is_header ? "a second header" : NULL;
	if (!is_header)
		return NULL; /* said at the end: what is left is worth showing */
	if (from->records)
		return "a header behind other records";
	if (!schema || strcmp(schema, SCHEMA) != 0) {
		err_set(err, ERR_FAILED,
			"the header is not of schema %s: another version wrote it",
			SCHEMA);
		return "";
	}
	from->header = true;
	return NULL;
}

static int take_record(struct reading *reading, const struct json_value *record,
		       struct err *err)
{
	const char *type = json_str(json_get(record, "type"));
	struct from *from = reading->from;
	const char *wrong;

	err->text[0] = '\0';
	if (!type)
		wrong = "no record: it has no type";
	else if (from->ended)
		wrong = "a record behind the end";
	else
		wrong = check_header(from, record, strcmp(type, "header") == 0, err);
	if (err->text[0])
		return -1;
	if (wrong) {
		bad(reading, wrong);
		return 0;
	}
	from->records++;
	from->ended = strcmp(type, "end") == 0;
	return out_parsed(reading->out, record, reading->line, reading->len, err);
}

static int take_line(struct reading *reading, struct err *err)
{
	struct json_read *doc;
	struct err why = { 0 };
	int rc;

	reading->number++;
	if (reading->too_long) {
		bad(reading, "longer than 16 MiB");
		return 0;
	}
	doc = json_parse_in(reading->line, reading->len, reading->memory, PARSE_BYTES,
			    &why);
	if (!doc) {
		bad(reading, why.text);
		return 0;
	}
	rc = take_record(reading, json_top(doc), err);
	json_read_free(doc);
	return rc;
}

static int add(struct reading *reading, const char *bytes, size_t len, struct err *err)
{
	size_t room = reading->room;
	char *line;

	if (reading->too_long || len > FROM_LINE_MAX - reading->len) {
		reading->too_long = true;
		reading->len = 0;
		return 0;
	}
	while (room < reading->len + len)
		room = room ? room * 2 : 64 * 1024;
	if (room != reading->room) {
		line = realloc(reading->line, room);
		if (!line)
			return err_sys(err, ENOMEM, "reading the records");
		reading->line = line;
		reading->room = room;
	}
	if (len)
		memcpy(reading->line + reading->len, bytes, len);
	reading->len += len;
	return 0;
}

/* A piece of the file; its last line may go on in the next. */
static int take_piece(struct reading *reading, const char *at, size_t len,
		      struct err *err)
{
	while (len) {
		const char *newline = memchr(at, '\n', len);
		size_t part = newline ? (size_t)(newline - at) : len;

		if (add(reading, at, part, err) < 0)
			return -1;
		if (!newline)
			return 0;
		if (take_line(reading, err) < 0)
			return -1;
		reading->len = 0;
		reading->too_long = false;
		at = newline + 1;
		len -= part + 1;
	}
	return 0;
}

int from_read(int fd, struct out *out, struct from *from, struct err *err)
{
	struct reading reading = { .out = out, .from = from };
	char *piece = malloc(READ_BYTES);
	int rc = -1;

	reading.memory = malloc(PARSE_BYTES);
	if (!piece || !reading.memory || add(&reading, "", 0, err) < 0) {
		err_sys(err, ENOMEM, "reading the records");
		goto out;
	}
	for (;;) {
		ssize_t n = read(fd, piece, READ_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(err, errno, "reading the records");
			goto out;
		}
		if (n == 0)
			break;
		if (take_piece(&reading, piece, (size_t)n, err) < 0)
			goto out;
	}
	/* Every line is ended by a newline: this one was cut short. */
	if (reading.len || reading.too_long) {
		reading.number++;
		from->ended = false;
		bad(&reading, "it does not end: the file was cut short within it");
	}
	rc = 0;
out:
	free(reading.memory);
	free(reading.line);
	free(piece);
	return rc;
}

const char *from_wrong(const struct from *from, char *buf, size_t size)
{
	const char *between = "";
	size_t len = 0;

	buf[0] = '\0';
	if (from->bad) {
		len = (size_t)snprintf(buf, size, "%" PRIu64 " line%s no record%s",
				       from->bad, from->bad == 1 ? " is" : "s are",
				       from->bad == 1 ? "" : "s");
		between = "; ";
	}
	if (!from->header && len < size) {
		len += (size_t)snprintf(buf + len, size - len,
					"%sthere is no header at its beginning", between);
		between = "; ";
	}
	if (!from->ended && len < size)
		snprintf(buf + len, size - len,
			 "%sthere is no record `end`: it was cut short", between);
	return buf;
}
