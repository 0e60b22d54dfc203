/* Where the packages of an SBOM come from: two lists, or the SBOM of an image. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "image/manifest.h"
#include "image/sbom.h"
#include "image/verify.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/sha256.h"

#define LIST_MAX (1024 * 1024)
#define SBOM_MAX (64 * 1024 * 1024)
#define WORDS_MAX 64
#define PACKAGES_MAX 10000

bool sbom_wanted(const struct sbom *sbom)
{
	return sbom->count > 0;
}

/* A new package, or NULL when memory ran out. */
static struct sbom_package *add_package(struct sbom *sbom)
{
	struct sbom_package *grown;

	if (sbom->count == PACKAGES_MAX)
		return NULL;
	grown = reallocarray(sbom->packages, sbom->count + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	sbom->packages = grown;
	grown += sbom->count++;
	*grown = (struct sbom_package){ .tool = false };
	for (size_t i = 0; i < SBOM_FIELDS; i++)
		grown->text[i] = strdup("");
	return grown;
}

/* Sets a field, or appends to it after a blank. Returns 0 or -1. */
static int put(struct sbom_package *package, enum sbom_field field, const char *text,
	       size_t len, struct err *err)
{
	char *joined;
	const char *old = package->text[field] ? package->text[field] : "";

	if (asprintf(&joined, "%s%s%.*s", old, *old ? " " : "", (int)len, text) < 0)
		return err_set(err, ERR_FAILED, "out of memory");
	free(package->text[field]);
	package->text[field] = joined;
	return 0;
}

static struct sbom_package *find(const struct sbom *sbom, const char *name, size_t len)
{
	for (size_t i = 0; i < sbom->count; i++) {
		const char *own = sbom->packages[i].text[SBOM_NAME];

		if (own && strlen(own) == len && memcmp(own, name, len) == 0)
			return &sbom->packages[i];
	}
	return NULL;
}

void sbom_free(struct sbom *sbom)
{
	for (size_t i = 0; i < sbom->count; i++)
		for (size_t j = 0; j < SBOM_FIELDS; j++)
			free(sbom->packages[i].text[j]);
	free(sbom->packages);
	*sbom = (struct sbom){ 0 };
}

struct line {
	struct {
		const char *at;
		size_t len;
	} words[WORDS_MAX];
	size_t count;
};

static bool split(const char *text, size_t len, struct line *line)
{
	line->count = 0;
	for (size_t i = 0; i < len;) {
		size_t start = i;

		if (text[i] == ' ' || text[i] == '\t') {
			i++;
			continue;
		}
		if (text[i] == '#' && line->count == 0)
			break;
		while (i < len && text[i] != ' ' && text[i] != '\t')
			i++;
		if (line->count == WORDS_MAX)
			return false;
		line->words[line->count].at = text + start;
		line->words[line->count++].len = i - start;
	}
	return true;
}

/* "MIT-OR-GPL-2.0-only" has blanks in SPDX, which the list cannot hold. */
static int put_licence(struct sbom_package *package, const char *at, size_t len,
		       struct err *err)
{
	static const char *const words[] = { "-OR-", "-AND-", "-WITH-" };
	char *text;

	if (put(package, SBOM_LICENCE, at, len, err) < 0)
		return -1;
	text = package->text[SBOM_LICENCE];
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (char *p = text; (p = strstr(p, words[i]));)
			p[0] = p[strlen(words[i]) - 1] = ' ';
	return 0;
}

/* A path below a Debian archive, or an address as it is. */
static int put_origin(struct sbom_package *package, const char *at, size_t len,
		      struct err *err)
{
	char *text;
	int n = asprintf(&text, "%s%.*s",
			 len > 5 && memcmp(at, "pool/", 5) == 0
				 ? "https://deb.debian.org/debian/"
				 : "",
			 (int)len, at);
	int rc;

	if (n < 0)
		return err_set(err, ERR_FAILED, "out of memory");
	rc = put(package, SBOM_ORIGIN, text, (size_t)n, err);
	free(text);
	return rc;
}

/* NAME VERSION FILE SHA256 LICENCE from word `from` on; the last one is the origin. */
static int put_source(struct sbom *sbom, const struct line *line, size_t from,
		      size_t origin, struct err *err)
{
	uint8_t digest[SHA256_LEN];
	struct sbom_package *package;

	if (line->count <= origin || line->words[from + 3].len != SHA256_HEX_SIZE - 1 ||
	    !sha256_from_hex(line->words[from + 3].at, digest))
		return err_set(err, ERR_FAILED,
			       "expected: NAME VERSION FILE SHA256 LICENCE … ORIGIN");
	if (find(sbom, line->words[from].at, line->words[from].len))
		return err_set(err, ERR_FAILED, "a package is named twice");
	package = add_package(sbom);
	if (!package)
		return err_set(err, ERR_FAILED, "out of memory");
	if (put(package, SBOM_NAME, line->words[from].at, line->words[from].len, err) <
		    0 ||
	    put(package, SBOM_VERSION, line->words[from + 1].at,
		line->words[from + 1].len, err) < 0 ||
	    put(package, SBOM_FILE, line->words[from + 2].at, line->words[from + 2].len,
		err) < 0 ||
	    put(package, SBOM_SHA256, line->words[from + 3].at, line->words[from + 3].len,
		err) < 0 ||
	    put_licence(package, line->words[from + 4].at, line->words[from + 4].len,
			err) < 0)
		return -1;
	return put_origin(package, line->words[origin].at, line->words[origin].len, err);
}

static int source_line(struct sbom *sbom, const struct line *line, struct err *err)
{
	return put_source(sbom, line, 0, 6, err);
}

static int put_rest(struct sbom_package *package, enum sbom_field field,
		    const struct line *line, struct err *err)
{
	for (size_t i = 2; i < line->count; i++)
		if (put(package, field, line->words[i].at, line->words[i].len, err) < 0)
			return -1;
	return 0;
}

static int tool_line(struct sbom *sbom, const struct line *line, struct err *err)
{
	struct sbom_package *tool;

	for (size_t i = 2; i < line->count; i++)
		if (!find(sbom, line->words[i].at, line->words[i].len))
			return err_set(err, ERR_FAILED, "no source named %.*s",
				       (int)line->words[i].len, line->words[i].at);
	if (find(sbom, line->words[1].at, line->words[1].len))
		return err_set(err, ERR_FAILED, "a package is named twice");
	tool = add_package(sbom);
	if (!tool)
		return err_set(err, ERR_FAILED, "out of memory");
	tool->tool = true;
	if (put(tool, SBOM_NAME, line->words[1].at, line->words[1].len, err) < 0 ||
	    put(tool, SBOM_VERSION, FVOL_VERSION, strlen(FVOL_VERSION), err) < 0 ||
	    put(tool, SBOM_LICENCE, "GPL-2.0-or-later", 16, err) < 0)
		return -1;
	return put_rest(tool, SBOM_LINKS, line, err);
}

static bool is(const struct line *line, size_t word, const char *text)
{
	return line->words[word].len == strlen(text) &&
	       memcmp(line->words[word].at, text, strlen(text)) == 0;
}

static int part_line(struct sbom *sbom, const struct line *line, struct err *err)
{
	struct sbom_package *package;

	if (line->count < 2)
		return err_set(err, ERR_FAILED, "a line has at least two words");
	if (is(line, 0, "tool"))
		return tool_line(sbom, line, err);
	if (is(line, 0, "package"))
		return put_source(sbom, line, 1, 6, err);
	package = find(sbom, line->words[1].at, line->words[1].len);
	if (!package)
		return err_set(err, ERR_FAILED, "no package named %.*s",
			       (int)line->words[1].len, line->words[1].at);
	if (is(line, 0, "contains"))
		return put_rest(package, SBOM_CONTAINS, line, err);
	if (is(line, 0, "source-of"))
		return put_rest(package, SBOM_SOURCE_OF, line, err);
	return err_set(err, ERR_FAILED,
		       "a line begins with tool, package, contains or source-of");
}

static int load_list(struct sbom *sbom, int rootfd, const char *path,
		     int (*fn)(struct sbom *sbom, const struct line *line,
			       struct err *err),
		     struct err *err)
{
	char *text = malloc(LIST_MAX);
	unsigned number = 0;
	size_t len;
	int rc = -1;

	if (!text)
		return err_set(err, ERR_FAILED, "out of memory");
	if (io_read_text(rootfd, path, text, LIST_MAX, &len, err) < 0)
		goto out;
	for (char *at = text; *at;) {
		size_t line_len = strcspn(at, "\n");
		struct line line;

		number++;
		if (!split(at, line_len, &line)) {
			err_set(err, ERR_FAILED, "%s: line %u: too many words", path,
				number);
			goto out;
		}
		if (line.count && fn(sbom, &line, err) < 0) {
			err_prefix(err, "%s: line %u", path, number);
			goto out;
		}
		at += line_len + (at[line_len] == '\n');
	}
	rc = 0;
out:
	free(text);
	return rc;
}

int sbom_load(struct sbom *sbom, int rootfd, const char *sources, const char *parts,
	      struct err *err)
{
	if (load_list(sbom, rootfd, sources, source_line, err) < 0)
		return -1;
	return load_list(sbom, rootfd, parts, part_line, err);
}

/* A string of a package; NULL counts as "". */
static int take(struct sbom_package *package, enum sbom_field field, const char *text,
		struct err *err)
{
	return text ? put(package, field, text, strlen(text), err) : 0;
}

/* What follows a word of ours in a text, or NULL. */
static const char *behind(const char *text, const char *prefix)
{
	return text && strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix)
								  : NULL;
}

static int old_package(struct sbom *sbom, const struct json_value *value, struct err *err)
{
	const char *name = json_str(json_get(value, "name"));
	const struct json_value *sum = json_at(json_get(value, "checksums"), 0);
	const char *origin = json_str(json_get(value, "downloadLocation"));
	struct sbom_package *package;

	if (!name)
		return err_set(err, ERR_NO, "a package without a name");
	/* The whole: made anew. */
	if (strcmp(name, "fvol") == 0)
		return 0;
	package = add_package(sbom);
	if (!package)
		return err_set(err, ERR_FAILED, "out of memory");
	package->tool = !sum;
	if (origin && strcmp(origin, "NOASSERTION") == 0)
		origin = NULL;
	if (take(package, SBOM_NAME, name, err) < 0 ||
	    take(package, SBOM_VERSION, json_str(json_get(value, "versionInfo")), err) <
		    0 ||
	    take(package, SBOM_LICENCE, json_str(json_get(value, "licenseDeclared")),
		 err) < 0 ||
	    take(package, SBOM_FILE, json_str(json_get(value, "packageFileName")), err) <
		    0 ||
	    take(package, SBOM_SHA256, json_str(json_get(sum, "checksumValue")), err) <
		    0 ||
	    take(package, SBOM_ORIGIN, origin, err) < 0)
		return -1;
	if (take(package, SBOM_CONTAINS,
		 behind(json_str(json_get(value, "comment")), "files: "), err) < 0)
		return -1;
	return take(package, SBOM_SOURCE_OF,
		    behind(json_str(json_get(value, "sourceInfo")), "source of: "), err);
}

static int old_link(struct sbom *sbom, const struct json_value *value, struct err *err)
{
	const char *type = json_str(json_get(value, "relationshipType"));
	const char *from =
		behind(json_str(json_get(value, "spdxElementId")), "SPDXRef-Package-");
	const char *to = behind(json_str(json_get(value, "relatedSpdxElement")),
				"SPDXRef-Package-");
	struct sbom_package *package;

	if (!type || strcmp(type, "STATIC_LINK") != 0)
		return 0;
	package = from ? find(sbom, from, strlen(from)) : NULL;
	if (!package || !to)
		return err_set(err, ERR_NO, "a link without its package");
	return put(package, SBOM_LINKS, to, strlen(to), err);
}

int sbom_load_old(struct sbom *sbom, struct ext4_volume *volume, struct err *err)
{
	size_t len;
	char *text = verify_read(volume, MANIFEST_SBOM, SBOM_MAX, &len, err);
	struct json_read *doc = text ? json_parse(text, len, err) : NULL;
	const struct json_value *packages, *relations;
	int rc = doc ? 0 : -1;

	packages = doc ? json_get(json_top(doc), "packages") : NULL;
	relations = doc ? json_get(json_top(doc), "relationships") : NULL;
	for (size_t i = 0; rc == 0 && i < json_len(packages); i++)
		rc = old_package(sbom, json_at(packages, i), err);
	for (size_t i = 0; rc == 0 && i < json_len(relations); i++)
		rc = old_link(sbom, json_at(relations, i), err);
	if (rc == 0 && !sbom->count)
		rc = err_set(err, ERR_NO, "it names no packages");
	json_read_free(doc);
	free(text);
	return rc < 0 ? err_prefix(err, "/" MANIFEST_SBOM) : 0;
}
