/* What starts programs by itself: units, timers, cron, scripts of the start, rules, keys
 * that let somebody in. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/triage/quiet.h"
#include "toolkit/triage/unitscan.h"

#define PASSWD_BYTES (1024 * 1024)
#define HOMES_MAX 512

/* A single file, by its directory: the one before is mostly the same. */
struct parent {
	char path[PATH_MAX];
	int fd;
};

static int visit_one(struct unit_scan *scan, struct parent *parent,
		     const struct unit_place *place)
{
	const char *name = strrchr(place->path, '/') + 1;
	size_t len = (size_t)(name - 1 - place->path);
	enum triage_reason reason;

	if (parent->fd < 0 || strlen(parent->path) != len ||
	    memcmp(parent->path, place->path, len) != 0) {
		io_close(&parent->fd);
		memcpy(parent->path, place->path, len);
		parent->path[len] = '\0';
		parent->fd =
			triage_open_quiet(scan->t, scan->t->rootfd, parent->path,
					  QUIET_DIRECTORY | QUIET_FOLLOW, NULL, &reason);
		if (parent->fd < 0 && errno != ENOENT && errno != ENOTDIR)
			return triage_unread(scan->t, place->path, reason, errno,
					     scan->err);
	}
	return parent->fd < 0
		       ? 0
		       : unit_visit_file(scan, parent->fd, parent->path, name, place);
}

static int visit_system(struct unit_scan *scan)
{
	struct parent parent = { .fd = -1 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < unit_place_count; i++) {
		const struct unit_place *place = &unit_places[i];

		if (unit_place_is_merged(scan->t, place))
			continue;
		rc = place->directory ? unit_visit_directory(scan, scan->t->rootfd, "",
							     place->path, place)
				      : visit_one(scan, &parent, place);
	}
	io_close(&parent.fd);
	return rc;
}

static int visit_home_file(struct unit_scan *scan, int home, const char *path,
			   const struct unit_place *place)
{
	const char *slash = strrchr(place->path, '/');
	char below[64], dirpath[PATH_MAX];
	enum triage_reason reason;
	int fd, rc;

	if (!slash)
		return unit_visit_file(scan, home, path, place->path, place);
	snprintf(below, sizeof(below), "%.*s", (int)(slash - place->path), place->path);
	fd = triage_open_quiet(scan->t, home, below, QUIET_DIRECTORY | QUIET_FOLLOW, NULL,
			       &reason);
	snprintf(dirpath, sizeof(dirpath), "%.4000s/%s", path, below);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : triage_unread(scan->t, dirpath, reason, errno,
					       scan->err);
	rc = unit_visit_file(scan, fd, dirpath, slash + 1, place);
	close(fd);
	return rc;
}

static int visit_home(struct unit_scan *scan, const char *path)
{
	enum triage_reason reason;
	int home = triage_open_quiet(scan->t, scan->t->rootfd, path,
				     QUIET_DIRECTORY | QUIET_FOLLOW, NULL, &reason);
	int rc = 0;

	if (home < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : triage_unread(scan->t, path, reason, errno, scan->err);
	for (size_t i = 0; rc == 0 && i < unit_home_place_count; i++)
		rc = unit_home_places[i].directory
			     ? unit_visit_directory(scan, home, path,
						    unit_home_places[i].path,
						    &unit_home_places[i])
			     : visit_home_file(scan, home, path, &unit_home_places[i]);
	close(home);
	return rc;
}

/* Accounts of services have the system's directories, where nobody's files are. */
static bool is_home(const char *path)
{
	static const char *const others[] = { "/bin",	      "/sbin",	    "/usr",
					      "/dev",	      "/proc",	    "/sys",
					      "/nonexistent", "/var/empty", "/run",
					      "/var/run" };

	if (*path != '/' || !path[strspn(path, "/")])
		return false;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		size_t len = strlen(others[i]);

		if (strncmp(path, others[i], len) == 0 &&
		    (!path[len] || path[len] == '/'))
			return false;
	}
	return true;
}

/* The sixth field of passwd(5), ended in place; NULL for what is no such line. */
static char *home_of(char *line)
{
	for (int i = 0; i < 5; i++) {
		line = strchr(line, ':');
		if (!line)
			return NULL;
		line++;
	}
	line[strcspn(line, ":")] = '\0';
	return line;
}

static int visit_homes(struct unit_scan *scan)
{
	enum triage_reason reason = REASON_ERROR;
	char *homes[HOMES_MAX], *text = malloc(PASSWD_BYTES), *rest;
	size_t count = 0;
	ssize_t n;
	int rc = 0;

	if (!text)
		return err_sys(scan->err, ENOMEM, "reading /etc/passwd");
	n = triage_read_quiet(scan->t, scan->t->rootfd, "/etc/passwd", QUIET_FOLLOW, text,
			      PASSWD_BYTES, NULL, &reason);
	if (n < 0 && errno != ENOENT)
		rc = triage_unread(scan->t, "/etc/passwd", reason, errno, scan->err);
	/* Whatever passwd says, there is root. */
	homes[count++] = (char[]){ "/root" };
	rest = n < 0 && reason != REASON_TOO_LARGE ? NULL : text;
	for (char *line; rest && (line = strsep(&rest, "\n"));) {
		char *home = home_of(line);
		bool known = !home || !is_home(home);

		for (size_t i = 0; i < count && !known; i++)
			known = strcmp(homes[i], home) == 0;
		if (known)
			continue;
		if (count == HOMES_MAX) {
			rc = rc ? rc
				: triage_unread(scan->t, "homes of /etc/passwd",
						REASON_TOO_LARGE, 0, scan->err);
			break;
		}
		homes[count++] = home;
	}
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = visit_home(scan, homes[i]);
	free(text);
	return rc;
}

int collect_units(struct triage *t, struct err *err)
{
	struct unit_scan *scan = calloc(1, sizeof(*scan));
	int rc = -1;

	if (!scan || !(scan->buf = malloc(UNIT_FILE_BYTES))) {
		free(scan);
		return err_sys(err, ENOMEM, "reading units");
	}
	scan->t = t;
	scan->err = err;
	unit_enabled_read(scan);
	rc = visit_system(scan);
	if (rc == 0)
		rc = visit_homes(scan);
	unit_enabled_free(scan);
	free(scan->buf);
	free(scan);
	return rc;
}
