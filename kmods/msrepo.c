#include "kmods/msrepo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/xml.h"

/* A text that grows by what is printed to it. */
struct text {
	FILE *file;
	char *data;
	size_t len;
};

static bool text_open(struct text *text, struct err *err)
{
	*text = (struct text){ .file = NULL };
	text->file = open_memstream(&text->data, &text->len);
	if (!text->file)
		err_sys(err, errno, "writing XML");
	return text->file != NULL;
}

static char *text_close(struct text *text, size_t *len, struct err *err)
{
	bool bad = ferror(text->file) != 0;

	if (fclose(text->file) != 0 || bad) {
		free(text->data);
		err_set(err, ERR_FAILED, "writing XML: out of memory");
		return NULL;
	}
	*len = text->len;
	return text->data;
}

char *msrepo_write_top(const struct msrepo_list *list, size_t *len_bytes, struct err *err)
{
	struct text text;

	if (!text_open(&text, err))
		return NULL;
	fprintf(text.file,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<metadata>\n"
		"  <revision>%" PRIu64 "</revision>\n"
		"  <data type=\"primary\">\n"
		"    <checksum>%s</checksum>\n"
		"    <open_checksum>%s</open_checksum>\n"
		"    <location href=\"%s\"/>\n"
		"    <timestamp>0</timestamp>\n"
		"    <size>%" PRIu64 "</size>\n"
		"    <open_size>%" PRIu64 "</open_size>\n"
		"  </data>\n"
		"</metadata>\n",
		list->revision, list->sha256, list->open_sha256, list->location,
		list->bytes, list->open_bytes);
	return text_close(&text, len_bytes, err);
}

/* Releases, hashes and the names made of them hold nothing that XML would want escaped:
 * release_is_plain() sees to it. */
static void write_module(FILE *out, const struct msrepo_module *m)
{
	fprintf(out,
		"  <module type=\"lime\">\n"
		"    <name>lime-%s.ko</name>\n"
		"    <arch>%s</arch>\n"
		"    <checksum>%s</checksum>\n"
		"    <version>%s</version>\n"
		"    <packager>fvol</packager>\n"
		"    <location href=\"%s\"/>\n"
		"    <signature href=\"%s.sig\"/>\n"
		"    <platform>linux</platform>\n"
		"  </module>\n",
		m->release, m->arch, m->sha256, m->release, m->location, m->location);
}

char *msrepo_write_list(const struct msrepo *repo, size_t *len_bytes, struct err *err)
{
	struct text text;

	if (!text_open(&text, err))
		return NULL;
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<modules>\n", text.file);
	for (size_t i = 0; i < repo->count; i++)
		write_module(text.file, &repo->modules[i]);
	/* margaritashotgun's reader takes an only child for no list and fails: the module
	 * stands twice, which is once for it, as it goes by release. */
	if (repo->count == 1)
		write_module(text.file, &repo->modules[0]);
	fputs("</modules>\n", text.file);
	return text_close(&text, len_bytes, err);
}

int msrepo_add(struct msrepo *repo, const struct msrepo_module *module, struct err *err)
{
	struct msrepo_module *more;

	if (repo->count == MSREPO_MODULES_MAX)
		return err_set(err, ERR_FAILED, "more than %d modules",
			       MSREPO_MODULES_MAX);
	more = realloc(repo->modules, (repo->count + 1) * sizeof(*more));
	if (!more)
		return err_sys(err, errno, "listing modules");
	repo->modules = more;
	more[repo->count++] = *module;
	return 0;
}

void msrepo_free(struct msrepo *repo)
{
	free(repo->modules);
	memset(repo, 0, sizeof(*repo));
}

static bool take(char *to, size_t size, const char *text)
{
	/* Blanks around a text are how somebody laid the file out. */
	size_t len;

	text += strspn(text, " \t\r\n");
	len = strlen(text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		len--;
	if (len == 0 || len >= size)
		return false;
	memcpy(to, text, len);
	to[len] = '\0';
	return true;
}

static int take_digest(char hex[SHA256_HEX_SIZE], const char *text, struct err *err)
{
	char word[SHA256_HEX_SIZE];
	uint8_t digest[SHA256_LEN];

	if (!take(word, sizeof(word), text) || strlen(word) != 2 * SHA256_LEN ||
	    !sha256_from_hex(word, digest))
		return err_set(err, ERR_FAILED, "a checksum is not a SHA-256");
	sha256_to_hex(digest, hex);
	return 0;
}

struct top {
	struct msrepo_list *list;
	bool primary; /* what is read now is about the primary list */
	bool found;
};

static int top_start(void *arg, const char *path, const char *const *attributes,
		     struct err *err)
{
	struct top *top = arg;
	const char *type = xml_attribute(attributes, "type");
	const char *href = xml_attribute(attributes, "href");

	if (strcmp(path, "metadata/data") == 0) {
		top->primary = type && strcmp(type, "primary") == 0;
		if (top->primary && top->found)
			return err_set(err, ERR_FAILED, "two primary lists");
		top->found = top->found || top->primary;
	} else if (top->primary && strcmp(path, "metadata/data/location") == 0 &&
		   (!href ||
		    !take(top->list->location, sizeof(top->list->location), href))) {
		return err_set(err, ERR_FAILED, "the list's location is too long");
	}
	return 0;
}

static int top_element(void *arg, const char *path, const char *text, struct err *err)
{
	struct top *top = arg;
	struct msrepo_list *list = top->list;
	char number[32], *end;

	if (strcmp(path, "metadata/revision") == 0) {
		if (!take(number, sizeof(number), text) || number[0] == '-')
			return err_set(err, ERR_FAILED, "the revision is no number");
		list->revision = strtoull(number, &end, 10);
		if (*end)
			return err_set(err, ERR_FAILED, "the revision is no number");
	}
	if (!top->primary)
		return 0;
	if (strcmp(path, "metadata/data/checksum") == 0)
		return take_digest(list->sha256, text, err);
	if (strcmp(path, "metadata/data/open_checksum") == 0)
		return take_digest(list->open_sha256, text, err);
	return 0;
}

/* Reads a whole document that is in memory, with its attributes. */
static int read_document(const char *text, size_t len_bytes, xml_start *start,
			 xml_element *element, void *arg, struct err *err)
{
	struct xml_stream *stream = xml_stream_new(start, element, arg, err);
	int rc;

	if (!stream)
		return -1;
	rc = xml_stream_feed(stream, text, len_bytes, true, err);
	xml_stream_free(stream);
	return rc;
}

int msrepo_read_top(const char *text, size_t len_bytes, struct msrepo_list *list,
		    struct err *err)
{
	struct top top = { .list = list };

	memset(list, 0, sizeof(*list));
	if (read_document(text, len_bytes, top_start, top_element, &top, err) < 0)
		return -1;
	if (!top.found || !list->location[0] || !list->sha256[0] || !list->open_sha256[0])
		return err_set(err, ERR_FAILED, "it names no whole primary list");
	return 0;
}

struct reading {
	struct msrepo *repo;
	struct msrepo_module module;
	bool lime;
};

/* The end of a module's element. */
static int take_module(struct reading *r, struct err *err)
{
	const struct msrepo_module *m = &r->module;

	if (!r->lime)
		return 0;
	if (!release_is_plain(m->release) || !m->sha256[0] || !m->location[0])
		return err_set(err, ERR_FAILED,
			       "a module has no usable version, checksum or location");
	/* The one that stands twice so that it is a list. */
	for (size_t i = 0; i < r->repo->count; i++) {
		const struct msrepo_module *have = &r->repo->modules[i];

		if (strcmp(have->release, m->release) == 0 &&
		    strcmp(have->sha256, m->sha256) == 0)
			return 0;
	}
	return msrepo_add(r->repo, m, err);
}

static int list_start(void *arg, const char *path, const char *const *attributes,
		      struct err *err)
{
	struct reading *r = arg;
	const char *type = xml_attribute(attributes, "type");
	const char *href = xml_attribute(attributes, "href");

	if (strcmp(path, "modules/module") == 0)
		r->lime = type && strcmp(type, "lime") == 0;
	else if (r->lime && href && strcmp(path, "modules/module/location") == 0 &&
		 !take(r->module.location, sizeof(r->module.location), href))
		return err_set(err, ERR_FAILED, "a location is too long");
	return 0;
}

static int list_element(void *arg, const char *path, const char *text, struct err *err)
{
	struct reading *r = arg;
	struct msrepo_module *m = &r->module;

	if (strcmp(path, "modules/module") == 0) {
		int rc = take_module(r, err);

		memset(m, 0, sizeof(*m));
		r->lime = false;
		return rc;
	} else if (!r->lime) {
		return 0;
	} else if (strcmp(path, "modules/module/checksum") == 0) {
		return take_digest(m->sha256, text, err);
	} else if (strcmp(path, "modules/module/version") == 0) {
		if (!take(m->release, sizeof(m->release), text))
			return err_set(err, ERR_FAILED, "a version is no release");
	} else if (strcmp(path, "modules/module/arch") == 0) {
		if (!take(m->arch, sizeof(m->arch), text))
			return err_set(err, ERR_FAILED, "an architecture is too long");
	}
	return 0;
}

int msrepo_read_list(const char *text, size_t len_bytes, struct msrepo *repo,
		     struct err *err)
{
	struct reading r = { .repo = repo };

	memset(repo, 0, sizeof(*repo));
	return read_document(text, len_bytes, list_start, list_element, &r, err);
}
