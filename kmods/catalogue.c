#include "kmods/catalogue.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmods/file.h"
#include "toolkit/lib/json.h"

const struct arch archs[] = {
	{ "aarch64", "arm64", "\nCONFIG_ARM64=y\n", EM_AARCH64, "aarch64" },
	{ "x86_64", "x86_64", "\nCONFIG_X86_64=y\n", EM_X86_64, "" },
	{ NULL, NULL, NULL, 0, NULL },
};

/* Members that are strings: key, place and size. */
#define TEXT_AS(key, member)                                                             \
	{                                                                                \
		key, offsetof(struct module, member),                                    \
			sizeof(((struct module *)0)->member)                             \
	}
#define TEXT(member) TEXT_AS(#member, member)
static const struct {
	const char *key;
	size_t offset, size;
} texts[] = {
	TEXT(arch),	      TEXT(release),
	TEXT(flavour),	      TEXT(sha256),
	TEXT(vermagic),	      TEXT(kernel_build_id),
	TEXT(srcversion),     TEXT_AS("module_build_id", build_id),
	TEXT(symbols_sha256), TEXT(lime_version),
	TEXT(lime_sha256),    TEXT(compiler),
	TEXT(inputs),
};
#define TEXT_COUNT (sizeof(texts) / sizeof(texts[0]))

const struct arch *arch_find(const char *name)
{
	for (const struct arch *a = archs; a->name; a++) {
		if (strcmp(a->name, name) == 0)
			return a;
	}
	return NULL;
}

const char *release_flavour(const char *release)
{
	const char *p = strchr(release, '-');

	if (!p)
		return "";
	p++;
	/* Debian's ABI number, which its later releases have no more. */
	if (p[strspn(p, "0123456789")] == '-')
		p += strspn(p, "0123456789") + 1;
	return p;
}

bool release_is_plain(const char *release)
{
	if (release[0] == '.' || release[0] == '-')
		return false;
	for (const char *p = release; *p; p++) {
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') &&
		    !(*p >= '0' && *p <= '9') && !strchr(".+-_~:%", *p))
			return false;
	}
	return release[0] != '\0';
}

static bool is_hex(const char *text)
{
	return strspn(text, "0123456789abcdef") == strlen(text);
}

static bool is_digest(const char *text)
{
	return strlen(text) == SHA256_HEX_SIZE - 1 && is_hex(text);
}

static bool take_text(char *to, size_t size, const struct json_value *value)
{
	const char *text = json_str(value);

	if (!text || strlen(text) >= size)
		return false;
	memcpy(to, text, strlen(text) + 1);
	return true;
}

static bool take_module(struct module *m, const struct json_value *in)
{
	const struct json_value *packages = json_get(in, "packages");

	memset(m, 0, sizeof(*m));
	for (size_t i = 0; i < TEXT_COUNT; i++) {
		if (!take_text((char *)m + texts[i].offset, texts[i].size,
			       json_get(in, texts[i].key)))
			return false;
	}
	m->symbols_from_module = json_true(json_get(in, "symbols_from_module"));
	m->locked = json_true(json_get(in, "locked"));
	m->tested = json_true(json_get(in, "tested"));
	m->package_count = json_len(packages);
	if (!json_u64(json_get(in, "size"), &m->size_bytes) ||
	    !json_u64(json_get(in, "symbols_size"), &m->symbols_bytes) ||
	    m->package_count > MODULE_PACKAGES_MAX)
		return false;
	if (!arch_find(m->arch) || !release_is_plain(m->release) ||
	    !is_digest(m->sha256) || !is_hex(m->kernel_build_id) ||
	    (m->symbols_sha256[0] && !is_digest(m->symbols_sha256)))
		return false;
	for (size_t i = 0; i < m->package_count; i++) {
		const struct json_value *from = json_at(packages, i);
		struct package *p = &m->packages[i];

		if (!take_text(p->name, sizeof(p->name), json_get(from, "name")) ||
		    !take_text(p->version, sizeof(p->version),
			       json_get(from, "version")) ||
		    !take_text(p->sha256, sizeof(p->sha256), json_get(from, "sha256")))
			return false;
	}
	return true;
}

int catalogue_parse(const char *text, size_t len_bytes, struct catalogue *cat,
		    size_t *left_out, struct err *err)
{
	const struct json_value *top, *modules;
	struct json_read *doc;
	struct module m;
	uint64_t format;
	size_t bad = 0;
	int rc = 0;

	memset(cat, 0, sizeof(*cat));
	doc = json_parse(text, len_bytes, err);
	if (!doc)
		return -1;
	top = json_top(doc);
	modules = json_get(top, "modules");
	if (!json_u64(json_get(top, "format"), &format) || format != CATALOGUE_FORMAT ||
	    !json_u64(json_get(top, "catalogue_version"), &cat->version))
		rc = err_set(err, ERR_FAILED, "not a catalogue of format %d",
			     CATALOGUE_FORMAT);
	else if (json_len(modules) > CATALOGUE_MODULES_MAX)
		rc = err_set(err, ERR_FAILED, "more than %d modules",
			     CATALOGUE_MODULES_MAX);
	for (size_t i = 0; rc == 0 && i < json_len(modules); i++) {
		if (!take_module(&m, json_at(modules, i)) ||
		    catalogue_find(cat, m.arch, m.release))
			bad++;
		else
			rc = catalogue_set(cat, &m, err);
	}
	if (left_out)
		*left_out = bad;
	json_read_free(doc);
	return rc;
}

int catalogue_read(int dirfd, const char *path, struct catalogue *cat, struct err *err)
{
	size_t len;
	char *text;
	int rc;

	memset(cat, 0, sizeof(*cat));
	if (faccessat(dirfd, path, F_OK, 0) < 0 && errno == ENOENT)
		return 0;
	if (file_read(dirfd, path, CATALOGUE_BYTES_MAX, &text, &len, err) < 0)
		return -1;
	rc = catalogue_parse(text, len, cat, NULL, err);
	free(text);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}

void catalogue_free(struct catalogue *cat)
{
	free(cat->modules);
	memset(cat, 0, sizeof(*cat));
}

/* Where a kernel's entry stands or would stand. *found says which. */
static size_t place(const struct catalogue *cat, const char *arch, const char *release,
		    bool *found)
{
	size_t i = 0;
	int c = 1;

	for (; i < cat->count; i++) {
		c = strcmp(cat->modules[i].arch, arch);
		if (c == 0)
			c = strcmp(cat->modules[i].release, release);
		if (c >= 0)
			break;
	}
	*found = i < cat->count && c == 0;
	return i;
}

struct module *catalogue_find(const struct catalogue *cat, const char *arch,
			      const char *release)
{
	bool found;
	size_t i = place(cat, arch, release, &found);

	return found ? &cat->modules[i] : NULL;
}

int catalogue_set(struct catalogue *cat, const struct module *module, struct err *err)
{
	struct module *more;
	bool found;
	size_t i = place(cat, module->arch, module->release, &found);

	if (!found) {
		more = realloc(cat->modules, (cat->count + 1) * sizeof(*more));
		if (!more)
			return err_sys(err, errno, "adding to the catalogue");
		cat->modules = more;
		memmove(&more[i + 1], &more[i], (cat->count - i) * sizeof(*more));
		cat->count++;
	}
	cat->modules[i] = *module;
	return 0;
}

static void add_module(struct json *doc, struct json_node *list, const struct module *m)
{
	struct json_node *o = json_add_object(doc, list, NULL), *packages;
	char file[sizeof(m->arch) + sizeof(m->release) + 16];

	json_add_str(doc, o, "arch", m->arch);
	json_add_str(doc, o, "release", m->release);
	json_add_str(doc, o, "flavour", m->flavour);
	snprintf(file, sizeof(file), "%s/%s/" MODULE_FILE, m->arch, m->release);
	json_add_str(doc, o, "file", file);
	json_add_str(doc, o, "sha256", m->sha256);
	json_add_u64(doc, o, "size", m->size_bytes);
	json_add_str(doc, o, "vermagic", m->vermagic);
	json_add_str(doc, o, "kernel_build_id", m->kernel_build_id);
	json_add_str(doc, o, "srcversion", m->srcversion);
	json_add_str(doc, o, "module_build_id", m->build_id);
	json_add_str(doc, o, "symbols_sha256", m->symbols_sha256);
	json_add_u64(doc, o, "symbols_size", m->symbols_bytes);
	json_add_bool(doc, o, "symbols_from_module", m->symbols_from_module);
	json_add_str(doc, o, "lime_version", m->lime_version);
	json_add_str(doc, o, "lime_sha256", m->lime_sha256);
	json_add_str(doc, o, "compiler", m->compiler);
	packages = json_add_array(doc, o, "packages");
	for (size_t i = 0; i < m->package_count; i++) {
		struct json_node *p = json_add_object(doc, packages, NULL);

		json_add_str(doc, p, "name", m->packages[i].name);
		json_add_str(doc, p, "version", m->packages[i].version);
		json_add_str(doc, p, "sha256", m->packages[i].sha256);
	}
	json_add_bool(doc, o, "locked", m->locked);
	json_add_bool(doc, o, "tested", m->tested);
	json_add_str(doc, o, "inputs", m->inputs);
}

int catalogue_write(int dirfd, const struct catalogue *cat, bool complete,
		    struct err *err)
{
	struct json *doc = json_new();
	struct json_node *list;
	size_t len;
	char *text;
	int rc;

	if (!doc)
		return err_sys(err, ENOMEM, "writing the catalogue");
	json_add_u64(doc, json_root(doc), "format", CATALOGUE_FORMAT);
	/* The second thing in the file: it is read there without a JSON library, too. */
	json_add_u64(doc, json_root(doc), "catalogue_version", cat->version);
	list = json_add_array(doc, json_root(doc), "modules");
	for (size_t i = 0; i < cat->count; i++)
		add_module(doc, list, &cat->modules[i]);
	text = json_text(doc, true, &len, err);
	json_free(doc);
	if (!text)
		return -1;
	if (unlinkat(dirfd, CATALOGUE_SIGNATURE, 0) < 0 && errno != ENOENT)
		rc = err_sys(err, errno, "removing the old " CATALOGUE_SIGNATURE);
	else
		rc = file_put(dirfd, CATALOGUE_FILE, text, len, 0644, !complete, err);
	free(text);
	return rc;
}
