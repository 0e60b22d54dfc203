/*
 * What the kernel and the host say of modules, hooks, mounts, sessions and units, each by
 * its reader; the first byte tells which.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "toolkit/lib/mountinfo.h"
#include "toolkit/triage/moduletext.h"
#include "toolkit/triage/mountplace.h"
#include "toolkit/triage/oddpath.h"
#include "toolkit/triage/textlines.h"
#include "toolkit/triage/unittext.h"
#include "toolkit/triage/utmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void use(const char *text)
{
	if (text && strlen(text) > 1u << 20)
		abort();
}

static void module_line(char *line, size_t len)
{
	struct module_line out;

	(void)len;
	if (!module_line_read(line, &out))
		return;
	use(out.name);
	use(out.used_by);
	use(out.state);
	use(out.taint);
}

static void symbol_line(char *line, size_t len)
{
	size_t name_len = 0;
	const char *name = kallsyms_line_module(line, len, &name_len);

	if (name && (name < line || name + name_len > line + len || !name_len))
		abort();
}

static void vmalloc_line(char *line, size_t len)
{
	struct vmalloc_line out;

	(void)len;
	if (vmalloc_line_read(line, &out))
		(void)vmalloc_caller_is_module(out.caller);
}

static void ftrace_line(char *line, size_t len)
{
	struct ftrace_line out;

	(void)len;
	if (!ftrace_line_read(line, &out))
		return;
	use(out.function);
	use(out.module);
	for (size_t i = 0; i < out.handler_count; i++) {
		size_t name_len = 0;
		bool unknown;
		const char *name =
			ftrace_handler_module(out.handlers[i], &name_len, &unknown);

		if (name && strlen(name) < name_len)
			abort();
	}
}

static void kprobe_line(char *line, size_t len)
{
	struct kprobe_line out;

	(void)len;
	if (!kprobe_line_read(line, &out))
		return;
	use(out.symbol);
	use(out.module);
}

static void log_line(char *line, size_t len)
{
	struct log_line out;
	unsigned taint = 64;
	size_t name_len = 0;

	(void)len;
	if (!log_line_read(line, &out))
		return;
	use(out.text);
	if (log_text_module(out.text, &name_len, &taint) &&
	    (!name_len || name_len > 55 || taint > 18 || name_len > strlen(out.text)))
		abort();
}

static void mount_line(char *line, size_t len)
{
	struct mountinfo_line out;
	enum triage_severity severity;

	(void)len;
	if (!mountinfo_split(line, &out))
		return;
	use(out.source);
	use(out.super_options);
	(void)mount_place_odd(&out, true, &severity);
	(void)mount_place_odd(&out, false, &severity);
}

static void path_line(char *line, size_t len)
{
	enum triage_severity severity;

	(void)len;
	(void)odd_core_program(line, &severity);
	(void)odd_modprobe(line, &severity);
}

/* Lines through a buffer that some of them do not fit in. */
static void each_line(const uint8_t *data, size_t len, void (*take)(char *, size_t))
{
	static int fd = -1;
	struct textlines lines;
	char buf[256], *line;
	size_t line_len;

	if (fd < 0 && (fd = memfd_create("lines", 0)) < 0)
		abort();
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    write(fd, data, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	textlines_begin(&lines, fd, buf, sizeof(buf), 1 << 19);
	while ((line = textlines_next(&lines, &line_len))) {
		if (line_len >= sizeof(buf) || memchr(line, '\n', line_len) ||
		    line[line_len])
			abort();
		take(line, line_len);
	}
}

static void unit(const uint8_t *data, size_t len, enum unit_form form)
{
	char *copy = malloc(len ? len : 1), out[128];
	struct unit_text text;
	const char *line;
	size_t line_len;

	memcpy(copy, data, len);
	unit_text_begin(&text, form, copy, len);
	while ((line = unit_text_next(&text, &line_len))) {
		if (line < copy || line + line_len > copy + len)
			abort();
		if (unit_text_redact(line, line_len, out, sizeof(out)) > sizeof(out))
			abort();
	}
	free(copy);
}

static void utmp(const uint8_t *data, size_t len)
{
	size_t record = utmp_layout(data, len);
	struct utmp_record out;

	for (size_t at = 0; record && at < len; at += record) {
		utmp_read(data + at, record, &out);
		if (out.user_len > 32 || out.line_len > 32 || out.host_len > 256)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const lines[])(char *, size_t) = {
		module_line, symbol_line, vmalloc_line, ftrace_line,
		kprobe_line, mount_line,  path_line,	log_line,
	};

	if (!len)
		return 0;
	if (data[0] >= 'a' && data[0] < 'a' + (int)(sizeof(lines) / sizeof(lines[0])))
		each_line(data + 1, len - 1, lines[data[0] - 'a']);
	else if (data[0] == 'u')
		utmp(data + 1, len - 1);
	else if (data[0] >= '0' && data[0] <= '6')
		unit(data + 1, len - 1, (enum unit_form)(data[0] - '0'));
	return 0;
}
