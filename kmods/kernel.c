#include "kmods/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "kmods/file.h"
#include "kmods/headers.h"
#include "kmods/modcheck.h"
#include "kmods/modinfo.h"
#include "kmods/repo_tree.h"
#include "kmods/spawn.h"
#include "kmods/store.h"
#include "kmods/symbols.h"
#include "kmods/tree.h"
#include "toolkit/lib/io.h"

#ifndef FVOL_VERSION
#error "FVOL_VERSION comes from the Makefile"
#endif

/* Raise it when the steps below change the bytes in a way their arguments do not show. */
#define RECIPE 3
/* Debian 12's own; see make_args() for kernels that were built by a later one. */
#define COMPILER "gcc-12"
#define ARGS_MAX 24
#define LOG_BYTES_MAX (64u << 20)
#define BTF_BYTES_MAX (64u << 20)
#define NO_DEBUG "-g0"
/*
 * DWARF 4 is what every pahole reads. Types that no variable has count too; the rest
 * undoes what a configuration may ask for (DEBUG_INFO_REDUCED, _SPLIT, _COMPRESSED).
 */
#define DEBUG                                                                            \
	"-g -gdwarf-4 -fno-eliminate-unused-debug-types "                                \
	"-femit-struct-debug-detailed=any -gno-split-dwarf -gz=none"

struct args {
	char text[6 * PATH_MAX];
	size_t used;
	char *argv[ARGS_MAX + 1];
	size_t count;
};

/* Where a kernel is built, all absolute. */
struct place {
	char root[PATH_MAX];	/* its own headers, and links to what it shares */
	char shared[PATH_MAX];	/* where these lead */
	char headers[PATH_MAX]; /* make -C */
	char source[PATH_MAX];	/* the module's */
};

__attribute__((format(printf, 2, 3))) static void add_arg(struct args *a, const char *fmt,
							  ...)
{
	size_t room = sizeof(a->text) - a->used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(a->text + a->used, room, fmt, ap);
	va_end(ap);
	/* Too long shows as a count that no caller accepts. */
	if (n < 0 || (size_t)n >= room || a->count >= ARGS_MAX) {
		a->count = ARGS_MAX + 1;
		return;
	}
	a->argv[a->count++] = a->text + a->used;
	a->argv[a->count] = NULL;
	a->used += (size_t)n + 1;
}

static int too_long(struct err *err)
{
	return err_set(err, ERR_FAILED, "the scratch directory's name is too long");
}

static int make_args(struct args *a, const struct kernel *k, const struct place *at,
		     const char *debug, struct err *err)
{
	const char *arch = k->arch->name;

	memset(a, 0, sizeof(*a));
	add_arg(a, "make");
	add_arg(a, "-C");
	add_arg(a, "%s", at->headers);
	add_arg(a, "M=%s", at->source);
	add_arg(a, "ARCH=%s", k->arch->kbuild);
	add_arg(a, "CROSS_COMPILE=%s-linux-gnu-", arch);
	add_arg(a, "CC=%s-linux-gnu-" COMPILER, arch);
	/* Would want the kernel's own vmlinux and pahole. */
	add_arg(a, "CONFIG_DEBUG_INFO_BTF_MODULES=");
	/* A flag of gcc 14, which kernels built by one would pass: see fix_alignment().
	 */
	add_arg(a, "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=");
	/* Shown in /sys/module: the source that a loaded module was made of. */
	add_arg(a, "CONFIG_MODULE_SRCVERSION_ALL=y");
	/* LiME: no debug information, and no path. The build id is a hash over both. */
	add_arg(a,
		"KCFLAGS=%s -Wno-attributes -ffile-prefix-map=%s=/kernel "
		"-ffile-prefix-map=%s=/kernel -ffile-prefix-map=%s=/lime",
		debug, at->root, at->shared, at->source);
	add_arg(a, "V=1");
	return a->count > ARGS_MAX ? too_long(err) : 0;
}

static int tool_version(const struct recipe *r, const char *arch, const char *tool,
			char *line, size_t size, struct err *err)
{
	char name[64], option[] = "--version";
	char *argv[] = { name, option, NULL };

	snprintf(name, sizeof(name), "%s-linux-gnu-%s", arch, tool);
	return spawn_line(r->tools, argv, line, size, err);
}

static void feed(struct sha256 *ctx, const char *text)
{
	sha256_update(ctx, text, strlen(text));
	sha256_update(ctx, "\n", 1);
}

/* Everything that the module's bytes depend on, with fixed paths for the true ones. */
static int digest_inputs(const struct recipe *r, const struct kernel *k, struct module *m,
			 const char *binutils, struct err *err)
{
	const struct place nowhere = { "/kernel", "/shared", "/kernel", "/lime" };
	uint8_t digest[SHA256_LEN];
	struct sha256 ctx;
	struct args args;
	char head[64];

	if (make_args(&args, k, &nowhere, NO_DEBUG, err) < 0)
		return -1;
	snprintf(head, sizeof(head), "kmods %s recipe %d", FVOL_VERSION, RECIPE);
	sha256_init(&ctx);
	feed(&ctx, head);
	feed(&ctx, m->arch);
	feed(&ctx, m->release);
	feed(&ctx, m->compiler);
	feed(&ctx, binutils);
	for (size_t i = 0; i < r->lime_count; i++) {
		feed(&ctx, r->limes[i]->version);
		feed(&ctx, r->limes[i]->sha256);
		feed(&ctx, r->limes[i]->kbuild);
	}
	for (size_t i = 0; i < args.count; i++)
		feed(&ctx, args.argv[i]);
	for (size_t i = 0; i < m->package_count; i++)
		feed(&ctx, m->packages[i].sha256);
	sha256_final(&ctx, digest);
	sha256_to_hex(digest, m->inputs);
	return 0;
}

static void set_lime(struct module *m, const struct lime *lime)
{
	snprintf(m->lime_version, sizeof(m->lime_version), "%s", lime->version);
	snprintf(m->lime_sha256, sizeof(m->lime_sha256), "%s", lime->sha256);
}

int kernel_describe(struct recipe *recipe, const struct kernel *kernel, struct module *m,
		    struct err *err)
{
	size_t arch = (size_t)(kernel->arch - archs);
	char *compiler = recipe->versions[arch].compiler;
	char *binutils = recipe->versions[arch].binutils;

	memset(m, 0, sizeof(*m));
	snprintf(m->arch, sizeof(m->arch), "%s", kernel->arch->name);
	snprintf(m->release, sizeof(m->release), "%s", kernel->release);
	snprintf(m->flavour, sizeof(m->flavour), "%s", release_flavour(kernel->release));
	set_lime(m, recipe->limes[0]);
	m->locked = kernel->locked;
	m->package_count = kernel->package_count;
	for (size_t i = 0; i < kernel->package_count; i++)
		m->packages[i] = kernel->packages[i]->package;
	if ((!compiler[0] &&
	     tool_version(recipe, m->arch, COMPILER, compiler,
			  sizeof(recipe->versions[arch].compiler), err) < 0) ||
	    (!binutils[0] &&
	     tool_version(recipe, m->arch, "strip", binutils,
			  sizeof(recipe->versions[arch].binutils), err) < 0))
		return -1;
	snprintf(m->compiler, sizeof(m->compiler), "%s", compiler);
	return digest_inputs(recipe, kernel, m, binutils, err);
}

static int run_make(const struct recipe *r, const struct kernel *k,
		    const struct place *at, const char *debug, int logfd, struct err *err)
{
	struct args args;

	if (make_args(&args, k, at, debug, err) < 0)
		return -1;
	add_arg(&args, "-j%u", r->make_jobs);
	add_arg(&args, "modules");
	if (args.count > ARGS_MAX)
		return too_long(err);
	return spawn_run(r->tools, args.argv, logfd, err);
}

static int compile(const struct recipe *r, const struct kernel *k, const struct place *at,
		   int logfd, struct err *err)
{
	char ko[PATH_MAX + 16], tool[64], option[] = "--strip-unneeded";
	char *strip[] = { tool, option, ko, NULL };

	snprintf(tool, sizeof(tool), "%s-linux-gnu-strip", k->arch->name);
	snprintf(ko, sizeof(ko), "%s/" MODULE_FILE, at->source);
	if (run_make(r, k, at, NO_DEBUG, logfd, err) < 0)
		return -1;
	return spawn_run(r->tools, strip, logfd, err);
}

/* Reads the built module, checks it and puts it into the store. */
static int keep(const struct recipe *r, const struct kernel *k, int headersfd,
		int sourcefd, struct module *m, struct err *err)
{
	struct modinfo *info = calloc(1, sizeof(*info));
	struct module entry;
	char *data = NULL;
	size_t len;
	int rc = -1;

	if (!info) {
		err_sys(err, errno, "reading " MODULE_FILE);
		goto out;
	}
	if (file_read(sourcefd, MODULE_FILE, MODULE_BYTES_MAX, &data, &len, err) < 0)
		goto out;
	if (modinfo_read(data, len, info, err) < 0) {
		err_prefix(err, MODULE_FILE);
		goto out;
	}
	if (modcheck(k, headersfd, info, err) < 0)
		goto out;
	file_digest(data, len, m->sha256);
	m->size_bytes = len;
	snprintf(m->vermagic, sizeof(m->vermagic), "%s", info->vermagic);
	snprintf(m->srcversion, sizeof(m->srcversion), "%s", info->srcversion);
	snprintf(m->build_id, sizeof(m->build_id), "%s", info->build_id);
	/* The symbols are another result, of other inputs. */
	entry = *m;
	symbols_forget(&entry);
	rc = store_put(r->storefd, m->inputs, MODULE_FILE, data, len, &entry, err);
out:
	free(data);
	free(info);
	return rc;
}

/* Opens a new, empty directory below dirfd. */
/*
 * Did the compiler or modpost refuse the source? Then another source may do. A make that
 * failed for want of space, memory or a program says nothing of the source.
 */
static bool source_refused(const struct recipe *r, const char *log)
{
	static const char *const words[] = { " error: ", "ERROR: modpost:" };
	static const char *const excuses[] = { "No space left on device",
					       "Cannot allocate memory", "Killed",
					       "Input/output error", "write error" };
	bool refused = false;
	struct err ignored;
	size_t len;
	char *text;

	if (file_read(r->scratchfd, log, LOG_BYTES_MAX, &text, &len, &ignored) < 0)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		refused = refused || strstr(text, words[i]);
	for (size_t i = 0; i < sizeof(excuses) / sizeof(excuses[0]); i++)
		refused = refused && !strstr(text, excuses[i]);
	free(text);
	return refused;
}

/* What make and compilers say then is far from the cause. */
static bool disk_full(int fd)
{
	struct statvfs fs;

	return fstatvfs(fd, &fs) == 0 && fs.f_bavail == 0;
}

static int build_lime(const struct recipe *r, const struct kernel *k,
		      const struct lime *lime, const struct place *at, int dirfd,
		      int headersfd, int logfd, struct module *m, struct err *err)
{
	int sourcefd = tree_new_dir(dirfd, "lime", err), rc = -1;

	if (sourcefd >= 0 && lime_write(lime, sourcefd, err) == 0 &&
	    compile(r, k, at, logfd, err) == 0) {
		set_lime(m, lime);
		/* What is wrong with a module that was built no other source mends. */
		rc = keep(r, k, headersfd, sourcefd, m, err) == 0 ? 0 : -2;
	}
	io_close(&sourcefd);
	return rc;
}

/* Tries the versions of LiME in their order. The sentence of each that failed counts. */
static int build_limes(const struct recipe *r, const struct kernel *k,
		       const struct place *at, int dirfd, int headersfd, int logfd,
		       const char *log, struct module *m, struct err *err)
{
	struct err why[LIMES_MAX];
	size_t tried = 0;
	int rc = -1;

	while (rc == -1 && tried < r->lime_count) {
		rc = build_lime(r, k, r->limes[tried], at, dirfd, headersfd, logfd, m,
				&why[tried]);
		tried++;
		if (rc == -1 && !source_refused(r, log))
			break;
	}
	if (rc == 0)
		return 0;
	*err = why[tried - 1];
	if (rc == -2)
		return -1;
	if (tried == 2)
		err_set(err, ERR_FAILED, "LiME %s: %.100s; LiME %s: %.100s",
			r->limes[0]->version, why[0].text, r->limes[1]->version,
			why[1].text);
	else
		err_prefix(err, "LiME %s", r->limes[0]->version);
	if (disk_full(r->scratchfd))
		err_prefix(err, "the disk of %s is full", r->scratch);
	return err_prefix(err, "see %s/%s", r->scratch, log);
}

/* Unpacks into the kernel's own directory dirfd, whose absolute name is dir. */
static int open_packages(const struct recipe *r, const struct kernel *k, int dirfd,
			 const char *dir, struct place *at, struct err *err)
{
	int rootfd = -1, setfd = -1, headersfd = -1;
	char headers[TREE_PATH_SIZE];
	struct tree_set set;

	tree_set_of(k, &set);
	if ((size_t)snprintf(at->shared, PATH_MAX, "%s/%s", r->trees->path, set.name) >=
		    PATH_MAX ||
	    (size_t)snprintf(at->root, PATH_MAX, "%s/root", dir) >= PATH_MAX)
		return too_long(err);
	setfd = trees_get(r->trees, r->packages, &set, headers_finish_set, err);
	rootfd = setfd < 0 ? -1 : tree_new_dir(dirfd, "root", err);
	if (rootfd >= 0 && trees_unpack(r->packages, k->packages[0], rootfd, err) == 0)
		headersfd = headers_prepare(k, rootfd, setfd, at->shared, headers, err);
	if (headersfd >= 0 && (size_t)snprintf(at->headers, PATH_MAX, "%s/%s", at->root,
					       headers) >= PATH_MAX) {
		too_long(err);
		io_close(&headersfd);
	}
	io_close(&rootfd);
	io_close(&setfd);
	return headersfd;
}

/* A build tree of this machine: nothing is unpacked, and nothing in it is changed. */
static int open_tree(const struct kernel *k, struct place *at, struct err *err)
{
	const struct lock_package *tree = k->packages[0];
	char hex[SHA256_HEX_SIZE];
	uint64_t size;
	int fd;

	if (tree_digest(tree->origin, hex, &size, err) < 0)
		return -1;
	if (strcmp(hex, tree->package.sha256) != 0)
		return err_set(err, ERR_NO, "%s has changed since it was listed",
			       tree->origin);
	if (!realpath(tree->origin, at->headers))
		return err_sys(err, errno, "resolving %s", tree->origin);
	memcpy(at->root, at->headers, PATH_MAX);
	memcpy(at->shared, at->headers, PATH_MAX);
	fd = open(at->headers, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "opening %s", tree->origin);
	if (headers_check(fd, k->arch, err) < 0)
		io_close(&fd);
	return fd;
}

/* Where a module's source goes that is called name. Returns the headers' descriptor. */
static int open_place(const struct recipe *r, const struct kernel *k, int dirfd,
		      const char *dir, const char *name, struct place *at,
		      struct err *err)
{
	if ((size_t)snprintf(at->source, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		return too_long(err);
	return k->kind == KERNEL_TREE ? open_tree(k, at, err)
				      : open_packages(r, k, dirfd, dir, at, err);
}

/* Opens the log anew; its name below the scratch directory is copied to log. */
static int open_log(const struct recipe *r, const struct kernel *k, const char *suffix,
		    char log[TREE_PATH_SIZE], struct err *err)
{
	char name[NAME_MAX + 1];
	int dir, fd;

	snprintf(log, TREE_PATH_SIZE, "%s/%s%s", k->arch->name, k->release, suffix);
	dir = tree_parent(r->scratchfd, log, true, name, err);
	if (dir < 0)
		return -1;
	fd = openat(dir, name,
		    O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
		    0644);
	if (fd < 0)
		err_sys(err, errno, "making %s", log);
	close(dir);
	return fd;
}

/* Where one module of a kernel is built, and its log. */
struct site {
	char rel[NAME_MAX + 1], dir[PATH_MAX], log[TREE_PATH_SIZE];
	struct place at;
	int dirfd, logfd, headersfd;
};

/* Its directory and log end with suffix. site_close() is due in both cases. */
static int site_open(const struct recipe *r, const struct kernel *k, const char *name,
		     const char *suffix, struct site *site, struct err *err)
{
	char log_suffix[32];

	site->dirfd = site->logfd = site->headersfd = -1;
	snprintf(site->rel, sizeof(site->rel), "%s-%s%s", k->arch->name, k->release,
		 suffix);
	snprintf(log_suffix, sizeof(log_suffix), "%s.log", suffix);
	if ((size_t)snprintf(site->dir, sizeof(site->dir), "%s/%s", r->trees->path,
			     site->rel) >= sizeof(site->dir))
		return too_long(err);
	site->logfd = open_log(r, k, log_suffix, site->log, err);
	site->dirfd = site->logfd < 0 ? -1 : tree_new_dir(r->trees->fd, site->rel, err);
	if (site->dirfd < 0)
		return -1;
	site->headersfd = open_place(r, k, site->dirfd, site->dir, name, &site->at, err);
	return site->headersfd < 0 ? -1 : 0;
}

static void site_close(const struct recipe *r, struct site *site)
{
	struct err ignored;

	io_close(&site->headersfd);
	io_close(&site->dirfd);
	io_close(&site->logfd);
	tree_remove(r->trees->fd, site->rel, &ignored);
}

int kernel_build(const struct recipe *recipe, const struct kernel *kernel,
		 struct module *module, struct err *err)
{
	struct site site;
	int rc = site_open(recipe, kernel, "lime", "", &site, err);

	if (rc == 0)
		rc = build_limes(recipe, kernel, &site.at, site.dirfd, site.headersfd,
				 site.logfd, site.log, module, err);
	site_close(recipe, &site);
	return rc;
}

void kernel_ask_pahole(struct recipe *recipe)
{
	char name[] = "pahole", option[] = "--version";
	char *argv[] = { name, option, NULL };
	struct err ignored;

	if (spawn_line(recipe->tools, argv, recipe->pahole, sizeof(recipe->pahole),
		       &ignored) < 0)
		recipe->pahole[0] = '\0';
}

static int run_pahole(const struct recipe *r, const struct place *at, int logfd,
		      struct err *err)
{
	char ko[PATH_MAX + 32], option[PATH_MAX + 32], name[] = "pahole";
	char *argv[] = { name, option, ko, NULL };

	snprintf(option, sizeof(option), "--btf_encode_detached=%s/btf", at->source);
	snprintf(ko, sizeof(ko), "%s/" TYPES_MODULE ".ko", at->source);
	return spawn_run(r->tools, argv, logfd, err);
}

int kernel_types(const struct recipe *recipe, const struct kernel *kernel, char **btf,
		 size_t *len_bytes, struct err *err)
{
	struct site site;
	int sourcefd = -1, rc;

	/* Before the minutes that a slow machine may compile for nothing. */
	if (!recipe->pahole[0])
		return err_set(err, ERR_FAILED,
			       "pahole is not installed on this machine");
	rc = site_open(recipe, kernel, "types", ".types", &site, err);
	if (rc == 0) {
		sourcefd = tree_new_dir(site.dirfd, "types", err);
		rc = sourcefd < 0 ? -1 : lime_write(recipe->types, sourcefd, err);
	}
	if (rc == 0) {
		rc = run_make(recipe, kernel, &site.at, DEBUG, site.logfd, err);
		if (rc == 0)
			rc = run_pahole(recipe, &site.at, site.logfd, err);
		if (rc == 0)
			rc = file_read(sourcefd, "btf", BTF_BYTES_MAX, btf, len_bytes,
				       err);
		if (rc < 0 && disk_full(recipe->scratchfd))
			err_prefix(err, "the disk of %s is full", recipe->scratch);
		if (rc < 0)
			err_prefix(err, "see %s/%s", recipe->scratch, site.log);
	}
	io_close(&sourcefd);
	site_close(recipe, &site);
	return rc < 0 ? -1 : 0;
}
