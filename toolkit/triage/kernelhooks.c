/* Who has himself called by functions of the kernel: ftrace and kprobes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/triage/moduletext.h"
#include "toolkit/triage/moduleviews.h"
#include "toolkit/triage/textlines.h"
#include "toolkit/triage/tracefs.h"

#define LINE_BYTES 4096
#define TABLE_BYTES ((uint64_t)16 << 20)
/* With a tracer switched on every function of the kernel stands there. */
#define RECORDED_MAX 2048
#define FINDINGS_MAX 32

struct hooks {
	struct triage *t;
	struct module_views *views;
	struct json *doc;
	struct json_node *array;
	struct err *err;
	size_t recorded, left_out, findings;
	char function[256], module[MODULE_NAME_SIZE]; /* of the line before */
};

static void add_word(struct json *doc, struct json_node *in, const char *key,
		     const char *text)
{
	if (text && *text)
		triage_add_text(doc, in, key, text, strlen(text));
}

/*
 * A handler in a module is somebody's hook (security products have them as rootkits do);
 * one at an address that no symbol is known for is memory that nobody shows.
 */
static int hook_finding(struct hooks *hooks, const char *handler, const char *module,
			size_t module_len)
{
	char function[128], shown[256], where[256], text[768];
	struct json_node *subject, *evidence;
	struct json *doc;

	if (hooks->findings++ >= FINDINGS_MAX)
		return 0;
	triage_shown(hooks->function, strlen(hooks->function), function,
		     sizeof(function));
	triage_shown(handler, strlen(handler), shown, sizeof(shown));
	if (module) {
		triage_shown(module, module_len, where, sizeof(where));
		snprintf(text, sizeof(text),
			 "The function %s of the kernel calls %s of the module %s.",
			 function, shown, where);
	} else {
		snprintf(text, sizeof(text),
			 "The function %s of the kernel calls %s, which belongs to no "
			 "module that is shown.",
			 function, shown);
	}
	doc = triage_finding(hooks->t, "kernel_hook",
			     module ? SEVERITY_MEDIUM : SEVERITY_HIGH, text, &subject,
			     &evidence, hooks->err);
	if (!doc)
		return -1;
	if (module)
		triage_add_text(doc, subject, "module", module, module_len);
	else
		json_add_null(doc, subject, "module");
	triage_add_text(doc, evidence, "function", hooks->function,
			strlen(hooks->function));
	triage_add_text(doc, evidence, "ftrace", handler, strlen(handler));
	return triage_emit(hooks->t, doc, hooks->err);
}

static void record_hook(struct hooks *hooks, const struct ftrace_line *line,
			const char *raw)
{
	struct json_node *one;

	if (hooks->recorded >= RECORDED_MAX) {
		hooks->left_out++;
		return;
	}
	hooks->recorded++;
	one = json_add_object(hooks->doc, hooks->array, NULL);
	add_word(hooks->doc, one, "function", hooks->function);
	add_word(hooks->doc, one, "module", hooks->module);
	add_word(hooks->doc, one, "hook", line->handler_count ? line->handlers[0] : NULL);
	add_word(hooks->doc, one, "raw", raw);
}

static int take_ftrace(struct hooks *hooks, char *text)
{
	char raw[LINE_BYTES];
	struct ftrace_line line;

	snprintf(raw, sizeof(raw), "%s", text);
	if (!ftrace_line_read(text, &line))
		return 0;
	if (line.function) {
		snprintf(hooks->function, sizeof(hooks->function), "%s", line.function);
		snprintf(hooks->module, sizeof(hooks->module), "%s",
			 line.module ? line.module : "");
		if (line.module)
			module_views_add(hooks->views, line.module, strlen(line.module),
					 MODULE_VIEW_FTRACE);
	}
	record_hook(hooks, &line, raw);
	for (size_t i = 0; i < line.handler_count; i++) {
		size_t len = 0;
		bool unknown;
		const char *module =
			ftrace_handler_module(line.handlers[i], &len, &unknown);

		if (module)
			module_views_add(hooks->views, module, len, MODULE_VIEW_FTRACE);
		/* "tramp: 0x…" alone is a trampoline of ftrace's own; what it calls
		 * stands in brackets, and is what was taken here. */
		if ((module || unknown) &&
		    hook_finding(hooks, line.handlers[i], module, len) < 0)
			return -1;
	}
	return 0;
}

/* A table of tracefs or debugfs, line by line. 0, or -1 with err. */
static int read_table(struct hooks *hooks, enum kernel_fs which, const char *path,
		      const char *shown, int (*take)(struct hooks *hooks, char *line))
{
	enum triage_reason reason = REASON_ERROR;
	int dirfd = triage_kernel_fs(hooks->t, which, &reason), fd;
	struct textlines lines;
	char buf[LINE_BYTES], *line;
	size_t len;
	int rc = 0;

	if (dirfd < 0)
		return triage_unread(hooks->t, shown, reason, errno, hooks->err);
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		int errnum = errno;

		close(dirfd);
		/* Built without it: then there are no such hooks. */
		return errnum == ENOENT
			       ? 0
			       : triage_unread(hooks->t, shown,
					       triage_reason_of(hooks->t, errnum), errnum,
					       hooks->err);
	}
	textlines_begin(&lines, fd, buf, sizeof(buf), TABLE_BYTES);
	while (rc == 0 && (line = textlines_next(&lines, &len)))
		rc = take(hooks, line);
	close(fd);
	close(dirfd);
	if (rc == 0 && (lines.errnum || lines.more || lines.overlong))
		rc = triage_unread(hooks->t, shown,
				   lines.errnum ? triage_reason_of(hooks->t, lines.errnum)
						: REASON_TOO_LARGE,
				   lines.errnum, hooks->err);
	return rc;
}

static int take_kprobe(struct hooks *hooks, char *text)
{
	struct kprobe_line line;
	struct json_node *one;

	if (!kprobe_line_read(text, &line))
		return 0;
	if (hooks->recorded >= RECORDED_MAX) {
		hooks->left_out++;
		return 0;
	}
	hooks->recorded++;
	one = json_add_object(hooks->doc, hooks->array, NULL);
	if (line.address)
		triage_add_hex(hooks->doc, one, "address", line.address);
	json_add_str(hooks->doc, one, "kind", *line.kind == 'r' ? "return" : "probe");
	add_word(hooks->doc, one, "symbol", line.symbol);
	add_word(hooks->doc, one, "module", line.module);
	if (line.disabled)
		json_add_bool(hooks->doc, one, "disabled", true);
	return 0;
}

/* Nobody tells who set a probe: all of them are one finding. */
static int kprobes_finding(struct hooks *hooks)
{
	struct json_node *subject, *evidence;
	struct json *doc;
	char text[128];

	if (!hooks->recorded)
		return 0;
	snprintf(text, sizeof(text), "The kernel has %zu probe%s in its functions.",
		 hooks->recorded + hooks->left_out,
		 hooks->recorded + hooks->left_out == 1 ? "" : "s");
	doc = triage_finding(hooks->t, "kernel_hook", SEVERITY_LOW, text, &subject,
			     &evidence, hooks->err);
	if (!doc)
		return -1;
	json_add_str(doc, subject, "path", "/sys/kernel/debug/kprobes/list");
	json_add_u64(doc, evidence, "kprobes", hooks->recorded + hooks->left_out);
	return triage_emit(hooks->t, doc, hooks->err);
}

int kernel_hooks(struct triage *t, struct module_views *views, struct json *doc,
		 struct err *err)
{
	struct hooks hooks = { .t = t, .views = views, .doc = doc, .err = err };

	hooks.array = json_add_array(doc, json_root(doc), "ftrace");
	if (read_table(&hooks, KERNEL_FS_TRACEFS, "enabled_functions",
		       "/sys/kernel/tracing/enabled_functions", take_ftrace) < 0)
		return -1;
	if (hooks.left_out)
		json_add_u64(doc, json_root(doc), "ftrace_left_out", hooks.left_out);
	hooks.recorded = hooks.left_out = 0;
	hooks.array = json_add_array(doc, json_root(doc), "kprobes");
	if (read_table(&hooks, KERNEL_FS_DEBUGFS, "kprobes/list",
		       "/sys/kernel/debug/kprobes/list", take_kprobe) < 0)
		return -1;
	if (hooks.left_out)
		json_add_u64(doc, json_root(doc), "kprobes_left_out", hooks.left_out);
	return kprobes_finding(&hooks);
}
