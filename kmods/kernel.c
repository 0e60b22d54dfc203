#include "kmods/kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmods/file.h"
#include "kmods/modinfo.h"
#include "kmods/spawn.h"
#include "kmods/tree.h"
#include "kmods/unpack.h"
#include "toolkit/lib/io.h"

#ifndef FVOL_VERSION
#error "FVOL_VERSION comes from the Makefile"
#endif

/* Raise it when the steps below change the bytes in a way their arguments do not show. */
#define RECIPE 1
/* Debian 12's own; a compiler's major version must be the kernel's or newer. */
#define COMPILER "gcc-12"
#define INCLUDE_LINE "include /usr/src/"
#define KBUILD_PREFIX "linux-kbuild-"
#define ARGS_MAX 20

struct args {
	char text[4 * PATH_MAX];
	size_t used;
	char *argv[ARGS_MAX + 1];
	size_t count;
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

/* root holds the unpacked packages, source the module's source. */
static int make_args(struct args *a, const struct kernel *k, const char *root,
		     const char *source, struct err *err)
{
	const char *arch = k->arch->name;

	memset(a, 0, sizeof(*a));
	add_arg(a, "make");
	add_arg(a, "-C");
	add_arg(a, "%s/usr/src/linux-headers-%s", root, k->release);
	add_arg(a, "M=%s", source);
	add_arg(a, "ARCH=%s", k->arch->kbuild);
	add_arg(a, "CROSS_COMPILE=%s-linux-gnu-", arch);
	add_arg(a, "CC=%s-linux-gnu-" COMPILER, arch);
	/* Would want the kernel's own vmlinux and pahole. */
	add_arg(a, "CONFIG_DEBUG_INFO_BTF_MODULES=");
	/* A flag of later compilers, which kernels built by one would pass. */
	add_arg(a, "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=");
	/* Shown in /sys/module: the source that a loaded module was made of. */
	add_arg(a, "CONFIG_MODULE_SRCVERSION_ALL=y");
	/* No debug information and no path: the build id is a hash over both. */
	add_arg(a,
		"KCFLAGS=-g0 -Wno-attributes -ffile-prefix-map=%s=/kernel "
		"-ffile-prefix-map=%s=/lime",
		root, source);
	add_arg(a, "V=1");
	if (a->count > ARGS_MAX)
		return err_set(err, ERR_FAILED,
			       "the scratch directory's name is too long");
	return 0;
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
	uint8_t digest[SHA256_LEN];
	struct sha256 ctx;
	struct args args;
	char head[64];

	if (make_args(&args, k, "/kernel", "/lime", err) < 0)
		return -1;
	snprintf(head, sizeof(head), "kmods %s recipe %d", FVOL_VERSION, RECIPE);
	sha256_init(&ctx);
	feed(&ctx, head);
	feed(&ctx, m->arch);
	feed(&ctx, m->release);
	feed(&ctx, m->compiler);
	feed(&ctx, binutils);
	feed(&ctx, m->lime_version);
	feed(&ctx, m->lime_sha256);
	feed(&ctx, r->lime->kbuild);
	for (size_t i = 0; i < args.count; i++)
		feed(&ctx, args.argv[i]);
	for (size_t i = 0; i < m->package_count; i++)
		feed(&ctx, m->packages[i].sha256);
	sha256_final(&ctx, digest);
	sha256_to_hex(digest, m->inputs);
	return 0;
}

int kernel_describe(const struct recipe *recipe, const struct kernel *kernel,
		    struct module *m, struct err *err)
{
	char binutils[128];

	memset(m, 0, sizeof(*m));
	snprintf(m->arch, sizeof(m->arch), "%s", kernel->arch->name);
	snprintf(m->release, sizeof(m->release), "%s", kernel->release);
	snprintf(m->flavour, sizeof(m->flavour), "%s", release_flavour(kernel->release));
	snprintf(m->lime_version, sizeof(m->lime_version), "%s", recipe->lime->version);
	snprintf(m->lime_sha256, sizeof(m->lime_sha256), "%s", recipe->lime->sha256);
	m->locked = kernel->locked;
	m->package_count = kernel->package_count;
	for (size_t i = 0; i < kernel->package_count; i++)
		m->packages[i] = kernel->packages[i]->package;
	if (tool_version(recipe, m->arch, COMPILER, m->compiler, sizeof(m->compiler),
			 err) < 0 ||
	    tool_version(recipe, m->arch, "strip", binutils, sizeof(binutils), err) < 0)
		return -1;
	return digest_inputs(recipe, kernel, m, binutils, err);
}

int package_read(const char *path, const char *sha256, uint64_t size_bytes, char **data,
		 size_t *len_bytes, struct err *err)
{
	char hex[SHA256_HEX_SIZE];

	if (file_read(AT_FDCWD, path, PACKAGE_BYTES_MAX, data, len_bytes, err) < 0)
		return -1;
	if (!sha256)
		return 0;
	file_digest(*data, *len_bytes, hex);
	if ((size_bytes == 0 || size_bytes == *len_bytes) && strcmp(hex, sha256) == 0)
		return 0;
	free(*data);
	*data = NULL;
	return err_set(err, ERR_NO, "%s is another file: SHA-256 %s, expected %s", path,
		       hex, sha256);
}

static int unpack_all(const struct recipe *r, const struct kernel *k, int rootfd,
		      struct err *err)
{
	for (size_t i = 0; i < k->package_count; i++) {
		const struct lock_package *p = k->packages[i];
		char path[PATH_MAX], *data;
		size_t len;
		int rc;

		if ((size_t)snprintf(path, sizeof(path), "%s/%s", r->packages, p->file) >=
		    sizeof(path))
			return err_set(err, ERR_FAILED, "the name of %s is too long",
				       p->file);
		if (package_read(path, p->package.sha256, p->size_bytes, &data, &len,
				 err) < 0)
			return -1;
		rc = unpack_package(data, len, p->file, rootfd, err);
		free(data);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/*
 * A flavour's Makefile is one line that includes the common one from where the package
 * would be installed. Beside it, it stands where the package would put it.
 */
static int fix_makefile(int headersfd, struct err *err)
{
	char *text, *line, *fixed;
	size_t len, head;
	int rc = -1;

	if (file_read(headersfd, "Makefile", 1 << 16, &text, &len, err) < 0)
		return -1;
	fixed = malloc(len + 8);
	line = strstr(text, INCLUDE_LINE);
	if (!fixed) {
		err_sys(err, errno, "changing the Makefile");
	} else if (!line || (line != text && line[-1] != '\n') ||
		   strstr(line + 1, INCLUDE_LINE)) {
		err_set(err, ERR_FAILED, "its Makefile has not exactly one line \"%s…\"",
			INCLUDE_LINE);
	} else {
		head = (size_t)(line - text);
		len = (size_t)sprintf(fixed, "%.*sinclude ../%s", (int)head, text,
				      line + strlen(INCLUDE_LINE));
		rc = file_put(headersfd, "Makefile", fixed, len, 0644, false, err);
	}
	free(fixed);
	free(text);
	return rc;
}

/* Another architecture's headers would fail far from the cause, or not at all. */
static int check_headers(int headersfd, const struct arch *arch, struct err *err)
{
	size_t len;
	char *text;
	bool right;

	if (file_read(headersfd, "include/config/auto.conf", 4 << 20, &text, &len, err) <
	    0)
		return -1;
	right = strstr(text, arch->config) != NULL;
	free(text);
	return right ? 0
		     : err_set(err, ERR_FAILED, "its headers are not for %s", arch->name);
}

/* The one kbuild below usr/lib; "" when there is none or more than one. */
static int find_kbuild(int libfd, char name[NAME_MAX + 1], struct err *err)
{
	int fd = openat(libfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	size_t count = 0;

	name[0] = '\0';
	if (!dir) {
		io_close(&fd);
		return err_sys(err, errno, "reading usr/lib");
	}
	while ((d = readdir(dir)) != NULL) {
		if (strncmp(d->d_name, KBUILD_PREFIX, strlen(KBUILD_PREFIX)) == 0 &&
		    count++ == 0)
			snprintf(name, NAME_MAX + 1, "%s", d->d_name);
	}
	closedir(dir);
	if (count != 1)
		name[0] = '\0';
	return 0;
}

/*
 * The headers' scripts are a link to ../../lib/linux-kbuild-X/scripts. The lock file may
 * name a kbuild of the same version that was built for another release of Debian, because
 * X's programs want a newer libc than this machine's: then X becomes a link to that one.
 */
static int link_kbuild(int headersfd, int rootfd, struct err *err)
{
	static const char before[] = "../../lib/", behind[] = "/scripts";
	char target[NAME_MAX + 64], have[NAME_MAX + 1], *want, *end;
	struct stat st;
	ssize_t n;
	int libfd, rc;

	if (fstatat(headersfd, "scripts", &st, 0) == 0)
		return 0;
	n = readlinkat(headersfd, "scripts", target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	want = target + strlen(before);
	end = strstr(target, behind);
	if (strncmp(target, before, strlen(before)) != 0 || !end || end[strlen(behind)] ||
	    strncmp(want, KBUILD_PREFIX, strlen(KBUILD_PREFIX)) != 0)
		return err_set(err, ERR_FAILED, "its headers have no scripts");
	*end = '\0';
	if (strchr(want, '/'))
		return err_set(err, ERR_FAILED, "its headers' scripts are elsewhere");
	libfd = openat(rootfd, "usr/lib",
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (libfd < 0 && errno == ENOENT)
		return err_set(err, ERR_FAILED, "its packages have no %s", want);
	if (libfd < 0)
		return err_sys(err, errno, "opening usr/lib");
	rc = find_kbuild(libfd, have, err);
	if (rc == 0 && !have[0])
		rc = err_set(err, ERR_FAILED, "its packages have no %s", want);
	else if (rc == 0 && symlinkat(have, libfd, want) < 0)
		rc = err_sys(err, errno, "linking %s", want);
	close(libfd);
	return rc;
}

static int prepare_headers(const struct kernel *k, int rootfd, struct err *err)
{
	char path[TREE_PATH_SIZE], name[NAME_MAX + 1];
	int fd, rc = -1;

	snprintf(path, sizeof(path), "usr/src/linux-headers-%s/Makefile", k->release);
	fd = tree_parent(rootfd, path, false, name, err);
	if (fd < 0)
		return err_prefix(err, "its packages have no headers for this release");
	if (check_headers(fd, k->arch, err) == 0 && fix_makefile(fd, err) == 0 &&
	    link_kbuild(fd, rootfd, err) == 0)
		rc = 0;
	close(fd);
	return rc;
}

static int compile(const struct recipe *r, const struct kernel *k, const char *dir,
		   int logfd, struct err *err)
{
	char root[PATH_MAX], source[PATH_MAX], tool[64], option[] = "--strip-unneeded";
	char ko[PATH_MAX + 16];
	char *strip[] = { tool, option, ko, NULL };
	struct args args;

	snprintf(tool, sizeof(tool), "%s-linux-gnu-strip", k->arch->name);
	if ((size_t)snprintf(root, sizeof(root), "%s/root", dir) >= sizeof(root) ||
	    (size_t)snprintf(source, sizeof(source), "%s/lime", dir) >= sizeof(source))
		return err_set(err, ERR_FAILED,
			       "the scratch directory's name is too long");
	snprintf(ko, sizeof(ko), "%s/lime.ko", source);
	if (make_args(&args, k, root, source, err) < 0)
		return -1;
	add_arg(&args, "-j%u", r->make_jobs);
	add_arg(&args, "modules");
	if (args.count > ARGS_MAX)
		return err_set(err, ERR_FAILED,
			       "the scratch directory's name is too long");
	if (spawn_run(r->tools, args.argv, logfd, err) < 0)
		return -1;
	return spawn_run(r->tools, strip, logfd, err);
}

static int read_back(const struct kernel *k, int sourcefd, struct module *m,
		     struct err *err)
{
	struct modinfo info;
	size_t len, word;
	char *data;
	int rc;

	if (file_read(sourcefd, "lime.ko", MODULE_BYTES_MAX, &data, &len, err) < 0)
		return -1;
	file_digest(data, len, m->sha256);
	m->size_bytes = len;
	rc = modinfo_read(data, len, &info, err);
	free(data);
	if (rc < 0)
		return err_prefix(err, "lime.ko");
	word = strcspn(info.vermagic, " ");
	if (info.machine != k->arch->machine)
		return err_set(err, ERR_FAILED, "lime.ko is for ELF machine %u, not %s",
			       info.machine, k->arch->name);
	if (word != strlen(k->release) || memcmp(info.vermagic, k->release, word) != 0)
		return err_set(err, ERR_FAILED, "lime.ko is for the kernel %.*s",
			       (int)word, info.vermagic);
	if (strcmp(info.name, "lime") != 0)
		return err_set(err, ERR_FAILED, "lime.ko calls itself %s", info.name);
	snprintf(m->vermagic, sizeof(m->vermagic), "%s", info.vermagic);
	snprintf(m->srcversion, sizeof(m->srcversion), "%s", info.srcversion);
	snprintf(m->build_id, sizeof(m->build_id), "%s", info.build_id);
	return 0;
}

/* Opens a new, empty directory below dirfd. */
static int new_dir(int dirfd, const char *name, struct err *err)
{
	int fd;

	if (tree_remove(dirfd, name, err) < 0 || io_mkdir(dirfd, name, 0755, err) < 0)
		return -1;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "opening directory %s", name) : fd;
}

/* In the kernel's own directory dirfd, whose absolute name is dir. */
static int build_in(const struct recipe *r, const struct kernel *k, int dirfd,
		    const char *dir, int logfd, struct module *m, struct err *err)
{
	int rootfd = new_dir(dirfd, "root", err), sourcefd = -1, rc = -1;

	if (rootfd < 0 || unpack_all(r, k, rootfd, err) < 0 ||
	    prepare_headers(k, rootfd, err) < 0)
		goto out;
	sourcefd = new_dir(dirfd, "lime", err);
	if (sourcefd < 0 || lime_write(r->lime, sourcefd, err) < 0)
		goto out;
	if (compile(r, k, dir, logfd, err) < 0) {
		err_prefix(err, "see %s.log", dir);
		goto out;
	}
	rc = read_back(k, sourcefd, m, err);
out:
	io_close(&sourcefd);
	io_close(&rootfd);
	return rc;
}

int kernel_build(const struct recipe *recipe, const struct kernel *kernel, int scratchfd,
		 struct module *module, struct err *err)
{
	char rel[TREE_PATH_SIZE], name[NAME_MAX + 1], log[NAME_MAX + 1], dir[PATH_MAX];
	int archfd, dirfd = -1, logfd = -1, rc = -1;

	snprintf(rel, sizeof(rel), "%s/%s", kernel->arch->name, kernel->release);
	if ((size_t)snprintf(dir, sizeof(dir), "%s/%s", recipe->scratch, rel) >=
	    sizeof(dir))
		return err_set(err, ERR_FAILED,
			       "the scratch directory's name is too long");
	archfd = tree_parent(scratchfd, rel, true, name, err);
	if (archfd < 0)
		return -1;
	snprintf(log, sizeof(log), "%.200s.log", name);
	logfd = openat(archfd, log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
		       0644);
	if (logfd < 0) {
		err_sys(err, errno, "making %s", log);
		goto out;
	}
	dirfd = new_dir(archfd, name, err);
	if (dirfd >= 0)
		rc = build_in(recipe, kernel, dirfd, dir, logfd, module, err);
out:
	io_close(&dirfd);
	io_close(&logfd);
	io_close(&archfd);
	return rc;
}
