/* What /proc says of processes, half of which they wrote themselves. The first byte
 * chooses the reader. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "toolkit/lib/containerid.h"
#include "toolkit/lib/procmaps.h"
#include "toolkit/lib/procstat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void inside(const char *part, size_t part_len, const char *text, size_t len)
{
	if (part < text || part_len > len || part > text + len - part_len)
		abort();
}

static void read_stat(const char *text, size_t len)
{
	struct procstat stat;

	if (procstat_parse(text, len, &stat) &&
	    (stat.comm_len > sizeof(stat.comm) || stat.pid <= 0))
		abort();
}

static void read_status(const char *text, size_t len)
{
	struct procstatus *status = malloc(sizeof(*status));

	if (procstatus_parse(text, len, status) &&
	    (status->group_count > PROCSTATUS_GROUPS_MAX ||
	     status->ns_pid_count > PROCSTATUS_NS_MAX))
		abort();
	free(status);
}

static void read_maps(const char *text, size_t len)
{
	const char *at = text, *before, *end = text + len;
	struct procmap map;
	int more;

	while (before = at, (more = procmaps_next(&at, end, &map)) != 0) {
		/* It always comes nearer to the end. */
		if (at <= before || at > end + 1)
			abort();
		if (more < 0)
			continue;
		if (map.end < map.start || strlen(map.perms) != 4)
			abort();
		inside(map.path, map.path_len, text, len);
	}
}

static void check_container(const struct containerid *found)
{
	if (!found->runtime || !found->source ||
	    !memchr(found->id, '\0', sizeof(found->id)) ||
	    !memchr(found->task, '\0', sizeof(found->task)) ||
	    !memchr(found->pod, '\0', sizeof(found->pod)))
		abort();
}

static void read_cgroup(const char *text, size_t len)
{
	const char *at = text;
	struct containerid found;
	struct cgroup_line line;

	while (containerid_next_cgroup(&at, text + len, &line)) {
		inside(line.controllers, line.controllers_len, text, len);
		inside(line.path, line.path_len, text, len);
		if (containerid_of_cgroup(line.path, line.path_len, &found))
			check_container(&found);
	}
	if (!containerid_of_cgroup(text, len, &found))
		return;
	check_container(&found);
	if (!found.id[0] && !memchr(text, '\0', len))
		abort();
}

static void read_mounts(const char *text, size_t len)
{
	struct containerid found;

	if (containerid_of_mounts(text, len, &found))
		check_container(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const readers[])(const char *, size_t) = {
		read_stat, read_status, read_maps, read_cgroup, read_mounts,
	};
	char *text;

	if (!len)
		return 0;
	/* A text has a NUL behind it, as procfile_read() leaves it. */
	text = malloc(len);
	memcpy(text, data + 1, len - 1);
	text[len - 1] = '\0';
	readers[data[0] % 5](text, len - 1);
	free(text);
	return 0;
}
