/* hash: lists of files, made and checked. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/hash/hash.h"
#include "toolkit/hash/pool.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/dirlist.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/sink.h"
#include "toolkit/lib/sums.h"

/* Directories in one another; each is an open descriptor. */
#define DEPTH_MAX 128

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

struct listing {
	const struct options *opt;
	struct text text;
	int code; /* of the last failure */
	bool left_out;
};

static void list_file(void *arg, const struct pool_file *file)
{
	static char line[SUMS_LINE_MAX];
	struct listing *listing = arg;
	struct err err = file->err;
	size_t len;

	if (file->failed) {
		/* What could not be opened says its name itself. */
		if (file->expected[0])
			err_prefix(&err, "%s", file->name);
		listing->code = err_report(&err, "hash");
		return;
	}
	len = sums_format(file->digest, file->name, line);
	if (!listing->opt->output)
		fwrite(line, 1, len, stdout);
	else if (text_add(&listing->text, line, len, &err) < 0)
		listing->code = err_report(&err, "hash");
}

/* expected[0] of a file in a listing: it was opened. */
static void give_file(int dirfd, const char *name, const char *path, bool follow)
{
	struct pool_file *file = pool_next();

	snprintf(file->name, sizeof(file->name), "%s", path);
	file->fd = io_open_direct(dirfd, name, follow, &file->err);
	file->expected[0] = file->fd >= 0;
	if (file->fd < 0 && dirfd != AT_FDCWD)
		err_prefix(&file->err, "%s", path);
	pool_give();
}

static void fail(struct listing *listing, struct err *err)
{
	listing->code = err_report(err, "hash");
}

static void leave_out(struct listing *listing, const char *path, const char *why)
{
	struct err err;

	err_set(&err, ERR_GAPS, "%s: %s, left out", path, why);
	err_report(&err, "hash");
	listing->left_out = true;
}

/* Everything below the directory fd, whose name is path, in order of name. path has room
 * for PATH_MAX bytes. */
static void walk(struct listing *listing, int fd, char *path, unsigned depth)
{
	size_t len = strlen(path);
	struct dirlist list;
	struct err err;

	if (dirlist_read(fd, &list, &err) < 0) {
		err_prefix(&err, "%s", path);
		fail(listing, &err);
		return;
	}
	for (size_t i = 0; i < list.count; i++) {
		const char *name = list.names[i];
		struct stat st;

		path[len] = '\0';
		if (len + strlen(name) + 2 > PATH_MAX || depth == DEPTH_MAX) {
			err_set(&err, ERR_FAILED, "%s: too deep", path);
			fail(listing, &err);
			break;
		}
		sprintf(path + len, "/%s", name);
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			err_sys(&err, errno, "examining %s", path);
			fail(listing, &err);
		} else if (S_ISDIR(st.st_mode)) {
			int sub = openat(fd, name,
					 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (sub < 0) {
				err_sys(&err, errno, "opening %s", path);
				fail(listing, &err);
			} else {
				walk(listing, sub, path, depth + 1);
			}
			io_close(&sub);
		} else if (S_ISREG(st.st_mode)) {
			give_file(fd, name, path, false);
		} else {
			leave_out(listing, path,
				  S_ISLNK(st.st_mode) ? "a symbolic link"
						      : "not a regular file");
		}
	}
	path[len] = '\0';
	dirlist_free(&list);
}

static void list_argument(struct listing *listing, const char *name)
{
	static char path[PATH_MAX];
	struct pool_file *file;
	struct err err;
	int fd;

	if (strlen(name) >= PATH_MAX) {
		err_set(&err, ERR_USAGE, "a name is longer than %d bytes", PATH_MAX - 1);
		fail(listing, &err);
		return;
	}
	if (strcmp(name, "-") == 0) {
		file = pool_next();
		strcpy(file->name, name);
		file->expected[0] = true;
		file->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		if (file->fd < 0)
			err_sys(&file->err, errno, "standard input");
		pool_give();
		return;
	}
	strcpy(path, name);
	fd = listing->opt->recursive
		     ? open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
		     : -1;
	if (fd < 0) {
		give_file(AT_FDCWD, name, path, !listing->opt->recursive);
		return;
	}
	/* "dir/" and "dir" are the same, "/" is itself. */
	for (size_t len = strlen(path); len && path[len - 1] == '/'; len--)
		path[len - 1] = '\0';
	walk(listing, fd, path, 1);
	io_close(&fd);
}

/* A file that cannot be read does not keep the others from being hashed. */
int do_hash(const struct options *opt, char **files, int count)
{
	static char *const standard_input[] = { "-" };
	struct listing listing = { .opt = opt };
	struct err err = { 0 };

	if (!count) {
		files = (char **)standard_input;
		count = 1;
	}
	pool_start(count == 1 && !opt->recursive ? 1 : opt->threads, list_file, &listing);
	for (int i = 0; i < count; i++)
		list_argument(&listing, files[i]);
	pool_finish();
	/* A list with holes is not written: it would pass for the whole. */
	if (opt->output && !listing.code &&
	    sink_write_path(opt->output, listing.text.data, listing.text.len, &err) < 0)
		listing.code = err_report(&err, "hash");
	free(listing.text.data);
	return listing.code ? listing.code : listing.left_out ? ERR_GAPS : 0;
}

struct tally {
	size_t equal, differ, failed;
	bool quiet;
};

static void check_file(void *arg, const struct pool_file *file)
{
	struct tally *tally = arg;
	struct err err = file->err;

	if (file->failed) {
		err_report(&err, "hash");
		if (err.kind == ERR_NO)
			tally->differ++;
		else
			tally->failed++;
	} else if (memcmp(file->digest, file->expected, SHA256_LEN) != 0) {
		err_set(&err, ERR_NO, "%s: differs", file->name);
		err_report(&err, "hash");
		tally->differ++;
	} else {
		tally->equal++;
		if (!tally->quiet) {
			cli_put_text(stdout, file->name);
			puts(": OK");
		}
	}
}

static void give_entry(int dirfd, const struct sums_entry *entry)
{
	struct pool_file *file = pool_next();

	strcpy(file->name, entry->name);
	memcpy(file->expected, entry->digest, SHA256_LEN);
	file->fd = -1;
	if (faccessat(dirfd, entry->name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno == ENOENT)
		err_set(&file->err, ERR_NO, "%s: missing", entry->name);
	else
		file->fd = io_open_direct(dirfd, entry->name, false, &file->err);
	pool_give();
}

#define SUMS_MAX (64 * 1024 * 1024)

static int check_list(int dirfd, const char *text, size_t len_bytes, unsigned threads,
		      struct tally *tally, struct err *err)
{
	static struct sums_entry entry;
	size_t pos = 0, line = 0;
	int more;

	pool_start(threads, check_file, tally);
	while ((more = sums_next(text, len_bytes, &pos, &line, &entry, err)) > 0)
		give_entry(dirfd, &entry);
	pool_finish();
	if (more == 0 && !tally->equal && !tally->differ && !tally->failed)
		return err_set(err, ERR_FAILED, "lists no file");
	return more;
}

int do_check(const struct options *opt)
{
	char *copy = strdup(opt->check), *text = NULL;
	struct tally tally = { .quiet = opt->quiet };
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
	if (!text || check_list(dirfd, text, len_bytes, opt->threads, &tally, &err) < 0) {
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
