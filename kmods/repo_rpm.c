#include "kmods/repo_rpm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmods/names.h"
#include "kmods/pgp.h"
#include "kmods/unpack.h"
#include "toolkit/lib/xml.h"

struct repomd {
	struct rpm_index *index;
	bool primary; /* within <data type="primary"> */
	bool sha256;  /* the checksum that is being read is one */
	bool found;
};

struct primary {
	struct xml_stream *xml;
	const char *base, *only, *arch;
	struct packages *packages;
	struct rpm_info info;
	char sha256[SHA256_HEX_SIZE];
	bool is_sha256;
	bool elsewhere; /* its location is below another base */
	uint64_t size_bytes;
	char location[REPO_ORIGIN_SIZE];
};

/* Whether path ends in name, which may have a namespace's prefix there. */
static bool is(const char *path, const char *name)
{
	size_t n = strlen(path), m = strlen(name);

	return n > m && strcmp(path + n - m, name) == 0 &&
	       (path[n - m - 1] == '/' || path[n - m - 1] == ':');
}

static uint64_t number(const char *text)
{
	unsigned long long value;
	char *end;

	if (!text || text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? value : 0;
}

/* Too long a text becomes none, which is refused where it matters. */
static void copy(char *to, size_t size, const char *text)
{
	to[0] = '\0';
	if (text && strlen(text) < size)
		memcpy(to, text, strlen(text) + 1);
}

static void copy_digest(char to[SHA256_HEX_SIZE], const char *text)
{
	uint8_t digest[SHA256_LEN];

	to[0] = '\0';
	if (strlen(text) == SHA256_HEX_SIZE - 1 && sha256_from_hex(text, digest))
		sha256_to_hex(digest, to);
}

static int repomd_start(void *arg, const char *path, const char *const *attributes,
			struct err *err)
{
	const char *type = xml_attribute(attributes, "type");
	const char *href = xml_attribute(attributes, "href");
	struct repomd *r = arg;

	(void)err;
	if (is(path, "data"))
		r->primary = type && strcmp(type, "primary") == 0;
	if (is(path, "checksum"))
		r->sha256 = type && strcmp(type, "sha256") == 0;
	if (r->primary && is(path, "location"))
		copy(r->index->path, sizeof(r->index->path), href);
	return 0;
}

static int repomd_element(void *arg, const char *path, const char *text, struct err *err)
{
	struct repomd *r = arg;

	if (!r->primary)
		return 0;
	if (is(path, "checksum") && r->sha256)
		copy_digest(r->index->sha256, text);
	else if (is(path, "size"))
		r->index->size_bytes = number(text);
	else if (is(path, "open-size"))
		r->index->unpacked_bytes = number(text);
	if (!is(path, "data"))
		return 0;
	if (r->found)
		return err_set(err, ERR_FAILED, "it names two primary indexes");
	if (!r->index->path[0] || !r->index->sha256[0])
		return err_set(err, ERR_FAILED,
			       "its primary index has no location or no SHA-256");
	r->found = true;
	r->primary = false;
	return 0;
}

int rpm_read_repomd(const char *data, size_t len, struct rpm_index *index,
		    struct err *err)
{
	struct repomd r = { .index = index };
	struct xml_stream *xml;
	int rc;

	memset(index, 0, sizeof(*index));
	xml = xml_stream_new(repomd_start, repomd_element, &r, err);
	if (!xml)
		return -1;
	rc = xml_stream_feed(xml, data, len, true, err);
	xml_stream_free(xml);
	if (rc == 0 && !r.found)
		rc = err_set(err, ERR_FAILED, "it names no primary index");
	return rc;
}

static int primary_start(void *arg, const char *path, const char *const *attributes,
			 struct err *err)
{
	const char *type = xml_attribute(attributes, "type");
	struct primary *p = arg;

	(void)err;
	if (is(path, "package") && strcmp(path, "metadata/package") == 0) {
		memset(&p->info, 0, sizeof(p->info));
		p->sha256[0] = p->location[0] = '\0';
		p->elsewhere = p->is_sha256 = false;
		p->size_bytes = 0;
	} else if (is(path, "version")) {
		copy(p->info.epoch, sizeof(p->info.epoch),
		     xml_attribute(attributes, "epoch"));
		copy(p->info.version, sizeof(p->info.version),
		     xml_attribute(attributes, "ver"));
		copy(p->info.release, sizeof(p->info.release),
		     xml_attribute(attributes, "rel"));
	} else if (is(path, "checksum")) {
		p->is_sha256 = type && strcmp(type, "sha256") == 0;
	} else if (is(path, "size")) {
		p->size_bytes = number(xml_attribute(attributes, "package"));
	} else if (is(path, "location")) {
		copy(p->location, sizeof(p->location), xml_attribute(attributes, "href"));
		p->elsewhere = xml_attribute(attributes, "xml:base") != NULL;
	} else if (is(path, "entry") && strstr(path, "provides/")) {
		const char *name = xml_attribute(attributes, "name");

		if (name)
			names_rpm_provides(&p->info, name,
					   xml_attribute(attributes, "ver"),
					   xml_attribute(attributes, "rel"));
	}
	return 0;
}

static int end_package(struct primary *r, struct err *err)
{
	struct repo_package p;
	int rc = names_rpm(&r->info, r->only, &p, err);

	if (rc <= 0)
		return rc;
	if (strcmp(p.arch, r->arch) != 0 && strcmp(p.arch, "noarch") != 0)
		return 0;
	if (!r->sha256[0])
		return err_set(err, ERR_FAILED, "%s has no SHA-256", p.name);
	if (r->elsewhere)
		return err_set(err, ERR_FAILED, "%s stands in another repository",
			       p.name);
	if (r->size_bytes == 0)
		return err_set(err, ERR_FAILED, "%s has no size", p.name);
	p.size_bytes = r->size_bytes;
	memcpy(p.sha256, r->sha256, sizeof(p.sha256));
	if (repo_join(r->base, r->location, p.origin, err) < 0)
		return err_prefix(err, "%s", p.name);
	return packages_add(r->packages, &p, err);
}

static int primary_element(void *arg, const char *path, const char *text, struct err *err)
{
	struct primary *p = arg;

	if (strcmp(path, "metadata/package/name") == 0)
		copy(p->info.name, sizeof(p->info.name), text);
	else if (strcmp(path, "metadata/package/arch") == 0)
		copy(p->info.arch, sizeof(p->info.arch), text);
	else if (strcmp(path, "metadata/package/checksum") == 0 && p->is_sha256)
		copy_digest(p->sha256, text);
	else if (strcmp(path, "metadata/package") == 0)
		return end_package(p, err);
	return 0;
}

static int take_bytes(void *arg, const void *data, size_t len, struct err *err)
{
	return xml_stream_feed(((struct primary *)arg)->xml, data, len, false, err);
}

int rpm_read_primary(const void *data, size_t len, uint64_t max_bytes, const char *base,
		     const char *only, const char *arch, struct packages *packages,
		     struct err *err)
{
	struct primary *p = calloc(1, sizeof(*p));
	int rc = -1;

	if (!p)
		return err_sys(err, errno, "reading an index");
	p->base = base;
	p->only = only;
	p->arch = arch;
	p->packages = packages;
	p->xml = xml_stream_new(primary_start, primary_element, p, err);
	if (p->xml && unpack_stream(data, len, max_bytes, take_bytes, p, err) == 0)
		rc = xml_stream_feed(p->xml, "", 0, true, err);
	xml_stream_free(p->xml);
	free(p);
	return rc;
}

/* repomd.xml, whose signature holds where the source has a key. */
static int get_repomd(const struct transport *t, const struct source *s, const char *base,
		      struct rpm_index *index, struct err *err)
{
	char where[REPO_ORIGIN_SIZE], *data = NULL, *signature = NULL;
	size_t len, signature_len;
	int rc = -1;

	if (repo_join(base, "repodata/repomd.xml.asc", where, err) < 0 ||
	    (s->key[0] && transport_get(t, where, REPO_TOP_BYTES_MAX, NULL, &signature,
					&signature_len, err) < 0))
		return -1;
	where[strlen(where) - strlen(".asc")] = '\0';
	if (transport_get(t, where, REPO_TOP_BYTES_MAX, NULL, &data, &len, err) == 0) {
		rc = 0;
		if (signature)
			rc = pgp_detached(t, s->key, data, len, signature, signature_len,
					  err);
		if (rc == 0)
			rc = rpm_read_repomd(data, len, index, err);
		if (rc < 0)
			err_prefix(err, "%.200s", where);
	}
	free(data);
	free(signature);
	return rc;
}

static int list_packages(const struct repo_context *c, const struct source *s,
			 const struct arch *arch, struct packages *packages,
			 struct err *err)
{
	char base[REPO_ORIGIN_SIZE], where[REPO_ORIGIN_SIZE], *data;
	uint64_t max = REPO_INDEX_UNPACKED_MAX;
	size_t len, before = packages->count;
	struct rpm_index index;
	int rc;

	if (repo_location(s, arch, base, err) < 0 ||
	    get_repomd(c->transport, s, base, &index, err) < 0)
		return -1;
	if (index.size_bytes > REPO_INDEX_BYTES_MAX)
		return err_set(err, ERR_FAILED, "%s has %llu bytes: too large",
			       index.path, (unsigned long long)index.size_bytes);
	if (index.unpacked_bytes && index.unpacked_bytes < max)
		max = index.unpacked_bytes;
	if (repo_join(base, index.path, where, err) < 0 ||
	    transport_get(c->transport, where,
			  index.size_bytes ? (size_t)index.size_bytes
					   : REPO_INDEX_BYTES_MAX,
			  index.sha256, &data, &len, err) < 0)
		return -1;
	rc = rpm_read_primary(data, len, max, base, c->only, arch->name, packages, err);
	free(data);
	if (rc == 0)
		return 0;
	packages->count = before;
	return err_prefix(err, "%.250s", where);
}

const struct repo_ops repo_rpm = { .kind = "rpm", .packages = list_packages };
