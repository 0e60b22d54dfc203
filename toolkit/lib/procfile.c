#include "toolkit/lib/procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

#define FIRST_ROOM (16 * 1024)
/* What a long file needed is given back before the next. */
#define KEPT_ROOM (256 * 1024)

static int make_room(struct proctext *text, size_t room)
{
	char *larger;

	if (text->room_bytes >= room)
		return 0;
	larger = realloc(text->data, room);
	if (!larger)
		return ENOMEM;
	text->data = larger;
	text->room_bytes = room;
	return 0;
}

static int begin(struct proctext *text, size_t room)
{
	if (text->room_bytes > KEPT_ROOM)
		procfile_free(text);
	text->len_bytes = 0;
	text->truncated = false;
	if (make_room(text, room) != 0)
		return ENOMEM;
	text->data[0] = '\0';
	return 0;
}

static int read_all(int dirfd, const char *name, size_t max_bytes, bool single,
		    struct proctext *text)
{
	int rc = begin(text, FIRST_ROOM), fd;
	ssize_t n;

	if (rc)
		return rc;
	fd = openat(dirfd, name,
		    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
	if (fd < 0)
		return errno;
	for (;;) {
		size_t room = text->room_bytes - text->len_bytes - 1;

		if (room < FIRST_ROOM / 4) {
			rc = make_room(text, text->room_bytes * 2);
			if (rc)
				break;
			continue;
		}
		n = read(fd, text->data + text->len_bytes, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = n < 0 ? errno : 0;
			break;
		}
		text->len_bytes += (size_t)n;
		if (text->len_bytes > max_bytes) {
			text->len_bytes = max_bytes;
			text->truncated = true;
			break;
		}
		if (single && (size_t)n < room)
			break;
	}
	text->data[text->len_bytes] = '\0';
	io_close(&fd);
	return rc;
}

int procfile_read(int dirfd, const char *name, size_t max_bytes, struct proctext *text)
{
	return read_all(dirfd, name, max_bytes, false, text);
}

int procfile_read_single(int dirfd, const char *name, size_t max_bytes,
			 struct proctext *text)
{
	return read_all(dirfd, name, max_bytes, true, text);
}

int procfile_link(int dirfd, const char *name, struct proctext *text)
{
	int rc = begin(text, FIRST_ROOM);
	ssize_t n;

	if (rc)
		return rc;
	n = readlinkat(dirfd, name, text->data, text->room_bytes - 1);
	if (n < 0)
		return errno;
	text->len_bytes = (size_t)n;
	text->data[n] = '\0';
	return 0;
}

uint64_t procfile_inode_of(const char *target)
{
	size_t kind = strspn(target, "abcdefghijklmnopqrstuvwxyz");
	const char *digits = target + kind + 2;
	uint64_t inode;
	char *end;

	if (!kind || target[kind] != ':' || target[kind + 1] != '[' || *digits < '0' ||
	    *digits > '9')
		return 0;
	inode = strtoull(digits, &end, 10);
	/* More digits than a number holds end as the largest one. */
	return end[0] == ']' && !end[1] && inode != UINT64_MAX ? inode : 0;
}

uint64_t procfile_namespace(int dirfd, const char *name)
{
	char target[64];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);

	/* One that fills the room may go on behind it. */
	if (n < 0 || n == sizeof(target) - 1)
		return 0;
	target[n] = '\0';
	return procfile_inode_of(target);
}

void procfile_free(struct proctext *text)
{
	free(text->data);
	*text = (struct proctext){ 0 };
}
