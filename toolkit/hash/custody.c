/* hash --custody: the chain of custody, appended to, verified and sealed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/hash/hash.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/custody.h"
#include "toolkit/lib/dirlist.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/sums.h"

/* Opens the directory of path; *name is what follows it. The caller frees *copy. */
static int open_dir_of(const char *path, char **copy, const char **name, struct err *err)
{
	char *slash;
	int fd;

	*copy = strdup(path);
	if (!*copy)
		return err_sys(err, ENOMEM, "opening %s", path);
	slash = strrchr(*copy, '/');
	*name = slash ? slash + 1 : *copy;
	if (slash)
		*slash = '\0';
	fd = open(!slash	   ? "."
		  : slash == *copy ? "/"
				   : *copy,
		  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "opening the directory of %s", path) : fd;
}

static int verify(const char *path, const uint8_t *anchor,
		  struct custody_summary *summary, struct err *err)
{
	int fd = io_open_direct(AT_FDCWD, path, true, err);
	int rc;

	if (fd < 0)
		return -1;
	rc = custody_verify(fd, anchor, NULL, NULL, summary, err);
	io_close(&fd);
	if (rc == 0 && !summary->lines)
		rc = err_set(err, ERR_NO, "holds no line");
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}

static int do_verify(const struct options *opt, const char *path, struct err *err)
{
	struct custody_summary summary = { 0 };
	uint8_t anchor[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];

	if (opt->head)
		sha256_from_hex(opt->head, anchor);
	if (verify(path, opt->head ? anchor : NULL, &summary, err) < 0)
		return -1;
	if (opt->head && !summary.anchor_line)
		return err_set(err, ERR_NO, "%s: no line has the hash %s", path,
			       opt->head);
	sha256_to_hex(summary.head, hex);
	cli_put_text(stdout, path);
	printf(": %llu lines, head %s", (unsigned long long)summary.lines, hex);
	if (opt->head)
		printf(", the given head is line %llu",
		       (unsigned long long)summary.anchor_line);
	putchar('\n');
	if (summary.torn)
		return err_set(err, ERR_GAPS,
			       "%s: the chain holds, but %llu times a line was torn",
			       path, (unsigned long long)summary.torn);
	return 0;
}

static int do_head(const char *path, struct err *err)
{
	struct custody_summary summary = { 0 };
	char hex[SHA256_HEX_SIZE];

	if (verify(path, NULL, &summary, err) < 0)
		return -1;
	sha256_to_hex(summary.head, hex);
	puts(hex);
	return 0;
}

static int append_file(int dirfd, const struct options *opt, const char *log,
		       const char *file, struct err *err)
{
	struct custody_event event = { .tool = "hash",
				       .instance = opt->instance,
				       .action = opt->action,
				       .file = file,
				       .note = opt->note };
	uint8_t digest[SHA256_LEN], head[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];
	int fd = io_open_direct(dirfd, file, false, err);
	int rc = fd < 0 ? -1 : sums_hash_fd(fd, digest, err);

	io_close(&fd);
	if (rc < 0)
		return err_prefix(err, "%s", file);
	event.sha256 = digest;
	if (custody_append(dirfd, log, &event, head, err) < 0)
		return -1;
	sha256_to_hex(head, hex);
	puts(hex);
	return 0;
}

static int do_append(const struct options *opt, const char *path, const char *file,
		     struct err *err)
{
	const char *name = NULL;
	char *copy;
	int dirfd = open_dir_of(path, &copy, &name, err);
	int rc = dirfd < 0 ? -1 : append_file(dirfd, opt, name, file, err);

	io_close(&dirfd);
	free(copy);
	return rc;
}

/* Opens a directory below another; a symbolic link is none. Returns -1 with errno. */
static int open_below(int dirfd, const char *name)
{
	return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Seals INSTANCE/TIME; what holds no SHA256SUMS is no complete evidence. */
static int seal_one(int instancefd, const char *instance, const char *when,
		    struct err *err)
{
	uint8_t head[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];
	int fd = open_below(instancefd, when);
	int rc = 0;

	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP
			       ? 0
			       : err_sys(err, errno, "opening %s/%s", instance, when);
	if (faccessat(fd, "SHA256SUMS", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		rc = custody_seal(fd, "hash", instance, head, err);
		if (rc < 0) {
			err_prefix(err, "%s/%s", instance, when);
		} else {
			sha256_to_hex(head, hex);
			printf("%s  ", hex);
			cli_put_text(stdout, instance);
			putchar('/');
			cli_put_text(stdout, when);
			putchar('\n');
		}
	}
	io_close(&fd);
	return rc;
}

/* One that cannot be sealed does not keep the others from it. */
static int seal_instance(int topfd, const char *instance, struct err *first,
			 struct err *err)
{
	struct dirlist times;
	int fd = open_below(topfd, instance);

	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP
			       ? 0
			       : err_sys(err, errno, "opening %s", instance);
	if (dirlist_read(fd, &times, err) < 0) {
		io_close(&fd);
		return err_prefix(err, "%s", instance);
	}
	for (size_t i = 0; i < times.count; i++) {
		if (seal_one(fd, instance, times.names[i], err) == 0)
			continue;
		err_report(err, "hash");
		if (!first->kind)
			*first = *err;
	}
	dirlist_free(&times);
	io_close(&fd);
	return 0;
}

static int do_seal(const char *path, struct err *err)
{
	struct err first = { 0 };
	struct dirlist instances;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int rc = -1;

	if (fd < 0)
		return err_sys(err, errno, "opening %s", path);
	if (dirlist_read(fd, &instances, err) < 0) {
		io_close(&fd);
		return err_prefix(err, "%s", path);
	}
	for (size_t i = 0; i < instances.count; i++) {
		rc = seal_instance(fd, instances.names[i], &first, err);
		if (rc < 0)
			break;
	}
	if (!instances.count)
		rc = 0;
	dirlist_free(&instances);
	io_close(&fd);
	if (rc == 0 && first.kind)
		rc = err_set(err, first.kind, "%s: not everything is sealed", path);
	return rc;
}

int do_custody(const struct options *opt, char **arguments)
{
	struct err err = { 0 };
	int rc;

	if (strcmp(opt->custody, "verify") == 0)
		rc = do_verify(opt, arguments[0], &err);
	else if (strcmp(opt->custody, "head") == 0)
		rc = do_head(arguments[0], &err);
	else if (strcmp(opt->custody, "append") == 0)
		rc = do_append(opt, arguments[0], arguments[1], &err);
	else
		rc = do_seal(arguments[0], &err);
	return rc < 0 ? err_report(&err, "hash") : 0;
}

const char *custody_contradiction(const struct options *opt, int arguments)
{
	uint8_t digest[SHA256_LEN];
	bool appends = opt->custody && strcmp(opt->custody, "append") == 0;
	bool verifies = opt->custody && strcmp(opt->custody, "verify") == 0;

	if (!opt->custody)
		return opt->head || opt->instance || opt->action || opt->note
			       ? "--head, --instance, --action and --note belong to "
				 "--custody"
			       : NULL;
	if (!appends && !verifies && strcmp(opt->custody, "head") != 0 &&
	    strcmp(opt->custody, "seal") != 0)
		return "--custody takes append, verify, head or seal";
	if (arguments != (appends ? 2 : 1))
		return appends ? "--custody append takes a log and a file"
			       : "--custody takes one argument";
	if (appends != (opt->instance && opt->action))
		return "--custody append, --instance and --action go together";
	if (opt->note && !appends)
		return "--note belongs to --custody append";
	if (opt->head && !verifies)
		return "--head belongs to --custody verify";
	if (opt->head &&
	    (!sha256_from_hex(opt->head, digest) || opt->head[2 * SHA256_LEN]))
		return "--head takes 64 hex digits";
	return NULL;
}
