#include "toolkit/lib/procmaps.h"

#include <string.h>

static int digit_of(char c, unsigned base)
{
	int digit = c >= '0' && c <= '9'   ? c - '0'
		    : c >= 'a' && c <= 'f' ? c - 'a' + 10
					   : 99;

	return digit < (int)base ? digit : -1;
}

/* Takes a number and the byte that must end it. */
static bool number(const char **at, const char *end, unsigned base, char stop,
		   uint64_t *value)
{
	const char *p = *at;

	*value = 0;
	for (; p < end && digit_of(*p, base) >= 0; p++) {
		if (*value > UINT64_MAX / 16)
			return false;
		*value = *value * base + (uint64_t)digit_of(*p, base);
	}
	if (p == *at || p == end || *p != stop)
		return false;
	*at = p + 1;
	return true;
}

static bool parse(const char *at, const char *end, struct procmap *map)
{
	uint64_t major, minor;
	const char *p;

	if (!number(&at, end, 16, '-', &map->start) ||
	    !number(&at, end, 16, ' ', &map->end) || map->end < map->start ||
	    end - at < 5 || at[4] != ' ')
		return false;
	memcpy(map->perms, at, 4);
	map->perms[4] = '\0';
	for (int i = 0; i < 4; i++)
		if (!memchr(i == 3 ? "ps-" : "rwx-", map->perms[i], i == 3 ? 3 : 4))
			return false;
	at += 5;
	if (!number(&at, end, 16, ' ', &map->off_bytes) ||
	    !number(&at, end, 16, ':', &major) || !number(&at, end, 16, ' ', &minor))
		return false;
	map->major = (uint32_t)major;
	map->minor = (uint32_t)minor;
	/* The inode is followed by a blank even where no path is. */
	map->inode = 0;
	for (p = at; p < end && digit_of(*p, 10) >= 0; p++)
		map->inode = map->inode * 10 + (uint64_t)digit_of(*p, 10);
	if (p == at || p - at > 20)
		return false;
	while (p < end && *p == ' ')
		p++;
	map->path = p;
	map->path_len = (size_t)(end - p);
	return true;
}

int procmaps_next(const char **at, const char *end, struct procmap *map)
{
	const char *line = *at, *stop;

	if (line >= end)
		return 0;
	stop = memchr(line, '\n', (size_t)(end - line));
	stop = stop ? stop : end;
	*at = stop + 1;
	return parse(line, stop, map) ? 1 : -1;
}
