#include "kmods/need.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmods/exchange.h"
#include "kmods/fetch.h"
#include "kmods/file.h"
#include "kmods/list.h"
#include "kmods/tree.h"
#include "kmods/verify.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/limecat.h"

const char *need_state_name(enum need_state state)
{
	static const char *const names[] = { "ready", "untested", "missing", "wrong" };

	return names[state];
}

int need_from_release(const char *release, const char *arch, struct need_kernel *kernel,
		      struct err *err)
{
	memset(kernel, 0, sizeof(*kernel));
	if (!arch_find(arch))
		return err_set(err, ERR_FAILED, "%s is not a known architecture", arch);
	if (!release_is_plain(release) || strlen(release) >= sizeof(kernel->release))
		return err_set(err, ERR_FAILED, "it is not the release of a kernel");
	snprintf(kernel->arch, sizeof(kernel->arch), "%s", arch);
	snprintf(kernel->release, sizeof(kernel->release), "%s", release);
	return 0;
}

/* A text of the record that may be missing; one that does not fit is left out. */
static void take(char *to, size_t size, const struct json_value *value)
{
	const char *text = json_str(value);

	if (text && strlen(text) < size)
		memcpy(to, text, strlen(text) + 1);
}

int need_from_record(const char *path, struct need_kernel *kernel, struct err *err)
{
	const struct json_value *in;
	const char *release, *machine;
	struct json_read *doc;
	size_t len;
	char *text;
	int rc;

	if (file_read(AT_FDCWD, path, NEED_RECORD_BYTES_MAX, &text, &len, err) < 0)
		return -1;
	doc = json_parse(text, len, err);
	free(text);
	if (!doc)
		return err_prefix(err, "%s", path);
	in = json_get(json_top(doc), "kernel");
	release = json_str(json_get(in, "release"));
	machine = json_str(json_get(in, "machine"));
	if (!release || !machine)
		rc = err_set(err, ERR_FAILED, "it names no kernel and no machine");
	else
		rc = need_from_release(release, machine, kernel, err);
	if (rc == 0) {
		take(kernel->build_id, sizeof(kernel->build_id),
		     json_get(in, "build_id"));
		take(kernel->version, sizeof(kernel->version), json_get(in, "banner"));
	}
	json_read_free(doc);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}

int need_judge(const char *dir, const struct need_kernel *kernel,
	       struct need_verdict *verdict, struct err *err)
{
	const struct limecat_kernel running = { .arch = kernel->arch,
						.release = kernel->release,
						.build_id = kernel->build_id,
						.version = kernel->version };
	struct limecat_module module;
	struct catalogue cat;
	struct err why = { 0 };
	char path[PATH_MAX], *text;
	size_t len;
	int rc, fd;

	memset(verdict, 0, sizeof(*verdict));
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, CATALOGUE_FILE) >=
	    sizeof(path))
		return err_set(err, ERR_FAILED, "the catalogue's name is too long");
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		verdict->state = NEED_MISSING;
		snprintf(verdict->why, sizeof(verdict->why),
			 "there is no catalogue in %.200s", dir);
		return 0;
	}
	fd = catalogue_open(dir, &cat, err);
	if (fd < 0)
		return -1;
	rc = file_read(fd, CATALOGUE_FILE, CATALOGUE_BYTES_MAX, &text, &len, err);
	if (rc == 0) {
		rc = limecat_find(text, len, &running, &module, &why);
		free(text);
		if (rc < 0)
			*err = why;
		else if (rc > 0)
			verdict->state = module.tested ? NEED_READY : NEED_UNTESTED;
		else if (catalogue_find(&cat, kernel->arch, kernel->release))
			verdict->state = NEED_WRONG;
		else
			verdict->state = NEED_MISSING;
	}
	if (rc >= 0 && verdict->state == NEED_UNTESTED)
		err_set(&why, ERR_NO, "the module for %s %s was not boot-tested",
			kernel->arch, kernel->release);
	memcpy(verdict->why, why.text, sizeof(verdict->why));
	catalogue_free(&cat);
	close(fd);
	return rc < 0 ? -1 : 0;
}

bool need_is_of(const struct lock_package *p, const struct need_kernel *k)
{
	return strcmp(p->arch->name, k->arch) == 0 && strcmp(p->release, k->release) == 0;
}

bool need_has_packages(const struct lock *lock, const struct need_kernel *kernel)
{
	for (size_t i = 0; i < lock->count; i++) {
		if (need_is_of(&lock->packages[i], kernel))
			return true;
	}
	return false;
}

/* Is this source asked for other kernels of that architecture, and may it have this one?
 */
static bool may_offer(const struct list *list, const struct source *source,
		      const struct need_kernel *kernel)
{
	if (strncmp(kernel->release, source->series, strlen(source->series)) != 0)
		return false;
	for (size_t i = 0; i < list->wanted_count; i++) {
		if (list->wanted[i].source == source &&
		    strcmp(list->wanted[i].arch->name, kernel->arch) == 0)
			return true;
	}
	return false;
}

/* The lines that ask each source for each kernel by its release; the caller frees. */
static struct wanted *wanted_lines(const struct list *list,
				   const struct need_kernel *kernels, size_t count,
				   size_t *lines)
{
	struct wanted *wanted = calloc(list->source_count * count + 1, sizeof(*wanted));

	*lines = 0;
	for (size_t s = 0; wanted && s < list->source_count; s++) {
		for (size_t i = 0; i < count; i++) {
			struct wanted *w = &wanted[*lines];

			if (!may_offer(list, &list->sources[s], &kernels[i]))
				continue;
			w->source = &list->sources[s];
			w->arch = arch_find(kernels[i].arch);
			w->selector = SELECT_RELEASE;
			w->flavour[0] = '*';
			snprintf(w->release, sizeof(w->release), "%s",
				 kernels[i].release);
			++*lines;
		}
	}
	return wanted;
}

int need_resolve(const char *path, const struct transport *transport, resolve_say *say,
		 const struct need_kernel *kernels, size_t count, struct lock *lock,
		 struct err *err)
{
	struct wanted *own = NULL;
	struct resolver *resolver;
	struct list list, asked;
	struct err why;
	int rc = -1;

	if (list_read(path, &list, err) < 0)
		goto out;
	asked = list;
	own = asked.wanted = wanted_lines(&list, kernels, count, &asked.wanted_count);
	if (!own) {
		err_sys(err, errno, "resolving");
		goto out;
	}
	resolver = resolver_new(&asked, transport, say, err);
	if (!resolver)
		goto out;
	/* Not every source has every kernel; what none has stays missing, and is told. */
	if (asked.wanted_count > 0 && resolver_list(resolver, false, lock, &why) < 0)
		say(why.text);
	resolver_free(resolver);
	rc = 0;
out:
	free(own);
	list_free(&list);
	return rc;
}

/* A lock of what these kernels are built from, and its packages in their directory. */
static int prepare(const struct lock *lock, const struct need_kernel *kernels,
		   size_t count, const struct transport *transport, resolve_say *say,
		   const struct build_options *o, struct err *err)
{
	const struct fetch_options fetch = { .lock = o->lock,
					     .packages = o->packages,
					     .images = true,
					     .locked = true,
					     .transport = transport,
					     .say = say };
	struct lock some = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < lock->count; i++) {
		bool wanted = false;

		for (size_t k = 0; k < count && !wanted; k++)
			wanted = need_is_of(&lock->packages[i], &kernels[k]);
		if (wanted)
			rc = lock_add(&some, &lock->packages[i], err);
	}
	lock_sort(&some);
	if (rc == 0)
		rc = lock_write(o->lock, NULL, &some, NULL, err);
	lock_free(&some);
	return rc < 0 ? -1 : fetch_lock(&fetch, err);
}

int need_build(const char *dir, const struct lock *packages,
	       const struct need_kernel *kernels, size_t count,
	       const struct transport *transport, resolve_say *say,
	       const struct build_options *options, struct err *err)
{
	const struct choice all = { NULL, NULL, false };
	struct exchange_result result;
	struct build_options o = *options;
	char lock[PATH_MAX], out[PATH_MAX];
	int fd, rc;

	if ((size_t)snprintf(lock, sizeof(lock), "%s/need.lock", o.scratch) >=
		    sizeof(lock) ||
	    (size_t)snprintf(out, sizeof(out), "%s/need", o.scratch) >= sizeof(out))
		return err_set(err, ERR_FAILED,
			       "the scratch directory's name is too long");
	fd = tree_open(o.scratch, err);
	if (fd < 0)
		return -1;
	/* Nothing of an earlier need may come along. */
	rc = tree_remove(fd, "need", err);
	close(fd);
	o.lock = lock;
	o.out = out;
	o.catalogue_version = 1;
	if (rc < 0 || prepare(packages, kernels, count, transport, say, &o, err) < 0 ||
	    build_modules(&o, err) < 0)
		return -1;
	return catalogue_add(out, dir, &all, &result, err);
}
