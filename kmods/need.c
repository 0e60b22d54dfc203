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
#include "kmods/file.h"
#include "kmods/tree.h"
#include "kmods/verify.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/limecat.h"

#define LOCK_BYTES_MAX (4u << 20)

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
		snprintf(verdict->why, sizeof(verdict->why), "there is no catalogue");
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

/* Is this line of a lock one of this kernel? Its second and third words say so. */
static bool is_line_of(const char *line, const struct need_kernel *kernel)
{
	const char *const words[] = { NULL, kernel->arch, kernel->release };

	if (*line == '#')
		return false;
	for (size_t i = 0; i < 3; i++) {
		size_t len;

		line += strspn(line, " \t");
		len = strcspn(line, " \t\n");
		if (len == 0 || (words[i] && (strlen(words[i]) != len ||
					      memcmp(line, words[i], len) != 0)))
			return false;
		line += len;
	}
	return true;
}

/* Copies the lines of the kernels into a lock of their own. */
static int write_lock(int scratchfd, const char *lock, const struct need_kernel *kernels,
		      size_t count, struct err *err)
{
	char *text, *out, *line, *next;
	size_t len, used = 0, seen = 0;
	int rc;

	if (file_read(AT_FDCWD, lock, LOCK_BYTES_MAX, &text, &len, err) < 0)
		return -1;
	/* A kernel that two records name is one. */
	out = malloc(len + 2);
	if (!out) {
		free(text);
		return err_sys(err, errno, "reading %s", lock);
	}
	for (line = text; *line; line = next) {
		size_t n = strcspn(line, "\n");
		bool wanted = false;

		next = line + n + (line[n] == '\n');
		for (size_t i = 0; i < count && !wanted; i++)
			wanted = is_line_of(line, &kernels[i]);
		if (!wanted)
			continue;
		memcpy(out + used, line, n);
		out[used + n] = '\n';
		used += n + 1;
	}
	for (size_t i = 0; i < count; i++) {
		bool has = false;

		out[used] = '\0';
		for (line = out; *line && !has; line += strcspn(line, "\n") + 1)
			has = is_line_of(line, &kernels[i]);
		seen += has;
		if (!has)
			err_set(err, ERR_NO, "%s has no packages for %s %s", lock,
				kernels[i].arch, kernels[i].release);
	}
	rc = seen < count ? -1
			  : file_put(scratchfd, "need.lock", out, used, 0644, false, err);
	free(out);
	free(text);
	return rc;
}

int need_build(const char *dir, const struct need_kernel *kernels, size_t count,
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
	if (rc == 0)
		rc = write_lock(fd, options->lock, kernels, count, err);
	close(fd);
	if (rc < 0)
		return -1;
	o.lock = lock;
	o.out = out;
	o.catalogue_version = 1;
	if (build_modules(&o, err) < 0)
		return -1;
	return catalogue_add(out, dir, &all, &result, err);
}
