#include "toolkit/lib/mountinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Two paths of PATH_MAX, each byte written as an octal of four, and the rest. */
#define LINE_MAX_BYTES (40 * 1024)
/* Read so much at a time: on a host with few mounts no further page is touched. */
#define PIECE_BYTES 4096

/* Takes the next word; NULL at the end of the line. */
static char *word(char **at)
{
	char *begin = *at;

	if (!begin || !*begin)
		return NULL;
	*at = strchr(begin, ' ');
	if (*at)
		*(*at)++ = '\0';
	return begin;
}

/* A blank, tab, newline or backslash of a path stands as a backslash and three octals. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' &&
		    from[2] >= '0' && from[2] <= '7' && from[3] >= '0' &&
		    from[3] <= '7') {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				     (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static bool number(const char *text, uint64_t *value)
{
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	*value = strtoull(text, &end, 10);
	return !*end;
}

/* "36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/root rw,errors=continue" */
bool mountinfo_split(char *line, struct mountinfo_line *out)
{
	char *id = word(&line), *parent = word(&line), *dev = word(&line), *optional;
	int end = 0;

	if (!number(id, &out->id) || !number(parent, &out->parent) || !dev ||
	    sscanf(dev, "%u:%u%n", &out->major, &out->minor, &end) != 2 || dev[end])
		return false;
	out->root = word(&line);
	out->point = word(&line);
	out->options = word(&line);
	if (!out->options)
		return false;
	do
		optional = word(&line);
	while (optional && strcmp(optional, "-") != 0);
	out->type = word(&line);
	if (!out->type)
		return false;
	out->source = word(&line);
	out->super_options = word(&line);
	/* The end of the line is an empty text as well. */
	if (!out->source)
		out->source = out->type + strlen(out->type);
	if (!out->super_options)
		out->super_options = out->type + strlen(out->type);
	unescape(out->root);
	unescape(out->point);
	unescape(out->source);
	return true;
}

static bool has_option(const char *options, const char *option)
{
	size_t len = strlen(option);

	for (const char *at = options; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, option, len) == 0 && (at[len] == ',' || !at[len]))
			return true;
	}
	return false;
}

static int check_ours(const struct mountinfo_line *fields, dev_t dev, struct err *err)
{
	static const char *const needed[] = { "nosuid", "nodev", "noatime" };

	if (fields->major != major(dev) || fields->minor != minor(dev))
		return err_set(err, ERR_FAILED,
			       "the mount table names the device %u:%u, not %u:%u",
			       fields->major, fields->minor, major(dev), minor(dev));
	if (strcmp(fields->root, "/") != 0)
		return err_set(err, ERR_FAILED,
			       "a directory of the disk is mounted, not the whole");
	if (strcmp(fields->type, "ext4") != 0)
		return err_set(err, ERR_FAILED, "the mount table says it is no ext4");
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!has_option(fields->options, needed[i]))
			return err_set(err, ERR_FAILED, "mounted without %s", needed[i]);
	return 0;
}

/* *found counts the mounts on point. */
static int check_line(char *line, const char *point, dev_t dev, unsigned *found,
		      struct err *err)
{
	size_t len = strlen(point);
	struct mountinfo_line fields;

	if (!mountinfo_split(line, &fields))
		return err_set(err, ERR_FAILED, "the mount table has a damaged line");
	if (strncmp(fields.point, point, len) != 0)
		return 0;
	if (fields.point[len] == '/')
		return err_set(err, ERR_FAILED, "something is mounted inside it, on %s",
			       fields.point);
	if (fields.point[len])
		return 0;
	if (++*found > 1)
		return err_set(err, ERR_FAILED, "several file systems are mounted on it");
	return check_ours(&fields, dev, err);
}

int mountinfo_check(int fd, const char *point, dev_t dev, struct err *err)
{
	static char buf[LINE_MAX_BYTES + 1];
	size_t len = 0;
	unsigned found = 0;

	for (;;) {
		size_t room = LINE_MAX_BYTES - len;
		char *line = buf, *end;
		ssize_t n;

		if (!room)
			return err_set(err, ERR_FAILED,
				       "the mount table has an endless line");
		n = read(fd, buf + len, room < PIECE_BYTES ? room : PIECE_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "reading the mount table");
		if (n == 0)
			break;
		if (memchr(buf + len, '\0', (size_t)n))
			return err_set(err, ERR_FAILED,
				       "the mount table has a damaged line");
		len += (size_t)n;
		buf[len] = '\0';
		while ((end = strchr(line, '\n'))) {
			*end = '\0';
			if (check_line(line, point, dev, &found, err) < 0)
				return -1;
			line = end + 1;
		}
		len -= (size_t)(line - buf);
		memmove(buf, line, len);
	}
	if (len)
		return err_set(err, ERR_FAILED, "the mount table ends within a line");
	if (!found)
		return err_set(err, ERR_FAILED, "the mount table does not name it");
	return 0;
}
