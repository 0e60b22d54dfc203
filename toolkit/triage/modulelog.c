/*
 * What the kernel's log says of modules that tainted it: where a module has taken itself
 * out of every list, its name may still stand there. It may as well have been unloaded,
 * so that this is a lead and no finding.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/triage/moduletext.h"
#include "toolkit/triage/moduleviews.h"

#define CAP_SYSLOG 34
/* A record has 2 KiB at most, and what describes it (include/linux/printk.h). */
#define RECORD_BYTES 8192
/* Who writes into the log all the time does not keep us here. */
#define RECORDS_MAX 262144
#define NAMED_MAX 64
#define TAINTS 19

struct named {
	char name[MODULE_NAME_SIZE], text[256];
	uint64_t us, taints; /* since boot, of the first line; bits */
};

struct log {
	struct named named[NAMED_MAX];
	size_t count;
	bool begun;
	uint64_t first; /* sequence of the first record; those before are gone */
};

/*
 * Reading it takes nothing out of it: each who opens it has a place of its own. 0:
 * opened, -1: errno. Whatever else has this name is not read.
 */
static int open_log(const struct triage *t)
{
	const int flags = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	int fd = openat(t->rootfd, "dev/kmsg", O_PATH | flags), kind = ENODEV;
	struct stat st;

	for (int i = 0; fd >= 0 && i < 2; i++) {
		bool is = fstat(fd, &st) == 0 &&
			  (t->live ? S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 11)
				   : S_ISREG(st.st_mode));

		if (is && i == 1)
			return fd;
		io_close(&fd);
		if (!is)
			errno = kind;
		else
			fd = openat(t->rootfd, "dev/kmsg", O_RDONLY | flags);
	}
	return -1;
}

static void take_line(struct log *log, char *line)
{
	struct named *named = NULL;
	struct log_line read;
	const char *name;
	unsigned taint;
	size_t len;

	/* What belongs to the record before begins with a blank. */
	if (line[0] == ' ' || !log_line_read(line, &read))
		return;
	if (!log->begun)
		log->first = read.sequence;
	log->begun = true;
	name = read.of_kernel ? log_text_module(read.text, &len, &taint) : NULL;
	if (!name)
		return;
	for (size_t i = 0; i < log->count; i++)
		if (strlen(log->named[i].name) == len &&
		    memcmp(log->named[i].name, name, len) == 0)
			named = &log->named[i];
	if (!named && log->count == NAMED_MAX)
		return;
	if (!named) {
		named = &log->named[log->count++];
		*named = (struct named){ .us = read.us };
		memcpy(named->name, name, len);
		snprintf(named->text, sizeof(named->text), "%s", read.text);
	}
	named->taints |= UINT64_C(1) << taint;
}

static int read_log(int fd, struct log *log)
{
	char buf[RECORD_BYTES];

	for (unsigned i = 0; i < RECORDS_MAX; i++) {
		ssize_t n = read(fd, buf, sizeof(buf) - 1);

		/* EPIPE: what was to be read next was overwritten meanwhile. */
		if (n < 0 && (errno == EINTR || errno == EPIPE))
			continue;
		if (n <= 0)
			return n < 0 && errno != EAGAIN ? errno : 0;
		buf[n] = '\0';
		for (char *line = buf, *end; line; line = end) {
			end = strchr(line, '\n');
			if (end)
				*end++ = '\0';
			take_line(log, line);
		}
	}
	return EFBIG;
}

static int unread_log(struct triage *t, int errnum, struct err *err)
{
	enum triage_reason reason = triage_reason_of(t, errnum);
	struct json *doc;

	if (!t->live)
		return 0;
	/* Where kernel.dmesg_restrict is set, either of two will do. */
	if ((errnum == EPERM || errnum == EACCES) && triage_may(t, CAP_SYSLOG))
		reason = REASON_LSM;
	doc = triage_unread_begin(t, "/dev/kmsg", reason, errnum, err);
	if (doc && reason == REASON_CAPABILITY)
		json_add_str(doc, json_root(doc), "capability", "CAP_SYSLOG");
	return triage_emit(t, doc, err);
}

static void add_taints(struct json *doc, struct json_node *in, const char *key,
		       uint64_t bits)
{
	struct json_node *list = json_add_array(doc, in, key);

	for (unsigned bit = 0; bit < TAINTS; bit++)
		if (bits >> bit & 1)
			json_add_str(doc, list, NULL, kernel_taint_name(bit));
}

static int emit_lead(struct triage *t, const struct named *named, bool shown,
		     uint64_t gone, struct err *err)
{
	struct json_node *subject, *evidence;
	struct json *doc;
	char text[400];

	snprintf(text, sizeof(text),
		 "The kernel's log names the module %s, which tainted it%s%s.",
		 named->name,
		 shown ? "" : " and which no view shows: it was unloaded, or it hides",
		 gone ? "; that taint is gone, and the kernel never takes one back" : "");
	doc = triage_lead(t, "module_log", text, &subject, &evidence, err);
	if (doc) {
		json_add_str(doc, subject, "module", named->name);
		triage_add_text(doc, evidence, "log", named->text, strlen(named->text));
		json_add_u64(doc, evidence, "log_us", named->us);
		json_add_str(doc, evidence, "proc", shown ? "present" : "absent");
		add_taints(doc, evidence, "tainted", named->taints & ~gone);
		if (gone)
			add_taints(doc, evidence, "taint_gone", gone);
	}
	return triage_emit(t, doc, err);
}

static bool is_shown(const struct module_views *views, const struct named *named)
{
	return module_views_find(views, named->name, strlen(named->name));
}

/* What was loaded since the views were read stands in them by now. */
static int judge(struct triage *t, const struct module_views *views,
		 const struct log *log, struct err *err)
{
	struct module_views again = { 0 };
	uint64_t taints;
	int rc = 0;

	if (!log->count || !(views->readable & MODULE_VIEW_PROC))
		return 0;
	if (module_views_proc(t, &again, err) < 0)
		rc = -1;
	if (!kernel_taint(t, &taints))
		taints = ~UINT64_C(0);
	for (size_t i = 0; rc == 0 && i < log->count; i++) {
		const struct named *named = &log->named[i];
		bool shown = is_shown(views, named) || is_shown(&again, named);
		uint64_t gone = named->taints & ~taints;

		if (!shown || gone)
			rc = emit_lead(t, named, shown, gone, err);
	}
	module_views_free(&again);
	return rc;
}

int module_log(struct triage *t, const struct module_views *views, struct json *kernel,
	       struct err *err)
{
	static struct log found; /* 20 KiB */
	int fd = open_log(t), errnum = fd < 0 ? errno : 0;

	found = (struct log){ 0 };
	if (!errnum)
		errnum = read_log(fd, &found);
	io_close(&fd);
	if (found.begun)
		json_add_u64(kernel, json_root(kernel), "log_lost", found.first);
	if (errnum && unread_log(t, errnum, err) < 0)
		return -1;
	return judge(t, views, &found, err);
}
