/* Modules: a record for each, and what is said of those that a view hides. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/triage/moduleviews.h"

/* A module that comes or goes is in one view earlier than in the other. */
#define RECHECKS 3
#define RECHECK_PAUSE_NS 2000000

static void add_views(struct json *doc, struct json_node *in, uint8_t views)
{
	struct json_node *array = json_add_array(doc, in, "views");

	for (unsigned i = 0; i < MODULE_VIEWS; i++)
		if (views >> i & 1)
			json_add_str(doc, array, NULL, module_view_names[i]);
}

/* A small file of /sys/module/NAME/, without its newline. Its length, or 0. */
static size_t sys_text(const struct triage *t, const char *name, const char *file,
		       char *buf, size_t size)
{
	char path[MODULE_NAME_SIZE + 64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "module/%s/%s", name, file);
	fd = openat(t->sysfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, size);
	close(fd);
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	return n > 0 ? (size_t)n : 0;
}

/* The note is 12 bytes of lengths and type, "GNU" and the id (elf(5)). */
static void add_build_id(const struct triage *t, const char *name, struct json *doc)
{
	unsigned char note[128];
	char hex[2 * sizeof(note) + 1];
	size_t len =
		sys_text(t, name, "notes/.note.gnu.build-id", (char *)note, sizeof(note));

	if (len <= 16 || memcmp(note + 12, "GNU", 4) != 0)
		return;
	for (size_t i = 16; i < len; i++)
		snprintf(hex + 2 * (i - 16), 3, "%02x", note[i]);
	json_add_str(doc, json_root(doc), "build_id", hex);
}

static void add_used_by(struct json *doc, const char *used_by)
{
	struct json_node *array = json_add_array(doc, json_root(doc), "used_by");

	for (const char *at = used_by; at && *at;) {
		size_t len = strcspn(at, ",");

		if (len)
			triage_add_text(doc, array, NULL, at, len);
		at += len + (at[len] == ',');
	}
}

static int emit_module(struct triage *t, const struct module_seen *seen, struct err *err)
{
	struct json *doc = triage_record("module", err);
	struct json_node *root;
	char text[80];
	size_t len;

	if (!doc)
		return -1;
	root = json_root(doc);
	triage_add_text(doc, root, "name", seen->name, strlen(seen->name));
	if (seen->views & MODULE_VIEW_PROC) {
		json_add_u64(doc, root, "size", seen->size);
		if (seen->has_references)
			json_add_u64(doc, root, "references", seen->references);
		add_used_by(doc, seen->used_by);
		triage_add_text(doc, root, "state", seen->state, strlen(seen->state));
		if (seen->address)
			triage_add_hex(doc, root, "address", seen->address);
		else
			json_add_null(doc, root, "address");
		triage_add_text(doc, root, "taint", seen->taint, strlen(seen->taint));
	}
	add_views(doc, root, seen->views);
	if (seen->views & MODULE_VIEW_SYSFS) {
		len = sys_text(t, seen->name, "srcversion", text, sizeof(text));
		if (len)
			triage_add_text(doc, root, "srcversion", text, len);
		add_build_id(t, seen->name, doc);
	}
	return triage_emit(t, doc, err);
}

/* Which views ought to show the module and do not? A module that is coming or going is
 * shown as it is by none but /proc/modules. */
static uint8_t missing_views(const struct module_views *views,
			     const struct module_seen *seen)
{
	uint8_t must = (MODULE_VIEW_PROC | MODULE_VIEW_SYSFS) & views->readable;

	if (seen->coming)
		return 0;
	return must & (uint8_t)~seen->views;
}

static int hidden_finding(struct triage *t, const struct module_views *views,
			  const struct module_seen *seen, unsigned rechecked,
			  struct err *err)
{
	struct json_node *subject, *evidence;
	char shown[4 * MODULE_NAME_SIZE], text[sizeof(shown) + 200];
	uint8_t missing = missing_views(views, seen);
	struct json *doc;

	triage_shown(seen->name, strlen(seen->name), shown, sizeof(shown));
	snprintf(text, sizeof(text), "The kernel module %s is hidden from %s%s%s.", shown,
		 missing & MODULE_VIEW_PROC ? "/proc/modules" : "",
		 missing == (MODULE_VIEW_PROC | MODULE_VIEW_SYSFS) ? " and " : "",
		 missing & MODULE_VIEW_SYSFS ? "/sys/module" : "");
	doc = triage_finding(t, "hidden_module", SEVERITY_HIGH, text, &subject, &evidence,
			     err);
	if (!doc)
		return -1;
	triage_add_text(doc, subject, "module", seen->name, strlen(seen->name));
	for (unsigned i = 0; i < MODULE_VIEWS; i++) {
		bool present = seen->views >> i & 1;

		/* Not every module is hooked or has memory that can be told. */
		if (present || (1u << i) & (MODULE_VIEW_PROC | MODULE_VIEW_SYSFS |
					    MODULE_VIEW_KALLSYMS))
			json_add_str(doc, evidence, module_view_names[i],
				     present			? "present"
				     : views->readable >> i & 1 ? "absent"
								: "not read");
	}
	json_add_u64(doc, json_root(doc), "rechecked", rechecked);
	return triage_emit(t, doc, err);
}

static bool any_missing(const struct module_views *views)
{
	for (size_t i = 0; i < views->count; i++)
		if (missing_views(views, &views->seen[i]))
			return true;
	return false;
}

/* Reads both views again; what of the first reading still is in one and not in the other
 * stays in views, everything else is taken as seen. */
static int recheck(struct triage *t, struct module_views *views, struct err *err)
{
	struct module_views again = { 0 };
	int rc = -1;

	if (t->live)
		nanosleep(&(struct timespec){ .tv_nsec = RECHECK_PAUSE_NS }, NULL);
	if (module_views_proc(t, &again, err) < 0 ||
	    module_views_sysfs(t, &again, err) < 0)
		goto out;
	for (size_t i = 0; i < views->count; i++) {
		struct module_seen *seen = &views->seen[i];
		const struct module_seen *now;

		if (!missing_views(views, seen))
			continue;
		now = module_views_find(&again, seen->name, strlen(seen->name));
		if (!now && seen->views & (MODULE_VIEW_PROC | MODULE_VIEW_SYSFS))
			seen->coming = true; /* it was going */
		else if (now)
			seen->views |= now->views;
		if (now && now->coming)
			seen->coming = true;
	}
	rc = 0;
out:
	module_views_free(&again);
	return rc;
}

/* What was begun when triage began, or else now. */
static int read_symbols(struct triage *t, struct module_views *views, struct err *err)
{
	struct module_symbols *symbols = t->symbols;

	t->symbols = NULL;
	if (!symbols)
		symbols = module_symbols_begin(t->procfd);
	return module_symbols_end(t, symbols, views, err);
}

/* A module that only symbols show may have been unloaded since they were read. */
static int recheck_symbols(struct triage *t, struct module_views *views, struct err *err)
{
	struct module_views again = { 0 };
	uint8_t lists = MODULE_VIEW_PROC | MODULE_VIEW_SYSFS;
	bool needed = false;
	int rc = 0;

	for (size_t i = 0; i < views->count; i++)
		needed |= !(views->seen[i].views & lists) &&
			  missing_views(views, &views->seen[i]);
	if (needed)
		rc = read_symbols(t, &again, err);
	for (size_t i = 0; rc == 0 && needed && i < views->count; i++) {
		struct module_seen *seen = &views->seen[i];

		if (!(seen->views & lists) && seen->views & MODULE_VIEW_KALLSYMS &&
		    !module_views_find(&again, seen->name, strlen(seen->name)))
			seen->coming = true; /* it was going */
	}
	module_views_free(&again);
	return rc;
}

static int emit_hidden(struct triage *t, struct module_views *views, struct err *err)
{
	unsigned rechecked = 0;

	while (rechecked < RECHECKS && any_missing(views)) {
		if (recheck(t, views, err) < 0)
			return -1;
		rechecked++;
	}
	if (recheck_symbols(t, views, err) < 0)
		return -1;
	for (size_t i = 0; i < views->count; i++)
		if (missing_views(views, &views->seen[i]) &&
		    hidden_finding(t, views, &views->seen[i], rechecked, err) < 0)
			return -1;
	return 0;
}

int collect_modules(struct triage *t, struct err *err)
{
	struct module_views views = { 0 };
	struct json *kernel = triage_record("kernel", err);
	int rc = -1;

	if (!kernel)
		return -1;
	if (module_views_proc(t, &views, err) < 0 ||
	    module_views_sysfs(t, &views, err) < 0 ||
	    kernel_hooks(t, &views, kernel, err) < 0 || read_symbols(t, &views, err) < 0)
		goto out;
	if (kernel_state(t, &views, kernel, err) < 0 ||
	    module_memory(t, &views, err) < 0 || emit_hidden(t, &views, err) < 0 ||
	    module_log(t, &views, kernel, err) < 0)
		goto out;
	for (size_t i = 0; i < views.count; i++)
		if (emit_module(t, &views.seen[i], err) < 0)
			goto out;
	if (views.failed && triage_unread(t, "modules", REASON_TOO_LARGE, 0, err) < 0)
		goto out;
	rc = triage_emit(t, kernel, err);
	kernel = NULL;
out:
	json_free(kernel);
	module_views_free(&views);
	return rc;
}
