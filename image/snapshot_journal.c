#include "image/snapshot_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/crc32c.h"
#include "toolkit/lib/io.h"

#define LINE_MAX_BYTES 220
#define JOURNAL_MAX (512 * 1024 * 1024)
#define PUTS_UNSYNCED 256

void snapshot_progress_free(struct snapshot_progress *progress)
{
	free(progress->put);
	*progress = (struct snapshot_progress){ 0 };
}

static bool is_hex(const char *text, size_t len)
{
	return strspn(text, "0123456789abcdef") >= len;
}

static bool take_number(const char *text, uint64_t most, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9' || strlen(text) > 12)
		return false;
	*value = strtoull(text, &end, 10);
	return !*end && *value <= most;
}

static bool parse_head(const char *line, struct snapshot_progress *progress)
{
	static const char magic[] = "fvol-publish 1 ";
	const char *at = line + strlen(magic);

	if (strncmp(line, magic, strlen(magic)) != 0 || strlen(at) < 131 ||
	    !is_hex(at, 64) || at[64] != ' ' || !is_hex(at + 65, 64) || at[129] != ' ')
		return false;
	memcpy(progress->token, at, 64);
	memcpy(progress->linear, at + 65, 64);
	return take_number(at + 130, (uint64_t)BLOCKS_GIB_MAX * BLOCKS_PER_GIB,
			   &progress->count);
}

static bool add_put(struct snapshot_progress *progress, uint32_t index)
{
	if (progress->n_put == progress->room) {
		size_t room = progress->room ? 2 * progress->room : 1024;
		uint32_t *put = realloc(progress->put, room * sizeof(*put));

		if (!put)
			return false;
		progress->put = put;
		progress->room = room;
	}
	progress->put[progress->n_put++] = index;
	return true;
}

static bool parse_line(const char *line, size_t number,
		       struct snapshot_progress *progress)
{
	uint64_t index;

	if (number == 1)
		return parse_head(line, progress);
	if (strncmp(line, "snapshot ", 9) == 0) {
		if (progress->snapshot[0] || !blocks_snapshot_ok(line + 9))
			return false;
		strcpy(progress->snapshot, line + 9);
		return true;
	}
	if (!progress->snapshot[0])
		return false;
	return strncmp(line, "put ", 4) == 0 &&
	       take_number(line + 4, (uint64_t)BLOCKS_GIB_MAX * BLOCKS_PER_GIB - 1,
			   &index) &&
	       add_put(progress, (uint32_t)index);
}

/* Takes the checksum off a line; false when it is not that of the rest. */
static bool take_crc(char *line, size_t len)
{
	char said[9];

	if (len < 10 || line[len - 9] != ' ')
		return false;
	snprintf(said, sizeof(said), "%08x", crc32c(0, line, len - 9));
	if (memcmp(said, line + len - 8, 8) != 0)
		return false;
	line[len - 9] = '\0';
	return true;
}

int snapshot_journal_parse(const char *text, size_t len_bytes,
			   struct snapshot_progress *progress, struct err *err)
{
	char line[LINE_MAX_BYTES];
	size_t at = 0, number = 0;

	*progress = (struct snapshot_progress){ 0 };
	while (at < len_bytes) {
		const char *newline = memchr(text + at, '\n', len_bytes - at);
		size_t len;

		if (!newline)
			break;
		len = (size_t)(newline - text) - at;
		number++;
		if (len >= sizeof(line) || memchr(text + at, '\0', len))
			goto bad;
		memcpy(line, text + at, len);
		line[len] = '\0';
		if (!take_crc(line, len) || !parse_line(line, number, progress))
			goto bad;
		at += len + 1;
		progress->good_bytes = at;
	}
	return 0;
bad:
	snapshot_progress_free(progress);
	return err_set(
		err, ERR_FAILED,
		"line %zu is damaged: without the journal everything is sent again",
		number);
}

static int add_line(struct snapshot_journal *journal, const char *line, bool durable,
		    struct err *err)
{
	char whole[LINE_MAX_BYTES + 16];
	int len = snprintf(whole, sizeof(whole), "%s %08x\n", line,
			   crc32c(0, line, strlen(line)));
	ssize_t n;

	/* One write: a kill leaves the line whole or not at all. */
	do
		n = write(journal->fd, whole, (size_t)len);
	while (n < 0 && errno == EINTR);
	if (n != len)
		return err_sys(err, n < 0 ? errno : ENOSPC, "writing the journal");
	if (!durable && ++journal->unsynced < PUTS_UNSYNCED)
		return 0;
	journal->unsynced = 0;
	if (fdatasync(journal->fd) < 0)
		return err_sys(err, errno, "making the journal durable");
	return 0;
}

static int open_file(const char *path, struct err *err)
{
	int fd = open(path,
		      O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		      0600);
	struct stat st;

	if (fd < 0)
		return err_sys(err, errno, "opening %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > JOURNAL_MAX) {
		close(fd);
		return err_set(err, ERR_FAILED, "%s is no journal", path);
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return err_set(err, ERR_FAILED, "%s is in use by another publish", path);
	}
	return fd;
}

static int read_all(int fd, struct snapshot_progress *progress, struct err *err)
{
	struct stat st;
	char *text = NULL;
	ssize_t got;
	int rc = -1;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "examining the journal");
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return err_set(err, ERR_FAILED, "out of memory");
	got = io_pread(fd, text, (size_t)st.st_size, 0);
	if (got < 0)
		err_sys(err, errno, "reading the journal");
	else
		rc = snapshot_journal_parse(text, (size_t)got, progress, err);
	free(text);
	return rc;
}

int snapshot_journal_open(struct snapshot_journal *journal, const char *path,
			  const char *token, const char *linear, uint64_t count,
			  struct snapshot_progress *progress, struct err *err)
{
	char line[LINE_MAX_BYTES];

	*progress = (struct snapshot_progress){ 0 };
	*journal = (struct snapshot_journal){ .fd = open_file(path, err) };
	if (journal->fd < 0)
		return -1;
	if (read_all(journal->fd, progress, err) < 0) {
		err_prefix(err, "%s", path);
		goto fail;
	}
	/* What a crash left of a line. */
	if (ftruncate(journal->fd, (off_t)progress->good_bytes) < 0) {
		err_sys(err, errno, "%s", path);
		goto fail;
	}
	if (progress->good_bytes == 0) {
		snprintf(line, sizeof(line), "fvol-publish 1 %s %s %llu", token, linear,
			 (unsigned long long)count);
		if (add_line(journal, line, true, err) == 0)
			return 0;
	} else if (strcmp(progress->token, token) == 0 &&
		   strcmp(progress->linear, linear) == 0 && progress->count == count) {
		return 0;
	} else {
		err_set(err, ERR_FAILED,
			"%s is of another image, parent or of other options: remove it, "
			"or name another with --journal",
			path);
	}
fail:
	snapshot_progress_free(progress);
	snapshot_journal_close(journal);
	return -1;
}

int snapshot_journal_started(struct snapshot_journal *journal, const char *snapshot,
			     struct err *err)
{
	char line[SNAPSHOT_ID_SIZE + 16];

	snprintf(line, sizeof(line), "snapshot %s", snapshot);
	return add_line(journal, line, true, err);
}

int snapshot_journal_put(struct snapshot_journal *journal, uint32_t index,
			 struct err *err)
{
	char line[32];

	snprintf(line, sizeof(line), "put %u", index);
	return add_line(journal, line, false, err);
}

void snapshot_journal_close(struct snapshot_journal *journal)
{
	io_close(&journal->fd);
}
