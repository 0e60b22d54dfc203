#include "kmods/fetch.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmods/kernel.h"
#include "kmods/list.h"
#include "kmods/lock.h"

struct fetch {
	const struct fetch_options *options;
	struct lock lock, old, new;
	struct list list;
	struct resolver *resolver;
	/* Of files that are there and right: kernels share most of their packages. */
	struct done {
		char sha256[SHA256_HEX_SIZE];
		char file[128];
	} * done;
	size_t done_count;
};

__attribute__((format(printf, 2, 3))) static void say(const struct fetch *f,
						      const char *fmt, ...)
{
	char text[2 * sizeof(((struct err *)0)->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	f->options->say(text);
}

static bool is_done(const struct fetch *f, const struct lock_package *p)
{
	for (size_t i = 0; i < f->done_count; i++) {
		if (strcmp(f->done[i].sha256, p->package.sha256) == 0 &&
		    strcmp(f->done[i].file, p->file) == 0)
			return true;
	}
	return false;
}

static void note_done(struct fetch *f, const struct lock_package *p)
{
	/* When there is no more room, or no room at all, it is looked at once more. */
	if (!f->done)
		f->done = calloc(LOCK_PACKAGES_MAX, sizeof(*f->done));
	if (!f->done || f->done_count == LOCK_PACKAGES_MAX)
		return;
	memcpy(f->done[f->done_count].sha256, p->package.sha256, SHA256_HEX_SIZE);
	memcpy(f->done[f->done_count++].file, p->file, sizeof(p->file));
}

/*
 * Fetches what is wanted of count packages. Returns 0, or -1 with the first one that
 * cannot be had in *missing.
 */
static int fetch_packages(struct fetch *f, const struct lock_package *packages,
			  size_t count, const struct lock_package **missing,
			  struct err *err)
{
	const struct fetch_options *o = f->options;

	for (size_t i = 0; i < count; i++) {
		const struct lock_package *p = &packages[i];

		if (p->role == LOCK_TREE || (p->role == LOCK_IMAGE && !o->images) ||
		    is_done(f, p))
			continue;
		if (transport_file(o->transport, p->origin, p->package.sha256,
				   p->size_bytes, PACKAGE_BYTES_MAX, o->packages, p->file,
				   err) < 0) {
			*missing = p;
			return -1;
		}
		note_done(f, p);
	}
	return 0;
}

static int add_all(struct fetch *f, const struct lock_package *packages, size_t count,
		   struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (lock_add(&f->new, &packages[i], err) < 0)
			return -1;
	}
	return 0;
}

static size_t kernel_length(const struct lock *lock, size_t at)
{
	size_t n = 1;

	while (at + n < lock->count &&
	       lock_same_kernel(&lock->packages[at], &lock->packages[at + n]))
		n++;
	return n;
}

/*
 * The successor that an earlier run chose is taken first, so that modules and images stay
 * of one kernel. Returns how many lines were added to found.
 */
static int earlier_successor(const struct fetch *f, const struct lock_package *gone,
			     struct lock *found, struct err *err)
{
	const char *flavour = release_flavour(gone->release);

	for (size_t i = 0; i < f->old.count; i++) {
		const struct lock_package *p = &f->old.packages[i];

		if (p->successor && p->arch == gone->arch &&
		    strcmp(release_flavour(p->release), flavour) == 0 &&
		    resolver_same_line(p->release, gone->release) &&
		    lock_add(found, p, err) < 0)
			return -1;
	}
	return 0;
}

static int open_resolver(struct fetch *f, struct err *err)
{
	if (f->resolver)
		return 0;
	if (!f->options->list)
		return err_set(err, ERR_FAILED, "no list is named to look for another");
	if (list_read(f->options->list, &f->list, err) < 0)
		return -1;
	f->resolver = resolver_new(&f->list, f->options->transport, f->options->say, err);
	return f->resolver ? 0 : -1;
}

/* Looks for a successor of a package's kernel and fetches it. */
static int find_successor(struct fetch *f, const struct lock_package *gone,
			  struct lock *found, struct err *err)
{
	const struct lock_package *missing;

	if (earlier_successor(f, gone, found, err) < 0)
		return -1;
	if (found->count > 0 &&
	    fetch_packages(f, found->packages, found->count, &missing, err) == 0)
		return 0;
	lock_free(found);
	if (open_resolver(f, err) < 0 ||
	    resolver_successor(f->resolver, gone->arch, gone->release, found, err) < 0)
		return -1;
	for (size_t i = 0; i < found->count; i++) {
		found->packages[i].successor = true;
		/* An outage, not a package that is gone. */
		if (strcmp(found->packages[i].package.sha256, gone->package.sha256) == 0)
			return err_set(err, ERR_FAILED,
				       "%s is in the index but cannot be fetched",
				       gone->file);
	}
	return fetch_packages(f, found->packages, found->count, &missing, err);
}

static bool listed(const struct lock *lock, const struct lock_package *kernel)
{
	for (size_t i = 0; i < lock->count; i++) {
		if (lock_same_kernel(&lock->packages[i], kernel))
			return true;
	}
	return false;
}

/* Whether the directory that is looked into first has a file of that name. */
static bool offline_has(const struct fetch_options *o, const char *file)
{
	char path[PATH_MAX];

	return o->offline &&
	       (size_t)snprintf(path, sizeof(path), "%s/%s", o->offline, file) <
		       sizeof(path) &&
	       access(path, F_OK) == 0;
}

static int replace(struct fetch *f, const struct lock_package *gone, struct err *err)
{
	struct lock found = { 0 };
	struct err why = *err;
	int rc = -1;

	if (f->options->locked)
		return err_prefix(err,
				  "%s, which the lock file pins, cannot be had, and "
				  "LOCKED=1 forbids another (make update-kernels renews "
				  "the lock file)",
				  gone->file);
	if (offline_has(f->options, gone->file))
		return err_prefix(err, "%s/%s is not the package that the lock file pins",
				  f->options->offline, gone->file);
	/* Where it is must not be forgotten: it may be an outage. */
	say(f, "%s", why.text);
	if (find_successor(f, gone, &found, err) < 0) {
		err_prefix(err, "%s cannot be had, and no successor of %s %s either",
			   gone->file, gone->arch->name, gone->release);
		goto out;
	}
	say(f, "WARNING: %s is gone from every archive", gone->file);
	if (listed(&f->lock, found.packages)) {
		say(f, "WARNING: %s %s is left out: its successor %s is listed too",
		    gone->arch->name, gone->release, found.packages[0].release);
		rc = 0;
		goto out;
	}
	say(f, "WARNING: %s %s is replaced by %s, which the lock file does not pin",
	    gone->arch->name, gone->release, found.packages[0].release);
	rc = add_all(f, found.packages, found.count, err);
out:
	lock_free(&found);
	return rc;
}

static int fetch_kernels(struct fetch *f, struct err *err)
{
	struct err why, first = { 0 };
	size_t n, kernels = 0, failed = 0;

	for (size_t i = 0; i < f->lock.count; i += n) {
		const struct lock_package *kernel = &f->lock.packages[i], *missing;
		int rc;

		n = kernel_length(&f->lock, i);
		kernels++;
		if (fetch_packages(f, kernel, n, &missing, &why) == 0)
			rc = add_all(f, kernel, n, &why);
		else
			rc = replace(f, missing, &why);
		if (rc == 0)
			continue;
		if (failed++ == 0)
			first = why;
		else
			say(f, "%s %s: %s", kernel->arch->name, kernel->release,
			    why.text);
	}
	if (failed == 0)
		return 0;
	*err = first;
	return err_prefix(err, "%zu of %zu kernels cannot be had", failed, kernels);
}

int fetch_lock(const struct fetch_options *options, struct err *err)
{
	struct fetch f = { .options = options };
	struct err ignored;
	int rc = -1;

	if (lock_read(options->lock, &f.lock, err) < 0)
		goto out;
	/* None yet, or one that cannot be read, is as good as none. */
	if (options->used && access(options->used, F_OK) == 0 &&
	    lock_read(options->used, &f.old, &ignored) < 0)
		lock_free(&f.old);
	if (fetch_kernels(&f, err) < 0)
		goto out;
	lock_sort(&f.new);
	rc = options->used ? lock_write(options->used, NULL, &f.new, NULL, err) : 0;
out:
	free(f.done);
	resolver_free(f.resolver);
	list_free(&f.list);
	lock_free(&f.lock);
	lock_free(&f.old);
	lock_free(&f.new);
	return rc;
}
