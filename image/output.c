#include "image/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

/* Locks the file and sees that the name still means it: its writer may have renamed it.
 */
static int lock(const struct output *output, struct err *err)
{
	struct stat held, named;

	if (flock(output->fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, ERR_FAILED, "%s is being written by another run",
			       output->partial);
	if (fstat(output->fd, &held) < 0)
		return err_sys(err, errno, "examining %s", output->partial);
	if (lstat(output->partial, &named) < 0 || held.st_ino != named.st_ino ||
	    held.st_dev != named.st_dev)
		return err_set(err, ERR_FAILED, "%s is being written by another run",
			       output->partial);
	if (!S_ISREG(held.st_mode))
		return err_set(err, ERR_FAILED, "%s is not a regular file",
			       output->partial);
	return 0;
}

int output_open(struct output *output, const char *name, uint64_t size_bytes,
		struct err *err)
{
	*output = (struct output)OUTPUT_NONE;
	output->name = strdup(name);
	if (!output->name || asprintf(&output->partial, "%s.partial", name) < 0) {
		output->partial = NULL;
		return err_set(err, ERR_FAILED, "out of memory");
	}
	output->fd = open(output->partial,
			  O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
	if (output->fd < 0)
		return err_sys(err, errno, "creating %s", output->partial);
	if (lock(output, err) < 0) {
		/* Not ours: output_abandon() must not remove it. */
		io_close(&output->fd);
		return -1;
	}
	/* By way of 0: what an old run left must not show through. */
	if (ftruncate(output->fd, 0) < 0 || ftruncate(output->fd, (off_t)size_bytes) < 0)
		return err_sys(err, errno, "setting the size of %s", output->partial);
	return 0;
}

static int sync_parent(const char *name, struct err *err)
{
	const char *slash = strrchr(name, '/');
	size_t len = slash ? (size_t)(slash - name) : 0;
	char *dir = !slash ? strdup(".") : len ? strndup(name, len) : strdup("/");
	int fd;
	int rc = -1;

	if (!dir)
		return err_set(err, ERR_FAILED, "out of memory");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		err_sys(err, errno, "opening %s", dir);
	else
		rc = io_sync_dir(fd, err);
	io_close(&fd);
	free(dir);
	return rc;
}

int output_finish(struct output *output, struct err *err)
{
	int fd = output->fd;

	if (fsync(fd) < 0)
		return err_sys(err, errno, "making %s durable", output->partial);
	if (rename(output->partial, output->name) < 0)
		return err_sys(err, errno, "naming %s", output->name);
	output->fd = -1;
	if (close(fd) < 0)
		return err_sys(err, errno, "closing %s", output->name);
	return sync_parent(output->name, err);
}

void output_abandon(struct output *output)
{
	if (output->fd >= 0)
		unlink(output->partial);
	io_close(&output->fd);
	free(output->name);
	free(output->partial);
	*output = (struct output)OUTPUT_NONE;
}

int output_text(const char *name, const char *text, size_t len_bytes, struct err *err)
{
	struct output output;
	int rc = -1;

	if (output_open(&output, name, 0, err) < 0)
		goto out;
	if (io_pwrite(output.fd, text, len_bytes, 0) < 0) {
		err_sys(err, errno, "writing %s", output.partial);
		goto out;
	}
	rc = output_finish(&output, err);
out:
	output_abandon(&output);
	return rc;
}
