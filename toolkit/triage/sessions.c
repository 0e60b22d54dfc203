/* Who is logged in: utmp, and the sessions that systemd-logind keeps. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/triage/quiet.h"
#include "toolkit/triage/textlines.h"
#include "toolkit/triage/utmp.h"

#define UTMP_MAX_BYTES ((size_t)4 << 20)
#define SESSIONS_MAX 4096

static void add_bytes(struct json *doc, const char *key, const char *bytes, size_t len)
{
	if (len)
		triage_add_text(doc, json_root(doc), key, bytes, len);
}

static int emit_utmp(struct triage *t, const struct utmp_record *one, const char *path,
		     struct err *err)
{
	struct json *doc = triage_record("session", err);

	if (!doc)
		return -1;
	add_bytes(doc, "user", one->user, one->user_len);
	add_bytes(doc, "line", one->line, one->line_len);
	add_bytes(doc, "host", one->host, one->host_len);
	if (*one->address)
		json_add_str(doc, json_root(doc), "address", one->address);
	json_add_i64(doc, json_root(doc), "pid", one->pid);
	if (one->time_ns)
		triage_add_time(doc, json_root(doc), "time", one->time_ns);
	json_add_str(doc, json_root(doc), "source", path);
	return triage_emit(t, doc, err);
}

static int emit_table(struct triage *t, const char *path, const char *bytes, size_t len,
		      struct err *err)
{
	size_t record = utmp_layout(bytes, len);
	struct utmp_record one;

	if (!record)
		return triage_unread(t, path, REASON_ERROR, 0, err);
	for (size_t at = 0; at < len; at += record) {
		utmp_read(bytes + at, record, &one);
		if (one.type == UTMP_USER_PROCESS && emit_utmp(t, &one, path, err) < 0)
			return -1;
	}
	return 0;
}

static int read_utmp(struct triage *t, struct err *err)
{
	static const char *const paths[] = { "/run/utmp", "/var/run/utmp" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		enum triage_reason reason = REASON_ERROR;
		struct stat st;
		int fd = triage_open_quiet(t, t->rootfd, paths[i], 0, &st, &reason), rc;
		char *bytes;
		ssize_t n;

		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
			continue;
		if (fd < 0)
			return triage_unread(t, paths[i], reason, errno, err);
		if (st.st_size > (off_t)UTMP_MAX_BYTES) {
			close(fd);
			return triage_unread(t, paths[i], REASON_TOO_LARGE, 0, err);
		}
		bytes = malloc((size_t)st.st_size + 1);
		n = bytes ? io_pread(fd, bytes, (size_t)st.st_size, 0) : -1;
		rc = errno;
		close(fd);
		rc = n < 0 ? triage_unread(t, paths[i], triage_reason_of(t, rc), rc, err)
			   : emit_table(t, paths[i], bytes, (size_t)n, err);
		free(bytes);
		return rc;
	}
	return 0;
}

/* The value of NAME= at the beginning of a line; NULL when there is none. */
static const char *value_of(const char *line, const char *name)
{
	size_t len = strlen(name);

	return strncmp(line, name, len) == 0 && line[len] == '=' ? line + len + 1 : NULL;
}

/* NAME=VALUE a line (systemd, src/login/logind-session.c, session_save()). */
static int emit_session(struct triage *t, const char *path, char *text, struct err *err)
{
	static const struct {
		const char *name, *key;
	} texts[] = {
		{ "USER", "user" },	  { "TTY", "line" },	{ "REMOTE_HOST", "host" },
		{ "SERVICE", "service" }, { "STATE", "state" }, { "TYPE", "kind" },
	};
	struct json *doc = triage_record("session", err);
	struct json_node *root;
	uint64_t number;

	if (!doc)
		return -1;
	root = json_root(doc);
	for (char *line = strtok_r(text, "\n", &text); line;
	     line = strtok_r(NULL, "\n", &text)) {
		const char *value;

		for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
			if ((value = value_of(line, texts[i].name)))
				add_bytes(doc, texts[i].key, value, strlen(value));
		if ((value = value_of(line, "LEADER")) &&
		    textlines_decimal(value, &number) && number <= INT32_MAX)
			json_add_u64(doc, root, "pid", number);
		if ((value = value_of(line, "REALTIME")) &&
		    textlines_decimal(value, &number) && number < INT64_MAX / 1000)
			triage_add_time(doc, root, "time", (int64_t)number * 1000);
	}
	triage_add_text(doc, root, "source", path, strlen(path));
	return triage_emit(t, doc, err);
}

static int read_sessions(struct triage *t, struct err *err)
{
	static const char where[] = "/run/systemd/sessions";
	enum triage_reason reason = REASON_ERROR;
	int fd = triage_open_quiet(t, t->rootfd, where, QUIET_DIRECTORY, NULL, &reason);
	const struct dirent *entry;
	unsigned count = 0;
	DIR *dir;
	int rc = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : triage_unread(t, where, reason, errno, err);
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return triage_unread(t, where, REASON_ERROR, errno, err);
	}
	while (rc == 0 && count < SESSIONS_MAX && (entry = readdir(dir))) {
		char path[sizeof(where) + 256], text[4096];

		/* Beside them are FIFOs, ID.ref. */
		if (strchr(entry->d_name, '.') || entry->d_type == DT_FIFO)
			continue;
		count++;
		snprintf(path, sizeof(path), "%s/%s", where, entry->d_name);
		if (triage_read_quiet(t, fd, entry->d_name, 0, text, sizeof(text), NULL,
				      &reason) >= 0)
			rc = emit_session(t, path, text, err);
		else if (errno != ENOENT)
			rc = triage_unread(t, path, reason, errno, err);
	}
	closedir(dir);
	return rc;
}

int collect_sessions(struct triage *t, struct err *err)
{
	return read_utmp(t, err) < 0 ? -1 : read_sessions(t, err);
}
