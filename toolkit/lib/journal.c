#include "toolkit/lib/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

static int open_file(const char *path, bool *fresh, struct err *err)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, flags | O_CREAT | O_EXCL | O_DIRECT, 0600);
	struct stat st;

	*fresh = fd >= 0;
	if (fd < 0 && errno == EINVAL) {
		/* No O_DIRECT here (tmpfs); the file may have been made all the same. */
		fd = open(path, flags | O_CREAT, 0600);
		*fresh = fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0;
	} else if (fd < 0 && errno == EEXIST) {
		fd = open(path, flags | O_DIRECT);
		if (fd < 0 && errno == EINVAL)
			fd = open(path, flags);
	}
	if (fd < 0)
		return err_sys(err, errno, "opening %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(err, ERR_FAILED, "%s is not a regular file", path);
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return err_set(err, ERR_FAILED, "%s is in use by another upload", path);
	}
	return fd;
}

/* The name must survive, too. */
static int sync_name(const char *path, struct err *err)
{
	char *copy = strdup(path);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int rc = -1;

	if (fd < 0)
		err_sys(err, errno, "opening the directory of %s", path);
	else
		rc = io_sync_dir(fd, err);
	io_close(&fd);
	free(copy);
	return rc;
}

int journal_open(struct journal *journal, const char *path, char **text, struct err *err)
{
	size_t len = 0;
	bool fresh;

	*text = NULL;
	*journal = (struct journal){ .fd = -1 };
	journal->block = aligned_alloc(IO_BLOCK, IO_BLOCK);
	if (!journal->block)
		return err_sys(err, ENOMEM, "opening %s", path);
	journal->fd = open_file(path, &fresh, err);
	if (journal->fd < 0)
		goto fail;
	if (fresh && sync_name(path, err) < 0)
		goto fail;
	if (!fresh) {
		*text = io_read_direct(journal->fd, JOURNAL_MAX_BYTES, &len, err);
		if (!*text) {
			err_prefix(err, "%s", path);
			goto fail;
		}
		while (len && (*text)[len - 1] == '\n')
			len--;
		/* What a crash left of a line stays, ended. */
		if (len)
			(*text)[len++] = '\n';
		(*text)[len] = '\0';
	}
	journal->block_off = len / IO_BLOCK * IO_BLOCK;
	journal->fill_bytes = len % IO_BLOCK;
	if (len)
		memcpy(journal->block, *text + journal->block_off, journal->fill_bytes);
	if (!len) {
		free(*text);
		*text = NULL;
	}
	return 0;
fail:
	journal_close(journal);
	return -1;
}

int journal_add(struct journal *journal, const char *line, struct err *err)
{
	size_t len = strlen(line), left = len + 1;

	if (len > JOURNAL_LINE_MAX || strchr(line, '\n'))
		return err_set(err, ERR_FAILED, "writing the journal: not a line");
	while (left) {
		size_t room = IO_BLOCK - journal->fill_bytes;
		size_t n = left < room ? left : room;
		size_t text = n < len ? n : len;

		memcpy(journal->block + journal->fill_bytes, line, text);
		memset(journal->block + journal->fill_bytes + text, '\n', room - text);
		if (io_pwrite(journal->fd, journal->block, IO_BLOCK, journal->block_off) <
		    0)
			return err_sys(err, errno, "writing the journal");
		line += text;
		len -= text;
		left -= n;
		journal->fill_bytes += n;
		if (journal->fill_bytes == IO_BLOCK) {
			journal->block_off += IO_BLOCK;
			journal->fill_bytes = 0;
		}
	}
	if (fdatasync(journal->fd) < 0)
		return err_sys(err, errno, "making the journal durable");
	return 0;
}

void journal_close(struct journal *journal)
{
	io_close(&journal->fd);
	free(journal->block);
	journal->block = NULL;
}
