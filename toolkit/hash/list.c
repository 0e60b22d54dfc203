/* hash: lists of files, made and checked. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/hash/hash.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/sink.h"
#include "toolkit/lib/sums.h"

/* Text that grows; hash writes its list in one go, so that no half list has the name. */
struct text {
	char *data;
	size_t len, size;
};

static int text_add(struct text *text, const char *line, size_t len, struct err *err)
{
	if (text->len + len > text->size) {
		size_t size = 2 * (text->len + len);
		char *data = realloc(text->data, size);

		if (!data)
			return err_sys(err, ENOMEM, "listing files");
		text->data = data;
		text->size = size;
	}
	memcpy(text->data + text->len, line, len);
	text->len += len;
	return 0;
}

static int hash_file(const char *path, uint8_t digest[SHA256_LEN], struct err *err)
{
	int fd, rc;

	if (strcmp(path, "-") == 0) {
		if (sums_hash_fd(STDIN_FILENO, digest, err) < 0)
			return err_prefix(err, "standard input");
		return 0;
	}
	fd = io_open_direct(AT_FDCWD, path, true, err);
	if (fd < 0)
		return -1;
	rc = sums_hash_fd(fd, digest, err);
	io_close(&fd);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}

/* Writes text as the new file path. */
static int write_list(const char *path, const struct text *text, struct err *err)
{
	char *copy_dir = strdup(path), *copy_base = strdup(path);
	int dirfd = -1, rc = -1;

	if (!copy_dir || !copy_base) {
		err_sys(err, ENOMEM, "writing %s", path);
		goto out;
	}
	dirfd = open(dirname(copy_dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		err_sys(err, errno, "opening the directory of %s", path);
	else
		rc = sink_write_file(dirfd, basename(copy_base), text->data, text->len,
				     false, err);
out:
	io_close(&dirfd);
	free(copy_dir);
	free(copy_base);
	return rc;
}

/* A file that cannot be read does not keep the others from being hashed. */
int do_hash(const struct options *opt, char **files, int count)
{
	static char line[SUMS_LINE_MAX];
	static char *const standard_input[] = { "-" };
	struct text text = { 0 };
	struct err err = { 0 };
	int code = 0;

	if (!count) {
		files = (char **)standard_input;
		count = 1;
	}
	for (int i = 0; i < count; i++) {
		uint8_t digest[SHA256_LEN];
		size_t len;

		if (strlen(files[i]) >= PATH_MAX)
			err_set(&err, ERR_USAGE, "a name is longer than %d bytes",
				PATH_MAX - 1);
		else if (hash_file(files[i], digest, &err) == 0) {
			len = sums_format(digest, files[i], line);
			if (!opt->output)
				fwrite(line, 1, len, stdout);
			else if (text_add(&text, line, len, &err) < 0)
				code = err_report(&err, "hash");
			continue;
		}
		code = err_report(&err, "hash");
	}
	/* A list with holes is not written: it would pass for the whole. */
	if (opt->output && !code && write_list(opt->output, &text, &err) < 0)
		code = err_report(&err, "hash");
	free(text.data);
	return code;
}

struct tally {
	size_t equal, differ, failed;
};

static void check_entry(int dirfd, const struct sums_entry *entry, bool quiet,
			struct tally *tally)
{
	uint8_t digest[SHA256_LEN];
	struct err err = { 0 };
	int fd, rc;

	if (faccessat(dirfd, entry->name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno == ENOENT) {
		err_set(&err, ERR_NO, "%s: missing", entry->name);
		err_report(&err, "hash");
		tally->differ++;
		return;
	}
	fd = io_open_direct(dirfd, entry->name, false, &err);
	rc = fd < 0 ? -1 : sums_hash_fd(fd, digest, &err);
	if (rc < 0) {
		if (fd >= 0)
			err_prefix(&err, "%s", entry->name);
		err_report(&err, "hash");
		tally->failed++;
	} else if (memcmp(digest, entry->digest, sizeof(digest)) != 0) {
		err_set(&err, ERR_NO, "%s: differs", entry->name);
		err_report(&err, "hash");
		tally->differ++;
	} else {
		tally->equal++;
		if (!quiet) {
			cli_put_text(stdout, entry->name);
			puts(": OK");
		}
	}
	io_close(&fd);
}

#define SUMS_MAX (64 * 1024 * 1024)

static int check_list(int dirfd, const char *text, size_t len_bytes, bool quiet,
		      struct tally *tally, struct err *err)
{
	static struct sums_entry entry;
	size_t pos = 0, line = 0;
	int more;

	while ((more = sums_next(text, len_bytes, &pos, &line, &entry, err)) > 0)
		check_entry(dirfd, &entry, quiet, tally);
	if (more == 0 && !tally->equal && !tally->differ && !tally->failed)
		return err_set(err, ERR_FAILED, "lists no file");
	return more;
}

int do_check(const struct options *opt)
{
	char *copy = strdup(opt->check), *text = NULL;
	struct tally tally = { 0 };
	struct err err = { 0 };
	int dirfd = -1, fd = -1, rc = -1;
	size_t len_bytes;

	fd = io_open_direct(AT_FDCWD, opt->check, true, &err);
	if (fd < 0)
		goto out;
	if (!copy ||
	    (dirfd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		err_sys(&err, errno, "opening the directory of %s", opt->check);
		goto out;
	}
	text = io_read_direct(fd, SUMS_MAX, &len_bytes, &err);
	if (!text || check_list(dirfd, text, len_bytes, opt->quiet, &tally, &err) < 0) {
		err_prefix(&err, "%s", opt->check);
		goto out;
	}
	rc = 0;
out:
	free(text);
	free(copy);
	io_close(&fd);
	io_close(&dirfd);
	if (rc < 0)
		return err_report(&err, "hash");
	return tally.failed ? ERR_FAILED : tally.differ ? ERR_NO : 0;
}
