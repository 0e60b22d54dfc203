/* A plain directory of packages: each of them says itself what it is. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmods/control.h"
#include "kmods/file.h"
#include "kmods/kernel.h"
#include "kmods/names.h"
#include "kmods/repo.h"
#include "kmods/rpm.h"
#include "kmods/unpack.h"
#include "toolkit/lib/dirlist.h"

struct own {
	const char *only;
	struct repo_package *package;
	int found;
	unsigned stanzas;
};

static bool ends(const char *text, const char *with)
{
	size_t n = strlen(text), m = strlen(with);

	return n > m && strcmp(text + n - m, with) == 0;
}

static int take_stanza(void *arg, char *const values[], struct err *err)
{
	struct own *own = arg;

	if (own->stanzas++ > 0)
		return err_set(err, ERR_FAILED, "its control file has two stanzas");
	own->found = names_deb(values, own->only, own->package, err);
	return own->found < 0 ? -1 : 0;
}

/* Returns as names_deb() does. */
static int read_deb(const void *data, size_t len, const char *only,
		    struct repo_package *p, struct err *err)
{
	struct own own = { .only = only, .package = p };
	struct control *control;
	char *text;
	size_t text_len;
	int rc = -1;

	if (unpack_control(data, len, &text, &text_len, err) < 0)
		return -1;
	control = control_new(deb_fields, take_stanza, &own, err);
	if (control && control_feed(control, text, text_len, err) == 0 &&
	    control_end(control, err) == 0)
		rc = own.found;
	control_free(control);
	free(text);
	return rc;
}

static int read_rpm(const void *data, size_t len, const char *only,
		    struct repo_package *p, struct err *err)
{
	struct rpm_info info;

	return rpm_read(data, len, &info, err) < 0 ? -1 : names_rpm(&info, only, p, err);
}

static int read_one(const struct repo_context *c, const char *dir, int dirfd,
		    const char *name, const struct arch *arch, struct packages *packages,
		    struct err *err)
{
	const char *all = ends(name, ".rpm") ? "noarch" : "all";
	const char *own = ends(name, ".rpm") ? arch->name : repo_deb_arch(arch);
	struct repo_package p;
	size_t len;
	char *data;
	int rc;

	if (file_read(dirfd, name, PACKAGE_BYTES_MAX, &data, &len, err) < 0)
		return -1;
	rc = ends(name, ".rpm") ? read_rpm(data, len, c->only, &p, err)
				: read_deb(data, len, c->only, &p, err);
	if (rc > 0 && (strcmp(p.arch, own) == 0 || strcmp(p.arch, all) == 0)) {
		p.size_bytes = len;
		file_digest(data, len, p.sha256);
		rc = repo_join(dir, name, p.origin, err);
		if (rc == 0)
			rc = packages_add(packages, &p, err);
	}
	free(data);
	return rc < 0 ? err_prefix(err, "%.100s", name) : 0;
}

static int list_packages(const struct repo_context *c, const struct source *s,
			 const struct arch *arch, struct packages *packages,
			 struct err *err)
{
	size_t before = packages->count;
	struct dirlist names = { 0 };
	char dir[REPO_ORIGIN_SIZE];
	int fd, rc = -1;

	if (repo_location(s, arch, dir, err) < 0)
		return -1;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "opening %.200s", dir);
	if (dirlist_read(fd, &names, err) < 0)
		goto out;
	rc = 0;
	for (size_t i = 0; rc == 0 && i < names.count; i++) {
		if (ends(names.names[i], ".deb") || ends(names.names[i], ".rpm"))
			rc = read_one(c, dir, fd, names.names[i], arch, packages, err);
	}
	if (rc < 0) {
		packages->count = before;
		err_prefix(err, "%.200s", dir);
	}
out:
	dirlist_free(&names);
	close(fd);
	return rc;
}

const struct repo_ops repo_dir = { .kind = "dir", .packages = list_packages };
