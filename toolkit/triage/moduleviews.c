#include "toolkit/triage/moduleviews.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/triage/moduletext.h"
#include "toolkit/triage/textlines.h"

#define MODULES_MAX ((size_t)1 << 14)
#define LINE_BYTES 16384
#define TABLE_BYTES ((uint64_t)64 << 20)

const char *const module_view_names[MODULE_VIEWS] = { "proc", "sysfs", "kallsyms",
						      "ftrace", "vmalloc" };

struct module_seen *module_views_find(const struct module_views *views, const char *name,
				      size_t len_bytes)
{
	if (len_bytes >= MODULE_NAME_SIZE)
		return NULL;
	/* Symbols of a module stand together: the last one asked for is near the end. */
	for (size_t i = views->count; i--;)
		if (memcmp(views->seen[i].name, name, len_bytes) == 0 &&
		    !views->seen[i].name[len_bytes])
			return &views->seen[i];
	return NULL;
}

struct module_seen *module_views_add(struct module_views *views, const char *name,
				     size_t len_bytes, uint8_t view)
{
	struct module_seen *seen = module_views_find(views, name, len_bytes);

	if (seen) {
		seen->views |= view;
		return seen;
	}
	if (!len_bytes || len_bytes >= MODULE_NAME_SIZE || memchr(name, '\0', len_bytes))
		return NULL;
	if (views->count == views->room) {
		size_t room = views->room ? views->room * 2 : 128;
		struct module_seen *more;

		if (room > MODULES_MAX ||
		    !(more = realloc(views->seen, room * sizeof(*more)))) {
			views->failed = true;
			return NULL;
		}
		views->seen = more;
		views->room = room;
	}
	seen = &views->seen[views->count++];
	*seen = (struct module_seen){ .views = view };
	memcpy(seen->name, name, len_bytes);
	return seen;
}

void module_views_free(struct module_views *views)
{
	for (size_t i = 0; i < views->count; i++)
		free(views->seen[i].used_by);
	free(views->seen);
	*views = (struct module_views){ 0 };
}

static void take_line(struct module_views *views, const struct module_line *line)
{
	struct module_seen *seen =
		module_views_add(views, line->name, strlen(line->name), MODULE_VIEW_PROC);

	if (!seen)
		return;
	seen->size = line->size;
	seen->has_references = line->has_references;
	seen->references = line->references;
	seen->address = line->address;
	seen->coming = strcmp(line->state, "Live") != 0;
	snprintf(seen->state, sizeof(seen->state), "%s", line->state);
	snprintf(seen->taint, sizeof(seen->taint), "%s", line->taint);
	free(seen->used_by);
	seen->used_by = line->used_by ? strdup(line->used_by) : NULL;
}

int module_views_proc(struct triage *t, struct module_views *views, struct err *err)
{
	int fd = openat(t->procfd, "modules", O_RDONLY | O_CLOEXEC);
	struct textlines lines;
	struct module_line one;
	uint64_t damaged = 0;
	char buf[LINE_BYTES], *line;
	size_t len;

	/* ENOENT: a kernel without modules. */
	if (fd < 0)
		return errno == ENOENT
			       ? 0
			       : triage_unread(t, "/proc/modules",
					       triage_reason_of(t, errno), errno, err);
	textlines_begin(&lines, fd, buf, sizeof(buf), TABLE_BYTES);
	while ((line = textlines_next(&lines, &len))) {
		if (strlen(line) == len && module_line_read(line, &one))
			take_line(views, &one);
		else
			damaged++;
	}
	close(fd);
	if (!lines.errnum && !lines.more && !damaged && !lines.overlong) {
		views->readable |= MODULE_VIEW_PROC;
		return 0;
	}
	return triage_unread(t, "/proc/modules",
			     lines.errnum ? triage_reason_of(t, lines.errnum)
			     : lines.more ? REASON_TOO_LARGE
					  : REASON_ERROR,
			     lines.errnum, err);
}

int module_views_sysfs(struct triage *t, struct module_views *views, struct err *err)
{
	int dirfd = openat(t->sysfd, "module", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = dirfd < 0 ? NULL : fdopendir(dirfd);
	const struct dirent *entry;

	if (!dir) {
		int errnum = errno;

		io_close(&dirfd);
		return triage_unread(t, "/sys/module", triage_reason_of(t, errnum),
				     errnum, err);
	}
	while ((entry = readdir(dir))) {
		char path[300], state[16] = "";
		ssize_t n;
		int fd;

		if (entry->d_name[0] == '.')
			continue;
		/* What is built in has none (kernel/module/sysfs.c). */
		snprintf(path, sizeof(path), "%s/initstate", entry->d_name);
		fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, state, sizeof(state) - 1);
		close(fd);
		if (n > 0 && strncmp(state, "live", 4) == 0)
			module_views_add(views, entry->d_name, strlen(entry->d_name),
					 MODULE_VIEW_SYSFS);
	}
	closedir(dir);
	views->readable |= MODULE_VIEW_SYSFS;
	return 0;
}
