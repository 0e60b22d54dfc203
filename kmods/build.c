#include "kmods/build.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmods/catalogue.h"
#include "kmods/file.h"
#include "kmods/jobs.h"
#include "kmods/kernel.h"
#include "kmods/lime.h"
#include "kmods/lock.h"
#include "kmods/store.h"
#include "kmods/symbols.h"
#include "kmods/tree.h"
#include "kmods/trees.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/io.h"

#define LOG_TAIL_BYTES 2000

/* FOUND: in the store, but what out has is another or none. */
enum state { KEPT, FOUND, PENDING, BUILT, FAILED };

struct job {
	const struct kernel *kernel;
	struct tree_set set; /* what it shares with others */
	struct module module;
	struct symbols_keys symbols;	/* in the store; empty: none wanted */
	bool need_module, need_symbols; /* the store has them not */
	enum state state;
};

/* What a child hands back. Both ends are this very program. */
struct result {
	int rc, symbols_rc;
	struct err err, symbols_err;
	struct module module;
};

struct build {
	const struct build_options *options;
	struct recipe recipe;
	char scratch[PATH_MAX];
	int scratchfd, storefd, outfd;
	struct trees trees;
	struct lock lock;
	struct lime lime, fallback, types;
	struct kernel *kernels;
	struct job *jobs;
	size_t count, without_symbols;
	struct catalogue old, new;
	bool changed; /* new is not what the file has */
};

static void say(const struct job *job, const char *text)
{
	fprintf(stderr, "kmods: %s %s: %s\n", job->kernel->arch->name,
		job->kernel->release, text);
}

/* The end of a failed build's log: in a CI the file itself is out of reach. */
static void print_log(const struct build *b, const struct job *job)
{
	char path[TREE_PATH_SIZE], *text, *line, *end;
	struct err ignored;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s.log", job->kernel->arch->name,
		 job->kernel->release);
	if (file_read(b->scratchfd, path, 64u << 20, &text, &len, &ignored) < 0)
		return;
	line = len > LOG_TAIL_BYTES ? text + len - LOG_TAIL_BYTES : text;
	for (; *line; line = end) {
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = '\0';
		cli_put_text(stderr, line);
		fputc('\n', stderr);
	}
	free(text);
}

static void fail(const struct build *b, struct job *job, const struct err *err)
{
	struct err whole = *err;

	job->state = FAILED;
	err_prefix(&whole, "%s %s", job->kernel->arch->name, job->kernel->release);
	err_report(&whole, "kmods");
	if (strstr(err->text, ".log"))
		print_log(b, job);
}

/* The file of an entry, out of the store. Returns 1 when it was written, 0, or -1. */
static int place_file(struct build *b, const struct module *m, const char *key,
		      const char *file, struct err *err)
{
	char path[TREE_PATH_SIZE], name[NAME_MAX + 1];
	int dir, rc;

	snprintf(path, sizeof(path), "%s/%s/%s", m->arch, m->release, file);
	dir = tree_parent(b->outfd, path, true, name, err);
	if (dir < 0)
		return -1;
	rc = store_place(b->storefd, key, file, dir, m, err);
	close(dir);
	return rc;
}

/* What an entry does not speak of must not lie beside it. */
static int remove_file(struct build *b, const struct module *m, const char *file,
		       struct err *err)
{
	char path[TREE_PATH_SIZE];

	snprintf(path, sizeof(path), "%s/%s/%s", m->arch, m->release, file);
	if (unlinkat(b->outfd, path, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "removing %s", path);
	return 0;
}

/* The store has what it is: puts it into its place and into the catalogue. */
static int place(struct build *b, struct job *job, struct err *err)
{
	struct module *m = &job->module, *old;
	int wrote, more;

	/* What is not in the store's file, or was another's when it was put in. */
	m->locked = job->kernel->locked;
	old = catalogue_find(&b->old, m->arch, m->release);
	m->tested = old && old->tested && strcmp(old->sha256, m->sha256) == 0;
	wrote = place_file(b, m, m->inputs, MODULE_FILE, err);
	if (wrote < 0)
		return -1;
	more = m->symbols_sha256[0] ? place_file(b, m, symbols_key(&job->symbols, m),
						 SYMBOLS_FILE, err)
				    : remove_file(b, m, SYMBOLS_FILE, err);
	if (more < 0)
		return -1;
	b->changed =
		b->changed || wrote + more > 0 || !old || memcmp(old, m, sizeof(*m)) != 0;
	return catalogue_set(&b->new, m, err);
}

/* Is out's file of this entry there, with these bytes? */
static bool has_file(const struct build *b, const struct module *m, const char *file,
		     const char *sha256)
{
	char path[TREE_PATH_SIZE];

	snprintf(path, sizeof(path), "%s/%s/%s", m->arch, m->release, file);
	return file_known(b->outfd, path, SYMBOLS_BYTES_MAX, sha256);
}

/* Does the old catalogue say this of the files that are there? */
static bool in_place(const struct build *b, const struct module *m)
{
	const struct module *old = catalogue_find(&b->old, m->arch, m->release);

	return old && strcmp(old->sha256, m->sha256) == 0 &&
	       strcmp(old->symbols_sha256, m->symbols_sha256) == 0 &&
	       has_file(b, m, MODULE_FILE, m->sha256) &&
	       (!m->symbols_sha256[0] || has_file(b, m, SYMBOLS_FILE, m->symbols_sha256));
}

static int plan_one(struct build *b, struct job *job, struct err *err)
{
	struct module *m = &job->module, kept;
	int rc;

	if (kernel_describe(&b->recipe, job->kernel, m, err) < 0)
		return -1;
	tree_set_of(job->kernel, &job->set);
	rc = store_get(b->storefd, m->inputs, MODULE_FILE, m->arch, m->release, &kept,
		       err);
	if (rc < 0)
		return -1;
	job->need_module = rc == 0;
	if (rc > 0)
		*m = kept;
	symbols_forget(m);
	if (b->options->symbols)
		symbols_keys_of(&b->recipe, job->kernel, m, &job->symbols);
	if (job->symbols.btf[0]) {
		rc = symbols_find(b->storefd, &job->symbols, m, err);
		if (rc < 0)
			return -1;
		job->need_symbols = rc == 0;
	}
	if (job->need_module || job->need_symbols) {
		job->state = PENDING;
		return 0;
	}
	job->state = in_place(b, m) ? KEPT : FOUND;
	return job->state == KEPT ? place(b, job, err) : 0;
}

/* Kernels that share packages stand together: these are unpacked once, and then go. */
static int by_set(const void *x, const void *y)
{
	const struct job *a = x, *b = y;
	int c = strcmp(a->set.name, b->set.name);

	return c ? c : (a->kernel > b->kernel) - (a->kernel < b->kernel);
}

static int plan(struct build *b, size_t *pending, size_t *found, struct err *err)
{
	*pending = *found = 0;
	b->jobs = calloc(b->count ? b->count : 1, sizeof(*b->jobs));
	if (!b->jobs)
		return err_sys(err, errno, "planning");
	for (size_t i = 0; i < b->count; i++) {
		struct job *job = &b->jobs[i];
		struct err why;

		job->kernel = &b->kernels[i];
		if (plan_one(b, job, &why) < 0)
			fail(b, job, &why);
		*pending += job->state == PENDING;
		*found += job->state == FOUND;
	}
	qsort(b->jobs, b->count, sizeof(*b->jobs), by_set);
	return 0;
}

static bool is_due(const void *arg, size_t i)
{
	const struct build *b = arg;

	return b->jobs[i].state == PENDING;
}

/* In the child. */
static void work(void *arg, size_t i, void *into)
{
	const struct build *b = arg;
	const struct job *job = &b->jobs[i];
	struct result *result = into;

	result->module = job->module;
	if (job->need_module)
		result->rc = kernel_build(&b->recipe, job->kernel, &result->module,
					  &result->err);
	if (result->rc == 0 && job->need_symbols)
		result->symbols_rc = symbols_build(&b->recipe, job->kernel, &job->symbols,
						   &result->module, &result->symbols_err);
}

/* Removes the packages that a job shared and nobody needs any more. */
static void drop_set(const struct build *b, const struct job *job)
{
	struct err why;

	for (size_t i = 0; i < b->count; i++) {
		const struct job *other = &b->jobs[i];

		if (other->state == PENDING &&
		    strcmp(other->set.name, job->set.name) == 0)
			return;
	}
	if (trees_drop(&b->trees, &job->set, &why) < 0)
		err_report(&why, "kmods");
}

static void take_result(struct build *b, struct job *job, struct result *result,
			double seconds)
{
	char text[128];

	job->module = result->module;
	if (result->rc < 0 || place(b, job, &result->err) < 0 ||
	    catalogue_write(b->outfd, &b->new, false, &result->err) < 0) {
		fail(b, job, &result->err);
		return;
	}
	job->state = BUILT;
	if (result->symbols_rc < 0) {
		b->without_symbols++;
		err_prefix(&result->symbols_err, "%s %s", job->kernel->arch->name,
			   job->kernel->release);
		err_report(&result->symbols_err, "kmods");
	}
	if (job->need_module)
		snprintf(text, sizeof(text), "built in %.1f s, %llu bytes, LiME %s",
			 seconds, (unsigned long long)job->module.size_bytes,
			 job->module.lime_version);
	else
		snprintf(text, sizeof(text), "its symbol file: %s, %.1f s",
			 result->symbols_rc == 0 ? "made" : "none", seconds);
	say(job, text);
}

static void ended(void *arg, size_t i, void *result, double seconds,
		  const struct err *why)
{
	struct build *b = arg;
	struct job *job = &b->jobs[i];

	if (result)
		take_result(b, job, result, seconds);
	else
		fail(b, job, why);
	drop_set(b, job);
}

static int run_jobs(struct build *b, struct err *err)
{
	const struct jobs jobs = { .arg = b,
				   .count = b->count,
				   .limit = b->options->jobs,
				   .result_size = sizeof(struct result),
				   .what = "build",
				   .due = is_due,
				   .work = work,
				   .ended = ended };

	_Static_assert(sizeof(struct result) < JOBS_RESULT_MAX,
		       "a result must fit into a pipe");
	return jobs_run(&jobs, err);
}

/* Removes modules that the catalogue does not have: the image takes the whole tree. */
static int prune(const struct build *b, const char *arch, struct err *err)
{
	static const char *const files[] = { MODULE_FILE, MODULE_FILE ".partial",
					     SYMBOLS_FILE, SYMBOLS_FILE ".partial" };
	int fd = openat(b->outfd, arch, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
	    rel;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		io_close(&fd);
		return errno == ENOENT ? 0 : err_sys(err, errno, "opening %s", arch);
	}
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.' || catalogue_find(&b->new, arch, d->d_name))
			continue;
		rel = openat(fd, d->d_name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (rel >= 0) {
			for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
				unlinkat(rel, files[i], 0);
			close(rel);
		}
		if (unlinkat(fd, d->d_name, AT_REMOVEDIR) < 0) {
			err_sys(err, errno,
				"removing %s/%s, which the catalogue does not have", arch,
				d->d_name);
			closedir(dir);
			return -1;
		}
	}
	closedir(dir);
	return 0;
}

static int conclude(struct build *b, struct err *err)
{
	struct err names = { .kind = ERR_FAILED };
	size_t failed = 0, used = 0;

	for (size_t i = 0; i < b->count; i++) {
		const struct kernel *k = b->jobs[i].kernel;

		if (b->jobs[i].state != FAILED || used >= sizeof(names.text))
			continue;
		used += (size_t)snprintf(names.text + used, sizeof(names.text) - used,
					 "%s%s %s", failed++ ? ", " : "", k->arch->name,
					 k->release);
	}
	if (b->changed && catalogue_write(b->outfd, &b->new, failed == 0, err) < 0)
		return -1;
	if (failed > 0) {
		*err = names;
		return err_prefix(err, "%zu of %zu kernels have no module", failed,
				  b->count);
	}
	for (const struct arch *a = archs; a->name; a++) {
		if (prune(b, a->name, err) < 0)
			return -1;
	}
	if (!b->changed)
		fprintf(stderr, "kmods: %zu modules are up to date\n", b->count);
	if (b->without_symbols > 0)
		return err_set(err, ERR_GAPS, "%zu of %zu kernels have no symbol file",
			       b->without_symbols, b->count);
	return 0;
}

static void place_found(struct build *b)
{
	struct err why;

	for (size_t i = 0; i < b->count; i++) {
		struct job *job = &b->jobs[i];

		if (job->state != FOUND)
			continue;
		job->state = KEPT;
		if (place(b, job, &why) < 0)
			fail(b, job, &why);
		else
			say(job, "taken from the store");
	}
}

static int build(struct build *b, struct err *err)
{
	unsigned jobs = b->options->jobs;
	size_t pending, found;

	b->new.version = b->options->catalogue_version;
	if (b->new.version < b->old.version)
		fprintf(stderr,
			"kmods: WARNING: the catalogue had version %" PRIu64
			" and gets %" PRIu64 "\n",
			b->old.version, b->new.version);
	if (plan(b, &pending, &found, err) < 0)
		return -1;
	b->changed = b->changed || b->new.version != b->old.version ||
		     b->new.count != b->old.count || b->new.count != b->count;
	/* Cores that no other kernel keeps busy. */
	b->recipe.make_jobs =
		pending > 0 && pending < jobs ? jobs / (unsigned)pending : 1;
	/* A module is replaced only after no catalogue speaks of the old one. */
	if (pending + found > 0) {
		if (catalogue_write(b->outfd, &b->new, false, err) < 0)
			return -1;
		b->changed = true;
	}
	place_found(b);
	if (pending > 0 && (trees_open(&b->trees, b->scratchfd, b->scratch, err) < 0 ||
			    run_jobs(b, err) < 0))
		return -1;
	return conclude(b, err);
}

static int hash_self(char hex[SHA256_HEX_SIZE], struct err *err)
{
	size_t len;
	char *data;

	if (file_read(AT_FDCWD, "/proc/self/exe", 256u << 20, &data, &len, err) < 0)
		return -1;
	file_digest(data, len, hex);
	free(data);
	return 0;
}

static int open_all(struct build *b, struct err *err)
{
	const struct build_options *o = b->options;
	char store[PATH_MAX + 8];
	struct err why;

	if (lock_read(o->lock, &b->lock, err) < 0 ||
	    lock_kernels(&b->lock, &b->kernels, &b->count, err) < 0 ||
	    lime_read(o->lime, "lime", o->lime_version, &b->lime, err) < 0 ||
	    (o->fallback && lime_read(o->fallback, "lime", o->fallback_version,
				      &b->fallback, err) < 0) ||
	    (o->types && lime_read(o->types, TYPES_MODULE, "", &b->types, err) < 0) ||
	    (b->scratchfd = tree_open_scratch(o->scratch, b->scratch, err)) < 0 ||
	    tree_buildable(b->scratch, err) < 0)
		return -1;
	snprintf(store, sizeof(store), "%s/store", b->scratch);
	b->storefd = store_open(o->store ? o->store : store, err);
	if (b->storefd < 0)
		return -1;
	b->outfd = tree_open(o->out, err);
	if (b->outfd < 0)
		return -1;
	if (catalogue_read(b->outfd, CATALOGUE_FILE, &b->old, &why) < 0) {
		err_prefix(&why, "everything is built again");
		err_report(&why, "kmods");
		catalogue_free(&b->old);
	}
	b->recipe = (struct recipe){
		.limes = { &b->lime, &b->fallback },
		.lime_count = o->fallback ? 2 : 1,
		.types = o->types ? &b->types : NULL,
		.packages = o->packages,
		.tools = o->tools,
		.scratch = b->scratch,
		.scratchfd = b->scratchfd,
		.storefd = b->storefd,
		.trees = &b->trees,
	};
	if (o->types)
		kernel_ask_pahole(&b->recipe);
	return hash_self(b->recipe.program, err);
}

int build_modules(const struct build_options *options, struct err *err)
{
	/* Too large for the stack of a small thread, and only needed once. */
	struct build *b = calloc(1, sizeof(*b));
	int rc = -1;

	if (!b)
		return err_sys(err, errno, "starting");
	b->options = options;
	b->scratchfd = b->storefd = b->outfd = b->trees.fd = -1;
	if (open_all(b, err) == 0)
		rc = build(b, err);
	trees_close(&b->trees);
	catalogue_free(&b->old);
	catalogue_free(&b->new);
	free(b->jobs);
	free(b->kernels);
	lime_free(&b->lime);
	lime_free(&b->fallback);
	lime_free(&b->types);
	lock_free(&b->lock);
	io_close(&b->outfd);
	io_close(&b->storefd);
	io_close(&b->scratchfd);
	free(b);
	return rc;
}
