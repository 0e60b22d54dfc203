/* The document itself: SPDX 2.3, chapters 6 (document), 7 (packages), 8 (files), 11
 * (relationships). */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "image/manifest.h"
#include "image/path.h"
#include "image/sbom.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/sha256.h"

#define OWN "SPDXRef-Package-fvol"
#define ID_MAX 128

struct writing {
	const struct sbom *sbom;
	const struct tree *tree;
	struct json *doc;
	struct json_node *packages, *files, *relations;
};

/* SPDXRef- and letters, digits, '.' and '-' alone: 3.2 of the specification. */
static const char *package_id(const char *name, char id[ID_MAX])
{
	snprintf(id, ID_MAX, "SPDXRef-Package-%.100s", name);
	for (char *p = id; *p; p++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			    "0123456789.-",
			    *p))
			*p = '-';
	return id;
}

/* The same for the same path in every release. */
static const char *file_id(const char *path, char id[ID_MAX])
{
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];

	sha256(path, strlen(path), digest);
	sha256_to_hex(digest, hex);
	snprintf(id, ID_MAX, "SPDXRef-File-%.20s", hex);
	return id;
}

static void relate(struct writing *writing, const char *from, const char *type,
		   const char *to)
{
	struct json_node *node = json_add_object(writing->doc, writing->relations, NULL);

	json_add_str(writing->doc, node, "spdxElementId", from);
	json_add_str(writing->doc, node, "relationshipType", type);
	json_add_str(writing->doc, node, "relatedSpdxElement", to);
}

static void add_sum(struct writing *writing, struct json_node *list,
		    const char *algorithm, const char *hex)
{
	struct json_node *sum = json_add_object(writing->doc, list, NULL);

	json_add_str(writing->doc, sum, "algorithm", algorithm);
	json_add_str(writing->doc, sum, "checksumValue", hex);
}

/* Package URL: of Debian's packages as such, else generic with the archive's hash. */
static void purl(const struct sbom_package *package, char *text, size_t size)
{
	char *const *field = package->text;
	const char *name = field[SBOM_FILE];
	const char *version = strchr(name, '_');
	const char *arch = version ? strchr(version + 1, '_') : NULL;
	const char *dot = strrchr(name, '.');

	if (package->tool)
		snprintf(text, size, "pkg:generic/fvol-%s@%s", field[SBOM_NAME],
			 field[SBOM_VERSION]);
	else if (arch && dot && strcmp(dot, ".deb") == 0)
		snprintf(text, size, "pkg:deb/debian/%.*s@%.*s?arch=%.*s",
			 (int)(version - name), name, (int)(arch - version - 1),
			 version + 1, (int)(dot - arch - 1), arch + 1);
	else
		snprintf(text, size, "pkg:generic/%s@%s?checksum=sha256:%s",
			 field[SBOM_NAME], field[SBOM_VERSION], field[SBOM_SHA256]);
}

static const char *or_none(const char *text)
{
	return *text ? text : "NOASSERTION";
}

/* "files: GLOB..." and the like: what sbom_load_old() reads again. */
static void add_note(struct writing *writing, struct json_node *node, const char *key,
		     const char *prefix, const char *text)
{
	char *note;

	if (!*text || asprintf(&note, "%s%s", prefix, text) < 0)
		return;
	json_add_str(writing->doc, node, key, note);
	free(note);
}

static void add_package(struct writing *writing, const struct sbom_package *package)
{
	struct json *doc = writing->doc;
	struct json_node *node = json_add_object(doc, writing->packages, NULL);
	struct json_node *ref;
	char *const *field = package->text;
	char id[ID_MAX], locator[512];

	json_add_str(doc, node, "SPDXID", package_id(field[SBOM_NAME], id));
	json_add_str(doc, node, "name", field[SBOM_NAME]);
	json_add_str(doc, node, "versionInfo", field[SBOM_VERSION]);
	json_add_str(doc, node, "downloadLocation", or_none(field[SBOM_ORIGIN]));
	json_add_bool(doc, node, "filesAnalyzed", false);
	json_add_str(doc, node, "licenseConcluded", "NOASSERTION");
	json_add_str(doc, node, "licenseDeclared", or_none(field[SBOM_LICENCE]));
	json_add_str(doc, node, "copyrightText", "NOASSERTION");
	if (*field[SBOM_FILE])
		json_add_str(doc, node, "packageFileName", field[SBOM_FILE]);
	if (*field[SBOM_SHA256])
		add_sum(writing, json_add_array(doc, node, "checksums"), "SHA256",
			field[SBOM_SHA256]);
	add_note(writing, node, "comment", "files: ", field[SBOM_CONTAINS]);
	add_note(writing, node, "sourceInfo", "source of: ", field[SBOM_SOURCE_OF]);
	purl(package, locator, sizeof(locator));
	ref = json_add_object(doc, json_add_array(doc, node, "externalRefs"), NULL);
	json_add_str(doc, ref, "referenceCategory", "PACKAGE-MANAGER");
	json_add_str(doc, ref, "referenceType", "purl");
	json_add_str(doc, ref, "referenceLocator", locator);
	if (package->tool)
		relate(writing, OWN, "CONTAINS", id);
}

static void add_own(struct writing *writing)
{
	struct json *doc = writing->doc;
	struct json_node *node = json_add_object(doc, writing->packages, NULL);

	json_add_str(doc, node, "SPDXID", OWN);
	json_add_str(doc, node, "name", "fvol");
	json_add_str(doc, node, "versionInfo", FVOL_VERSION);
	json_add_str(doc, node, "downloadLocation", "NOASSERTION");
	json_add_bool(doc, node, "filesAnalyzed", false);
	json_add_str(doc, node, "licenseConcluded", "NOASSERTION");
	json_add_str(doc, node, "licenseDeclared", "GPL-2.0-or-later");
	json_add_str(doc, node, "copyrightText", "NOASSERTION");
	json_add_str(doc, node, "primaryPackagePurpose", "ARCHIVE");
	relate(writing, "SPDXRef-DOCUMENT", "DESCRIBES", OWN);
}

/* Calls fn for each word of a text. */
static bool any_word(const char *text, bool (*fn)(const char *word, void *arg), void *arg)
{
	char word[PATH_NAME_MAX + PATH_LEN_MAX];

	while (*text) {
		size_t len = strcspn(text, " ");

		if (len && len < sizeof(word)) {
			memcpy(word, text, len);
			word[len] = '\0';
			if (fn(word, arg))
				return true;
		}
		text += len + (text[len] == ' ');
	}
	return false;
}

static bool matches(const char *glob, void *path)
{
	return fnmatch(glob, path, FNM_PATHNAME) == 0;
}

static bool equals(const char *word, void *name)
{
	return strcmp(word, name) == 0;
}

struct linking {
	struct writing *writing;
	const char *from;
};

static bool link_word(const char *word, void *arg)
{
	struct linking *linking = arg;
	char id[ID_MAX];

	relate(linking->writing, linking->from, "STATIC_LINK", package_id(word, id));
	return false;
}

/* What is linked into no program and made into no file only helped to build. */
static void relate_packages(struct writing *writing)
{
	const struct sbom *sbom = writing->sbom;

	for (size_t i = 0; i < sbom->count; i++) {
		const struct sbom_package *package = &sbom->packages[i];
		char id[ID_MAX];
		struct linking linking = { writing, id };
		bool used = package->tool || *package->text[SBOM_SOURCE_OF] ||
			    *package->text[SBOM_CONTAINS];

		package_id(package->text[SBOM_NAME], id);
		any_word(package->text[SBOM_LINKS], link_word, &linking);
		for (size_t j = 0; !used && j < sbom->count; j++)
			used = any_word(sbom->packages[j].text[SBOM_LINKS], equals,
					package->text[SBOM_NAME]);
		if (!used)
			relate(writing, id, "BUILD_DEPENDENCY_OF", OWN);
	}
}

static void add_file(struct writing *writing, const struct tree_node *node)
{
	struct json *doc = writing->doc;
	struct json_node *file = json_add_object(doc, writing->files, NULL);
	char id[ID_MAX], other[ID_MAX], name[PATH_LEN_MAX + 3], hex[SHA256_HEX_SIZE];
	const char *holder = OWN;
	char owner[ID_MAX], sha1[SHA1_HEX_SIZE];
	struct json_node *sums;

	snprintf(name, sizeof(name), "./%s", node->path);
	sha256_to_hex(node->digest, hex);
	json_add_str(doc, file, "SPDXID", file_id(node->path, id));
	json_add_str(doc, file, "fileName", name);
	sums = json_add_array(doc, file, "checksums");
	add_sum(writing, sums, "SHA256", hex);
	/* 8.4: "SHA1 is mandatory". */
	sha1_to_hex(node->sha1, sha1);
	add_sum(writing, sums, "SHA1", sha1);
	json_add_str(doc, file, "licenseConcluded", "NOASSERTION");
	json_add_str(doc, file, "copyrightText", "NOASSERTION");
	for (size_t i = 0; i < writing->sbom->count; i++) {
		const struct sbom_package *package = &writing->sbom->packages[i];

		if (any_word(package->text[SBOM_CONTAINS], matches, node->path))
			holder = package_id(package->text[SBOM_NAME], owner);
		if (any_word(package->text[SBOM_SOURCE_OF], matches, node->path))
			relate(writing, id, "GENERATED_FROM",
			       package_id(package->text[SBOM_NAME], other));
	}
	relate(writing, holder, "CONTAINS", id);
}

static bool is_listed(const struct tree_node *node)
{
	return !node->dir && !manifest_made(node->path);
}

/* A name for the document that no other contents have: from paths, hashes, packages. */
static void add_namespace(struct writing *writing, struct json_node *root, int64_t epoch)
{
	static const char prefix[] = "https://spdx.org/spdxdocs/fvol-" FVOL_VERSION "-";
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX_SIZE], text[sizeof(prefix) + SHA256_HEX_SIZE];
	struct sha256 sha;

	sha256_init(&sha);
	sha256_update(&sha, &epoch, sizeof(epoch));
	for (size_t i = 0; i < writing->sbom->count; i++)
		for (size_t j = 0; j < SBOM_FIELDS; j++) {
			const char *field = writing->sbom->packages[i].text[j];

			sha256_update(&sha, field, strlen(field) + 1);
		}
	for (size_t i = 0; i < writing->tree->count; i++) {
		const struct tree_node *node = &writing->tree->nodes[i];

		if (!is_listed(node))
			continue;
		sha256_update(&sha, node->path, strlen(node->path) + 1);
		sha256_update(&sha, node->digest, sizeof(node->digest));
	}
	sha256_final(&sha, digest);
	sha256_to_hex(digest, hex);
	snprintf(text, sizeof(text), "%s%s", prefix, hex);
	json_add_str(writing->doc, root, "documentNamespace", text);
}

static void add_head(struct writing *writing, struct json_node *root, int64_t epoch)
{
	struct json *doc = writing->doc;
	struct json_node *info;
	time_t when = (time_t)epoch;
	char created[32];
	struct tm tm;

	json_add_str(doc, root, "spdxVersion", "SPDX-2.3");
	json_add_str(doc, root, "dataLicense", "CC0-1.0");
	json_add_str(doc, root, "SPDXID", "SPDXRef-DOCUMENT");
	json_add_str(doc, root, "name", "fvol-" FVOL_VERSION);
	add_namespace(writing, root, epoch);
	strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&when, &tm));
	info = json_add_object(doc, root, "creationInfo");
	json_add_str(doc, info, "created", created);
	json_add_str(doc, json_add_array(doc, info, "creators"), NULL,
		     "Tool: fvol-image-" FVOL_VERSION);
}

char *sbom_write(const struct sbom *sbom, const struct tree *tree, int64_t epoch,
		 size_t *len_bytes, struct err *err)
{
	struct writing writing = { .sbom = sbom, .tree = tree, .doc = json_new() };
	struct json_node *root;
	char *text;

	if (!writing.doc) {
		err_set(err, ERR_FAILED, "out of memory");
		return NULL;
	}
	root = json_root(writing.doc);
	add_head(&writing, root, epoch);
	writing.packages = json_add_array(writing.doc, root, "packages");
	writing.files = json_add_array(writing.doc, root, "files");
	writing.relations = json_add_array(writing.doc, root, "relationships");
	add_own(&writing);
	for (size_t i = 0; i < sbom->count; i++)
		add_package(&writing, &sbom->packages[i]);
	relate_packages(&writing);
	for (size_t i = 0; i < tree->count; i++)
		if (is_listed(&tree->nodes[i]))
			add_file(&writing, &tree->nodes[i]);
	text = json_text(writing.doc, false, len_bytes, err);
	json_free(writing.doc);
	return text;
}
