/*
 * A module that takes itself out of the kernel's lists keeps its memory, and
 * /proc/vmallocinfo names who asked for it: the loader of modules.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/triage/moduletext.h"
#include "toolkit/triage/moduleviews.h"
#include "toolkit/triage/textlines.h"

#define REGIONS_MAX ((size_t)1 << 16)
#define FINDINGS_MAX 16
#define LINE_BYTES 8192
#define TABLE_BYTES ((uint64_t)64 << 20)
#define PAUSE_NS 5000000

struct region {
	uint64_t start, end, size;
	bool known; /* holds something of a module that is shown */
};

struct regions {
	struct region *at;
	size_t count, room;
	bool hashed; /* the addresses are none: only sizes tell */
};

static bool add_region(struct regions *regions, const struct vmalloc_line *line)
{
	if (regions->count == regions->room) {
		size_t room = regions->room ? regions->room * 2 : 256;
		struct region *more;

		if (room > REGIONS_MAX ||
		    !(more = realloc(regions->at, room * sizeof(*more))))
			return false;
		regions->at = more;
		regions->room = room;
	}
	regions->at[regions->count++] =
		(struct region){ line->start, line->end, line->size, false };
	regions->hashed |= line->hashed;
	return true;
}

/* 0, or an errno: EFBIG when there was more than is kept. */
static int read_regions(const struct triage *t, struct regions *regions)
{
	int fd = openat(t->procfd, "vmallocinfo", O_RDONLY | O_CLOEXEC);
	struct textlines lines;
	struct vmalloc_line one;
	char buf[LINE_BYTES], *line;
	size_t len;
	int errnum = 0;

	if (fd < 0)
		return errno;
	textlines_begin(&lines, fd, buf, sizeof(buf), TABLE_BYTES);
	while (!errnum && (line = textlines_next(&lines, &len)))
		if (vmalloc_line_read(line, &one) &&
		    vmalloc_caller_is_module(one.caller) && !add_region(regions, &one))
			errnum = EFBIG;
	close(fd);
	if (lines.errnum)
		return lines.errnum;
	return lines.more ? EFBIG : errnum;
}

static struct region *region_of(struct regions *regions, uint64_t address)
{
	for (size_t i = 0; i < regions->count; i++)
		if (address >= regions->at[i].start && address < regions->at[i].end)
			return &regions->at[i];
	return NULL;
}

static size_t unknown_count(const struct regions *regions)
{
	size_t count = 0;

	for (size_t i = 0; i < regions->count; i++)
		count += !regions->at[i].known;
	return count;
}

static void cover(struct regions *regions, struct module_seen *seen, uint64_t address)
{
	struct region *region = address ? region_of(regions, address) : NULL;

	if (!region)
		return;
	region->known = true;
	seen->views |= MODULE_VIEW_VMALLOC;
}

static void cover_by_section(const struct triage *t, struct regions *regions,
			     struct module_seen *seen, const char *section)
{
	char path[MODULE_NAME_SIZE + 300], text[32];
	uint64_t address;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "module/%s/sections/%s", seen->name, section);
	fd = openat(t->sysfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n > 0 ? n : 0] = '\0';
	if (textlines_hex(text, &address))
		cover(regions, seen, address);
}

static void cover_by_all_sections(const struct triage *t, struct regions *regions,
				  struct module_seen *seen)
{
	char path[MODULE_NAME_SIZE + 32];
	int fd;
	DIR *dir;
	const struct dirent *entry;

	snprintf(path, sizeof(path), "module/%s/sections", seen->name);
	fd = openat(t->sysfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		io_close(&fd);
		return;
	}
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			cover_by_section(t, regions, seen, entry->d_name);
	closedir(dir);
}

/*
 * Marks what is a shown module's. Since 6.4 its text, data and constants are regions of
 * their own, and only sysfs tells their addresses: sections that nearly every module has
 * are asked first, all others only for what is left.
 */
static void cover_by_modules(const struct triage *t, struct regions *regions,
			     struct module_views *views)
{
	static const char *const sections[] = { ".gnu.linkonce.this_module", ".rodata",
						".note.gnu.build-id", ".data",
						".data..ro_after_init" };

	for (size_t i = 0; i < views->count; i++)
		cover(regions, &views->seen[i], views->seen[i].address);
	for (size_t s = 0; s < sizeof(sections) / sizeof(sections[0]); s++)
		for (size_t i = 0; i < views->count && unknown_count(regions); i++)
			cover_by_section(t, regions, &views->seen[i], sections[s]);
	for (size_t i = 0; i < views->count && unknown_count(regions); i++)
		cover_by_all_sections(t, regions, &views->seen[i]);
}

static int emit_region(struct triage *t, const struct region *region, struct err *err)
{
	struct json_node *subject, *evidence;
	struct json *doc;
	char range[64];

	doc = triage_finding(t, "hidden_module", SEVERITY_HIGH,
			     "Memory that the kernel gave to a module belongs to none "
			     "that is shown.",
			     &subject, &evidence, err);
	if (!doc)
		return -1;
	json_add_null(doc, subject, "module");
	snprintf(range, sizeof(range), "%" PRIx64 "-%" PRIx64, region->start,
		 region->end);
	json_add_str(doc, evidence, "vmalloc", range);
	json_add_u64(doc, evidence, "bytes", region->size);
	json_add_str(doc, evidence, "proc", "absent");
	json_add_str(doc, evidence, "sysfs", "absent");
	json_add_u64(doc, json_root(doc), "rechecked", 1);
	return triage_emit(t, doc, err);
}

static uint64_t shown_bytes(const struct module_views *views)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), total = 0;

	for (size_t i = 0; i < views->count; i++)
		total += (views->seen[i].size + page - 1) / page * page;
	return total;
}

/* Each region has a guard page behind it. */
static uint64_t region_bytes(const struct regions *regions)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), total = 0;

	for (size_t i = 0; i < regions->count; i++)
		total += regions->at[i].size - (regions->at[i].size > page ? page : 0);
	return total;
}

static int emit_sum(struct triage *t, uint64_t given, uint64_t shown, struct err *err)
{
	struct json_node *subject, *evidence;
	struct json *doc;

	doc = triage_finding(t, "hidden_module", SEVERITY_MEDIUM,
			     "The kernel gave more memory to modules than those have "
			     "that are shown.",
			     &subject, &evidence, err);
	if (!doc)
		return -1;
	json_add_null(doc, subject, "module");
	json_add_u64(doc, evidence, "vmalloc_bytes", given);
	json_add_u64(doc, evidence, "proc_bytes", shown);
	json_add_u64(doc, json_root(doc), "rechecked", 1);
	return triage_emit(t, doc, err);
}

/* Is something left over? */
static bool suspicious(const struct triage *t, struct regions *regions,
		       struct module_views *views)
{
	if (regions->hashed)
		return region_bytes(regions) > shown_bytes(views);
	cover_by_modules(t, regions, views);
	return unknown_count(regions) > 0;
}

/* Reads all of it once more: a module that was being loaded is whole by now, and the
 * memory that is freed after its start is gone. */
static int look_again(struct triage *t, struct regions *again, struct err *err)
{
	struct module_views views = { 0 };
	unsigned findings = 0;
	int rc = -1;

	if (t->live)
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
	if (read_regions(t, again) != 0) {
		rc = 0;
		goto out;
	}
	if (module_views_proc(t, &views, err) < 0 ||
	    module_views_sysfs(t, &views, err) < 0)
		goto out;
	if (suspicious(t, again, &views)) {
		if (again->hashed &&
		    emit_sum(t, region_bytes(again), shown_bytes(&views), err) < 0)
			goto out;
		for (size_t i = 0; i < again->count && !again->hashed; i++)
			if (!again->at[i].known && findings++ < FINDINGS_MAX &&
			    emit_region(t, &again->at[i], err) < 0)
				goto out;
	}
	rc = 0;
out:
	module_views_free(&views);
	return rc;
}

int module_memory(struct triage *t, struct module_views *views, struct err *err)
{
	struct regions regions = { 0 }, again = { 0 };
	int errnum = read_regions(t, &regions), rc;

	if (errnum) {
		rc = triage_unread(t, "/proc/vmallocinfo", triage_reason_of(t, errnum),
				   errnum, err);
	} else if (!(views->readable & MODULE_VIEW_PROC)) {
		rc = 0;
	} else {
		if (!regions.hashed)
			views->readable |= MODULE_VIEW_VMALLOC;
		rc = suspicious(t, &regions, views) ? look_again(t, &again, err) : 0;
	}
	free(regions.at);
	free(again.at);
	return rc;
}
