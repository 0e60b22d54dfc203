#include "toolkit/lib/ranges.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

uint64_t range_bytes(const struct range *range)
{
	return range->end - range->start + 1;
}

uint64_t ranges_bytes(const struct ranges *ranges)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ranges->count; i++)
		sum += range_bytes(&ranges->at[i]);
	return sum;
}

/* Reads up to 16 hex digits at *text and moves it behind them. */
static bool take_hex(const char **text, uint64_t *value)
{
	const char *p = *text;
	size_t digits = 0;

	*value = 0;
	for (; digits < 17; digits++, p++) {
		uint64_t digit;

		if (*p >= '0' && *p <= '9')
			digit = (uint64_t)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			digit = (uint64_t)(*p - 'a' + 10);
		else
			break;
		*value = *value << 4 | digit;
	}
	*text = p;
	return digits > 0 && digits <= 16;
}

/* "System RAM", and "System RAM (virtio_mem)", "System RAM (kmem)" of hot-plugged memory.
 */
static bool is_system_ram(const char *name)
{
	size_t len = strlen("System RAM");

	return strncmp(name, "System RAM", len) == 0 &&
	       (name[len] == '\0' || strncmp(name + len, " (", 2) == 0);
}

static int add(struct ranges *ranges, const struct range *range, struct err *err)
{
	const struct range *last = ranges->count ? &ranges->at[ranges->count - 1] : NULL;

	if (range->start > range->end)
		return err_set(err, ERR_FAILED, "iomem: a range ends before it starts");
	if (last && range->start >= last->start && range->end <= last->end)
		return 0;
	if (last && range->start <= last->end)
		return err_set(err, ERR_FAILED, "iomem: ranges overlap at 0x%llx",
			       (unsigned long long)range->start);
	if (ranges->count == RANGES_MAX)
		return err_set(err, ERR_FAILED, "iomem: more than %d ranges", RANGES_MAX);
	ranges->at[ranges->count++] = *range;
	return 0;
}

/* One line, without its newline: "  00100000-3fffffff : System RAM". */
static int take_line(struct ranges *ranges, const char *line, bool *hidden,
		     struct err *err)
{
	const char *p = line + strspn(line, " ");
	struct range range;

	if (!take_hex(&p, &range.start) || *p++ != '-' || !take_hex(&p, &range.end) ||
	    strncmp(p, " : ", 3) != 0)
		return err_set(err, ERR_FAILED,
			       "iomem: a line is not \"start-end : name\"");
	if (!is_system_ram(p + 3))
		return 0;
	if (range.end == 0) {
		*hidden = true;
		return 0;
	}
	return add(ranges, &range, err);
}

/* Takes the whole lines of buf and returns how many bytes they have, or -1. */
static ssize_t take_lines(struct ranges *ranges, char *buf, bool *hidden, struct err *err)
{
	char *line = buf;

	for (;;) {
		char *end = strchr(line, '\n');

		if (!end)
			return line - buf;
		*end = '\0';
		if (take_line(ranges, line, hidden, err) < 0)
			return -1;
		line = end + 1;
	}
}

static int read_lines(int fd, struct ranges *ranges, bool *hidden, struct err *err)
{
	char buf[4096];
	size_t have = 0;

	for (;;) {
		ssize_t n = read(fd, buf + have, sizeof(buf) - 1 - have);
		ssize_t taken;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "reading iomem");
		if (n == 0)
			break;
		have += (size_t)n;
		buf[have] = '\0';
		if (strlen(buf) != have)
			return err_set(err, ERR_FAILED, "iomem: a NUL byte");
		taken = take_lines(ranges, buf, hidden, err);
		if (taken < 0)
			return -1;
		have -= (size_t)taken;
		memmove(buf, buf + taken, have);
		if (have == sizeof(buf) - 1)
			return err_set(err, ERR_FAILED, "iomem: a line is too long");
	}
	if (have)
		return err_set(err, ERR_FAILED, "iomem: the last line is cut off");
	return 0;
}

int ranges_read_fd(int fd, struct ranges *ranges, struct err *err)
{
	bool hidden = false;

	ranges->count = 0;
	if (read_lines(fd, ranges, &hidden, err) < 0)
		return -1;
	if (hidden)
		return err_set(
			err, ERR_REFUSED,
			"the kernel hides the addresses of iomem: CAP_SYS_ADMIN is needed");
	if (!ranges->count)
		return err_set(err, ERR_FAILED, "iomem lists no System RAM");
	return 0;
}

int ranges_read_iomem(int proc_dirfd, struct ranges *ranges, struct err *err)
{
	int fd = openat(proc_dirfd, "iomem", O_RDONLY | O_CLOEXEC);
	int rc;

	ranges->count = 0;
	if (fd < 0)
		return err_sys(err, errno, "opening iomem");
	rc = ranges_read_fd(fd, ranges, err);
	io_close(&fd);
	return rc;
}
