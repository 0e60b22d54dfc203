#include "toolkit/triage/mountplace.h"

#include <string.h>

/* Is path this one, or below it? */
static bool within(const char *path, const char *place)
{
	size_t len = strlen(place);

	return strncmp(path, place, len) == 0 && (!path[len] || path[len] == '/');
}

static bool any_within(const char *path, const char *const *places, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (within(path, places[i]))
			return true;
	return false;
}
#define ANY_WITHIN(path, places)                                                         \
	any_within(path, places, sizeof(places) / sizeof(places[0]))

bool mount_place_odd(const struct mountinfo_line *line, bool host,
		     enum triage_severity *severity)
{
	/* File systems of the kernel's own that belong there. */
	static const char *const homes[] = {
		"/sys/fs/binfmt_misc", "/fs/nfsd", "/fs/nfs", "/xen",
		"/fs/vmblock",	       "/bus/usb"
	};
	/* Tables in which somebody may want to be missing. */
	static const char *const tables[] = { "/modules",     "/net",	 "/kallsyms",
					      "/vmallocinfo", "/mounts", "/self",
					      "/thread-self", "/locks",	 "/1" };
	/* What runc's, crun's and systemd's masks cover. */
	static const char *const masked[] = {
		"/asound",     "/acpi",	       "/kcore",       "/keys", "/latency_stats",
		"/timer_list", "/timer_stats", "/sched_debug", "/scsi", "/interrupts",
		"/bus",	       "/fs",	       "/irq",	       "/sys",	"/sysrq-trigger",
		"/kmsg",       "/kallsyms",    "/mtrr",	       "/apm",	"/config.gz",
	};
	const char *place = line->point + 5, *digits;

	if (strncmp(line->point, "/proc/", 6) != 0)
		return false;
	/* The very thing once more, to be read-only. */
	if (strcmp(line->type, "proc") == 0 && strcmp(line->root, place) == 0)
		return false;
	if (ANY_WITHIN(place, homes))
		return false;
	digits = place + 1;
	*severity = SEVERITY_HIGH;
	if (*digits && (digits[strspn(digits, "0123456789")] == '/' ||
			!digits[strspn(digits, "0123456789")]))
		return true;
	if (host && ANY_WITHIN(place, tables))
		return true;
	/* LXC shows containers their own numbers by a FUSE daemon. */
	if (!host && (ANY_WITHIN(place, masked) || strcmp(line->type, "fuse.lxcfs") == 0))
		return false;
	*severity = host ? SEVERITY_MEDIUM : SEVERITY_LOW;
	return true;
}
