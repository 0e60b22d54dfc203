#include "kmods/obtain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmods/fetch.h"
#include "kmods/list.h"
#include "kmods/lock.h"
#include "kmods/options.h"
#include "kmods/resolve.h"
#include "kmods/transport.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/io.h"

#define SCRATCH "build/index"

static const char lock_comment[] =
	"# The packages that modules are built from, to the byte, as `kmods resolve` found\n"
	"# them. One line a package:\n"
	"#   role arch release package version sha256 size origin\n";

const char obtain_usage[] =
	"\n"
	"usage: kmods resolve --list FILE --out LOCK [--all] [--keep] [--scratch DIR]\n"
	"       kmods resolve --list FILE --source NAME --package NAME [--arch A]\n"
	"       kmods fetch --lock FILE --packages DIR [--used FILE] [--list FILE]\n"
	"                   [--images] [--locked] [--offline DIR] [--scratch DIR]\n"
	"\n"
	"resolve asks the archives, repositories and directories of a list which kernels they\n"
	"have and writes the packages of those that the list wants into a lock file; with\n"
	"--package it prints NAME VERSION SHA256 SIZE ORIGIN of one package.\n"
	"  --list FILE       sources and kernels (see kmods/kernels.list)\n"
	"  --all             every kernel of each line that has headers\n"
	"  --keep            keep the kernels that the lock file has besides\n"
	"  --scratch DIR     where indexes are kept (default " SCRATCH ")\n"
	"  --ca FILE         CA certificates for https (default: the machine's)\n"
	"fetch brings the packages of a lock file into a directory, each checked.\n"
	"  --used FILE       receives the lock lines to build from\n"
	"  --list FILE       where to look for the successor of a package that is gone\n"
	"  --images          fetch the kernels themselves too\n"
	"  --locked          a package that is gone is an error\n"
	"  --offline DIR     look into this directory first\n";

/* Adds the kernels of the old lock file that the new one has not. */
static int keep_old(const char *path, struct lock *lock, struct err *err)
{
	size_t count = lock->count;
	struct lock old;
	int rc;

	if (access(path, F_OK) < 0)
		return 0;
	rc = lock_read(path, &old, err);
	for (size_t i = 0; rc == 0 && i < old.count; i++) {
		bool have = false;

		for (size_t j = 0; j < count; j++)
			have = have ||
			       lock_same_kernel(&old.packages[i], &lock->packages[j]);
		if (!have)
			rc = lock_add(lock, &old.packages[i], err);
	}
	lock_free(&old);
	lock_sort(lock);
	return rc;
}

/* Tells what the lock file had not. */
static void say_news(const char *path, const struct lock *lock)
{
	struct lock old = { 0 };
	struct err ignored;
	char text[256];

	if (access(path, F_OK) == 0 && lock_read(path, &old, &ignored) < 0)
		lock_free(&old);
	for (size_t i = 0; i < lock->count; i++) {
		const struct lock_package *p = &lock->packages[i];
		bool have = i > 0 && lock_same_kernel(p, &lock->packages[i - 1]);

		for (size_t j = 0; !have && j < old.count; j++)
			have = lock_same_kernel(p, &old.packages[j]);
		if (have)
			continue;
		snprintf(text, sizeof(text), "new: %s %s", p->arch->name, p->release);
		say(text);
	}
	lock_free(&old);
}

struct resolving {
	const char *list, *out, *scratch, *ca, *source, *package, *arch;
	bool all, keep;
};

static int resolve_out(const struct resolving *o, struct resolver *r, struct err *err)
{
	struct lock lock = { 0 };
	char *head = lock_head(o->out);
	bool changed;
	int rc = -1;

	if (resolver_list(r, o->all, &lock, err) < 0 ||
	    (o->keep && keep_old(o->out, &lock, err) < 0))
		goto out;
	say_news(o->out, &lock);
	rc = lock_write(o->out, head ? head : lock_comment, &lock, &changed, err);
	if (rc == 0 && !changed)
		say("the lock file has these kernels already");
out:
	free(head);
	lock_free(&lock);
	return rc;
}

static int resolve_one(const struct resolving *o, struct resolver *r, struct err *err)
{
	const struct arch *arch = arch_find(o->arch ? o->arch : "x86_64");
	struct repo_package p;

	if (!arch)
		return err_set(err, ERR_USAGE, "%s is not a known architecture", o->arch);
	if (resolver_package(r, o->source, arch, o->package, &p, err) < 0)
		return -1;
	printf("%s %s %s %llu %s\n", p.name, p.version, p.sha256,
	       (unsigned long long)p.size_bytes, p.origin);
	return io_close_stdout(err);
}

static int resolve(const struct resolving *o, struct err *err)
{
	const struct transport_config config = { .scratch = o->scratch ? o->scratch
								       : SCRATCH,
						 .ca = o->ca };
	struct transport *t = NULL;
	struct resolver *r = NULL;
	struct list list = { 0 };
	int rc = -1;

	if (list_read(o->list, &list, err) < 0)
		goto out;
	if (!o->package && list.wanted_count == 0) {
		err_set(err, ERR_FAILED, "%s asks for no kernel", o->list);
		goto out;
	}
	t = transport_new(&config, err);
	r = t ? resolver_new(&list, t, say, err) : NULL;
	if (r)
		rc = o->package ? resolve_one(o, r, err) : resolve_out(o, r, err);
out:
	resolver_free(r);
	transport_free(t);
	list_free(&list);
	return rc;
}

static int command_resolve(int argc, char **argv, struct err *err)
{
	struct resolving o = { 0 };
	const struct kmods_option options[] = {
		{ "list", &o.list, NULL },	 { "out", &o.out, NULL },
		{ "all", NULL, &o.all },	 { "keep", NULL, &o.keep },
		{ "scratch", &o.scratch, NULL }, { "ca", &o.ca, NULL },
		{ "source", &o.source, NULL },	 { "package", &o.package, NULL },
		{ "arch", &o.arch, NULL },	 { NULL, NULL, NULL },
	};
	int first = read_options(argc, argv, options);

	if (first < 0)
		return ERR_USAGE;
	if (first < argc)
		return bad_usage("not an option: ", argv[first]);
	if (!o.list)
		return bad_usage("resolve needs --", "list");
	if (!o.package != !o.source)
		return bad_usage("--package and --source go together", "");
	if (!o.package == !o.out)
		return bad_usage("resolve needs either --out or --package", "");
	if (o.package && (o.all || o.keep))
		return bad_usage("--all and --keep are for a lock file", "");
	if (!o.package && o.arch)
		return bad_usage("--arch is for --package", "");
	return resolve(&o, err) < 0 ? err_report(err, PROGRAM) : 0;
}

static int command_fetch(int argc, char **argv, struct err *err)
{
	const char *scratch = NULL, *ca = NULL;
	struct fetch_options o = { .say = say };
	const struct kmods_option options[] = {
		{ "lock", &o.lock, NULL },
		{ "packages", &o.packages, NULL },
		{ "used", &o.used, NULL },
		{ "list", &o.list, NULL },
		{ "offline", &o.offline, NULL },
		{ "images", NULL, &o.images },
		{ "locked", NULL, &o.locked },
		{ "scratch", &scratch, NULL },
		{ "ca", &ca, NULL },
		{ NULL, NULL, NULL },
	};
	int first = read_options(argc, argv, options), rc = -1;
	struct transport_config config;
	struct transport *t;

	if (first < 0)
		return ERR_USAGE;
	if (first < argc)
		return bad_usage("not an option: ", argv[first]);
	if (!o.lock || !o.packages)
		return bad_usage("fetch needs --", o.lock ? "packages" : "lock");
	config = (struct transport_config){ .scratch = scratch ? scratch : SCRATCH,
					    .offline = o.offline,
					    .ca = ca };
	t = transport_new(&config, err);
	o.transport = t;
	if (t)
		rc = fetch_lock(&o, err);
	transport_free(t);
	return rc < 0 ? err_report(err, PROGRAM) : 0;
}

int obtain_command(int argc, char **argv)
{
	struct err err = { 0 };

	if (strcmp(argv[0], "resolve") == 0)
		return command_resolve(argc, argv, &err);
	if (strcmp(argv[0], "fetch") == 0)
		return command_fetch(argc, argv, &err);
	return -1;
}
