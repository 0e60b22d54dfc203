/*
 * triage: the live state of a host or a container, in one pass. Thin: what is collected,
 * in which order, and where it goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/cli.h"
#include "toolkit/lib/clijson.h"
#include "toolkit/lib/gone.h"
#include "toolkit/lib/interrupt.h"
#include "toolkit/lib/io.h"
#include "toolkit/triage/from.h"
#include "toolkit/triage/moduleviews.h"
#include "toolkit/triage/place.h"
#include "toolkit/triage/session.h"
#include "toolkit/triage/watch.h"

/* Outlives main: a thread that a read holds for ever may still look at it. */
static struct triage t;
static struct options opt;
static struct place place;

static const struct derived *const derived[] = {
	&derived_report,	 &derived_timesketch, &derived_bodyfile,
	&derived_varc_processes, &derived_varc_files,
};
#define DERIVED_COUNT (sizeof(derived) / sizeof(derived[0]))

static bool has_place(void)
{
	return opt.evidence || opt.output || opt.tar || opt.to;
}

struct part {
	const char *what; /* of which the rest is missing when it blocks; NULL: it has
			   * watchers of its own */
	int (*collect)(struct triage *, struct err *);
	unsigned only; /* when that was asked for; 0: always */
};

static int run_part(struct triage *triage, void *arg, struct err *err)
{
	return ((const struct part *)arg)->collect(triage, err);
}

static int collect_parts(const struct part *part, struct err *err)
{
	for (; part->collect && !interrupted; part++) {
		int rc;

		if (part->only && !(opt.parts & part->only))
			continue;
		rc = part->what ? watch_run(&t, part->what, run_part, (void *)part, err)
				: part->collect(&t, err);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* What needs no processes, beside them. */
struct beside {
	int rc;
	struct err err;
};

static void *collect_beside(void *arg)
{
	static const struct part parts[] = {
		{ "the task metadata", collect_task, 0 },
		{ "the rest of sessions", collect_sessions, PART_SESSIONS },
		{ "the rest of units", collect_units, PART_UNITS },
		{ "the rest of modules", collect_modules, PART_MODULES },
		{ NULL, NULL, 0 },
	};
	struct beside *beside = arg;

	beside->rc = collect_parts(parts, &beside->err);
	return NULL;
}

static int collect(char *const *arguments, struct err *err)
{
	/* Processes first: they are what changes fastest. */
	static const struct part first[] = {
		{ NULL, collect_processes, 0 },
		{ NULL, collect_hidden, 0 },
		{ NULL, NULL, 0 },
	};
	static const struct part then[] = {
		{ "the rest of network", collect_network, PART_NETWORK },
		{ "the rest of bpf", collect_bpf, PART_BPF },
		{ "the rest of mounts", collect_mounts, PART_MOUNTS },
		{ "the rest of files", collect_files, PART_FILES },
		{ NULL, collect_lost, 0 },
		{ NULL, collect_memory, 0 },
		{ NULL, NULL, 0 },
	};
	struct beside beside = { 0 };
	pthread_t thread;
	bool threaded;
	int rc;

	if (session_emit_header(&t, arguments, err) < 0)
		return -1;
	if (opt.parts & PART_MODULES)
		t.symbols = module_symbols_begin(t.procfd);
	threaded = pthread_create(&thread, NULL, collect_beside, &beside) == 0;
	rc = collect_parts(first, err);
	if (threaded)
		pthread_join(thread, NULL);
	else
		collect_beside(&beside);
	if (rc == 0 && beside.rc < 0) {
		*err = beside.err;
		rc = -1;
	}
	if (rc == 0)
		rc = collect_parts(then, err);
	return rc == 0 ? session_emit_end(&t, err) : -1;
}

static void add_digest(struct json *doc, const char *key, const uint8_t *digest)
{
	char hex[SHA256_HEX_SIZE];

	sha256_to_hex(digest, hex);
	json_add_str(doc, json_root(doc), key, hex);
}

static int print_result(struct err *err)
{
	const struct place_result *result = place_result(&place);
	struct json *doc;
	struct json_node *root;

	fprintf(stderr,
		"triage: %llu processes, %llu sockets, findings: %llu high, %llu medium, "
		"%llu low%s\n",
		(unsigned long long)t.processes, (unsigned long long)t.sockets,
		(unsigned long long)t.findings[SEVERITY_HIGH],
		(unsigned long long)t.findings[SEVERITY_MEDIUM],
		(unsigned long long)t.findings[SEVERITY_LOW],
		t.incomplete ? "; some things could not be read, and are listed" : "");
	if (!opt.json)
		return 0;
	doc = json_new();
	if (!doc)
		return err_sys(err, ENOMEM, "printing the result");
	root = json_root(doc);
	json_add_str(doc, root, "where", result->where);
	json_add_u64(doc, root, "processes", t.processes);
	json_add_u64(doc, root, "sockets", t.sockets);
	json_add_u64(doc, root, "recovered", t.recovered);
	json_add_u64(doc, root, "findings_high", t.findings[SEVERITY_HIGH]);
	json_add_u64(doc, root, "findings_medium", t.findings[SEVERITY_MEDIUM]);
	json_add_u64(doc, root, "findings_low", t.findings[SEVERITY_LOW]);
	json_add_bool(doc, root, "complete", !t.incomplete);
	json_add_u64(doc, root, "files", result->files);
	json_add_u64(doc, root, "bytes", result->bytes);
	add_digest(doc, "sha256", result->records_sha256);
	add_digest(doc, "sums_sha256", result->sums_sha256);
	add_digest(doc, "custody_head", result->custody_head);
	return cli_print_json(doc, err);
}

/* Opens the outputs. */
static int open_out(struct out **out, int lines_fd, struct err *err)
{
	if (!has_place()) {
		*out = out_new(NULL, NULL, NULL, 0, STDOUT_FILENO, err);
		return *out ? 0 : -1;
	}
	if (place_open(&place, &opt, &interrupted, err) < 0)
		return -1;
	*out = out_new(place.ops, place.arg, derived, DERIVED_COUNT, lines_fd, err);
	return *out ? 0 : -1;
}

/* Ends the outputs, whole or as what they have become. */
static int close_out(struct out *out, int rc, struct err *err)
{
	struct err again;

	if (rc == 0)
		rc = out_finish(out, err);
	out_free(out);
	if (rc < 0 && place.ops && place_fail(&place, err, &again) < 0)
		err_prefix(err, "%.200s; and before", again.text);
	return rc;
}

static int run(char *const *arguments, struct err *err)
{
	struct out *out = NULL;
	int rc = -1;

	t.opt = &opt;
	pthread_mutex_init(&t.emitting, NULL);
	if (session_open(&t, err) == 0 && open_out(&out, OUT_LINES_FILE, err) == 0) {
		t.out = out;
		rc = close_out(out, collect(arguments, err), err);
		if (rc == 0 && has_place())
			rc = print_result(err);
	}
	place_close(&place);
	session_close(&t);
	if (rc < 0)
		return err_report(err, "triage");
	return t.incomplete ? ERR_GAPS : 0;
}

static void say_bad_line(void *context, uint64_t number, const char *why)
{
	(void)context;
	fprintf(stderr, "triage: line %llu: %s\n", (unsigned long long)number, why);
}

/* The other outputs once more, of records that are there. */
static int run_from(struct err *err)
{
	struct from from = { .bad_line = say_bad_line };
	struct out *out = NULL;
	char why[160] = "";
	int rc = -1, fd = open(opt.from, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		err_sys(err, errno, "opening %.300s", opt.from);
	else if (open_out(&out, OUT_LINES_NONE, err) == 0)
		rc = close_out(out, from_read(fd, out, &from, err), err);
	place_close(&place);
	io_close(&fd);
	if (rc < 0)
		return err_report(err, "triage");
	from_wrong(&from, why, sizeof(why));
	if (why[0])
		fprintf(stderr, "triage: %s\n", why);
	return why[0] ? ERR_GAPS : 0;
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	int code = options_parse(argc, argv, &opt);

	if (code < 0) {
		gone_guard("triage");
		interrupt_catch();
		code = opt.from ? run_from(&err) : run(argv + 1, &err);
	}
	if (io_close_stdout(&err) < 0)
		return err_report(&err, "triage");
	return code;
}
