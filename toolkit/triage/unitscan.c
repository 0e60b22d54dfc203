#include "toolkit/triage/unitscan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "toolkit/triage/quiet.h"
#include "toolkit/triage/unittext.h"

#define LINES_MAX 256
#define LINE_MAX_BYTES 4096
#define RECORDS_MAX 20000
#define ENABLED_MAX 65536

static bool ends(const char *name, const char *with)
{
	size_t len = strlen(name), need = strlen(with);

	return len > need && strcmp(name + len - need, with) == 0;
}

/* Names of a directory have 255 bytes at most; a longer path is cut. */
static void join(char path[PATH_MAX], const char *dirpath, const char *name)
{
	snprintf(path, PATH_MAX, "%.3800s%s%.255s", dirpath, *dirpath ? "/" : "", name);
}

static bool is_systemd(const struct unit_place *place)
{
	return place->form == UNIT_FORM_SYSTEMD;
}

static bool runs_something(const char *name)
{
	return ends(name, ".service") || ends(name, ".timer") || ends(name, ".socket") ||
	       ends(name, ".path") || ends(name, ".mount") || ends(name, ".automount");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_enabled(const struct unit_scan *scan, const char *name)
{
	return scan->enabled_count && bsearch(&name, scan->enabled, scan->enabled_count,
					      sizeof(char *), by_name);
}

void unit_enabled_free(struct unit_scan *scan)
{
	for (size_t i = 0; i < scan->enabled_count; i++)
		free(scan->enabled[i]);
	free(scan->enabled);
}

static void add_enabled(struct unit_scan *scan, const char *name)
{
	char *copy;

	if (scan->enabled_count == scan->enabled_room) {
		size_t room = scan->enabled_room ? scan->enabled_room * 2 : 256;
		char **more;

		if (room > ENABLED_MAX ||
		    !(more = realloc(scan->enabled, room * sizeof(*more))))
			return;
		scan->enabled = more;
		scan->enabled_room = room;
	}
	copy = strdup(name);
	if (copy)
		scan->enabled[scan->enabled_count++] = copy;
}

static DIR *open_list(const struct triage *t, int dirfd, const char *name,
		      struct stat *st, enum triage_reason *reason)
{
	int fd = triage_open_quiet(t, dirfd, name, QUIET_DIRECTORY | QUIET_FOLLOW, st,
				   reason);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

bool unit_place_is_merged(const struct triage *t, const struct unit_place *place)
{
	struct stat st;

	return strncmp(place->path, "/lib/", 5) == 0 &&
	       fstatat(t->rootfd, "lib", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISLNK(st.st_mode);
}

void unit_enabled_read(struct unit_scan *scan)
{
	for (size_t i = 0; i < unit_place_count; i++) {
		const struct unit_place *place = &unit_places[i];
		enum triage_reason reason;
		const struct dirent *entry;
		DIR *dir;

		if (!place->directory || !is_systemd(place) ||
		    unit_place_is_merged(scan->t, place))
			continue;
		dir = open_list(scan->t, scan->t->rootfd, place->path, NULL, &reason);
		while (dir && (entry = readdir(dir))) {
			const struct dirent *unit;
			DIR *wants;

			if (!ends(entry->d_name, ".wants") &&
			    !ends(entry->d_name, ".requires"))
				continue;
			wants = open_list(scan->t, dirfd(dir), entry->d_name, NULL,
					  &reason);
			while (wants && (unit = readdir(wants)))
				if (unit->d_name[0] != '.')
					add_enabled(scan, unit->d_name);
			if (wants)
				closedir(wants);
		}
		if (dir)
			closedir(dir);
	}
	if (scan->enabled_count)
		qsort(scan->enabled, scan->enabled_count, sizeof(char *), by_name);
}

static void add_lines(struct unit_scan *scan, struct json *doc,
		      const struct unit_place *place, size_t len_bytes, size_t *count)
{
	struct json_node *array = json_add_array(doc, json_root(doc), "lines");
	char redacted[LINE_MAX_BYTES];
	struct unit_text text;
	const char *line;
	size_t len;

	unit_text_begin(&text, place->form, scan->buf, len_bytes);
	while ((line = unit_text_next(&text, &len))) {
		if (++*count > LINES_MAX || len > LINE_MAX_BYTES)
			json_add_bool(doc, json_root(doc), "lines_truncated", true);
		if (*count > LINES_MAX)
			return;
		if (len > LINE_MAX_BYTES)
			len = LINE_MAX_BYTES;
		if (scan->t->opt->redact && strcmp(place->kind, "authorized_keys") != 0) {
			len = unit_text_redact(line, len, redacted, sizeof(redacted));
			line = redacted;
		}
		triage_add_text(doc, array, NULL, line, len);
	}
}

static int emit(struct unit_scan *scan, const char *path, const char *name,
		const struct unit_place *place, const struct stat *st, size_t len_bytes)
{
	struct json *doc = triage_record("unit", scan->err);
	struct json_node *root;
	size_t lines = 0;

	if (!doc)
		return -1;
	root = json_root(doc);
	json_add_str(doc, root, "kind", place->kind);
	triage_add_text(doc, root, "path", path, strlen(path));
	if (place->form != UNIT_FORM_NONE)
		add_lines(scan, doc, place, len_bytes, &lines);
	/* Of those thousands that a distribution has only what runs something. */
	if ((place->distribution || place->form == UNIT_FORM_MODPROBE ||
	     place->form == UNIT_FORM_PAM) &&
	    !lines) {
		json_free(doc);
		return 0;
	}
	if (is_systemd(place))
		json_add_bool(doc, root, "enabled", is_enabled(scan, name));
	triage_add_time(doc, root, "mtime",
			(int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec);
	scan->emitted++;
	if (!place->distribution)
		census_add_file(&scan->t->units, major(st->st_dev), minor(st->st_dev),
				st->st_ino, path, FILE_ROLE_UNIT, 0);
	return triage_emit(scan->t, doc, scan->err);
}

int unit_visit_file(struct unit_scan *scan, int dirfd, const char *dirpath,
		    const char *name, const struct unit_place *place)
{
	struct triage *t = scan->t;
	enum triage_reason reason = REASON_ERROR;
	char path[PATH_MAX];
	struct stat st;
	ssize_t n = 0;

	if (scan->emitted >= RECORDS_MAX)
		return 0;
	join(path, dirpath, name);
	if (place->form == UNIT_FORM_NONE) {
		if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) <
			    0 ||
		    !(S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)))
			return 0;
		return emit(scan, path, name, place, &st, 0);
	}
	n = triage_read_quiet(t, dirfd, name, QUIET_FOLLOW, scan->buf, UNIT_FILE_BYTES,
			      &st, &reason);
	/* ENOENT: a link to nothing; EINVAL: /dev/null, that is, masked. */
	if (n < 0 &&
	    (errno == ENOENT || errno == EINVAL || errno == EISDIR || errno == ENOTDIR))
		return 0;
	if (n < 0 && triage_unread(t, path, reason, errno, scan->err) < 0)
		return -1;
	if (n < 0 && reason != REASON_TOO_LARGE)
		return 0;
	return emit(scan, path, name, place, &st,
		    n < 0 ? UNIT_FILE_BYTES - 1 : (size_t)n);
}

static bool known_directory(struct unit_scan *scan, const struct stat *st)
{
	for (size_t i = 0; i < scan->seen_count; i++)
		if (scan->seen[i].dev == st->st_dev && scan->seen[i].ino == st->st_ino)
			return true;
	if (scan->seen_count < UNIT_DIRECTORIES_MAX) {
		scan->seen[scan->seen_count].dev = st->st_dev;
		scan->seen[scan->seen_count++].ino = st->st_ino;
	}
	return false;
}

/*
 * Opens a directory of dirpath's and writes its path. NULL, *rc 0 or -1 as the visit is
 * to end, when it cannot be listed: said, unless there is none.
 */
static DIR *enter(struct unit_scan *scan, int parent, const char *dirpath,
		  const char *name, char path[PATH_MAX], struct stat *st, int *rc)
{
	enum triage_reason reason = REASON_ERROR;
	DIR *dir = open_list(scan->t, parent, name, st, &reason);

	*rc = 0;
	join(path, dirpath, name);
	if (!dir && errno != ENOENT && errno != ENOTDIR)
		*rc = triage_unread(scan->t, path, reason, errno, scan->err);
	return dir;
}

/* Drop-ins, X.service.d/Y.conf. */
static int visit_drop_ins(struct unit_scan *scan, int parent, const char *dirpath,
			  const char *name, const struct unit_place *place)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	int rc;
	DIR *dir = enter(scan, parent, dirpath, name, path, NULL, &rc);

	if (!dir)
		return rc;
	while (rc == 0 && (entry = readdir(dir)))
		if (ends(entry->d_name, ".conf"))
			rc = unit_visit_file(scan, dirfd(dir), path, entry->d_name,
					     place);
	closedir(dir);
	return rc;
}

int unit_visit_directory(struct unit_scan *scan, int parent, const char *dirpath,
			 const char *name, const struct unit_place *place)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	struct stat st;
	int rc;
	DIR *dir = enter(scan, parent, dirpath, name, path, &st, &rc);

	if (!dir)
		return rc;
	if (!known_directory(scan, &st)) {
		while (rc == 0 && (entry = readdir(dir))) {
			const char *file = entry->d_name;

			if (strcmp(file, ".") == 0 || strcmp(file, "..") == 0)
				continue;
			if (is_systemd(place) && ends(file, ".d"))
				rc = visit_drop_ins(scan, dirfd(dir), path, file, place);
			else if (!is_systemd(place) || runs_something(file))
				rc = unit_visit_file(scan, dirfd(dir), path, file, place);
		}
	}
	closedir(dir);
	return rc;
}
