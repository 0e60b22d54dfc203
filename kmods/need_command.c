/* The command line of `kmods need`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmods/commands.h"
#include "kmods/jobs.h"
#include "kmods/need.h"
#include "kmods/options.h"
#include "kmods/spawn.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/clijson.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"

#define KERNELS_MAX 256

struct need {
	const char *catalogue, *from, *arch, *lock_path, *list, *ca, *offline, *jobs;
	bool json, tested, build;
	struct build_options options;
	struct lock lock; /* of a lock file, and what a list's sources offer */
	struct transport *transport;
	struct need_kernel *kernels;
	size_t count;
};

static bool is_record(const char *operand)
{
	size_t len = strlen(operand);

	return strchr(operand, '/') ||
	       (len > 5 && strcmp(operand + len - 5, ".json") == 0);
}

static int add_kernel(struct need *n, const char *what, bool record, struct err *err)
{
	struct need_kernel kernel;

	if (n->count == KERNELS_MAX)
		return err_set(err, ERR_FAILED, "more than %d kernels", KERNELS_MAX);
	if ((record ? need_from_record(what, &kernel, err)
		    : need_from_release(what, n->arch, &kernel, err)) < 0) {
		if (record)
			return -1;
		/* Here it is an argument, in a record it is what somebody wrote. */
		err->kind = ERR_USAGE;
		return err_prefix(err, "\"%s\"", what);
	}
	for (size_t i = 0; i < n->count; i++) {
		if (memcmp(&n->kernels[i], &kernel, sizeof(kernel)) == 0)
			return 0;
	}
	n->kernels[n->count++] = kernel;
	return 0;
}

/* Which packages would give it, by the lock, or by how Debian and Ubuntu name them. */
static void print_packages(const struct need *n, const struct need_kernel *k)
{
	if (!need_has_packages(&n->lock, k)) {
		printf("  %s; Debian and Ubuntu name its packages linux-headers-%s and "
		       "linux-image-%s\n",
		       n->lock_path || n->list
			       ? "neither lock file nor list has packages for it"
			       : "no lock file and no list was given",
		       k->release, k->release);
		return;
	}
	for (size_t i = 0; i < n->lock.count; i++) {
		const struct lock_package *p = &n->lock.packages[i];

		if (need_is_of(p, k))
			printf("  %s %s %s\n", p->package.name, p->package.version,
			       p->package.sha256);
	}
}

static void add_packages(const struct need *n, const struct need_kernel *k,
			 struct json *doc, struct json_node *in)
{
	struct json_node *list = json_add_array(doc, in, "packages");

	for (size_t i = 0; i < n->lock.count; i++) {
		const struct lock_package *p = &n->lock.packages[i];
		struct json_node *o;

		if (!need_is_of(p, k))
			continue;
		o = json_add_object(doc, list, NULL);
		json_add_str(doc, o, "name", p->package.name);
		json_add_str(doc, o, "version", p->package.version);
		json_add_str(doc, o, "sha256", p->package.sha256);
	}
}

static bool is_missing(const struct need *n, const struct need_verdict *v)
{
	return v->state == NEED_MISSING || v->state == NEED_WRONG ||
	       (v->state == NEED_UNTESTED && n->tested);
}

static void print_kernel(const struct need *n, const struct need_kernel *k,
			 const struct need_verdict *v)
{
	printf("%s %s: %s", k->arch, k->release, need_state_name(v->state));
	if (v->why[0]) {
		fputs(": ", stdout);
		cli_put_text(stdout, v->why);
	}
	putchar('\n');
	if (v->state == NEED_MISSING || v->state == NEED_WRONG)
		print_packages(n, k);
}

static void add_json(const struct need *n, const struct need_kernel *k,
		     const struct need_verdict *v, struct json *doc,
		     struct json_node *list)
{
	struct json_node *o = json_add_object(doc, list, NULL);

	json_add_str(doc, o, "arch", k->arch);
	json_add_str(doc, o, "release", k->release);
	json_add_str(doc, o, "build_id", k->build_id);
	json_add_str(doc, o, "state", need_state_name(v->state));
	json_add_str(doc, o, "reason", v->why);
	if (v->state == NEED_MISSING || v->state == NEED_WRONG)
		add_packages(n, k, doc, o);
}

/* Tells how each kernel stands. Returns how many have no module, or -1. */
static int tell(const struct need *n, struct err *err)
{
	struct json *doc = n->json ? json_new() : NULL;
	struct json_node *list = NULL;
	int missing = 0;

	if (n->json && !doc)
		return err_set(err, ERR_FAILED, "out of memory");
	if (doc)
		list = json_add_array(doc, json_root(doc), "kernels");
	for (size_t i = 0; i < n->count; i++) {
		struct need_verdict verdict;

		if (need_judge(n->catalogue, &n->kernels[i], &verdict, err) < 0) {
			json_free(doc);
			return -1;
		}
		missing += is_missing(n, &verdict);
		if (doc)
			add_json(n, &n->kernels[i], &verdict, doc, list);
		else
			print_kernel(n, &n->kernels[i], &verdict);
	}
	if (!doc)
		return missing;
	json_add_u64(doc, json_root(doc), "missing", (uint64_t)missing);
	return cli_print_json(doc, err) < 0 ? -1 : missing;
}

/* Builds what is missing and has packages; what has none stays to be told. */
static int build_missing(const struct need *n, struct err *err)
{
	struct need_kernel *todo = calloc(n->count, sizeof(*todo));
	size_t count = 0;
	int rc = 0;

	if (!todo)
		return err_set(err, ERR_FAILED, "out of memory");
	for (size_t i = 0; rc == 0 && i < n->count; i++) {
		struct need_verdict verdict;

		rc = need_judge(n->catalogue, &n->kernels[i], &verdict, err);
		if (rc == 0 &&
		    (verdict.state == NEED_MISSING || verdict.state == NEED_WRONG) &&
		    need_has_packages(&n->lock, &n->kernels[i]))
			todo[count++] = n->kernels[i];
	}
	if (rc == 0 && count > 0)
		rc = need_build(n->catalogue, &n->lock, todo, count, n->transport, say,
				&n->options, err);
	free(todo);
	return rc;
}

/* Opens the way to packages, and asks the list's sources for kernels without any. */
static int reach_out(struct need *n, struct err *err)
{
	const struct transport_config config = { .scratch = n->options.scratch,
						 .offline = n->offline,
						 .ca = n->ca,
						 .tools = n->options.tools };
	struct need_kernel *todo = calloc(n->count, sizeof(*todo));
	size_t count = 0;
	int rc = 0;

	if (!todo)
		return err_set(err, ERR_FAILED, "out of memory");
	n->transport = transport_new(&config, err);
	if (!n->transport)
		rc = -1;
	for (size_t i = 0; i < n->count; i++) {
		if (!need_has_packages(&n->lock, &n->kernels[i]))
			todo[count++] = n->kernels[i];
	}
	if (rc == 0 && n->list && count > 0)
		rc = need_resolve(n->list, n->transport, say, todo, count, &n->lock, err);
	free(todo);
	return rc;
}

static int read_kernels(struct need *n, int argc, char **argv, int first, struct err *err)
{
	if (n->from && add_kernel(n, n->from, true, err) < 0)
		return -1;
	for (int i = first; i < argc; i++) {
		if (add_kernel(n, argv[i], is_record(argv[i]), err) < 0)
			return -1;
	}
	return 0;
}

static int run(struct need *n, int argc, char **argv, int first, struct err *err)
{
	int missing;

	if (read_kernels(n, argc, argv, first, err) < 0 ||
	    (n->lock_path && lock_read(n->lock_path, &n->lock, err) < 0) ||
	    ((n->build || n->list) && reach_out(n, err) < 0) ||
	    (n->build && build_missing(n, err) < 0))
		return -1;
	missing = tell(n, err);
	if (missing < 0 || io_close_stdout(err) < 0)
		return -1;
	return missing > 0 ? err_set(err, ERR_NO, "%d of %zu kernels have no module%s",
				     missing, n->count,
				     n->tested ? " that was boot-tested" : "")
			   : 0;
}

/* What is wrong with the options, or NULL. */
static const char *contradiction(struct need *n, int operands)
{
	const struct build_options *o = &n->options;

	if (!n->catalogue)
		return "need needs --catalogue";
	if (n->arch && !arch_find(n->arch))
		return "--arch is x86_64 or aarch64";
	if (!n->from && operands == 0)
		return "no kernel is named: give releases or records";
	if (!n->build && (o->packages || o->lime || o->lime_version || n->jobs))
		return "options of a build go with --build";
	if (n->list && !o->scratch)
		return "--list needs --scratch";
	if (n->build && ((!n->lock_path && !n->list) || !o->packages || !o->lime ||
			 !o->lime_version || !o->scratch))
		return "--build needs --lock or --list, --packages, --lime, "
		       "--lime-version and --scratch";
	if (!o->fallback != !o->fallback_version)
		return "--fallback-lime and --fallback-lime-version go together";
	n->options.jobs = n->jobs ? read_number(n->jobs, JOBS_MAX) : 1;
	if (o->jobs == 0)
		return "--jobs takes 1 to 256";
	return NULL;
}

int command_need(int argc, char **argv)
{
	struct need n = { .arch = NULL };
	const struct kmods_option options[] = {
		{ "catalogue", &n.catalogue, NULL },
		{ "from", &n.from, NULL },
		{ "arch", &n.arch, NULL },
		{ "lock", &n.lock_path, NULL },
		{ "list", &n.list, NULL },
		{ "ca", &n.ca, NULL },
		{ "offline", &n.offline, NULL },
		{ "store", &n.options.store, NULL },
		{ "fallback-lime", &n.options.fallback, NULL },
		{ "fallback-lime-version", &n.options.fallback_version, NULL },
		{ "json", NULL, &n.json },
		{ "tested", NULL, &n.tested },
		{ "build", NULL, &n.build },
		{ "packages", &n.options.packages, NULL },
		{ "lime", &n.options.lime, NULL },
		{ "lime-version", &n.options.lime_version, NULL },
		{ "scratch", &n.options.scratch, NULL },
		{ "tools", &n.options.tools, NULL },
		{ "jobs", &n.jobs, NULL },
		{ NULL, NULL, NULL },
	};
	int first = read_options(argc, argv, options), rc;
	struct err err = { 0 };
	const char *why;

	if (first < 0)
		return ERR_USAGE;
	why = contradiction(&n, argc - first);
	if (why)
		return bad_usage(why, "");
	if (!n.arch)
		n.arch = "x86_64";
	if (!n.options.tools)
		n.options.tools = SPAWN_PATH;
	n.kernels = calloc(KERNELS_MAX, sizeof(*n.kernels));
	if (!n.kernels)
		return ERR_FAILED;
	rc = run(&n, argc, argv, first, &err);
	transport_free(n.transport);
	lock_free(&n.lock);
	free(n.kernels);
	return rc < 0 ? err_report(&err, PROGRAM) : 0;
}
