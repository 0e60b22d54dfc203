#include "kmods/boottest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmods/catalogue.h"
#include "kmods/file.h"
#include "kmods/guest.h"
#include "kmods/jobs.h"
#include "kmods/lock.h"
#include "kmods/store.h"
#include "kmods/tree.h"
#include "kmods/trees.h"
#include "toolkit/lib/io.h"

/* Raise it when a guest is tested for more. */
#define RECIPE 1

enum state { PENDING, DONE };

struct boot {
	struct module *module; /* of the catalogue */
	const struct kernel *kernel;
	char key[SHA256_HEX_SIZE];
	enum state state;
};

struct boots {
	const struct boottest_options *options;
	char scratch[PATH_MAX];
	int dirfd, scratchfd, storefd;
	struct catalogue cat;
	struct lock lock;
	struct kernel *kernels;
	size_t kernel_count;
	struct boot *at;
	size_t count, passed, failed, not_run;
};

static void say(const struct boot *boot, const char *text)
{
	fprintf(stderr, "kmods: %s %s: %s\n", boot->module->arch, boot->module->release,
		text);
}

/* A name of the caller's: RELEASE or ARCH/RELEASE. */
static bool is_wanted(const struct boottest_options *o, const struct module *m)
{
	char both[sizeof(m->arch) + sizeof(m->release) + 1];

	snprintf(both, sizeof(both), "%s/%s", m->arch, m->release);
	for (size_t i = 0; i < o->wanted_count; i++) {
		if (strcmp(o->wanted[i], m->release) == 0 ||
		    strcmp(o->wanted[i], both) == 0)
			return true;
	}
	return o->wanted_count == 0;
}

/* Each name must stand for a module: a typing error is no passed test. */
static int check_wanted(const struct boots *b, struct err *err)
{
	struct boottest_options one = *b->options;

	for (size_t i = 0; i < b->options->wanted_count; i++) {
		size_t found = 0;

		one.wanted = b->options->wanted + i;
		one.wanted_count = 1;
		for (size_t j = 0; j < b->cat.count; j++)
			found += is_wanted(&one, &b->cat.modules[j]);
		if (found == 0)
			return err_set(err, ERR_FAILED, "the catalogue has no module %s",
				       one.wanted[0]);
	}
	return 0;
}

static const struct kernel *find_kernel(const struct boots *b, const struct module *m)
{
	for (size_t i = 0; i < b->kernel_count; i++) {
		const struct kernel *k = &b->kernels[i];

		if (strcmp(k->arch->name, m->arch) == 0 &&
		    strcmp(k->release, m->release) == 0)
			return k;
	}
	return NULL;
}

/* Over all that a result depends on; the emulator is only recorded. */
static int set_key(struct boots *b, struct boot *boot, struct err *err)
{
	char path[PATH_MAX], text[512], hex[SHA256_HEX_SIZE], *data;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s/init", b->options->guest, boot->module->arch);
	if (file_read(AT_FDCWD, path, GUEST_FILE_MAX, &data, &len, err) < 0)
		return -1;
	file_digest(data, len, hex);
	free(data);
	snprintf(text, sizeof(text), "boot test %d %s %s %s", RECIPE, hex,
		 boot->module->sha256, boot->kernel->image->package.sha256);
	file_digest(text, strlen(text), hex);
	snprintf(boot->key, sizeof(boot->key), "%s", hex);
	return 0;
}

/* Did it pass in an earlier run? The store then has one line that says how. */
static bool passed_before(const struct boots *b, const struct boot *boot)
{
	char path[SHA256_HEX_SIZE + 16], *text;
	struct err ignored;
	size_t len;
	bool passed;

	snprintf(path, sizeof(path), "boot-%s", boot->key);
	if (file_read(b->storefd, path, 4096, &text, &len, &ignored) < 0)
		return false;
	passed = strncmp(text, "passed, ", 8) == 0 && text[len - 1] == '\n';
	free(text);
	return passed;
}

static int set_tested(struct boots *b, struct boot *boot, bool tested, struct err *err)
{
	if (boot->module->tested == tested)
		return 0;
	boot->module->tested = tested;
	return catalogue_write(b->dirfd, &b->cat, true, err);
}

static void fail(struct boots *b, struct boot *boot, const struct err *why)
{
	struct err whole = *why, err;

	boot->state = DONE;
	err_prefix(&whole, "%s %s", boot->module->arch, boot->module->release);
	err_report(&whole, "kmods");
	/* No emulator, no guest, a full disk: that says nothing of the module. */
	if (why->kind != ERR_NO) {
		b->not_run++;
		return;
	}
	b->failed++;
	if (set_tested(b, boot, false, &err) < 0)
		err_report(&err, "kmods");
}

static int plan_one(struct boots *b, struct boot *boot, struct err *err)
{
	boot->kernel = find_kernel(b, boot->module);
	if (!boot->kernel || !boot->kernel->image)
		return err_set(err, ERR_FAILED, "the lock file has no image of it");
	if (set_key(b, boot, err) < 0)
		return -1;
	if (!passed_before(b, boot))
		return 0;
	boot->state = DONE;
	b->passed++;
	return set_tested(b, boot, true, err);
}

static void plan(struct boots *b)
{
	for (size_t i = 0; i < b->cat.count; i++) {
		struct boot *boot = &b->at[b->count];
		struct err why;

		if (!is_wanted(b->options, &b->cat.modules[i]))
			continue;
		*boot = (struct boot){ .module = &b->cat.modules[i] };
		b->count++;
		if (plan_one(b, boot, &why) < 0)
			fail(b, boot, &why);
	}
}

/* What a child hands back. Both ends are this very program. */
struct result {
	int rc;
	struct err err;
	char words[GUEST_WORDS_SIZE];
};

static bool is_due(const void *arg, size_t i)
{
	const struct boots *b = arg;

	return b->at[i].state == PENDING;
}

/* In the child. */
static void work(void *arg, size_t i, void *into)
{
	const struct boots *b = arg;
	const struct boottest_options *o = b->options;
	struct result *result = into;
	const struct guest_test test = {
		.kernel = b->at[i].kernel,
		.module = b->at[i].module,
		.modulesfd = b->dirfd,
		.packages = o->packages,
		.guest = o->guest,
		.scratch = b->scratch,
		.scratchfd = b->scratchfd,
		.tools = o->tools,
		.timeout_s = o->timeout_s,
	};

	result->rc = guest_run(&test, result->words, &result->err);
}

static void take_result(struct boots *b, struct boot *boot, struct result *result)
{
	char path[SHA256_HEX_SIZE + 16], line[GUEST_WORDS_SIZE + 16];
	int n = snprintf(line, sizeof(line), "%s\n", result->words);

	snprintf(path, sizeof(path), "boot-%s", boot->key);
	if (result->rc < 0 ||
	    file_put(b->storefd, path, line, (size_t)n, 0644, false, &result->err) < 0 ||
	    set_tested(b, boot, true, &result->err) < 0) {
		fail(b, boot, &result->err);
		return;
	}
	boot->state = DONE;
	b->passed++;
	say(boot, result->words);
}

static void ended(void *arg, size_t i, void *result, double seconds,
		  const struct err *why)
{
	struct boots *b = arg;

	(void)seconds;
	if (result)
		take_result(b, &b->at[i], result);
	else
		fail(b, &b->at[i], why);
}

static int run(struct boots *b, struct err *err)
{
	const struct jobs jobs = { .arg = b,
				   .count = b->count,
				   .limit = b->options->jobs,
				   .result_size = sizeof(struct result),
				   .what = "boot test",
				   .due = is_due,
				   .work = work,
				   .ended = ended };

	_Static_assert(sizeof(struct result) < JOBS_RESULT_MAX,
		       "a result must fit into a pipe");
	return jobs_run(&jobs, err);
}

static int open_all(struct boots *b, struct err *err)
{
	const struct boottest_options *o = b->options;
	char store[PATH_MAX + 8];

	if (lock_read(o->lock, &b->lock, err) < 0 ||
	    lock_kernels(&b->lock, &b->kernels, &b->kernel_count, err) < 0)
		return -1;
	b->scratchfd = tree_open_scratch(o->scratch, b->scratch, err);
	if (b->scratchfd < 0)
		return -1;
	snprintf(store, sizeof(store), "%s/store", b->scratch);
	b->storefd = store_open(o->store ? o->store : store, err);
	if (b->storefd < 0)
		return -1;
	b->dirfd = open(o->catalogue, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->dirfd < 0)
		return err_sys(err, errno, "opening %s", o->catalogue);
	if (catalogue_read(b->dirfd, CATALOGUE_FILE, &b->cat, err) < 0)
		return -1;
	if (b->cat.count == 0)
		return err_set(err, ERR_FAILED, "%s has no modules", o->catalogue);
	b->at = calloc(b->cat.count, sizeof(*b->at));
	return b->at ? check_wanted(b, err) : err_sys(err, errno, "planning");
}

static int run_all(struct boots *b, struct err *err)
{
	plan(b);
	if (run(b, err) < 0)
		return -1;
	fprintf(stderr, "kmods: %zu of %zu modules passed their boot test\n", b->passed,
		b->count);
	if (b->failed > 0)
		return err_set(err, ERR_NO, "%zu of %zu modules did not pass", b->failed,
			       b->count);
	if (b->not_run > 0)
		return err_set(err, ERR_FAILED, "%zu of %zu modules could not be tested",
			       b->not_run, b->count);
	return 0;
}

int boottest(const struct boottest_options *options, struct err *err)
{
	struct boots *b = calloc(1, sizeof(*b));
	int rc = -1;

	if (!b)
		return err_sys(err, errno, "starting");
	b->options = options;
	b->dirfd = b->scratchfd = b->storefd = -1;
	if (open_all(b, err) == 0)
		rc = run_all(b, err);
	free(b->at);
	free(b->kernels);
	lock_free(&b->lock);
	catalogue_free(&b->cat);
	io_close(&b->dirfd);
	io_close(&b->storefd);
	io_close(&b->scratchfd);
	free(b);
	return rc;
}
