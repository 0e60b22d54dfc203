#include "toolkit/lib/dirlist.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add(struct dirlist *list, size_t *room, const char *name)
{
	if (list->count == *room) {
		size_t more = *room ? 2 * *room : 64;
		char **names = reallocarray(list->names, more, sizeof(*names));

		if (!names)
			return -1;
		list->names = names;
		*room = more;
	}
	list->names[list->count] = strdup(name);
	if (!list->names[list->count])
		return -1;
	list->count++;
	return 0;
}

int dirlist_read(int dirfd, struct dirlist *list, struct err *err)
{
	/* One of our own: closedir() closes it, and its position is nobody else's. */
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	size_t room = 0;
	int errnum;

	*list = (struct dirlist){ 0 };
	if (!dir) {
		errnum = errno;
		if (fd >= 0)
			close(fd);
		return err_sys(err, errnum, "opening a directory");
	}
	while (errno = 0, (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (add(list, &room, entry->d_name) < 0) {
			errno = ENOMEM;
			break;
		}
	}
	errnum = errno;
	closedir(dir);
	if (errnum) {
		dirlist_free(list);
		return err_sys(err, errnum, "reading a directory");
	}
	if (list->count)
		qsort(list->names, list->count, sizeof(*list->names), by_name);
	return 0;
}

void dirlist_free(struct dirlist *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->names[i]);
	free(list->names);
	*list = (struct dirlist){ 0 };
}
