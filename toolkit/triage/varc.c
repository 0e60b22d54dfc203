/*
 * processes.json and open_files.json, as varc (cado-security) writes them: a table in an
 * envelope, {"format":"CadoJsonTable","rows":[...]}, its columns by its names and in its
 * forms (what psutil gives), so that what reads varc's evidence reads ours.
 *
 * A row has the connections of its process, which come long after it. Rows are therefore
 * held until the end, their paths, most of which many processes share, once each: ten
 * thousand processes take about five megabytes. When there is more than a bound the rows
 * are written as they are and the table says so.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "toolkit/triage/out.h"
#include "toolkit/triage/text.h"

#define HELD_MAX_BYTES (size_t)(12 * 1024 * 1024)
#define COMMAND_MAX_BYTES (size_t)(64 * 1024)
#define TABLE_ROOM (size_t)(64 * 1024)
#define PROBES 16

struct row {
	uint64_t start_ticks;
	int64_t start_ns;
	uint32_t pid, ppid, uid;
	/* Offsets in strings; 0: the empty one. */
	uint32_t name, exe, command;
	uint32_t paths_at; /* of the pool: first open, then mapped files */
	uint32_t open_count, mapped_count;
	bool has_exe, has_uid, has_start;
	char state;
};

struct connection {
	uint64_t start_ticks;
	uint32_t pid, text;
};

struct varc {
	struct text_file to;
	struct text strings; /* one after the other, each ended by a NUL */
	uint32_t *table;     /* of offsets, by hash */
	struct row *rows;
	size_t row_count, row_room;
	struct connection *connections;
	size_t connection_count, connection_room;
	uint32_t *pool;
	size_t pool_count, pool_room;
	double taken_s; /* the header's time */
	bool any;	/* a row was written */
	bool early;	/* rows were written before all connections were known */
	bool failed;
	struct text scratch;
};

static const char ENVELOPE[] = "{\"format\":\"CadoJsonTable\",\"rows\":[";

/* Makes room for one more; false when memory is out. */
static bool grow(struct varc *varc, void *items, size_t count, size_t *room, size_t size)
{
	void **at = items;
	size_t more = *room ? *room * 2 : 64;
	void *larger;

	if (count < *room)
		return true;
	larger = more > SIZE_MAX / size ? NULL : realloc(*at, more * size);
	if (!larger) {
		varc->failed = true;
		return false;
	}
	*at = larger;
	*room = more;
	return true;
}

static uint32_t keep(struct varc *varc, const char *string, size_t len)
{
	size_t offset = varc->strings.len;

	text_put(&varc->strings, string, len);
	text_put(&varc->strings, "", 1);
	if (offset > UINT32_MAX || varc->strings.failed) {
		varc->failed = true;
		return 0;
	}
	return (uint32_t)offset;
}

/* The offset of a string that is kept once. Names chosen to collide are kept again. */
static uint32_t keep_once(struct varc *varc, const char *string, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325;
	uint32_t offset;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)string[i]) * 0x100000001b3;
	hash ^= hash >> 32;
	for (size_t i = 0; i < PROBES; i++) {
		uint32_t *slot = &varc->table[(hash + i) % TABLE_ROOM];

		if (!*slot)
			return *slot = keep(varc, string, len);
		if (strcmp(varc->strings.data + *slot, string) == 0)
			return *slot;
	}
	offset = keep(varc, string, len);
	varc->table[hash % TABLE_ROOM] = offset;
	return offset;
}

/* What is in the scratch text, which starts anew. */
static uint32_t keep_scratch(struct varc *varc, bool once)
{
	struct text *text = &varc->scratch;
	size_t len = text->len;

	varc->failed |= text->failed;
	text->len = 0;
	if (!len || varc->failed)
		return 0;
	return once ? keep_once(varc, text->data, len) : keep(varc, text->data, len);
}

/* Into the scratch text; a file that has no name any more says so, once. */
static void show_path(struct varc *varc, const struct json_value *file,
		      const char *member)
{
	static const char suffix[] = " (deleted)";
	const size_t suffix_len = sizeof(suffix) - 1;
	struct text *text = &varc->scratch;

	text_show(text, json_get(file, member), COMMAND_MAX_BYTES, "");
	if (!text->len || text->failed || !json_true(json_get(file, "deleted")))
		return;
	if (text->len < suffix_len ||
	    strcmp(text->data + text->len - suffix_len, suffix) != 0)
		text_puts(text, suffix);
}

static uint32_t keep_path(struct varc *varc, const struct json_value *file,
			  const char *member)
{
	show_path(varc, file, member);
	return keep_scratch(varc, true);
}

static void pool_add(struct varc *varc, uint32_t string)
{
	if (string && grow(varc, &varc->pool, varc->pool_count, &varc->pool_room,
			   sizeof(*varc->pool)))
		varc->pool[varc->pool_count++] = string;
}

static int add_open(void *context, const struct json_value *fd)
{
	const char *kind = json_str(json_get(fd, "kind"));

	/* psutil: regular files, no sockets, pipes, devices. */
	if (kind && strcmp(kind, "file") == 0)
		pool_add(context, keep_path(context, fd, "target"));
	return 0;
}

static int add_mapped(void *context, const struct json_value *file)
{
	pool_add(context, keep_path(context, file, "path"));
	return 0;
}

static int put_argument(void *context, const struct json_value *value)
{
	struct varc *varc = context;

	if (varc->scratch.len)
		text_puts(&varc->scratch, " ");
	text_show(&varc->scratch, value, COMMAND_MAX_BYTES, "");
	return varc->scratch.len > COMMAND_MAX_BYTES || varc->scratch.failed;
}

/*
 * As psutil: the kernel keeps 15 bytes of a name; when the program's own name, by its
 * first argument, begins with them, that is the name.
 */
static uint32_t keep_name(struct varc *varc, const struct json_value *record)
{
	size_t comm_len, arg_len;
	char *owned, *arg_owned;
	const char *comm = text_bytes(json_get(record, "comm"), &comm_len, &owned);
	const char *arg =
		text_bytes(json_at(json_get(record, "argv"), 0), &arg_len, &arg_owned);
	const char *slash = arg ? memrchr(arg, '/', arg_len) : NULL;

	if (slash) {
		arg_len -= (size_t)(slash + 1 - arg);
		arg = slash + 1;
	}
	if (comm && comm_len >= 15 && arg && arg_len > comm_len &&
	    memcmp(arg, comm, comm_len) == 0)
		text_shown(&varc->scratch, arg, arg_len, 4096, "");
	else if (comm)
		text_shown(&varc->scratch, comm, comm_len, 4096, "");
	free(owned);
	free(arg_owned);
	return keep_scratch(varc, true);
}

static uint32_t number(const struct json_value *value, bool *is)
{
	uint64_t wide;

	*is = json_u64(value, &wide) && wide <= UINT32_MAX;
	return *is ? (uint32_t)wide : 0;
}

static void on_process(struct varc *varc, const struct json_value *record)
{
	const struct json_value *exe = json_get(record, "exe");
	const char *state = json_str(json_get(record, "state"));
	struct row row = { .paths_at = (uint32_t)varc->pool_count };
	bool is;

	row.pid = number(json_get(record, "pid"), &is);
	row.ppid = number(json_get(record, "ppid"), &is);
	row.uid = number(json_at(json_get(record, "uid"), 0), &row.has_uid);
	json_u64(json_get(record, "start_ticks"), &row.start_ticks);
	row.has_start = text_time(json_get(record, "start"), &row.start_ns);
	row.state = state ? state[0] : '\0';
	row.name = keep_name(varc, record);
	row.has_exe = text_is(json_get(exe, "path")) ||
		      json_true(json_get(record, "kernel_thread"));
	row.exe = keep_path(varc, exe, "path");
	if (json_each_item(json_get(record, "argv"), put_argument, varc))
		text_puts(&varc->scratch, " [cut]");
	row.command = keep_scratch(varc, false);
	json_each_item(json_get(record, "fds"), add_open, varc);
	row.open_count = (uint32_t)(varc->pool_count - row.paths_at);
	json_each_item(json_get(json_get(record, "maps"), "files"), add_mapped, varc);
	row.mapped_count = (uint32_t)(varc->pool_count - row.paths_at - row.open_count);
	if (grow(varc, &varc->rows, varc->row_count, &varc->row_room, sizeof(row)))
		varc->rows[varc->row_count++] = row;
}

struct held_socket {
	struct varc *varc;
	uint32_t text;
};

static int add_owner(void *context, const struct json_value *owner)
{
	struct held_socket *held = context;
	struct varc *varc = held->varc;
	struct connection connection = { .text = held->text };
	bool is;

	connection.pid = number(json_get(owner, "pid"), &is);
	json_u64(json_get(owner, "start_ticks"), &connection.start_ticks);
	if (is && grow(varc, &varc->connections, varc->connection_count,
		       &varc->connection_room, sizeof(connection)))
		varc->connections[varc->connection_count++] = connection;
	return 0;
}

/* Those with two ends, as varc: "TIME ADDRESS PORT ADDRESS PORT". */
static void on_socket(struct varc *varc, const struct json_value *record)
{
	const struct json_value *local = json_get(record, "local");
	const struct json_value *remote = json_get(record, "remote");
	struct held_socket held = { .varc = varc };
	uint64_t local_port, remote_port;

	if (!json_len(json_get(record, "owners")) ||
	    !json_u64(json_get(local, "port"), &local_port) ||
	    !json_u64(json_get(remote, "port"), &remote_port) || !remote_port)
		return;
	text_printf(&varc->scratch, "%.6f ", varc->taken_s);
	text_show(&varc->scratch, json_get(local, "address"), 64, "");
	text_printf(&varc->scratch, " %" PRIu64 " ", local_port);
	text_show(&varc->scratch, json_get(remote, "address"), 64, "");
	text_printf(&varc->scratch, " %" PRIu64, remote_port);
	held.text = keep_scratch(varc, false);
	json_each_item(json_get(record, "owners"), add_owner, &held);
}

static int by_process(const void *a, const void *b)
{
	const struct connection *one = a, *two = b;

	if (one->pid != two->pid)
		return one->pid < two->pid ? -1 : 1;
	if (one->start_ticks != two->start_ticks)
		return one->start_ticks < two->start_ticks ? -1 : 1;
	return one->text < two->text ? -1 : one->text > two->text;
}

static const char *string(const struct varc *varc, uint32_t offset)
{
	return offset ? varc->strings.data + offset : "";
}

/* psutil's words for the letters of /proc/PID/stat. */
static const char *status(char letter)
{
	switch (letter) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'D':
		return "disk-sleep";
	case 'T':
		return "stopped";
	case 't':
		return "tracing-stop";
	case 'Z':
		return "zombie";
	case 'X':
	case 'x':
		return "dead";
	case 'K':
		return "wake-kill";
	case 'W':
		return "waking";
	case 'I':
		return "idle";
	case 'P':
		return "parked";
	default:
		return "?";
	}
}

static void add_paths(struct varc *varc, struct json *doc, const char *column,
		      uint32_t from, uint32_t count, const char *between)
{
	varc->scratch.len = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (i)
			text_puts(&varc->scratch, between);
		text_puts(&varc->scratch, string(varc, varc->pool[from + i]));
	}
	json_add_strn(doc, json_root(doc), column,
		      varc->scratch.len ? varc->scratch.data : "", varc->scratch.len);
	varc->scratch.len = 0;
}

static void add_connections(struct varc *varc, struct json *doc, const struct row *row)
{
	struct connection first = { .pid = row->pid, .start_ticks = row->start_ticks };
	size_t low = 0, high = varc->connection_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_process(&varc->connections[middle], &first) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	varc->scratch.len = 0;
	for (size_t i = low; i < varc->connection_count; i++) {
		const struct connection *at = &varc->connections[i];

		if (at->pid != row->pid || at->start_ticks != row->start_ticks)
			break;
		if (i > low && at->text == at[-1].text)
			continue; /* the same socket by two descriptors */
		if (i > low)
			text_puts(&varc->scratch, "\r\n");
		text_puts(&varc->scratch, string(varc, at->text));
	}
	json_add_strn(doc, json_root(doc), "Connections",
		      varc->scratch.len ? varc->scratch.data : "", varc->scratch.len);
	varc->scratch.len = 0;
}

static int put_row(struct varc *varc, const struct row *row, struct err *err)
{
	struct json *doc = json_new();
	time_t seconds = (time_t)(row->start_ns / 1000000000);
	char text[32] = "";
	struct json_node *root;
	struct tm tm;
	int rc;

	if (!doc)
		return err_sys(err, ENOMEM, "making a row");
	root = json_root(doc);
	json_add_u64(doc, root, "Process ID", row->pid);
	json_add_str(doc, root, "Name", string(varc, row->name));
	/* psutil says the number, too, when it finds no name for it. */
	snprintf(text, sizeof(text), "%" PRIu32, row->uid);
	if (row->has_uid)
		json_add_str(doc, root, "Username", text);
	else
		json_add_null(doc, root, "Username");
	json_add_str(doc, root, "Status", status(row->state));
	if (row->has_exe)
		json_add_str(doc, root, "Executable Path", string(varc, row->exe));
	else
		json_add_null(doc, root, "Executable Path");
	json_add_str(doc, root, "Command", string(varc, row->command));
	json_add_u64(doc, root, "Parent ID", row->ppid);
	if (row->has_start) {
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S",
			 gmtime_r(&seconds, &tm));
		json_add_str(doc, root, "Creation Time", text);
	} else {
		json_add_null(doc, root, "Creation Time");
	}
	add_paths(varc, doc, "Open Files", row->paths_at, row->open_count, " ");
	add_connections(varc, doc, row);
	add_paths(varc, doc, "Mapped Filepaths", row->paths_at + row->open_count,
		  row->mapped_count, ",");
	text_puts(&varc->to.text, varc->any ? "," : "\n");
	varc->any = true;
	rc = text_line(&varc->to, doc, err);
	json_free(doc);
	return rc;
}

static bool out_of_memory(const struct varc *varc)
{
	return varc->failed || varc->strings.failed || varc->scratch.failed;
}

/* Writes the rows that are held, and holds none. */
static int put_rows(struct varc *varc, struct err *err)
{
	if (out_of_memory(varc))
		return err_sys(err, ENOMEM, "making the table");
	if (varc->connection_count)
		qsort(varc->connections, varc->connection_count,
		      sizeof(*varc->connections), by_process);
	for (size_t i = 0; i < varc->row_count; i++)
		if (put_row(varc, &varc->rows[i], err) < 0)
			return -1;
	varc->row_count = varc->connection_count = varc->pool_count = 0;
	memset(varc->table, 0, TABLE_ROOM * sizeof(*varc->table));
	varc->strings.len = 1;
	return 0;
}

static size_t held_bytes(const struct varc *varc)
{
	return varc->strings.len + varc->row_count * sizeof(*varc->rows) +
	       varc->connection_count * sizeof(*varc->connections) +
	       varc->pool_count * sizeof(*varc->pool);
}

static void varc_free(void *state)
{
	struct varc *varc = state;

	if (!varc)
		return;
	text_free(&varc->to.text);
	text_free(&varc->strings);
	text_free(&varc->scratch);
	free(varc->table);
	free(varc->rows);
	free(varc->connections);
	free(varc->pool);
	free(varc);
}

static int varc_begin(void **state, struct out_file *file, const struct place_ops *ops,
		      struct err *err)
{
	struct varc *varc = calloc(1, sizeof(*varc));

	*state = varc;
	if (!varc)
		return err_sys(err, ENOMEM, "making the output");
	varc->to.file = file;
	varc->to.ops = ops;
	varc->table = calloc(TABLE_ROOM, sizeof(*varc->table));
	if (!varc->table)
		return err_sys(err, ENOMEM, "making the output");
	keep(varc, "", 0); /* offset 0 */
	text_puts(&varc->to.text, ENVELOPE);
	return 0;
}

static int processes_record(void *state, const char *type,
			    const struct json_value *record, const char *line,
			    size_t line_len, struct err *err)
{
	struct varc *varc = state;
	int64_t ns;

	(void)line;
	(void)line_len;
	if (strcmp(type, "header") == 0 && text_time(json_get(record, "time"), &ns))
		varc->taken_s = (double)ns / 1e9;
	else if (strcmp(type, "process") == 0)
		on_process(varc, record);
	else if (strcmp(type, "socket") == 0)
		on_socket(varc, record);
	if (out_of_memory(varc))
		return err_sys(err, ENOMEM, "making the table");
	if (held_bytes(varc) < HELD_MAX_BYTES)
		return 0;
	varc->early = true;
	return put_rows(varc, err);
}

static int processes_end(void *state, struct err *err)
{
	struct varc *varc = state;

	if (put_rows(varc, err) < 0)
		return -1;
	text_puts(&varc->to.text, "]");
	if (varc->early)
		text_puts(&varc->to.text,
			  ",\"note\":\"too many processes to hold: "
			  "connections may be missing, all are in triage.jsonl\"");
	text_puts(&varc->to.text, "}\n");
	return text_flush(&varc->to, err);
}

const struct derived derived_varc_processes = {
	.name = "processes.json",
	.begin = varc_begin,
	.record = processes_record,
	.end = processes_end,
	.free = varc_free,
};

/* The files that processes run, map or have open: each is a record of its own already. */
static int files_record(void *state, const char *type, const struct json_value *record,
			const char *line, size_t line_len, struct err *err)
{
	struct varc *varc = state;
	struct json *doc;
	int rc;

	(void)line;
	(void)line_len;
	if (strcmp(type, "file") != 0 || !text_is(json_get(record, "path")))
		return 0;
	doc = json_new();
	if (!doc)
		return err_sys(err, ENOMEM, "making a row");
	show_path(varc, record, "path");
	json_add_strn(doc, json_root(doc), "Open File",
		      varc->scratch.len ? varc->scratch.data : "", varc->scratch.len);
	varc->scratch.len = 0;
	text_puts(&varc->to.text, varc->any ? "," : "\n");
	varc->any = true;
	rc = varc->scratch.failed ? err_sys(err, ENOMEM, "making a row")
				  : text_line(&varc->to, doc, err);
	json_free(doc);
	return rc;
}

static int files_end(void *state, struct err *err)
{
	struct varc *varc = state;

	text_puts(&varc->to.text, "]}\n");
	return text_flush(&varc->to, err);
}

const struct derived derived_varc_files = {
	.name = "open_files.json",
	.begin = varc_begin,
	.record = files_record,
	.end = files_end,
	.free = varc_free,
};
