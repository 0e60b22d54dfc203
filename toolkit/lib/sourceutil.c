#include "toolkit/lib/sourceutil.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <stdarg.h>
#include <stdio.h>

void verdict_set(struct source_verdict *verdict, bool usable, const char *fmt, ...)
{
	va_list ap;

	verdict->usable = usable;
	va_start(ap, fmt);
	vsnprintf(verdict->reason, sizeof(verdict->reason), fmt, ap);
	va_end(ap);
}

/* The first range that does not end before phys, or count. */
static size_t at_or_behind(const struct ranges *ranges, uint64_t phys)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges->at[middle].end < phys)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint64_t source_room(const struct ranges *ranges, uint64_t phys, uint64_t len)
{
	size_t i = at_or_behind(ranges, phys);

	if (!len || i == ranges->count || ranges->at[i].start > phys)
		return 0;
	return ranges->at[i].end - phys < len - 1 ? ranges->at[i].end - phys + 1 : len;
}

uint64_t source_hole(const struct ranges *ranges, uint64_t phys, uint64_t len)
{
	size_t i = at_or_behind(ranges, phys);

	if (i == ranges->count)
		return len;
	if (ranges->at[i].start <= phys)
		return 0;
	return ranges->at[i].start - phys < len ? ranges->at[i].start - phys : len;
}

int source_need_real_proc(const struct source_env *env, struct err *err)
{
	struct statfs fs;

	if (fstatfs(env->proc_dirfd, &fs) < 0)
		return err_sys(err, errno, "examining /proc");
	if (fs.f_type != PROC_SUPER_MAGIC)
		return err_set(err, ERR_REFUSED,
			       "it reads the running kernel, and the /proc given is not "
			       "that kernel's");
	return 0;
}
