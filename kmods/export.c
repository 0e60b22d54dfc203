/* Modules in the layouts that other systems read. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmods/check.h"
#include "kmods/exchange.h"
#include "kmods/file.h"
#include "kmods/msrepo.h"
#include "kmods/tree.h"
#include "kmods/verify.h"
#include "toolkit/lib/gzip.h"
#include "toolkit/lib/io.h"

bool choice_has(const struct choice *choice, const struct module *m)
{
	return (!choice->arch || strcmp(m->arch, choice->arch) == 0) &&
	       (!choice->release || strcmp(m->release, choice->release) == 0) &&
	       (!choice->tested || m->tested);
}

/* Both layouts tell kernels apart by their release alone. */
static int check_names(const struct catalogue *cat, const struct choice *choice,
		       size_t *count, struct err *err)
{
	*count = 0;
	for (size_t i = 0; i < cat->count; i++) {
		if (!choice_has(choice, &cat->modules[i]))
			continue;
		++*count;
		for (size_t j = 0; j < i; j++) {
			if (choice_has(choice, &cat->modules[j]) &&
			    strcmp(cat->modules[i].release, cat->modules[j].release) == 0)
				return err_set(
					err, ERR_FAILED,
					"%s is a release of two architectures, which "
					"this layout cannot tell apart: use --arch",
					cat->modules[i].release);
		}
	}
	if (*count == 0)
		return err_set(err, ERR_NO,
			       "no module of the catalogue is what was asked for");
	return 0;
}

/*
 * Both layouts look whole with a part of the modules: that each can be had is known
 * before the first is written.
 */
static int check_chosen(int dirfd, const struct catalogue *cat,
			const struct choice *choice, struct err *err)
{
	for (size_t i = 0; i < cat->count; i++) {
		char *data;
		size_t len;

		if (!choice_has(choice, &cat->modules[i]))
			continue;
		if (check_module(dirfd, &cat->modules[i], &data, &len, err) < 0)
			return -1;
		free(data);
	}
	return 0;
}

/* The place to write to, which must not be a catalogue: it would no longer verify. */
static int open_out(const char *out, struct err *err)
{
	int fd = tree_open(out, err);

	if (fd < 0 || faccessat(fd, CATALOGUE_FILE, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return fd;
	close(fd);
	return err_set(err, ERR_FAILED, "%s is a catalogue: export to another directory",
		       out);
}

/* Writes the file of a path below outfd. */
static int put(int outfd, const char *path, const void *data, size_t len, struct err *err)
{
	char name[NAME_MAX + 1];
	int dir = tree_parent(outfd, path, true, name, err);
	int rc;

	if (dir < 0)
		return err_prefix(err, "%s", path);
	rc = file_put(dir, name, data, len, 0644, false, err);
	close(dir);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}

static int copy_modules(int dirfd, const struct catalogue *cat,
			const struct choice *choice, int outfd, const char *where,
			struct msrepo *repo, struct err *err)
{
	for (size_t i = 0; i < cat->count; i++) {
		const struct module *m = &cat->modules[i];
		struct msrepo_module entry = { .release = "" };
		char *data;
		size_t len;
		int rc;

		if (!choice_has(choice, m))
			continue;
		if (check_module(dirfd, m, &data, &len, err) < 0)
			return -1;
		snprintf(entry.location, sizeof(entry.location), "%s/lime-%s.ko", where,
			 m->release);
		rc = put(outfd, entry.location, data, len, err);
		free(data);
		if (rc < 0)
			return -1;
		memcpy(entry.release, m->release, sizeof(entry.release));
		memcpy(entry.arch, m->arch, sizeof(entry.arch));
		memcpy(entry.sha256, m->sha256, sizeof(entry.sha256));
		if (repo && msrepo_add(repo, &entry, err) < 0)
			return -1;
	}
	return 0;
}

/* Copies the modules; repo, which may be NULL, receives what was copied. */
static int export_modules(const char *catalogue, const char *out,
			  const struct choice *choice, const char *where, int *outfd,
			  struct msrepo *repo, uint64_t *version, size_t *count,
			  struct err *err)
{
	struct catalogue cat;
	int dirfd = catalogue_open(catalogue, &cat, err), rc = -1;

	*outfd = -1;
	if (dirfd >= 0 && check_names(&cat, choice, count, err) == 0 &&
	    check_chosen(dirfd, &cat, choice, err) == 0) {
		*outfd = open_out(out, err);
		if (*outfd >= 0)
			rc = copy_modules(dirfd, &cat, choice, *outfd, where, repo, err);
	}
	*version = cat.version;
	io_close(&dirfd);
	catalogue_free(&cat);
	return rc;
}

int export_orchestrator(const char *catalogue, const char *out,
			const struct choice *choice, size_t *count, struct err *err)
{
	uint64_t version;
	int outfd;
	int rc = export_modules(catalogue, out, choice, "tools/LiME", &outfd, NULL,
				&version, count, err);

	io_close(&outfd);
	return rc;
}

/* The list, packed and under its hash as name, then the file that names it. */
static int write_lists(int outfd, const struct msrepo *repo, uint64_t version,
		       struct err *err)
{
	struct msrepo_list list = { .revision = version };
	char *text, *packed = NULL, *top = NULL;
	size_t text_len, packed_len, top_len;
	int rc = -1;

	text = msrepo_write_list(repo, &text_len, err);
	if (text)
		packed = gzip_pack(text, text_len, &packed_len, err);
	if (!packed)
		goto out;
	file_digest(text, text_len, list.open_sha256);
	file_digest(packed, packed_len, list.sha256);
	list.bytes = packed_len;
	list.open_bytes = text_len;
	snprintf(list.location, sizeof(list.location), "repodata/%s-primary.xml.gz",
		 list.sha256);
	top = msrepo_write_top(&list, &top_len, err);
	if (top && put(outfd, list.location, packed, packed_len, err) == 0)
		rc = put(outfd, MSREPO_TOP, top, top_len, err);
out:
	free(top);
	free(packed);
	free(text);
	return rc;
}

int export_repo(const char *catalogue, const char *out, const struct choice *choice,
		size_t *count, struct err *err)
{
	struct msrepo repo = { .modules = NULL };
	uint64_t version;
	int outfd;
	int rc = export_modules(catalogue, out, choice, "modules", &outfd, &repo,
				&version, count, err);

	if (rc == 0)
		rc = write_lists(outfd, &repo, version, err);
	io_close(&outfd);
	msrepo_free(&repo);
	return rc;
}
