#include "toolkit/upload/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

/* Writes what comes behind "DIR/" in the real path of the source. */
static int relative(const char *dir, const char *source, struct entry *entry,
		    struct err *err)
{
	static char base[PATH_MAX], path[PATH_MAX];
	size_t len;

	if (!realpath(dir, base))
		return err_sys(err, errno, "finding %s", dir);
	if (!realpath(source, path))
		return err_sys(err, errno, "finding %s", source);
	len = strlen(base);
	if (strncmp(path, base, len) != 0 || path[len] != '/')
		return err_set(err, ERR_USAGE, "%s is not in the directory of the log",
			       source);
	if (strlen(path + len + 1) > CUSTODY_FILE_MAX)
		return err_set(err, ERR_USAGE, "%s: too long a name for the log", source);
	strcpy(entry->file, path + len + 1);
	return 0;
}

int entry_open(struct entry *entry, const struct options *opt, const char *source,
	       struct err *err)
{
	char *copy_dir = NULL, *copy_base = NULL;
	const char *dir, *base;
	int rc = -1;

	*entry = (struct entry){ .dirfd = -1 };
	if (!opt->custody)
		return 0;
	copy_dir = strdup(opt->custody);
	copy_base = strdup(opt->custody);
	if (!copy_dir || !copy_base) {
		err_set(err, ERR_FAILED, "out of memory");
		goto out;
	}
	dir = dirname(copy_dir);
	base = basename(copy_base);
	if (strlen(base) >= sizeof(entry->log)) {
		err_set(err, ERR_USAGE, "%s: name too long", opt->custody);
		goto out;
	}
	strcpy(entry->log, base);
	entry->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A log that is not there would be begun, in the wrong place. */
	if (entry->dirfd < 0 || faccessat(entry->dirfd, entry->log, W_OK, 0) < 0)
		err_sys(err, errno, "opening %s", opt->custody);
	else
		rc = relative(dir, source, entry, err);
out:
	free(copy_dir);
	free(copy_base);
	return rc;
}

int entry_add(const struct entry *entry, const struct options *opt, const char *bucket,
	      const char *key, const struct transfer_result *result,
	      uint8_t head[SHA256_LEN], struct err *err)
{
	char note[S3_KEY_MAX + 512]; /* the log cuts it */
	struct custody_event event = { .tool = "upload",
				       .instance = opt->instance,
				       .action = opt->presigned		? "sent"
						 : result->was_complete ? "verified"
									: "uploaded",
				       .file = entry->file,
				       .sha256 = result->sha256,
				       .note = note };

	snprintf(note, sizeof(note), "s3://%s/%s%s%s%s", bucket, key,
		 opt->presigned ? ", to be completed" : "",
		 result->object.version[0] ? ", version " : "", result->object.version);
	if (custody_append(entry->dirfd, entry->log, &event, head, err) < 0)
		return err_prefix(err, "%s was sent, but not entered into %s",
				  entry->file, opt->custody);
	return 0;
}

void entry_close(struct entry *entry)
{
	io_close(&entry->dirfd);
}
