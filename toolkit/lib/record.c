#include "toolkit/lib/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/host.h"
#include "toolkit/lib/io.h"

void record_time(struct json *doc, struct json_node *in, const char *key, int64_t ns)
{
	/* Files may be older than 1970: the fraction still counts forwards. */
	int fraction = (int)(ns % 1000000000 + 1000000000) % 1000000000;
	time_t seconds = (time_t)((ns - fraction) / 1000000000);
	char text[48];
	struct tm tm;
	size_t len;

	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
	snprintf(text + len, sizeof(text) - len, ".%09dZ", fraction);
	json_add_str(doc, in, key, text);
}

static void add_range(struct json *doc, struct json_node *in, const struct range *range)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, range->start);
	json_add_str(doc, in, "start", text);
	snprintf(text, sizeof(text), "0x%" PRIx64, range->end);
	json_add_str(doc, in, "end", text);
}

void record_ranges(struct json *doc, struct json_node *in, const char *key,
		   const struct ranges *ranges)
{
	struct json_node *list = json_add_array(doc, in, key);

	for (size_t i = 0; i < ranges->count; i++)
		add_range(doc, json_add_object(doc, list, NULL), &ranges->at[i]);
}

const char *record_gap_reason(const struct gap *gap)
{
	if (gap->kind == GAP_UNMAPPED)
		return "not in the source";
	return gap->errnum ? strerror(gap->errnum) : "the source gave nothing";
}

void record_gaps(struct json *doc, struct json_node *in, const struct gaps *gaps,
		 size_t limit)
{
	struct json_node *list = json_add_array(doc, in, "gap_list");

	for (size_t i = 0; i < gaps->count && i < limit; i++) {
		const struct gap *gap = &gaps->at[i];
		struct json_node *node = json_add_object(doc, list, NULL);

		add_range(doc, node, &gap->range);
		json_add_str(doc, node, "kind",
			     gap->kind == GAP_UNMAPPED ? "not read" : "unreadable");
		json_add_str(doc, node, "reason", record_gap_reason(gap));
	}
}

void record_preflight(struct json *doc, struct json_node *in,
		      const struct preflight *preflight)
{
	struct json_node *list = json_add_array(doc, in, "sources");

	for (size_t i = 0; i < PREFLIGHT_SOURCES; i++) {
		struct json_node *node = json_add_object(doc, list, NULL);

		json_add_str(doc, node, "source", preflight->at[i].ops->name);
		json_add_bool(doc, node, "usable", preflight->at[i].verdict.usable);
		json_add_str(doc, node, "reason", preflight->at[i].verdict.reason);
	}
}

/* Adds the value of a line "NAME=value" of VMCOREINFO under key. False: there is none. */
static bool add_vmcoreinfo(struct json *doc, struct json_node *in, const char *text,
			   const char *name, const char *key)
{
	char value[VMCOREINFO_BUILD_ID_MAX + 1];
	size_t len;
	const char *at = vmcoreinfo_line(text, strlen(text), name, &len);

	if (!at || len >= sizeof(value))
		return false;
	memcpy(value, at, len);
	value[len] = '\0';
	json_add_str(doc, in, key, value);
	return true;
}

void record_kernel(struct json *doc, struct json_node *in, int proc_dirfd, int sys_dirfd,
		   const char *vmcoreinfo)
{
	struct json_node *kernel = json_add_object(doc, in, "kernel");
	char banner[1024], hex[HOST_BUILD_ID_SIZE];
	struct err ignored;
	struct utsname uts;

	if (uname(&uts) == 0) {
		json_add_str(doc, kernel, "release", uts.release);
		json_add_str(doc, kernel, "machine", uts.machine);
	}
	if (io_read_text(proc_dirfd, "version", banner, sizeof(banner), NULL, &ignored) ==
	    0)
		json_add_str(doc, kernel, "banner", banner);
	json_add_u64(doc, kernel, "page_bytes", (uint64_t)sysconf(_SC_PAGESIZE));
	/* Kernels before 5.9 do not say it there. */
	if (!add_vmcoreinfo(doc, kernel, vmcoreinfo, "BUILD-ID", "build_id") &&
	    host_build_id(sys_dirfd, hex))
		json_add_str(doc, kernel, "build_id", hex);
	/* The value has no 0x and is hexadecimal. */
	add_vmcoreinfo(doc, kernel, vmcoreinfo, "KERNELOFFSET", "kaslr_shift");
	add_vmcoreinfo(doc, kernel, vmcoreinfo, "NUMBER(pgtable_l5_enabled)",
		       "five_level_paging");
	add_vmcoreinfo(doc, kernel, vmcoreinfo, "NUMBER(kimage_voffset)",
		       "kimage_voffset");
}

/* Is word one of the words that blanks part? */
static bool has_word(const char *line, size_t len, const char *word)
{
	size_t n = strlen(word);

	for (size_t at = 0; at + n <= len; at++)
		if (memcmp(line + at, word, n) == 0 && (at == 0 || line[at - 1] == ' ') &&
		    (at + n == len || line[at + n] == ' '))
			return true;
	return false;
}

bool record_five_level_paging(int proc_dirfd, const char *vmcoreinfo)
{
	static char text[8192];
	const char *flags;
	ssize_t len;
	int fd;

	if (vmcoreinfo[0])
		return strstr(vmcoreinfo, "NUMBER(pgtable_l5_enabled)=1") != NULL;
	fd = openat(proc_dirfd, "cpuinfo", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	/* Many processors make it long; what the first one says holds for all. */
	len = io_pread(fd, text, sizeof(text) - 1, 0);
	io_close(&fd);
	text[len < 0 ? 0 : len] = '\0';
	flags = strstr(text, "\nflags");
	return flags && has_word(flags + 1, strcspn(flags + 1, "\n"), "la57");
}

void record_clock_state(struct json *doc, struct json_node *in, int state,
			const struct timex *timex)
{
	struct json_node *clock = json_add_object(doc, in, "clock");
	int64_t offset_ns = timex->offset;

	/* Microseconds, unless something asked for the finer unit. */
	if (!(timex->status & STA_NANO))
		offset_ns *= 1000;
	json_add_bool(doc, clock, "synchronised",
		      state != TIME_ERROR && !(timex->status & STA_UNSYNC));
	json_add_i64(doc, clock, "offset_ns", offset_ns);
	json_add_i64(doc, clock, "max_error_us", timex->maxerror);
	json_add_i64(doc, clock, "estimated_error_us", timex->esterror);
	json_add_i64(doc, clock, "tai_offset_s", timex->tai);
}

void record_clock(struct json *doc, struct json_node *in)
{
	struct timex timex = { .modes = 0 };
	int state = adjtimex(&timex);
	struct json_node *clock;

	if (state >= 0) {
		record_clock_state(doc, in, state, &timex);
		return;
	}
	clock = json_add_object(doc, in, "clock");
	json_add_str(doc, clock, "error", strerror(errno));
}
