/* The record `kernel`: what is set and what taints it, and what of that is odd. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "toolkit/lib/host.h"
#include "toolkit/lib/io.h"
#include "toolkit/triage/moduleviews.h"
#include "toolkit/triage/oddpath.h"
#include "toolkit/triage/quiet.h"
#include "toolkit/triage/textlines.h"

#define BINFMT_TYPE 0x42494e4d

/* Documentation/admin-guide/tainted-kernels.rst; letter as /proc/modules has it, where a
 * module can be the cause. */
static const struct {
	const char *name;
	char of_module;
} taints[] = {
	{ "proprietary_module", 'P' },
	{ "forced_module", 'F' },
	{ "cpu_out_of_spec", 0 },
	{ "forced_unload", 0 },
	{ "machine_check", 0 },
	{ "bad_page", 0 },
	{ "user", 0 },
	{ "die", 0 },
	{ "overridden_acpi_table", 0 },
	{ "warn", 0 },
	{ "staging_module", 'C' },
	{ "firmware_workaround", 0 },
	{ "out_of_tree_module", 'O' },
	{ "unsigned_module", 'E' },
	{ "soft_lockup", 0 },
	{ "livepatch", 'K' },
	{ "auxiliary", 0 },
	{ "randstruct", 0 },
	{ "test", 0 },
};

struct state {
	struct triage *t;
	struct json *doc;
	struct err *err;
};

/* A small file below /proc or /sys without its newline. Its length, or -1. */
static ssize_t small(int dirfd, const char *path, char *buf, size_t size)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return n;
}

static void add_texts(struct state *state)
{
	static const struct {
		const char *key, *path;
		bool sys;
	} texts[] = {
		{ "command_line", "cmdline", false },
		{ "core_pattern", "sys/kernel/core_pattern", false },
		{ "modprobe", "sys/kernel/modprobe", false },
		{ "hotplug", "kernel/uevent_helper", true },
		{ "clocksource",
		  "devices/system/clocksource/clocksource0/current_clocksource", true },
		{ "loadavg", "loadavg", false },
	};
	char buf[4096];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ssize_t n = small(texts[i].sys ? state->t->sysfd : state->t->procfd,
				  texts[i].path, buf, sizeof(buf));

		if (n >= 0)
			triage_add_text(state->doc, json_root(state->doc), texts[i].key,
					buf, (size_t)n);
	}
}

static void add_numbers(struct state *state)
{
	static const struct {
		const char *key, *path;
	} numbers[] = {
		{ "kptr_restrict", "sys/kernel/kptr_restrict" },
		{ "perf_event_paranoid", "sys/kernel/perf_event_paranoid" },
		{ "unprivileged_bpf_disabled", "sys/kernel/unprivileged_bpf_disabled" },
		{ "randomize_va_space", "sys/kernel/randomize_va_space" },
		{ "modules_disabled", "sys/kernel/modules_disabled" },
		{ "uptime_s", "uptime" },
	};
	char buf[64];
	uint64_t value;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		bool negative;

		if (small(state->t->procfd, numbers[i].path, buf, sizeof(buf)) < 0)
			continue;
		negative = buf[0] == '-';
		buf[strcspn(buf, ". ")] = '\0';
		if (textlines_decimal(buf + negative, &value) && value <= INT64_MAX)
			json_add_i64(state->doc, json_root(state->doc), numbers[i].key,
				     negative ? -(int64_t)value : (int64_t)value);
	}
}

/* "enabled", "status" and "register" are its own; what else there is runs programs. */
static void add_binfmt(struct state *state)
{
	struct json *doc = state->doc;
	int fd = openat(state->t->procfd, "sys/fs/binfmt_misc",
			O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct json_node *array;
	struct statfs fs;
	int listed;

	/* Where it is not mounted an automounter may wait for us. */
	if (fd < 0 || (state->t->live &&
		       (fstatfs(fd, &fs) < 0 || (uint32_t)fs.f_type != BINFMT_TYPE))) {
		io_close(&fd);
		return;
	}
	listed = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	array = json_add_array(doc, json_root(doc), "binfmt");
	if (listed >= 0)
		odd_binfmt_list(listed, doc, array);
	io_close(&listed);
	close(fd);
}

static void add_clock(struct state *state)
{
	struct timex timex = { .modes = 0 };
	int clock;

	if (!state->t->live)
		return;
	clock = adjtimex(&timex);
	if (clock >= 0)
		json_add_bool(state->doc, json_root(state->doc), "clock_synchronised",
			      clock != TIME_ERROR && !(timex.status & STA_UNSYNC));
}

static bool accounted(const struct module_views *views, char letter)
{
	for (size_t i = 0; i < views->count; i++)
		if (strchr(views->seen[i].taint, letter))
			return true;
	return false;
}

static int taint_finding(struct state *state, size_t bit)
{
	struct json_node *subject, *evidence;
	struct json *doc;
	char text[256];

	snprintf(text, sizeof(text),
		 "The kernel is tainted by a module (%s), and no module that is shown "
		 "accounts for it; it may have been unloaded, as a capture's is.",
		 taints[bit].name);
	doc = triage_finding(state->t, "module_taint", SEVERITY_MEDIUM, text, &subject,
			     &evidence, state->err);
	if (!doc)
		return -1;
	json_add_str(doc, subject, "path", "/proc/sys/kernel/tainted");
	json_add_str(doc, evidence, "tainted", taints[bit].name);
	json_add_str(doc, evidence, "proc", "absent");
	return triage_emit(state->t, doc, state->err);
}

bool kernel_taint(const struct triage *t, uint64_t *bits)
{
	char buf[32];

	return small(t->procfd, "sys/kernel/tainted", buf, sizeof(buf)) >= 0 &&
	       textlines_decimal(buf, bits);
}

const char *kernel_taint_name(unsigned bit)
{
	return bit < sizeof(taints) / sizeof(taints[0]) ? taints[bit].name : NULL;
}

static int add_taint(struct state *state, const struct module_views *views)
{
	struct json_node *root = json_root(state->doc), *array;
	uint64_t value;

	if (!kernel_taint(state->t, &value))
		return triage_unread(state->t, "/proc/sys/kernel/tainted",
				     triage_reason_of(state->t, errno), errno,
				     state->err);
	json_add_u64(state->doc, root, "taint", value);
	array = json_add_array(state->doc, root, "taint_flags");
	for (size_t bit = 0; bit < sizeof(taints) / sizeof(taints[0]); bit++) {
		if (!(value >> bit & 1))
			continue;
		json_add_str(state->doc, array, NULL, taints[bit].name);
		if (taints[bit].of_module && views->readable & MODULE_VIEW_PROC &&
		    !accounted(views, taints[bit].of_module) &&
		    taint_finding(state, bit) < 0)
			return -1;
	}
	return 0;
}

static int hook_finding(struct state *state, const char *path, const char *what,
			const char *value, enum triage_severity severity)
{
	struct json_node *subject, *evidence;
	char shown[512], text[768];
	struct json *doc;

	triage_shown(value, strlen(value), shown, sizeof(shown));
	snprintf(text, sizeof(text), "%s: %s", what, shown);
	doc = triage_finding(state->t, "kernel_hook", severity, text, &subject, &evidence,
			     state->err);
	if (!doc)
		return -1;
	json_add_str(doc, subject, "path", path);
	triage_add_text(doc, evidence, "value", value, strlen(value));
	return triage_emit(state->t, doc, state->err);
}

/* Programs that the kernel runs as root by itself. */
static int programs(struct state *state)
{
	enum triage_severity severity;
	char buf[4096];

	if (small(state->t->procfd, "sys/kernel/core_pattern", buf, sizeof(buf)) > 0 &&
	    buf[0] == '|' && odd_core_program(buf + 1, &severity) &&
	    hook_finding(state, "/proc/sys/kernel/core_pattern",
			 "A program that is not a known one gets the memory of each "
			 "process that crashes",
			 buf, severity) < 0)
		return -1;
	if (small(state->t->procfd, "sys/kernel/modprobe", buf, sizeof(buf)) > 0 &&
	    odd_modprobe(buf, &severity) &&
	    hook_finding(state, "/proc/sys/kernel/modprobe",
			 "The kernel loads modules by a program that is not modprobe",
			 buf, severity) < 0)
		return -1;
	if (small(state->t->sysfd, "kernel/uevent_helper", buf, sizeof(buf)) > 0 &&
	    hook_finding(state, "/sys/kernel/uevent_helper",
			 "The kernel runs a program for every event of a device", buf,
			 odd_place(buf) ? SEVERITY_HIGH : SEVERITY_LOW) < 0)
		return -1;
	return 0;
}

/* Libraries that every dynamically linked program is made to load. */
static int preload(struct state *state)
{
	struct json_node *subject, *evidence;
	enum triage_reason reason = REASON_ERROR;
	char buf[8192], shown[512], text[640];
	ssize_t n = triage_read_quiet(state->t, state->t->rootfd, "/etc/ld.so.preload",
				      QUIET_FOLLOW, buf, sizeof(buf), NULL, &reason);
	struct json *doc;

	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return triage_unread(state->t, "/etc/ld.so.preload", reason, errno,
				     state->err);
	triage_add_text(state->doc, json_root(state->doc), "ld_so_preload", buf,
			(size_t)n);
	if (!buf[strspn(buf, " \t\r\n")])
		return 0;
	triage_shown(buf, strcspn(buf, "\r\n"), shown, sizeof(shown));
	snprintf(text, sizeof(text),
		 "/etc/ld.so.preload makes every program load a library: %s", shown);
	doc = triage_finding(state->t, "preload",
			     odd_place(buf) ? SEVERITY_HIGH : SEVERITY_MEDIUM, text,
			     &subject, &evidence, state->err);
	if (!doc)
		return -1;
	json_add_str(doc, subject, "path", "/etc/ld.so.preload");
	triage_add_text(doc, evidence, "content", buf, (size_t)n);
	return triage_emit(state->t, doc, state->err);
}

int kernel_state(struct triage *t, const struct module_views *views, struct json *doc,
		 struct err *err)
{
	struct state state = { .t = t, .doc = doc, .err = err };
	struct host host;

	host_read(t->procfd, t->sysfd, &host);
	json_add_str(doc, json_root(doc), "lockdown", host_lockdown_name(host.lockdown));
	add_texts(&state);
	add_numbers(&state);
	add_binfmt(&state);
	add_clock(&state);
	if (add_taint(&state, views) < 0 || programs(&state) < 0)
		return -1;
	return preload(&state);
}
