#include "kmods/repo_deb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmods/control.h"
#include "kmods/names.h"
#include "kmods/pgp.h"
#include "kmods/unpack.h"

struct reading {
	struct control *control;
	const char *base;
	const char *only;
	const char *arch;
	struct packages *packages;
};

/* Copies the value of a field of the first stanza; "" when it has none. */
static void release_field(const char *text, const char *name, char *value, size_t size)
{
	size_t n = strlen(name);

	value[0] = '\0';
	for (const char *line = text; line && *line && *line != '\n';) {
		if (strncmp(line, name, n) == 0 && line[n] == ':') {
			line += n + 1;
			line += strspn(line, " \t");
			n = strcspn(line, "\r\n");
			if (n < size) {
				memcpy(value, line, n);
				value[n] = '\0';
			}
			return;
		}
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
}

/* Of the field SHA256, whose lines are " HEX SIZE PATH". */
static bool find_hash(const char *text, const char *path, struct deb_index *index)
{
	const char *line = strstr(text, "\nSHA256:");
	char hex[80], name[256];
	unsigned long long size;
	uint8_t digest[SHA256_LEN];

	for (line = line ? strchr(line + 1, '\n') : NULL; line && line[1] == ' ';
	     line = strchr(line + 1, '\n')) {
		if (sscanf(line + 1, " %79[0-9a-f] %llu %255s", hex, &size, name) != 3 ||
		    strcmp(name, path) != 0)
			continue;
		if (strlen(hex) != SHA256_HEX_SIZE - 1 || !sha256_from_hex(hex, digest))
			return false;
		memcpy(index->sha256, hex, SHA256_HEX_SIZE);
		index->size_bytes = size;
		snprintf(index->path, sizeof(index->path), "%s", path);
		return true;
	}
	return false;
}

static int check_time(const char *text, time_t now, struct err *err)
{
	struct tm tm = { 0 };
	char until[64];

	release_field(text, "Valid-Until", until, sizeof(until));
	if (!until[0] || now == 0)
		return 0;
	if (!strptime(until, "%a, %d %b %Y %H:%M:%S", &tm))
		return err_set(err, ERR_FAILED, "its Valid-Until is no date");
	if (timegm(&tm) < now)
		return err_set(err, ERR_NO,
			       "it was valid until %s: the archive is old, or somebody "
			       "shows us an old one",
			       until);
	return 0;
}

int deb_release_index(const char *text, const char *suite, const char *component,
		      const char *deb_arch, time_t now, struct deb_index *index,
		      struct err *err)
{
	static const char *const forms[] = { ".xz", ".gz", "", NULL };
	char own[64], codename[64], path[256];
	struct deb_index plain;

	release_field(text, "Suite", own, sizeof(own));
	release_field(text, "Codename", codename, sizeof(codename));
	if (strcmp(own, suite) != 0 && strcmp(codename, suite) != 0)
		return err_set(err, ERR_NO, "it is that of %.60s (%.60s)",
			       own[0] ? own : "no suite", codename);
	if (check_time(text, now, err) < 0)
		return -1;
	/* Of the file that it is unpacked, which an archive lists without having it. */
	snprintf(path, sizeof(path), "%s/binary-%s/Packages", component, deb_arch);
	plain.size_bytes = 0;
	find_hash(text, path, &plain);
	index->unpacked_bytes = plain.size_bytes;
	for (size_t i = 0; forms[i]; i++) {
		snprintf(path, sizeof(path), "%s/binary-%s/Packages%s", component,
			 deb_arch, forms[i]);
		if (find_hash(text, path, index))
			return 0;
	}
	return err_set(err, ERR_FAILED, "it lists no %s/binary-%s/Packages", component,
		       deb_arch);
}

static int take_size(const char *text, uint64_t *size, struct err *err)
{
	char *end;

	errno = 0;
	*size = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9')
		return err_set(err, ERR_FAILED, "a package has no usable Size");
	return 0;
}

static int take_stanza(void *arg, char *const values[], struct err *err)
{
	struct reading *r = arg;
	struct repo_package p;
	uint8_t digest[SHA256_LEN];
	int rc = names_deb(values, r->only, &p, err);

	if (rc <= 0)
		return rc;
	if (strcmp(p.arch, r->arch) != 0 && strcmp(p.arch, "all") != 0)
		return 0;
	if (strlen(values[DEB_SHA256]) != SHA256_HEX_SIZE - 1 ||
	    !sha256_from_hex(values[DEB_SHA256], digest))
		return err_set(err, ERR_FAILED, "%s has no SHA256", p.name);
	sha256_to_hex(digest, p.sha256);
	if (take_size(values[DEB_SIZE], &p.size_bytes, err) < 0 ||
	    repo_join(r->base, values[DEB_FILENAME], p.origin, err) < 0)
		return err_prefix(err, "%s", p.name);
	return packages_add(r->packages, &p, err);
}

static int take_bytes(void *arg, const void *data, size_t len, struct err *err)
{
	return control_feed(((struct reading *)arg)->control, data, len, err);
}

int deb_read_packages(const void *data, size_t len, uint64_t max_bytes, const char *base,
		      const char *only, const char *deb_arch, struct packages *packages,
		      struct err *err)
{
	struct reading r = {
		.base = base, .only = only, .arch = deb_arch, .packages = packages
	};
	int rc = -1;

	r.control = control_new(deb_fields, take_stanza, &r, err);
	if (!r.control)
		return -1;
	if (unpack_stream(data, len, max_bytes, take_bytes, &r, err) == 0)
		rc = control_end(r.control, err);
	control_free(r.control);
	return rc;
}

/*
 * InRelease alone: its signature stands in it, so that an archive in the middle of an
 * update does not look like a forged one.
 */
static int get_release(const struct transport *t, const struct source *s,
		       const char *suite_dir, char **text, struct err *err)
{
	char where[REPO_ORIGIN_SIZE], *data;
	size_t len, text_len;
	int rc;

	*text = NULL;
	if (repo_join(suite_dir, s->unsigned_ok ? "Release" : "InRelease", where, err) <
		    0 ||
	    transport_get(t, where, REPO_TOP_BYTES_MAX, NULL, &data, &len, err) < 0)
		return -1;
	if (s->unsigned_ok) {
		*text = data;
		return 0;
	}
	rc = pgp_clear_signed(t, s->key, data, len, text, &text_len, err);
	free(data);
	return rc < 0 ? err_prefix(err, "%.200s", where) : 0;
}

/* What lock lines call a base: machine's archives have no address there. */
static const char *origin_base(const struct source *s, const char *base)
{
	return strcmp(s->location, "apt") == 0 ? "" : base;
}

static int read_suite(const struct repo_context *c, const struct source *s,
		      const struct arch *arch, const char *suite,
		      struct packages *packages, struct err *err)
{
	char base[REPO_ORIGIN_SIZE], path[128], dir[REPO_ORIGIN_SIZE];
	char where[REPO_ORIGIN_SIZE], *text = NULL, *data = NULL;
	uint64_t max = REPO_INDEX_UNPACKED_MAX;
	struct deb_index index;
	size_t len;
	int rc = -1;

	if (strcmp(s->location, "apt") == 0
		    ? transport_suite(c->transport, suite, base, sizeof(base), err) < 0
		    : repo_location(s, arch, base, err) < 0)
		return -1;
	snprintf(path, sizeof(path), "dists/%s", suite);
	if (repo_join(base, path, dir, err) < 0 ||
	    get_release(c->transport, s, dir, &text, err) < 0)
		return -1;
	if (deb_release_index(text, suite, s->component, repo_deb_arch(arch),
			      s->expired_ok ? 0 : time(NULL), &index, err) < 0) {
		err_prefix(err, "%.200s/InRelease", dir);
		goto out;
	}
	if (index.size_bytes > REPO_INDEX_BYTES_MAX) {
		err_set(err, ERR_FAILED, "%.200s/%s has %llu bytes: too large", dir,
			index.path, (unsigned long long)index.size_bytes);
		goto out;
	}
	if (repo_join(dir, index.path, where, err) < 0 ||
	    transport_get(c->transport, where, (size_t)index.size_bytes, index.sha256,
			  &data, &len, err) < 0)
		goto out;
	if (index.unpacked_bytes && index.unpacked_bytes < max)
		max = index.unpacked_bytes;
	rc = deb_read_packages(data, len, max, origin_base(s, base), c->only,
			       repo_deb_arch(arch), packages, err);
	if (rc < 0)
		err_prefix(err, "%.250s", where);
out:
	free(data);
	free(text);
	return rc;
}

static int list_packages(const struct repo_context *context, const struct source *source,
			 const struct arch *arch, struct packages *packages,
			 struct err *err)
{
	size_t before = packages->count;

	for (size_t i = 0; i < source->suite_count; i++) {
		if (read_suite(context, source, arch, source->suites[i], packages, err) <
		    0) {
			packages->count = before;
			return -1;
		}
	}
	return 0;
}

const struct repo_ops repo_deb = { .kind = "deb", .packages = list_packages };
