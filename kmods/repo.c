#include "kmods/repo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct repo_ops *const all_ops[] = { &repo_deb, &repo_rpm, &repo_dir,
						  &repo_tree };

const struct repo_ops *repo_find(const char *kind)
{
	for (size_t i = 0; i < sizeof(all_ops) / sizeof(all_ops[0]); i++) {
		if (strcmp(all_ops[i]->kind, kind) == 0)
			return all_ops[i];
	}
	return NULL;
}

const char *repo_deb_arch(const struct arch *arch)
{
	return strcmp(arch->name, "x86_64") == 0 ? "amd64" : "arm64";
}

int packages_add(struct packages *packages, const struct repo_package *package,
		 struct err *err)
{
	size_t n = packages->count;

	if (n == REPO_PACKAGES_MAX)
		return err_set(err, ERR_FAILED, "more than %d kernel packages",
			       REPO_PACKAGES_MAX);
	/* At each power of two. */
	if ((n & (n - 1)) == 0) {
		struct repo_package *more =
			realloc(packages->list, (n ? 2 * n : 1) * sizeof(*more));

		if (!more)
			return err_sys(err, errno, "listing packages");
		packages->list = more;
	}
	packages->list[packages->count++] = *package;
	return 0;
}

void packages_free(struct packages *packages)
{
	free(packages->list);
	memset(packages, 0, sizeof(*packages));
}

int repo_location(const struct source *source, const struct arch *arch,
		  char location[REPO_ORIGIN_SIZE], struct err *err)
{
	const char *at = strstr(source->location, "$ARCH");
	int n;

	if (at)
		n = snprintf(location, REPO_ORIGIN_SIZE, "%.*s%s%s",
			     (int)(at - source->location), source->location, arch->name,
			     at + 5);
	else
		n = snprintf(location, REPO_ORIGIN_SIZE, "%s", source->location);
	if (n < 0 || n >= REPO_ORIGIN_SIZE)
		return err_set(err, ERR_FAILED, "its location is too long");
	return 0;
}

int repo_join(const char *location, const char *path, char joined[REPO_ORIGIN_SIZE],
	      struct err *err)
{
	size_t len = strlen(location);
	int n;

	if (path[0] == '/' || path[0] == '\0')
		return err_set(err, ERR_FAILED, "the index names an absolute path");
	for (const char *p = path; *p; p++) {
		if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '?' || *p == '#')
			return err_set(err, ERR_FAILED,
				       "the index names a path that is none");
		if ((p == path || p[-1] == '/') && p[0] == '.' && p[1] == '.' &&
		    (p[2] == '/' || p[2] == '\0'))
			return err_set(err, ERR_FAILED,
				       "the index names a path that leads upward");
	}
	while (len > 0 && location[len - 1] == '/')
		len--;
	if (len == 0)
		n = snprintf(joined, REPO_ORIGIN_SIZE, "%s", path);
	else
		n = snprintf(joined, REPO_ORIGIN_SIZE, "%.*s/%s", (int)len, location,
			     path);
	if (n < 0 || n >= REPO_ORIGIN_SIZE)
		return err_set(err, ERR_FAILED,
			       "the index names a path that is too long");
	return 0;
}
