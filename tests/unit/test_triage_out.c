/* The outputs of triage that are made of records, and hostile records. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/memplace.h"
#include "tests/unit/check.h"
#include "toolkit/triage/from.h"
#include "toolkit/triage/report_copy.h"
#include "toolkit/triage/text.h"

static const struct derived *const all[] = {
	&derived_report,	 &derived_timesketch, &derived_bodyfile,
	&derived_varc_processes, &derived_varc_files,
};
#define ALL (sizeof(all) / sizeof(all[0]))

#define HEADER                                                                           \
	"{\"type\":\"header\",\"schema\":\"fvol-triage/1\","                             \
	"\"time\":\"2026-11-22T03:50:00.123456789Z\",\"hostname\":\"h\","                \
	"\"boot_time\":\"2026-11-20T00:00:00.000000000Z\"}\n"
#define END "{\"type\":\"end\",\"complete\":true}\n"

/* The lines as --from reads them. */
static int derive(struct memplace *place, const char *lines, struct from *from,
		  struct err *err)
{
	struct out *out = out_new(&memplace_ops, place, all, ALL, OUT_LINES_NONE, err);
	int fds[2], rc = -1;

	if (!out || pipe(fds) < 0)
		return -1;
	if (write(fds[1], lines, strlen(lines)) == (ssize_t)strlen(lines)) {
		close(fds[1]);
		rc = from_read(fds[0], out, from, err);
	}
	close(fds[0]);
	if (rc == 0)
		rc = out_finish(out, err);
	out_free(out);
	return rc;
}

static void check_derived(const char *lines, const char *name, const char *expected)
{
	struct memplace place = { 0 };
	struct from from = { 0 };
	struct err err = { 0 };

	CHECK(derive(&place, lines, &from, &err) == 0);
	CHECK_STR(err.text, "");
	CHECK_STR(memplace_text(&place, name), expected);
	CHECK(place.finished && !place.freed);
	memplace_clear(&place);
}

static void text_as_it_is_shown(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *shown;
	} cases[] = {
		{ "/bin/sh", 7, "/bin/sh" },
		{ "a\0b\n\x1b[2J\r\x7f", 10, "a\\x00b\\x0a\\x1b[2J\\x0d\\x7f" },
		{ "\\x1b", 4, "\\\\x1b" },
		{ "gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f" },
		{ "\xff\xc3", 2, "\\xff\\xc3" },
		{ "\xc2\x9b", 2, "\\xc2\\x9b" },
		{ "a\xe2\x80\xae"
		  "gpj",
		  7, "a\\u202egpj" },
		{ "\xe2\x80\x8b\xef\xbb\xbf", 6, "\\u200b\\ufeff" },
		{ "\xf3\xa0\x81\x81", 4, "\\U000e0041" },
		{ "", 0, "" },
	};
	struct text text = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		text.len = 0;
		text_shown(&text, cases[i].bytes, cases[i].len, 100, "");
		text_puts(&text, "");
		CHECK_STR(text.data, cases[i].shown);
	}
	text.len = 0;
	text_shown(&text, "a|b%41", 6, 100, TEXT_BODYFILE);
	CHECK_STR(text.data, "a\\x7cb\\x2541");
	text.len = 0;
	text_shown(&text, "ab\xc3\xbc", 4, 3, "");
	CHECK_STR(text.data, "ab [cut]");
	text_free(&text);
}

static void times(void)
{
	static const struct {
		const char *json;
		bool good;
		int64_t ns;
	} cases[] = {
		{ "\"1970-01-01T00:00:01.000000002Z\"", true, 1000000002 },
		{ "\"1969-12-31T23:59:59.5Z\"", true, -500000000 },
		{ "\"2026-11-22T03:50:00Z\"", true, 1795319400000000000 },
		{ "\"2026-11-22T03:50:00+01:00\"", false, 0 },
		{ "\"2026-13-22T03:50:00Z\"", false, 0 },
		{ "\"9999-01-01T00:00:00Z\"", false, 0 },
		{ "\"2026-11-22T03:50:00Z\\u0000\"", false, 0 },
		{ "\"2026-11-22\"", false, 0 },
		{ "\"\"", false, 0 },
		{ "5", false, 0 },
		{ "null", false, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { 0 };
		struct json_read *doc =
			json_parse(cases[i].json, strlen(cases[i].json), &err);
		int64_t ns = 0;

		CHECK(text_time(json_top(doc), &ns) == cases[i].good);
		CHECK(ns == cases[i].ns);
		json_read_free(doc);
	}
}

static void lines_are_ascii(void)
{
	struct memplace place = { 0 };
	struct err err = { 0 };
	struct out *out = out_new(&memplace_ops, &place, all, ALL, OUT_LINES_FILE, &err);
	struct json *doc = json_new();

	json_add_str(doc, json_root(doc), "type", "x");
	json_add_str(doc, json_root(doc), "name", "\x1b\x7f\xe2\x80\xae\\\x7f\n<");
	CHECK(out_record(out, doc, &err) == 0);
	CHECK(out_keeps_files(out));
	CHECK(out_finish(out, &err) == 0);
	out_free(out);
	json_free(doc);
	CHECK_STR(memplace_text(&place, "triage.jsonl"),
		  "{\"type\":\"x\",\"name\":"
		  "\"\\u001B\\u007f\\u202E\\\\\\u007f\\n<\"}\n");
	CHECK(place.files[0].whole && place.count == 1 + ALL);
	memplace_clear(&place);
}

static void lines_to_a_descriptor(void)
{
	struct err err = { 0 };
	struct json *doc = json_new();
	char line[64] = "";
	struct out *out;
	int fds[2];

	CHECK(pipe(fds) == 0);
	out = out_new(NULL, NULL, NULL, 0, fds[1], &err);
	json_add_str(doc, json_root(doc), "type", "x");
	CHECK(out_record(out, doc, &err) == 0);
	CHECK(!out_keeps_files(out));
	CHECK(out_open(out, "recovered/1", 1, &err) == NULL);
	CHECK_STR(err.text,
		  "recovered/1: records alone are written, there is no place for files");
	CHECK(out_finish(out, &err) == 0);
	out_free(out);
	json_free(doc);
	CHECK(read(fds[0], line, sizeof(line) - 1) == 13);
	CHECK_STR(line, "{\"type\":\"x\"}\n");
	close(fds[0]);
	close(fds[1]);
}

static void a_full_place_leaves_nothing_whole(void)
{
	for (size_t full_at = 1; full_at < 1500; full_at += 97) {
		struct memplace place = { .full_at = full_at };
		struct from from = { 0 };
		struct err err = { 0 };

		CHECK(derive(&place,
			     HEADER "{\"type\":\"file\",\"path\":\"/a\",\"mtime\":"
				    "\"2026-11-22T03:50:00.000000000Z\"}\n" END,
			     &from, &err) == (place.written > full_at ? -1 : 0));
		if (place.written > full_at)
			CHECK(strstr(err.text, "No space left") && !place.finished);
		for (size_t i = 0; i < place.count; i++)
			CHECK(!place.files[i].open);
		CHECK(!place.freed); /* it is borrowed */
		memplace_clear(&place);
	}
}

static void bodyfile(void)
{
	check_derived(
		HEADER
		"{\"type\":\"file\",\"path\":\"/etc/a|b\\n%0a\\u202e\",\"inode\":12,"
		"\"mode\":\"104755\",\"uid\":0,\"gid\":5,\"size\":77,"
		"\"atime\":\"2026-11-22T03:50:00.999999999Z\","
		"\"mtime\":\"1969-12-31T23:59:59.500000000Z\","
		"\"ctime\":\"2026-11-22T03:50:01.000000000Z\",\"btime\":null,"
		"\"deleted\":false}\n"
		"{\"type\":\"file\",\"path\":{\"base64\":\"L3RtcC8A/w==\"},\"inode\":"
		"18446744073709551615,\"mode\":\"41777\",\"deleted\":true}\n"
		"{\"type\":\"file\",\"path\":\"/x (deleted)\",\"mode\":\"zz\","
		"\"deleted\":true}\n"
		"{\"type\":\"file\",\"path\":7}\n" END,
		"bodyfile.txt",
		"0|/etc/a\\x7cb\\x0a\\x250a\\u202e|12|r/rrwsr-xr-x|0|5|77|"
		"1795319400|-1|1795319401|0\n"
		"0|/tmp/\\x00\\xff (deleted)|18446744073709551615|d/drwxrwxrwt|0|0|0|"
		"0|0|0|0\n"
		"0|/x (deleted)|0|-/----------|0|0|0|0|0|0|0\n");
}

static void timesketch(void)
{
	check_derived(
		HEADER
		"{\"type\":\"process\",\"pid\":7,\"ppid\":1,\"uid\":[3,3,3,3],"
		"\"comm\":\"a)\\nb\",\"start\":\"2026-11-22T03:00:00.010000000Z\","
		"\"argv\":[\"a\",\"\",{\"base64\":\"/w==\"}],\"cwd\":\"/\","
		"\"exe\":{\"path\":\"/a\",\"deleted\":true,\"sha256\":\"00\"}}\n"
		"{\"type\":\"finding\",\"kind\":\"k\",\"severity\":\"high\",\"text\":\"t\","
		"\"subject\":{\"pid\":7}}\n" END,
		"timesketch.jsonl",
		"{\"message\":\"triage of h began\",\"datetime\":"
		"\"2026-11-22T03:50:00.123456+00:00\",\"timestamp_desc\":\"Triage Time\","
		"\"data_type\":\"fvol:triage:header\",\"hostname\":\"h\"}\n"
		"{\"message\":\"h booted\",\"datetime\":"
		"\"2026-11-20T00:00:00.000000+00:00\",\"timestamp_desc\":"
		"\"System Boot Time\",\"data_type\":\"fvol:triage:boot\","
		"\"hostname\":\"h\"}\n"
		"{\"message\":\"process 7 (a)\\\\x0ab) started: a  \\\\xff\",\"datetime\":"
		"\"2026-11-22T03:00:00.010000+00:00\",\"timestamp_desc\":\"Start Time\","
		"\"data_type\":\"fvol:triage:process\",\"hostname\":\"h\",\"pid\":7,"
		"\"ppid\":1,\"uid\":3,\"comm\":\"a)\\\\x0ab\",\"command_line\":"
		"\"a  \\\\xff\",\"cwd\":\"/\",\"path\":\"/a\",\"sha256\":\"00\","
		"\"deleted\":true}\n"
		"{\"message\":\"finding (high) k: t\",\"datetime\":"
		"\"2026-11-22T03:50:00.123456+00:00\",\"timestamp_desc\":\"Triage Time\","
		"\"data_type\":\"fvol:triage:finding\",\"hostname\":\"h\","
		"\"finding\":\"k\",\"severity\":\"high\",\"pid\":7,"
		"\"tag\":[\"fvol-high\"]}\n");
}

#define PROCESS                                                                          \
	"{\"type\":\"process\",\"pid\":7,\"start_ticks\":5,\"ppid\":1,\"uid\":[3],"      \
	"\"state\":\"S\",\"comm\":\"fifteen-letters\","                                  \
	"\"start\":\"2026-11-22T03:00:00.010000000Z\","                                  \
	"\"argv\":[\"/x/fifteen-letters-more\",\"-a\"],"                                 \
	"\"exe\":{\"path\":\"/x/f\"},"                                                   \
	"\"fds\":[{\"fd\":0,\"target\":\"/a\",\"kind\":\"file\"},"                       \
	"{\"fd\":1,\"target\":\"socket:[5]\",\"kind\":\"socket\"},"                      \
	"{\"fd\":2,\"target\":\"/b\",\"kind\":\"file\",\"deleted\":true}],"              \
	"\"maps\":{\"files\":[{\"path\":\"/x/f\"},{\"path\":\"/a\"}]}}\n"
#define ROW_START                                                                        \
	"{\"Process ID\":7,\"Name\":\"fifteen-letters-more\",\"Username\":\"3\","        \
	"\"Status\":\"sleeping\",\"Executable Path\":\"/x/f\","                          \
	"\"Command\":\"/x/fifteen-letters-more -a\",\"Parent ID\":1,"                    \
	"\"Creation Time\":\"2026-11-22 03:00:00\",\"Open Files\":\"/a /b (deleted)\","

static void varc(void)
{
	check_derived(
		HEADER PROCESS
		"{\"type\":\"process\",\"pid\":8,\"comm\":\"kthreadd\","
		"\"kernel_thread\":true}\n"
		"{\"type\":\"socket\",\"protocol\":\"tcp\",\"local\":{\"address\":"
		"\"10.0.0.1\",\"port\":22},\"remote\":{\"address\":\"10.0.0.2\","
		"\"port\":99},\"owners\":[{\"pid\":7,\"start_ticks\":5,\"fd\":1},"
		"{\"pid\":7,\"start_ticks\":5,\"fd\":2},"
		"{\"pid\":8,\"start_ticks\":4,\"fd\":2}]}\n"
		"{\"type\":\"socket\",\"protocol\":\"tcp6\",\"local\":{\"address\":"
		"\"::1\",\"port\":1},\"remote\":{\"address\":\"::2\","
		"\"port\":2},\"owners\":[{\"pid\":7,\"start_ticks\":5,\"fd\":3}]}\n"
		"{\"type\":\"socket\",\"protocol\":\"tcp\",\"local\":{\"address\":"
		"\"0.0.0.0\",\"port\":22},\"remote\":{\"address\":\"0.0.0.0\","
		"\"port\":0},\"owners\":[{\"pid\":7,\"start_ticks\":5,\"fd\":1}]}\n" END,
		"processes.json",
		"{\"format\":\"CadoJsonTable\",\"rows\":[\n" ROW_START
		"\"Connections\":\"1795319400.123457 10.0.0.1 22 10.0.0.2 99\\r\\n"
		"1795319400.123457 ::1 1 ::2 2\",\"Mapped Filepaths\":\"/x/f,/a\"}\n"
		",{\"Process ID\":8,\"Name\":\"kthreadd\",\"Username\":null,"
		"\"Status\":\"?\",\"Executable Path\":\"\",\"Command\":\"\","
		"\"Parent ID\":0,\"Creation Time\":null,\"Open Files\":\"\","
		"\"Connections\":\"\",\"Mapped Filepaths\":\"\"}\n]}\n");
	check_derived(HEADER "{\"type\":\"file\",\"path\":\"/a\\u001b\"}\n"
			     "{\"type\":\"file\",\"path\":\"/b\",\"deleted\":true}\n" END,
		      "open_files.json",
		      "{\"format\":\"CadoJsonTable\",\"rows\":[\n"
		      "{\"Open File\":\"/a\\\\x1b\"}\n"
		      ",{\"Open File\":\"/b (deleted)\"}\n]}\n");
	check_derived("", "processes.json",
		      "{\"format\":\"CadoJsonTable\",\"rows\":[]}\n");
}

/* What report_copy() makes of {"v": value}, without the outer braces and name. */
static void check_copy(const char *value, const char *expected)
{
	size_t len = strlen(value);
	struct err err = { 0 };
	char *text = malloc(len + 16), *copied;
	struct json_read *doc;
	struct json *copy;
	size_t copied_len;

	snprintf(text, len + 16, "{\"v\":%s}", value);
	doc = json_parse(text, strlen(text), &err);
	copy = report_copy(json_top(doc), NULL, 0);
	copied = json_text_ascii(copy, &copied_len, &err);
	copied[copied_len - 1] = '\0';
	CHECK_STR(copied + 5, expected);
	free(copied);
	json_free(copy);
	json_read_free(doc);
	free(text);
}

/* `before`, count times `unit`, `after`. */
static char *repeat(const char *before, const char *unit, size_t count, const char *after)
{
	char *text = malloc(strlen(before) + count * strlen(unit) + strlen(after) + 1);
	char *at = stpcpy(text, before);

	while (count--)
		at = stpcpy(at, unit);
	stpcpy(at, after);
	return text;
}

static void check_repeat(const char *before, const char *unit, size_t count,
			 const char *after, const char *expected_before, size_t expected,
			 const char *expected_after)
{
	char *value = repeat(before, unit, count, after);
	char *copy = repeat(expected_before, unit, expected, expected_after);

	check_copy(value, copy);
	free(value);
	free(copy);
}

static void copies_for_the_page(void)
{
	check_copy("[null,true,-1,1.5,{\"a\":\"b\"}]",
		   "[null,true,-1,1.5,{\"a\":\"b\"}]");
	check_copy("9007199254740992", "9007199254740992");
	check_copy("18446744073709551615", "\"18446744073709551615\"");
	check_copy("-9007199254740993", "\"-9007199254740993\"");
	check_copy("{\"base64\":\"AAAA\"}", "{\"base64\":\"AAAA\"}");
	check_repeat("\"", "a", 4096, "\"", "\"", 4096, "\"");
	check_repeat("\"", "a", 4100, "\"", "{\"text\":\"", 4096, "\",\"cut_bytes\":4}");
	check_repeat("\"\xc3\xbc", "a", 4095, "\"", "{\"text\":\"\\u00FC", 4094,
		     "\",\"cut_bytes\":1}");
	check_repeat("{\"base64\":\"", "AAAA", 1025, "\"}", "{\"base64\":\"", 1024,
		     "\",\"cut_bytes\":3}");
	check_repeat("[1", ",1", 511, "]", "[1", 511, "]");
	check_repeat("[1", ",1", 600, "]", "[1", 511, ",{\"cut_items\":89}]");
	check_copy("[[[[[[[[[[[[[1]]]]]]]]]]]]]",
		   "[[[[[[[[[[[[\"[too deep for the report]\"]]]]]]]]]]]]");
}

/* The text is cut where it would be cut within a character. */
static void copies_cut_between_characters(void)
{
	char *value = repeat("\"a", "\xc3\xbc", 2048, "\"");
	char *copy = repeat("{\"text\":\"a", "\\u00FC", 2047, "\",\"cut_bytes\":2}");

	check_copy(value, copy);
	free(value);
	free(copy);
}

struct said {
	char last[256];
};

static void said(void *context, uint64_t number, const char *why)
{
	struct said *to = context;

	(void)number;
	snprintf(to->last, sizeof(to->last), "%s", why);
}

static void check_from(const char *lines, uint64_t records, const char *last,
		       const char *wrong)
{
	struct memplace place = { 0 };
	struct said bad = { 0 };
	struct from from = { .bad_line = said, .context = &bad };
	struct err err = { 0 };
	char buf[256];

	CHECK(derive(&place, lines, &from, &err) == 0);
	CHECK(from.records == records);
	CHECK_STR(bad.last, last);
	CHECK_STR(from_wrong(&from, buf, sizeof(buf)), wrong);
	memplace_clear(&place);
}

static void hostile_streams(void)
{
	check_from(HEADER END, 2, "", "");
	check_from(HEADER, 1, "", "there is no record `end`: it was cut short");
	check_from(HEADER "{\"type\":\"x\"}", 1,
		   "it does not end: the file was cut short within it",
		   "1 line is no record; there is no record `end`: it was cut short");
	check_from(HEADER "\n[]\n{\"type\":1}\n" END, 2, "no record: it has no type",
		   "3 lines are no records");
	check_from(HEADER HEADER END, 2, "a second header", "1 line is no record");
	check_from(HEADER END END, 2, "a record behind the end", "1 line is no record");
	check_from("{\"type\":\"x\"}\n" HEADER END, 2, "a header behind other records",
		   "1 line is no record; there is no header at its beginning");
	check_from("", 0, "",
		   "there is no header at its beginning; "
		   "there is no record `end`: it was cut short");
}

static void another_schema(void)
{
	struct memplace place = { 0 };
	struct from from = { 0 };
	struct err err = { 0 };

	CHECK(derive(&place, "{\"type\":\"header\",\"schema\":\"fvol-triage/2\"}\n",
		     &from, &err) < 0);
	CHECK_STR(err.text, "the header is not of schema fvol-triage/1: "
			    "another version wrote it");
	CHECK(!place.finished && place.files[0].abandoned);
	memplace_clear(&place);
}

int main(void)
{
	RUN(text_as_it_is_shown);
	RUN(times);
	RUN(lines_are_ascii);
	RUN(lines_to_a_descriptor);
	RUN(a_full_place_leaves_nothing_whole);
	RUN(bodyfile);
	RUN(timesketch);
	RUN(varc);
	RUN(copies_for_the_page);
	RUN(copies_cut_between_characters);
	RUN(hostile_streams);
	RUN(another_schema);
	return DONE();
}
