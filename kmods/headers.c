#include "kmods/headers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmods/file.h"
#include "kmods/hostprogs.h"
#include "toolkit/lib/io.h"

/* fvol is built on this one. */
#define HOST_ARCH "x86_64"
#define INCLUDE_LINE "include /usr/src/"
#define AUTOCONF "include/generated/autoconf.h"
#define OUTPUT_LINE "KBUILD_OUTPUT=/usr/src/"
#define KBUILD_PREFIX "linux-kbuild-"
#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/*
 * A flavour's Makefile is one line that includes the common one from where the package
 * would be installed: as many directories above as its own has below usr/src.
 */
static int fix_makefile(int headersfd, const char *above, struct err *err)
{
	char *text, *line, *fixed;
	size_t len, head;
	int rc = -1;

	if (file_read(headersfd, "Makefile", 1 << 20, &text, &len, err) < 0)
		return -1;
	fixed = malloc(len + strlen(above) + 1);
	line = strstr(text, INCLUDE_LINE);
	if (!fixed) {
		err_sys(err, errno, "changing the Makefile");
	} else if (!line) {
		/* A whole one, as other distributions have it. */
		rc = 0;
	} else if ((line != text && line[-1] != '\n') || strstr(line + 1, INCLUDE_LINE)) {
		err_set(err, ERR_FAILED, "its Makefile has not exactly one line \"%s…\"",
			INCLUDE_LINE);
	} else {
		head = (size_t)(line - text);
		len = (size_t)sprintf(fixed, "%.*sinclude %s%s", (int)head, text, above,
				      line + strlen(INCLUDE_LINE));
		rc = file_put(headersfd, "Makefile", fixed, len, 0644, false, err);
	}
	free(fixed);
	free(text);
	return rc;
}

/*
 * A kernel's configuration says what its compiler could, gcc 14: align every function.
 * Ours does not align those that are called cold, as all of a module's init code is, and
 * arm64's tracer then hits a BUG when the module is loaded. Without these the headers
 * call nothing cold (include/linux/compiler_types.h). Blanks take their place.
 */
static int fix_alignment(int headersfd, struct err *err)
{
	static const char *const lines[] = {
		"\n#define CONFIG_CC_HAS_SANE_FUNCTION_ALIGNMENT 1\n",
		"\n#define CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT 1\n",
	};
	char *text, *line, name[NAME_MAX + 1];
	bool changed = false;
	int dir, rc = 0;
	size_t len;

	if (file_read(headersfd, AUTOCONF, 4 << 20, &text, &len, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		line = strstr(text, lines[i]);
		if (line)
			memset(line + 1, ' ', strlen(lines[i]) - 2);
		changed = changed || line;
	}
	if (changed) {
		dir = tree_parent(headersfd, AUTOCONF, false, name, err);
		rc = dir < 0 ? -1 : file_put(dir, name, text, len, 0644, false, err);
		io_close(&dir);
	}
	free(text);
	return rc;
}

/* Since 7.x its first line says where it is installed, too: that is where make -C is. */
static int fix_output(int headersfd, struct err *err)
{
	char *text, *line, *fixed;
	size_t len, head;
	int rc = 0;

	if (file_read(headersfd, "Makefile", 1 << 20, &text, &len, err) < 0)
		return -1;
	line = strncmp(text, OUTPUT_LINE, strlen(OUTPUT_LINE)) == 0
		       ? text
		       : strstr(text, "\n" OUTPUT_LINE);
	if (line) {
		line += *line == '\n';
		head = (size_t)(line - text);
		fixed = malloc(len + 32);
		if (!fixed) {
			rc = err_sys(err, errno, "changing the Makefile");
		} else {
			len = (size_t)sprintf(fixed, "%.*sKBUILD_OUTPUT=$(CURDIR)%s",
					      (int)head, text,
					      line + strcspn(line, "\n"));
			rc = file_put(headersfd, "Makefile", fixed, len, 0644, false,
				      err);
		}
		free(fixed);
	}
	free(text);
	return rc;
}

int headers_check(int headersfd, const struct arch *arch, struct err *err)
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

/* Calls each() for every name in dirfd's directory path; none when there is no such. */
static int each_name(int dirfd, const char *path,
		     int (*each)(int fd, const char *name, void *arg, struct err *err),
		     void *arg, struct err *err)
{
	int fd = openat(dirfd, path, DIRECTORY), rc = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		io_close(&fd);
		return errno == ENOENT ? 0 : err_sys(err, errno, "opening %s", path);
	}
	while (rc == 0 && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			rc = each(fd, d->d_name, arg, err);
	}
	closedir(dir);
	return rc;
}

static int finish_common(int fd, const char *name, void *arg, struct err *err)
{
	int headersfd = openat(fd, name, DIRECTORY), rc = 0;
	struct stat st;

	if (headersfd < 0)
		return 0;
	if (fstatat(headersfd, "scripts", &st, AT_SYMLINK_NOFOLLOW) == 0)
		rc = link_kbuild(headersfd, *(int *)arg, err);
	close(headersfd);
	return rc;
}

int headers_finish_set(int setfd, struct err *err)
{
	return each_name(setfd, "usr/src", finish_common, &setfd, err);
}

struct linking {
	int rootfd;
	const char *set_path, *below;
	bool carried; /* the programs are in the headers, not in a kbuild package */
};

static int link_name(int fd, const char *name, void *arg, struct err *err)
{
	const struct linking *l = arg;
	char path[TREE_PATH_SIZE], last[NAME_MAX + 1], target[PATH_MAX];
	int dir, rc = 0;

	(void)fd;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", l->below, name) >=
		    sizeof(path) ||
	    (size_t)snprintf(target, sizeof(target), "%s/%s", l->set_path, path) >=
		    sizeof(target))
		return err_set(err, ERR_FAILED, "the name %s is too long", name);
	dir = tree_parent(l->rootfd, path, true, last, err);
	if (dir < 0)
		return -1;
	/* Programs for this machine stand where the kernel's own headers do. */
	if (symlinkat(target, dir, last) < 0 && !(l->carried && errno == EEXIST))
		rc = err_sys(err, errno, "linking %s", path);
	close(dir);
	return rc;
}

/* The directory of a kernel's own headers, below the root. */
static void headers_dir(const struct kernel *k, char dir[TREE_PATH_SIZE])
{
	const char *dash = strrchr(k->release, '-');

	if (k->kind == KERNEL_SUSE && dash)
		snprintf(dir, TREE_PATH_SIZE, "usr/src/linux-%.*s-obj/%s/%s",
			 (int)(dash - k->release), k->release, k->arch->name, dash + 1);
	else if (k->kind == KERNEL_REDHAT)
		snprintf(dir, TREE_PATH_SIZE, "usr/src/kernels/%s", k->release);
	else
		snprintf(dir, TREE_PATH_SIZE, "usr/src/linux-headers-%s", k->release);
}

/* Of headers for another architecture: see hostprogs.h. */
static int take_programs(const struct kernel *k, int headersfd, int setfd,
			 const char *dir, struct err *err)
{
	char own[TREE_PATH_SIZE], name[NAME_MAX + 1], *at;
	int parent, from, rc;

	/* The same name, but for the architecture. */
	snprintf(own, sizeof(own), "%s", dir);
	while ((at = strstr(own, k->arch->name)) != NULL) {
		size_t len = strlen(k->arch->name), have = strlen(HOST_ARCH);

		memmove(at + have, at + len, strlen(at + len) + 1);
		memcpy(at, HOST_ARCH, have);
	}
	parent = tree_parent(setfd, own, false, name, err);
	if (parent < 0)
		return err_prefix(err, "its packages have no programs for this machine");
	from = openat(parent, name, DIRECTORY);
	rc = from < 0 ? err_sys(err, errno, "opening %s", own)
		      : hostprogs_replace(from, headersfd, err);
	io_close(&from);
	close(parent);
	return rc;
}

static int finish_headers(const struct kernel *k, int headersfd, int rootfd, int setfd,
			  const char *dir, struct err *err)
{
	bool foreign = strcmp(k->arch->name, HOST_ARCH) != 0;

	if (headers_check(headersfd, k->arch, err) < 0 ||
	    fix_makefile(headersfd, k->kind == KERNEL_SUSE ? "../../../" : "../", err) <
		    0 ||
	    fix_output(headersfd, err) < 0 || fix_alignment(headersfd, err) < 0)
		return -1;
	if (k->kind == KERNEL_DEBIAN)
		return link_kbuild(headersfd, rootfd, err);
	return foreign ? take_programs(k, headersfd, setfd, dir, err) : 0;
}

int headers_prepare(const struct kernel *kernel, int rootfd, int setfd,
		    const char *set_path, char dir[TREE_PATH_SIZE], struct err *err)
{
	static const char *const below[] = { "usr/src", "usr/lib" };
	bool carried = kernel->kind != KERNEL_DEBIAN;
	char name[NAME_MAX + 1];
	int parent, fd;

	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
		struct linking l = { rootfd, set_path, below[i], carried };

		if (each_name(setfd, below[i], link_name, &l, err) < 0)
			return -1;
	}
	headers_dir(kernel, dir);
	parent = tree_parent(rootfd, dir, false, name, err);
	fd = parent < 0 ? -1 : openat(parent, name, DIRECTORY);
	if (parent >= 0 && fd < 0)
		err_sys(err, errno, "opening %s", dir);
	io_close(&parent);
	if (fd < 0)
		return err_prefix(err, "its packages have no headers for this release");
	if (finish_headers(kernel, fd, rootfd, setfd, dir, err) == 0)
		return fd;
	close(fd);
	return -1;
}
