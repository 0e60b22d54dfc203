#include "toolkit/lib/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

bool place_good_instance(const char *id)
{
	size_t len = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"0123456789-_.");

	return len > 0 && len <= 64 && id[len] == '\0' && id[0] != '.' && id[0] != '-';
}

void place_name(const char *instance, time_t when, char *path, size_t size)
{
	char stamp[32];
	struct tm tm;

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&when, &tm));
	snprintf(path, size, "%s/%s", instance, stamp);
}

int place_make(const char *evidence, const char *instance, char *path, size_t size,
	       struct err *err)
{
	int topfd = open(evidence, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = -1;

	if (topfd < 0)
		return err_sys(err, errno, "opening %s", evidence);
	if (io_mkdir(topfd, instance, 0700, err) < 0)
		goto out;
	for (int tries = 0; tries < 10 && fd < 0; tries++) {
		place_name(instance, time(NULL) + tries, path, size);
		if (mkdirat(topfd, path, 0700) == 0)
			fd = openat(topfd, path,
				    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		else if (errno == EEXIST)
			continue;
		if (fd < 0) {
			err_sys(err, errno, "making %s/%s", evidence, path);
			goto out;
		}
	}
	if (fd < 0)
		err_set(err, ERR_FAILED, "%s/%s exists already", evidence, path);
out:
	io_close(&topfd);
	return fd;
}

static int write_stdout(void *arg, const void *data, size_t len_bytes, struct err *err)
{
	const unsigned char *from = data;

	(void)arg;
	while (len_bytes) {
		ssize_t n = write(STDOUT_FILENO, from, len_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "writing");
		from += n;
		len_bytes -= (size_t)n;
	}
	return 0;
}

static int finish_stdout(void *arg, struct err *err)
{
	(void)arg;
	/* A pipe has nothing to sync; of a file on a full disk this is the last word. */
	if (fsync(STDOUT_FILENO) < 0 && errno != EINVAL && errno != EROFS)
		return err_sys(err, errno, "writing");
	return 0;
}

/* Who reads a stream that was given up learns it from the exit code. */
static void abort_stdout(void *arg)
{
	(void)arg;
}

const struct sink_stream place_stdout = { write_stdout, finish_stdout, abort_stdout,
					  NULL };
