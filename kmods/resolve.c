#include "kmods/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmods/version.h"

/* What a source offers for an architecture, read once, or why it cannot be told. */
struct offer {
	const struct source *source;
	const struct arch *arch;
	struct packages packages;
	bool failed;
	struct err err;
	struct offer *next;
};

struct resolver {
	const struct list *list;
	const struct transport *transport;
	resolve_say *say;
	struct offer *offers;
};

struct resolver *resolver_new(const struct list *list, const struct transport *transport,
			      resolve_say *say, struct err *err)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (!r) {
		err_sys(err, errno, "resolving");
		return NULL;
	}
	r->list = list;
	r->transport = transport;
	r->say = say;
	return r;
}

void resolver_free(struct resolver *r)
{
	while (r && r->offers) {
		struct offer *next = r->offers->next;

		packages_free(&r->offers->packages);
		free(r->offers);
		r->offers = next;
	}
	free(r);
}

static struct offer *get_offer(struct resolver *r, const struct source *source,
			       const struct arch *arch, struct err *err)
{
	const struct repo_context context = { .transport = r->transport };
	struct offer *o;

	for (o = r->offers; o; o = o->next) {
		if (o->source == source && o->arch == arch)
			break;
	}
	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o) {
			err_sys(err, errno, "resolving");
			return NULL;
		}
		o->source = source;
		o->arch = arch;
		o->next = r->offers;
		r->offers = o;
		if (source->ops->packages(&context, source, arch, &o->packages, &o->err) <
		    0) {
			o->failed = true;
			err_prefix(&o->err, "source %s", source->name);
		}
	}
	if (!o->failed)
		return o;
	*err = o->err;
	return NULL;
}

static int compare_versions(const struct repo_package *a, const struct repo_package *b)
{
	return a->rpm ? version_compare_rpm(a->version, b->version)
		      : version_compare_deb(a->version, b->version);
}

/* Whether a package is for an architecture, or for all. */
static bool fits(const struct repo_package *p, const struct arch *arch)
{
	return strcmp(p->arch, arch->name) == 0 ||
	       strcmp(p->arch, repo_deb_arch(arch)) == 0 || strcmp(p->arch, "all") == 0 ||
	       strcmp(p->arch, "noarch") == 0;
}

/* The package of that name and role, of that version where there is one, or the newest.
 */
static const struct repo_package *find_package(const struct offer *o, enum lock_role role,
					       const char *name, const char *version)
{
	const struct repo_package *best = NULL;

	for (size_t i = 0; i < o->packages.count; i++) {
		const struct repo_package *p = &o->packages.list[i];

		if (p->role != role || strcmp(p->name, name) != 0 || !fits(p, o->arch))
			continue;
		if (version && strcmp(p->version, version) == 0)
			return p;
		if (!best || compare_versions(p, best) > 0)
			best = p;
	}
	return best;
}

/* kernel-core has what kernel only stands for, where there are both. */
static const struct repo_package *find_image(const struct offer *o,
					     const struct repo_package *headers)
{
	const struct repo_package *best = NULL;

	for (size_t i = 0; i < o->packages.count; i++) {
		const struct repo_package *p = &o->packages.list[i];
		bool core = strstr(p->name, "-core") != NULL;

		if (p->role != LOCK_IMAGE || !fits(p, o->arch) ||
		    strcmp(p->release, headers->release) != 0)
			continue;
		if (!best || (core && !strstr(best->name, "-core")) ||
		    (strcmp(p->version, headers->version) == 0 &&
		     strcmp(best->version, headers->version) != 0))
			best = p;
	}
	return best;
}

/* "6.12" of linux-kbuild-6.12.117+deb13, with its length; "6.12.117" likewise. */
static size_t series_length(const char *number, unsigned dots)
{
	size_t n = 0;

	while (number[n] && number[n] != '+' && (number[n] != '.' || dots-- > 0))
		n++;
	return n;
}

/*
 * kbuild's programs of another release of Debian: those of the same version or, since
 * they do not change within a series, of the next one above or else below.
 */
static const struct repo_package *nearest_kbuild(const struct offer *o, const char *name)
{
	static const char prefix[] = "linux-kbuild-";
	const struct repo_package *above = NULL, *below = NULL;
	const char *want = name + strlen(prefix);
	size_t series = series_length(want, 1);
	char number[64], other[64];

	snprintf(number, sizeof(number), "%.*s", (int)series_length(want, 99), want);
	for (size_t i = 0; i < o->packages.count; i++) {
		const struct repo_package *p = &o->packages.list[i];
		const char *has = p->name + strlen(prefix);
		int c;

		if (p->role != LOCK_KBUILD || !fits(p, o->arch) ||
		    series_length(has, 1) != series || strncmp(has, want, series) != 0)
			continue;
		snprintf(other, sizeof(other), "%.*s", (int)series_length(has, 99), has);
		c = version_compare_deb(other, number);
		if (c >= 0 && (!above || compare_versions(p, above) < 0))
			above = p;
		if (c < 0 && (!below || compare_versions(p, below) > 0))
			below = p;
	}
	return above ? above : below;
}

static const struct arch *this_machine(void)
{
	return arch_find("x86_64");
}

/* The package whose programs run here; *needed tells whether there must be one. */
static const struct repo_package *find_kbuild(struct resolver *r, const struct source *s,
					      const struct arch *arch,
					      const struct repo_package *headers,
					      bool *needed, struct err *err)
{
	const struct source *from = s->kbuild[0] ? list_source(r->list, s->kbuild) : s;
	const struct repo_package *p = NULL;
	bool foreign = arch != this_machine();
	struct offer *o;

	/* Red Hat's, SUSE's and Ubuntu's headers have them for the kernel's architecture.
	 */
	*needed = headers->kbuild[0] || foreign;
	if (!*needed || !from)
		return NULL;
	o = get_offer(r, from, this_machine(), err);
	if (!o)
		return NULL;
	if (!headers->kbuild[0])
		p = find_package(o, LOCK_HEADERS, headers->name, headers->version);
	else if (from != s)
		p = nearest_kbuild(o, headers->kbuild);
	else
		p = find_package(o, LOCK_KBUILD, headers->kbuild, headers->version);
	if (!p || (!headers->kbuild[0] && strcmp(p->version, headers->version) != 0)) {
		err_set(err, ERR_NO, "%s has no %s for this machine", from->name,
			headers->kbuild[0] ? headers->kbuild : headers->name);
		return NULL;
	}
	return p;
}

static int add_line(struct lock *lock, enum lock_role role, const struct arch *arch,
		    const char *release, const struct repo_package *p, struct err *err)
{
	const char *slash = strrchr(p->origin, '/');
	const char *file = slash ? slash + 1 : p->origin;
	struct lock_package line = { .role = role, .arch = arch };

	if (!lock_plain(file) || strlen(file) >= sizeof(line.file) ||
	    !lock_plain(release) || strlen(release) >= sizeof(line.release))
		return err_set(err, ERR_FAILED, "%s: its file's name is not usable",
			       p->name);
	snprintf(line.release, sizeof(line.release), "%s", release);
	snprintf(line.package.name, sizeof(line.package.name), "%s", p->name);
	snprintf(line.package.version, sizeof(line.package.version), "%s", p->version);
	snprintf(line.package.sha256, sizeof(line.package.sha256), "%s", p->sha256);
	snprintf(line.origin, sizeof(line.origin), "%s", p->origin);
	memcpy(line.file, file, strlen(file) + 1);
	line.size_bytes = p->size_bytes;
	return lock_add(lock, &line, err);
}

/* Adds all packages of one kernel, or none. ERR_NO when one of them is not offered. */
static int add_kernel(struct resolver *r, const struct offer *o,
		      const struct repo_package *headers, struct lock *lock,
		      struct err *err)
{
	const struct repo_package *common = NULL, *kbuild, *image;
	const char *release = headers->release;
	bool needed;

	if (headers->role == LOCK_TREE)
		return add_line(lock, LOCK_TREE, o->arch, release, headers, err);
	if (headers->common[0]) {
		common = find_package(o, LOCK_COMMON, headers->common, headers->version);
		if (!common)
			return err_set(err, ERR_NO, "%s has no %s", o->source->name,
				       headers->common);
	}
	kbuild = find_kbuild(r, o->source, o->arch, headers, &needed, err);
	if (needed && !kbuild)
		return -1;
	image = find_image(o, headers);
	if (add_line(lock, LOCK_HEADERS, o->arch, release, headers, err) < 0 ||
	    (common && add_line(lock, LOCK_COMMON, o->arch, release, common, err) < 0) ||
	    (kbuild && add_line(lock, LOCK_KBUILD, o->arch, release, kbuild, err) < 0) ||
	    (image && add_line(lock, LOCK_IMAGE, o->arch, release, image, err) < 0))
		return -1;
	return 0;
}

static int by_age(const void *x, const void *y)
{
	const struct repo_package *a = *(const struct repo_package *const *)x;
	const struct repo_package *b = *(const struct repo_package *const *)y;
	int c = compare_versions(b, a);

	return c ? c : strcmp(b->release, a->release);
}

/*
 * The headers of a line's kernels, the newest first, one for each release. Returns an
 * array that the caller frees.
 */
static const struct repo_package **candidates(const struct offer *o, const char *flavour,
					      size_t *count, struct err *err)
{
	const struct repo_package **list = calloc(o->packages.count + 1, sizeof(*list));
	const char *series = o->source->series;
	size_t n = 0, kept = 0;

	if (!list) {
		err_sys(err, errno, "choosing kernels");
		return NULL;
	}
	for (size_t i = 0; i < o->packages.count; i++) {
		const struct repo_package *p = &o->packages.list[i];

		if ((p->role == LOCK_HEADERS || p->role == LOCK_TREE) &&
		    fits(p, o->arch) &&
		    strncmp(p->release, series, strlen(series)) == 0 &&
		    (strcmp(flavour, "*") == 0 || strcmp(flavour, p->flavour) == 0))
			list[n++] = p;
	}
	qsort(list, n, sizeof(*list), by_age);
	for (size_t i = 0; i < n; i++) {
		bool seen = false;

		for (size_t j = 0; j < kept; j++)
			seen = seen || strcmp(list[j]->release, list[i]->release) == 0;
		if (!seen)
			list[kept++] = list[i];
	}
	*count = kept;
	return list;
}

/* One line of the list. Returns how many kernels it gave, or -1. */
static int resolve_line(struct resolver *r, const struct wanted *w, bool all,
			struct lock *lock, struct err *err)
{
	struct offer *o = get_offer(r, w->source, w->arch, err);
	const struct repo_package **list;
	unsigned given = 0, most = all || w->selector == SELECT_ALL ? ~0u : w->count;
	size_t count;
	int rc = 0;

	if (!o)
		return -1;
	list = candidates(o, w->flavour, &count, err);
	if (!list)
		return -1;
	if (w->selector == SELECT_RELEASE)
		most = 1;
	for (size_t i = 0; rc == 0 && i < count && given < most; i++) {
		bool oldest = w->selector == SELECT_OLDEST && !all;
		const struct repo_package *p = list[oldest ? count - 1 - i : i];
		char text[sizeof(err->text) + 160];

		if (w->selector == SELECT_RELEASE && strcmp(p->release, w->release) != 0)
			continue;
		rc = add_kernel(r, o, p, lock, err);
		given += rc == 0;
		if (rc < 0 && err->kind == ERR_NO && w->selector != SELECT_RELEASE) {
			snprintf(text, sizeof(text), "WARNING: %s %s is left out: %s",
				 w->arch->name, p->release, err->text);
			r->say(text);
			rc = 0;
		}
	}
	free(list);
	return rc < 0 ? -1 : (int)given;
}

int resolver_list(struct resolver *r, bool all, struct lock *lock, struct err *err)
{
	struct err why, first = { 0 };
	unsigned failed = 0;

	for (size_t i = 0; i < r->list->wanted_count; i++) {
		const struct wanted *w = &r->list->wanted[i];
		int given = resolve_line(r, w, all, lock, &why);

		if (given == 0) {
			err_set(&why, ERR_FAILED, "%s offers no kernel %s %s%s%s",
				w->source->name, w->flavour, w->arch->name,
				w->release[0] ? " " : "", w->release);
			given = -1;
		}
		if (given > 0)
			continue;
		err_prefix(&why, "line %u", w->line);
		if (failed++ == 0)
			first = why;
		else
			r->say(why.text);
	}
	lock_sort(lock);
	if (failed == 0)
		return 0;
	*err = first;
	return -1;
}

/* "deb13" of 6.12.117+deb13-cloud-amd64; "" of 6.1.0-56-cloud-amd64. */
static size_t distribution(const char *release, const char **word)
{
	const char *plus = strchr(release, '+');

	*word = plus ? plus + 1 : "";
	return strspn(*word, "abcdefghijklmnopqrstuvwxyz0123456789");
}

bool resolver_same_line(const char *a, const char *b)
{
	const char *x, *y;
	size_t n = distribution(a, &x), m = distribution(b, &y);

	return n == m && memcmp(x, y, n) == 0;
}

int resolver_successor(struct resolver *r, const struct arch *arch, const char *release,
		       struct lock *lock, struct err *err)
{
	const char *flavour = release_flavour(release);

	err_set(err, ERR_FAILED, "the list has no line for a kernel like %s %s",
		arch->name, release);
	for (size_t i = 0; i < r->list->wanted_count; i++) {
		const struct wanted *w = &r->list->wanted[i];
		const struct repo_package **list;
		const char *series = w->source->series;
		struct offer *o;
		size_t count;

		if (w->arch != arch || strncmp(release, series, strlen(series)) != 0)
			continue;
		o = get_offer(r, w->source, arch, err);
		if (!o)
			return -1;
		list = candidates(o, w->flavour, &count, err);
		if (!list)
			return -1;
		for (size_t j = 0; j < count; j++) {
			const struct repo_package *p = list[j];

			if (strcmp(release_flavour(p->release), flavour) != 0 ||
			    !resolver_same_line(p->release, release))
				continue;
			free(list);
			if (add_kernel(r, o, p, lock, err) < 0)
				return -1;
			lock_sort(lock);
			return 0;
		}
		free(list);
	}
	return -1;
}

int resolver_package(struct resolver *r, const char *source, const struct arch *arch,
		     const char *name, struct repo_package *package, struct err *err)
{
	const struct repo_context context = { .transport = r->transport, .only = name };
	const struct source *s = list_source(r->list, source);
	const struct repo_package *best = NULL;
	struct packages packages = { 0 };
	int rc = -1;

	if (!s)
		return err_set(err, ERR_USAGE, "the list has no source %s", source);
	if (s->ops->packages(&context, s, arch, &packages, err) < 0) {
		err_prefix(err, "source %s", source);
		goto out;
	}
	for (size_t i = 0; i < packages.count; i++) {
		if (!best || compare_versions(&packages.list[i], best) > 0)
			best = &packages.list[i];
	}
	if (!best) {
		err_set(err, ERR_NO, "%s has no package %s", source, name);
		goto out;
	}
	*package = *best;
	rc = 0;
out:
	packages_free(&packages);
	return rc;
}
