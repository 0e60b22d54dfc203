/* The mounts of every mount namespace, each read through somebody who lives in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/lib/mountinfo.h"
#include "toolkit/lib/procfile.h"
#include "toolkit/triage/mountplace.h"
#include "toolkit/triage/textlines.h"
#include "toolkit/triage/triage.h"

#define NAMESPACES_MAX 16384
#define LINE_BYTES 65536
#define TABLE_BYTES ((uint64_t)32 << 20)
#define FINDINGS_MAX 64

struct tables {
	struct triage *t;
	struct err *err;
	char *buf;
	uint64_t *done;
	size_t done_count;
	uint64_t host; /* the namespace of process 1 */
	unsigned findings;
};

static bool is_done(const struct tables *tables, uint64_t mntns)
{
	for (size_t i = tables->done_count; i--;)
		if (tables->done[i] == mntns)
			return true;
	return false;
}

static void add(struct json *doc, const char *key, const char *text)
{
	triage_add_text(doc, json_root(doc), key, text, strlen(text));
}

static int finding(struct tables *tables, uint64_t mntns,
		   const struct mountinfo_line *line, enum triage_severity severity)
{
	char shown[512], text[640];
	struct json_node *subject, *evidence;
	struct json *doc;

	if (tables->findings++ >= FINDINGS_MAX)
		return 0;
	triage_shown(line->point, strlen(line->point), shown, sizeof(shown));
	snprintf(text, sizeof(text), "A mount lies over %s.", shown);
	doc = triage_finding(tables->t, "proc_overmounted", severity, text, &subject,
			     &evidence, tables->err);
	if (!doc)
		return -1;
	triage_add_text(doc, subject, "path", line->point, strlen(line->point));
	json_add_u64(doc, evidence, "mntns", mntns);
	triage_add_text(doc, evidence, "filesystem", line->type, strlen(line->type));
	triage_add_text(doc, evidence, "root", line->root, strlen(line->root));
	triage_add_text(doc, evidence, "source", line->source, strlen(line->source));
	return triage_emit(tables->t, doc, tables->err);
}

static int take(struct tables *tables, uint64_t mntns, const struct mountinfo_line *line)
{
	struct json *doc = triage_record("mount", tables->err);
	enum triage_severity severity;
	struct json_node *root;

	if (!doc)
		return -1;
	root = json_root(doc);
	json_add_u64(doc, root, "mntns", mntns);
	json_add_u64(doc, root, "id", line->id);
	json_add_u64(doc, root, "parent", line->parent);
	triage_add_dev(doc, root, "dev", line->major, line->minor);
	add(doc, "root", line->root);
	add(doc, "point", line->point);
	add(doc, "options", line->options);
	add(doc, "filesystem", line->type);
	add(doc, "source", line->source);
	add(doc, "super_options", line->super_options);
	if (triage_emit(tables->t, doc, tables->err) < 0)
		return -1;
	if (!mount_place_odd(line, !tables->host || mntns == tables->host, &severity))
		return 0;
	return finding(tables, mntns, line, severity);
}

/*
 * Reads the table of a process, if that is in the namespace still. 1: it was read, or
 * why not was said; 0: somebody else may tell; -1 with err.
 */
static int read_table(struct tables *tables, const char *pid, uint64_t mntns)
{
	struct triage *t = tables->t;
	int dirfd = openat(t->procfd, pid, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, rc = 0;
	struct textlines lines;
	struct mountinfo_line one;
	uint64_t damaged = 0;
	char what[64], *line;
	size_t len;

	if (dirfd < 0)
		return 0;
	fd = openat(dirfd, "mountinfo", O_RDONLY | O_CLOEXEC);
	/* Of a process that has another number by now it must not be. */
	if (fd < 0 ||
	    (t->live && mntns && procfile_namespace(dirfd, "ns/mnt") != mntns)) {
		io_close(&fd);
		close(dirfd);
		return 0;
	}
	close(dirfd);
	textlines_begin(&lines, fd, tables->buf, LINE_BYTES, TABLE_BYTES);
	while (rc == 0 && (line = textlines_next(&lines, &len))) {
		if (strlen(line) == len && mountinfo_split(line, &one))
			rc = take(tables, mntns, &one);
		else
			damaged++;
	}
	close(fd);
	if (rc < 0)
		return -1;
	if (!lines.errnum && !lines.more && !damaged && !lines.overlong)
		return 1;
	snprintf(what, sizeof(what), "/proc/%s/mountinfo", pid);
	rc = triage_unread(t, what,
			   lines.errnum ? triage_reason_of(t, lines.errnum)
			   : lines.more ? REASON_TOO_LARGE
					: REASON_ERROR,
			   lines.errnum, tables->err);
	return rc < 0 ? -1 : 1;
}

int collect_mounts(struct triage *t, struct err *err)
{
	struct tables tables = { .t = t, .err = err };
	const struct person *first = census_person(&t->census, 1);
	int rc = 0;

	tables.host = first ? first->mntns : 0;
	tables.buf = malloc(LINE_BYTES);
	tables.done = malloc(NAMESPACES_MAX * sizeof(*tables.done));
	if (!tables.buf || !tables.done) {
		err_sys(err, ENOMEM, "reading mounts");
		rc = -1;
	}
	for (size_t i = 0; rc >= 0 && i < t->census.person_count; i++) {
		const struct person *person = &t->census.persons[i];
		char pid[16];

		if (!person->mntns || is_done(&tables, person->mntns))
			continue;
		if (tables.done_count == NAMESPACES_MAX) {
			rc = triage_unread(t, "mount namespaces", REASON_TOO_LARGE, 0,
					   err);
			break;
		}
		snprintf(pid, sizeof(pid), "%d", person->pid);
		rc = read_table(&tables, pid, person->mntns);
		if (rc > 0)
			tables.done[tables.done_count++] = person->mntns;
	}
	/* Where nobody's namespaces may be read there is our own. */
	if (rc >= 0 && !tables.done_count) {
		rc = read_table(&tables, "self",
				procfile_namespace(t->procfd, "self/ns/mnt"));
		if (rc == 0)
			rc = triage_unread(t, "/proc/self/mountinfo", REASON_ERROR, errno,
					   err);
	}
	free(tables.buf);
	free(tables.done);
	return rc < 0 ? -1 : 0;
}
