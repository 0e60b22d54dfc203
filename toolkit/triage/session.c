#include "toolkit/triage/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "toolkit/lib/clock.h"
#include "toolkit/lib/host.h"
#include "toolkit/lib/interrupt.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/mountinfo.h"
#include "toolkit/lib/sums.h"
#include "toolkit/triage/moduleviews.h"
#include "toolkit/triage/process.h"

#define SCHEMA "fvol-triage/1"

/*
 * A procfs of our own: mounted nowhere, seen by nobody, and nothing can be mounted over
 * what is in it. Linux 5.2.
 */
static int open_detached(void)
{
	int context = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC), fd = -1;

	if (context < 0)
		return -1;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
				  MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					  MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	close(context);
	return fd;
}

static int open_tree_fd(const char *path, int *fd, struct err *err)
{
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd < 0 ? err_sys(err, errno, "opening %s", path) : 0;
}

static int64_t read_number(int dirfd, const char *name, int64_t otherwise)
{
	struct proctext text = { 0 };
	int64_t value = otherwise;

	if (procfile_read(dirfd, name, 64, &text) == 0 && text.len_bytes)
		value = strtoll(text.data, NULL, 10);
	procfile_free(&text);
	return value;
}

/* Takes the value of hidepid= from the options of a procfs; empty when it hides nothing.
 * It may be a word or a number. */
static void take_hidepid(const char *options, char *value, size_t size)
{
	static const char name[] = "hidepid=";
	size_t name_len = sizeof(name) - 1;

	value[0] = '\0';
	for (const char *at = options; *at; at += *at == ',') {
		size_t len = strcspn(at, ",");

		if (len > name_len && memcmp(at, name, name_len) == 0)
			snprintf(value, size, "%.*s", (int)(len - name_len),
				 at + name_len);
		at += len;
	}
	if (strcmp(value, "0") == 0 || strcmp(value, "off") == 0)
		value[0] = '\0';
}

/* Does /proc show us only some of the processes? */
static void find_hidepid(struct triage *t)
{
	struct proctext text = { 0 };
	struct mountinfo_line mount;

	if (procfile_read(t->procfd, "self/mountinfo", 4u << 20, &text) == 0)
		for (char *line = text.data, *next; *line; line = next) {
			char *stop = strchrnul(line, '\n');

			next = stop + (*stop == '\n');
			*stop = '\0';
			/* The last one that is mounted there counts. */
			if (mountinfo_split(line, &mount) &&
			    strcmp(mount.point, "/proc") == 0 &&
			    strcmp(mount.type, "proc") == 0)
				take_hidepid(mount.super_options, t->hidepid_option,
					     sizeof(t->hidepid_option));
		}
	procfile_free(&text);
	/* To CAP_SYS_PTRACE and who is of group gid=, the option means nothing; the
	 * second is left to the views to find out. */
	t->hidepid = t->hidepid_option[0] && !triage_may(t, HOST_CAP_SYS_PTRACE);
}

static void learn_of_self(struct triage *t)
{
	struct proctext text = { 0 };
	struct procstatus status;

	t->self_pid = getpid();
	if (procfile_read(t->procfd, "self/status", 65536, &text) == 0 &&
	    procstatus_parse(text.data, text.len_bytes, &status))
		t->capabilities = status.cap_effective;
	procfile_free(&text);
	t->userns = procfile_namespace(t->procfd, "self/ns/user");
	t->yama = (int)read_number(t->procfd, "sys/kernel/yama/ptrace_scope", -1);
	find_hidepid(t);
}

int session_open(struct triage *t, struct err *err)
{
	const struct options *opt = t->opt;
	struct rlimit files;

	t->procfd = t->sysfd = t->rootfd = t->detachedfd = -1;
	t->live = !opt->proc;
	if (open_tree_fd(opt->proc ? opt->proc : "/proc", &t->procfd, err) < 0 ||
	    open_tree_fd(opt->sys ? opt->sys : "/sys", &t->sysfd, err) < 0 ||
	    open_tree_fd(opt->root ? opt->root : "/", &t->rootfd, err) < 0)
		return -1;
	t->ticks_per_s = (uint64_t)sysconf(_SC_CLK_TCK);
	t->start_ns = clock_ns(CLOCK_REALTIME);
	t->boot_ns = t->start_ns - clock_ns(CLOCK_BOOTTIME);
	learn_of_self(t);
	if (t->live && triage_may(t, HOST_CAP_SYS_ADMIN))
		t->detachedfd = open_detached();
	/* Deleted files stay open until they are saved. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return 0;
}

static void add_tool(const struct triage *t, struct json *doc, char *const *arguments)
{
	struct json_node *tool = json_add_object(doc, json_root(doc), "tool"), *list;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC | O_NOATIME);
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];
	struct err ignored;

	json_add_str(doc, tool, "name", "triage");
	json_add_str(doc, tool, "version", FVOL_VERSION);
	if (fd >= 0 && !t->opt->no_hash && sums_hash_fd(fd, digest, &ignored) == 0) {
		sha256_to_hex(digest, hex);
		json_add_str(doc, tool, "sha256", hex);
	}
	io_close(&fd);
	list = json_add_array(doc, tool, "arguments");
	for (; *arguments; arguments++)
		triage_add_text(doc, list, NULL, *arguments, strlen(*arguments));
}

static void add_string(struct json *doc, const char *key, const char *text)
{
	triage_add_text(doc, json_root(doc), key, text, strlen(text));
}

/* The container that a text of /proc/PID/cgroup names. */
static bool container_of_cgroups(const struct proctext *text, struct containerid *found)
{
	const char *at = text->data;
	struct cgroup_line line;

	while (containerid_next_cgroup(&at, text->data + text->len_bytes, &line))
		if (containerid_of_cgroup(line.path, line.path_len, found))
			return true;
	return false;
}

/* In which container are we? */
static void add_self(struct triage *t, struct json *doc)
{
	struct proctext text = { 0 };
	struct containerid container;
	bool in = procfile_read(t->procfd, "self/cgroup", 65536, &text) == 0 &&
		  container_of_cgroups(&text, &container);

	if (!in && procfile_read(t->procfd, "self/mountinfo", 4u << 20, &text) == 0)
		in = containerid_of_mounts(text.data, text.len_bytes, &container);
	if (in)
		process_add_container(doc, json_root(doc), &container);
	procfile_free(&text);
}

int session_emit_header(struct triage *t, char *const *arguments, struct err *err)
{
	struct json *doc = triage_record("header", err);
	struct proctext text = { 0 };
	struct json_node *root;
	struct utsname uts = { 0 };

	if (!doc)
		return -1;
	root = json_root(doc);
	json_add_str(doc, root, "schema", SCHEMA);
	add_tool(t, doc, arguments);
	triage_add_time(doc, root, "time", t->start_ns);
	if (t->opt->instance)
		add_string(doc, "instance", t->opt->instance);
	uname(&uts);
	add_string(doc, "hostname", uts.nodename);
	add_string(doc, "release", uts.release);
	add_string(doc, "version", uts.version);
	add_string(doc, "machine", uts.machine);
	triage_add_time(doc, root, "boot_time", t->boot_ns);
	if (procfile_read(t->procfd, "sys/kernel/random/boot_id", 64, &text) == 0)
		triage_add_text(doc, root, "boot_id", text.data,
				strcspn(text.data, "\n"));
	procfile_free(&text);
	json_add_i64(doc, root, "pid", t->self_pid);
	json_add_u64(doc, root, "uid", geteuid());
	triage_add_hex(doc, root, "capabilities", t->capabilities);
	add_self(t, doc);
	if (t->yama >= 0)
		json_add_i64(doc, root, "yama", t->yama);
	if (t->hidepid_option[0])
		add_string(doc, "hidepid", t->hidepid_option);
	json_add_bool(doc, root, "detached_procfs", t->detachedfd >= 0);
	json_add_bool(doc, root, "redacted", t->opt->redact);
	json_add_bool(doc, root, "sensitive",
		      (!t->opt->redact && !t->opt->no_environ) || t->opt->memory_count);
	return triage_emit(t, doc, err);
}

/* Not by getrusage(), which counts what this process was before it became triage, too. */
static uint64_t peak_bytes(const struct triage *t)
{
	struct proctext text = { 0 };
	const char *at = NULL;
	uint64_t bytes = 0;

	if (procfile_read(t->procfd, "self/status", 65536, &text) == 0)
		at = strstr(text.data, "\nVmHWM:");
	if (at)
		bytes = strtoull(at + strlen("\nVmHWM:"), NULL, 10) * 1024;
	procfile_free(&text);
	return bytes;
}

int session_emit_end(struct triage *t, struct err *err)
{
	static const bool counts[REASON_COUNT] = {
		[REASON_CAPABILITY] = true, [REASON_YAMA] = true,
		[REASON_HIDEPID] = true,    [REASON_SECCOMP] = true,
		[REASON_LSM] = true,	    [REASON_USER_NAMESPACE] = true,
		[REASON_BLOCKED] = true,    [REASON_TOO_LARGE] = true,
		[REASON_ERROR] = true,
	};
	static const char *const severities[] = { "high", "medium", "low" };
	struct json *doc = triage_record("end", err);
	struct json_node *root, *node;
	int64_t now = clock_ns(CLOCK_REALTIME);

	if (!doc)
		return -1;
	root = json_root(doc);
	triage_add_time(doc, root, "time", now);
	json_add_i64(doc, root, "duration_ns", now - t->start_ns);
	json_add_u64(doc, root, "processes", t->processes);
	json_add_u64(doc, root, "coherent", t->coherent);
	json_add_u64(doc, root, "sockets", t->sockets);
	json_add_u64(doc, root, "recovered", t->recovered);
	node = json_add_object(doc, root, "findings");
	for (size_t i = 0; i < 3; i++)
		json_add_u64(doc, node, severities[i], t->findings[i]);
	json_add_u64(doc, root, "leads", t->leads);
	node = json_add_object(doc, root, "unread");
	for (size_t i = 0; i < REASON_COUNT; i++) {
		if (!t->unread[i])
			continue;
		json_add_u64(doc, node, triage_reason_name((enum triage_reason)i),
			     t->unread[i]);
		t->incomplete = t->incomplete || counts[i];
	}
	t->incomplete = t->incomplete || interrupted || t->census.failed;
	if (interrupted)
		json_add_bool(doc, root, "interrupted", true);
	json_add_u64(doc, root, "swept_to", t->swept_to);
	json_add_u64(doc, root, "blocked_reads", t->blocked);
	json_add_u64(doc, root, "timed_out", t->left_behind);
	json_add_u64(doc, root, "peak_bytes", peak_bytes(t));
	json_add_bool(doc, root, "complete", !t->incomplete);
	return triage_emit(t, doc, err);
}

void session_close(struct triage *t)
{
	/* Who was left behind may still look at all of this. */
	if (t->left_behind)
		return;
	pids_join(t);
	module_symbols_free(t->symbols);
	t->symbols = NULL;
	pids_free(&t->pids);
	census_free(&t->census);
	census_free(&t->units);
	io_close(&t->detachedfd);
	io_close(&t->rootfd);
	io_close(&t->sysfd);
	io_close(&t->procfd);
}
