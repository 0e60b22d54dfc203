/*
 * timesketch.jsonl: everything that has a time, an event a line, with what Timesketch
 * asks of each (https://timesketch.org/guides/user/import-from-json-csv/): message,
 * datetime, timestamp_desc. timestamp_desc and data_type are Plaso's words where it has
 * any, so that its searches find ours too. Texts are as text.h shows them; the bytes
 * themselves are in triage.jsonl.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "toolkit/triage/out.h"
#include "toolkit/triage/text.h"

/* Of one attribute. OpenSearch refuses a term over 32,766 bytes; \xHH is four to one. */
#define ATTRIBUTE_MAX_BYTES 4096

struct timesketch {
	struct text_file to;
	struct text scratch; /* an attribute, a message */
	char *hostname;	     /* shown; NULL before the header */
	int64_t taken_ns;    /* the header's time */
	bool begun;	     /* there was a header with a time */
};

static int timesketch_begin(void **state, struct out_file *file,
			    const struct place_ops *ops, struct err *err)
{
	struct timesketch *ts = calloc(1, sizeof(*ts));

	*state = ts;
	if (!ts)
		return err_sys(err, ENOMEM, "making the output");
	ts->to.file = file;
	ts->to.ops = ops;
	return 0;
}

/* The scratch text as a string; "" when it is empty. It starts anew with the next. */
static const char *scratch(struct timesketch *ts)
{
	const char *string = ts->scratch.len ? ts->scratch.data : "";

	ts->scratch.len = 0;
	return string;
}

/* An event; message is in the scratch text. NULL with err. */
static struct json *event(struct timesketch *ts, int64_t ns, const char *desc,
			  const char *data_type, struct err *err)
{
	struct json *doc = json_new();
	/* Down to the second, also before 1970. */
	time_t seconds = (time_t)(ns / 1000000000 - (ns % 1000000000 < 0));
	int microseconds = (int)((ns - (int64_t)seconds * 1000000000) / 1000);
	struct tm tm;
	char text[64];
	struct json_node *root;

	if (!doc) {
		err_sys(err, ENOMEM, "making an event");
		return NULL;
	}
	root = json_root(doc);
	gmtime_r(&seconds, &tm);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%06d+00:00",
		 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		 tm.tm_sec, microseconds);
	json_add_str(doc, root, "message", scratch(ts));
	json_add_str(doc, root, "datetime", text);
	json_add_str(doc, root, "timestamp_desc", desc);
	json_add_str(doc, root, "data_type", data_type);
	if (ts->hostname)
		json_add_str(doc, root, "hostname", ts->hostname);
	return doc;
}

static int event_done(struct timesketch *ts, struct json *doc, struct err *err)
{
	int rc = -1;

	if (ts->scratch.failed)
		json_fail(doc);
	rc = text_line(&ts->to, doc, err);
	json_free(doc);
	return rc;
}

static void add_text(struct timesketch *ts, struct json *doc, const char *name,
		     const struct json_value *value)
{
	if (!text_is(value))
		return;
	text_show(&ts->scratch, value, ATTRIBUTE_MAX_BYTES, "");
	json_add_str(doc, json_root(doc), name, scratch(ts));
}

static void add_number(struct json *doc, const char *name, const struct json_value *value)
{
	int64_t number;

	/* A long of OpenSearch. */
	if (json_i64(value, &number))
		json_add_i64(doc, json_root(doc), name, number);
}

static void add_true(struct json *doc, const char *name, const struct json_value *value)
{
	if (json_true(value))
		json_add_bool(doc, json_root(doc), name, true);
}

static int put_argument(void *context, const struct json_value *value)
{
	struct text *text = context;

	if (text->len)
		text_puts(text, " ");
	text_show(text, value, ATTRIBUTE_MAX_BYTES, "");
	return text->len > ATTRIBUTE_MAX_BYTES || text->failed;
}

/* The arguments with blanks between them, as far as they are of use in one line. */
static void put_command(struct text *text, const struct json_value *argv)
{
	struct text command = { 0 };

	if (json_each_item(argv, put_argument, &command))
		text_puts(&command, " [cut]");
	text->failed |= command.failed;
	text_put(text, command.data, command.len);
	text_free(&command);
}

static int on_header(struct timesketch *ts, const struct json_value *record,
		     struct err *err)
{
	int64_t boot_ns;
	struct json *doc;

	if (ts->begun || !text_time(json_get(record, "time"), &ts->taken_ns))
		return 0;
	ts->begun = true;
	text_show(&ts->scratch, json_get(record, "hostname"), 256, "");
	ts->hostname = strdup(scratch(ts));
	if (!ts->hostname)
		return err_sys(err, ENOMEM, "making an event");
	text_printf(&ts->scratch, "triage of %s began", ts->hostname);
	doc = event(ts, ts->taken_ns, "Triage Time", "fvol:triage:header", err);
	if (!doc)
		return -1;
	add_text(ts, doc, "instance", json_get(record, "instance"));
	add_text(ts, doc, "kernel", json_get(record, "release"));
	add_text(ts, doc, "boot_id", json_get(record, "boot_id"));
	if (event_done(ts, doc, err) < 0)
		return -1;
	if (!text_time(json_get(record, "boot_time"), &boot_ns))
		return 0;
	text_printf(&ts->scratch, "%s booted", ts->hostname);
	doc = event(ts, boot_ns, "System Boot Time", "fvol:triage:boot", err);
	return doc ? event_done(ts, doc, err) : -1;
}

static int on_process(struct timesketch *ts, const struct json_value *record,
		      struct err *err)
{
	const struct json_value *exe = json_get(record, "exe");
	const struct json_value *container = json_get(record, "container");
	uint64_t pid = 0;
	struct json *doc;
	int64_t ns;

	if (!text_time(json_get(record, "start"), &ns))
		return 0;
	json_u64(json_get(record, "pid"), &pid);
	text_printf(&ts->scratch, "process %" PRIu64 " (", pid);
	text_show(&ts->scratch, json_get(record, "comm"), 64, "");
	text_puts(&ts->scratch, ") started: ");
	put_command(&ts->scratch, json_get(record, "argv"));
	doc = event(ts, ns, "Start Time", "fvol:triage:process", err);
	if (!doc)
		return -1;
	add_number(doc, "pid", json_get(record, "pid"));
	add_number(doc, "ppid", json_get(record, "ppid"));
	add_number(doc, "uid", json_at(json_get(record, "uid"), 0));
	add_number(doc, "loginuid", json_get(record, "loginuid"));
	add_text(ts, doc, "comm", json_get(record, "comm"));
	put_command(&ts->scratch, json_get(record, "argv"));
	json_add_str(doc, json_root(doc), "command_line", scratch(ts));
	add_text(ts, doc, "cwd", json_get(record, "cwd"));
	add_text(ts, doc, "path", json_get(exe, "path"));
	add_text(ts, doc, "sha256", json_get(exe, "sha256"));
	add_true(doc, "deleted", json_get(exe, "deleted"));
	add_true(doc, "memfd", json_get(exe, "memfd"));
	add_true(doc, "kernel_thread", json_get(record, "kernel_thread"));
	add_text(ts, doc, "container_runtime", json_get(container, "runtime"));
	add_text(ts, doc, "container_id", json_get(container, "id"));
	add_text(ts, doc, "task", json_get(container, "task"));
	add_text(ts, doc, "pod", json_get(container, "pod"));
	return event_done(ts, doc, err);
}

static int on_file(struct timesketch *ts, const struct json_value *record,
		   struct err *err)
{
	static const struct {
		const char *member, *desc, *what;
	} times[] = {
		{ "atime", "Last Access Time", "read" },
		{ "mtime", "Content Modification Time", "written" },
		{ "ctime", "Metadata Modification Time", "changed" },
		{ "btime", "Creation Time", "made" },
	};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct json *doc;
		int64_t ns;

		if (!text_time(json_get(record, times[i].member), &ns))
			continue;
		text_printf(&ts->scratch, "file %s: ", times[i].what);
		text_show(&ts->scratch, json_get(record, "path"), ATTRIBUTE_MAX_BYTES,
			  "");
		doc = event(ts, ns, times[i].desc, "fvol:triage:file", err);
		if (!doc)
			return -1;
		add_text(ts, doc, "path", json_get(record, "path"));
		add_text(ts, doc, "sha256", json_get(record, "sha256"));
		add_text(ts, doc, "dev", json_get(record, "dev"));
		add_text(ts, doc, "mode", json_get(record, "mode"));
		add_number(doc, "inode", json_get(record, "inode"));
		add_number(doc, "size", json_get(record, "size"));
		add_number(doc, "uid", json_get(record, "uid"));
		add_true(doc, "deleted", json_get(record, "deleted"));
		if (event_done(ts, doc, err) < 0)
			return -1;
	}
	return 0;
}

static int on_session(struct timesketch *ts, const struct json_value *record,
		      struct err *err)
{
	struct json *doc;
	int64_t ns;

	if (!text_time(json_get(record, "time"), &ns))
		return 0;
	text_puts(&ts->scratch, "session of ");
	text_show(&ts->scratch, json_get(record, "user"), 256, "");
	text_puts(&ts->scratch, " on ");
	text_show(&ts->scratch, json_get(record, "line"), 256, "");
	if (text_is(json_get(record, "host"))) {
		text_puts(&ts->scratch, " from ");
		text_show(&ts->scratch, json_get(record, "host"), 256, "");
	}
	doc = event(ts, ns, "Login Time", "fvol:triage:session", err);
	if (!doc)
		return -1;
	add_text(ts, doc, "username", json_get(record, "user"));
	add_text(ts, doc, "terminal", json_get(record, "line"));
	add_text(ts, doc, "source_host", json_get(record, "host"));
	add_text(ts, doc, "source_ip", json_get(record, "address"));
	add_number(doc, "pid", json_get(record, "pid"));
	return event_done(ts, doc, err);
}

static int on_bpf(struct timesketch *ts, const struct json_value *record, struct err *err)
{
	struct json *doc;
	int64_t ns;

	if (!text_time(json_get(record, "loaded"), &ns))
		return 0;
	text_puts(&ts->scratch, "BPF ");
	text_show(&ts->scratch, json_get(record, "kind"), 64, "");
	text_puts(&ts->scratch, " loaded: ");
	text_show(&ts->scratch, json_get(record, "program_type"), 64, "");
	text_puts(&ts->scratch, " ");
	text_show(&ts->scratch, json_get(record, "name"), 64, "");
	doc = event(ts, ns, "Loaded Time", "fvol:triage:bpf", err);
	if (!doc)
		return -1;
	add_number(doc, "bpf_id", json_get(record, "id"));
	add_text(ts, doc, "bpf_name", json_get(record, "name"));
	add_text(ts, doc, "bpf_tag", json_get(record, "tag"));
	add_text(ts, doc, "bpf_type", json_get(record, "program_type"));
	add_number(doc, "uid", json_get(record, "uid"));
	return event_done(ts, doc, err);
}

static int on_unit(struct timesketch *ts, const struct json_value *record,
		   struct err *err)
{
	struct json *doc;
	int64_t ns;

	if (!text_time(json_get(record, "mtime"), &ns))
		return 0;
	text_show(&ts->scratch, json_get(record, "kind"), 64, "");
	text_puts(&ts->scratch, " written: ");
	text_show(&ts->scratch, json_get(record, "path"), ATTRIBUTE_MAX_BYTES, "");
	doc = event(ts, ns, "Content Modification Time", "fvol:triage:unit", err);
	if (!doc)
		return -1;
	add_text(ts, doc, "path", json_get(record, "path"));
	add_text(ts, doc, "unit_kind", json_get(record, "kind"));
	put_command(&ts->scratch, json_get(record, "lines"));
	json_add_str(doc, json_root(doc), "lines", scratch(ts));
	return event_done(ts, doc, err);
}

/* A finding has no time of its own: it was true when triage ran. */
static int on_finding(struct timesketch *ts, const struct json_value *record,
		      struct err *err)
{
	const struct json_value *subject = json_get(record, "subject");
	const struct json_value *kind = json_get(record, "kind");
	const struct json_value *severity = json_get(record, "severity");
	struct json_node *tags;
	struct json *doc;

	if (!ts->begun)
		return 0;
	text_puts(&ts->scratch, "finding (");
	text_show(&ts->scratch, severity, 64, "");
	text_puts(&ts->scratch, ") ");
	text_show(&ts->scratch, kind, 64, "");
	text_puts(&ts->scratch, ": ");
	text_show(&ts->scratch, json_get(record, "text"), ATTRIBUTE_MAX_BYTES, "");
	doc = event(ts, ts->taken_ns, "Triage Time", "fvol:triage:finding", err);
	if (!doc)
		return -1;
	add_text(ts, doc, "finding", kind);
	add_text(ts, doc, "severity", severity);
	add_number(doc, "pid", json_get(subject, "pid"));
	add_text(ts, doc, "path", json_get(subject, "path"));
	add_text(ts, doc, "module", json_get(subject, "module"));
	/* Timesketch shows these as labels. */
	tags = json_add_array(doc, json_root(doc), "tag");
	text_puts(&ts->scratch, "fvol-");
	text_show(&ts->scratch, severity, 64, "");
	json_add_str(doc, tags, NULL, scratch(ts));
	return event_done(ts, doc, err);
}

static int timesketch_record(void *state, const char *type,
			     const struct json_value *record, const char *line,
			     size_t line_len, struct err *err)
{
	static const struct {
		const char *type;
		int (*on)(struct timesketch *ts, const struct json_value *record,
			  struct err *err);
	} types[] = {
		{ "header", on_header },   { "process", on_process }, { "file", on_file },
		{ "session", on_session }, { "bpf", on_bpf },	      { "unit", on_unit },
		{ "finding", on_finding },
	};

	(void)line;
	(void)line_len;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i].type) == 0)
			return types[i].on(state, record, err);
	return 0;
}

static int timesketch_end(void *state, struct err *err)
{
	struct timesketch *ts = state;

	return text_flush(&ts->to, err);
}

static void timesketch_free(void *state)
{
	struct timesketch *ts = state;

	if (!ts)
		return;
	text_free(&ts->to.text);
	text_free(&ts->scratch);
	free(ts->hostname);
	free(ts);
}

const struct derived derived_timesketch = {
	.name = "timesketch.jsonl",
	.begin = timesketch_begin,
	.record = timesketch_record,
	.end = timesketch_end,
	.free = timesketch_free,
};
