/*
 * /dev/crash: the driver of RHEL and its kin, in which the file offset is the physical
 * address. Source of the facts: drivers/char/crash.c of RHEL's kernels, whose
 * crash_read() answers EINVAL to a request that crosses a page and EFAULT where no RAM
 * is.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/host.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/source.h"
#include "toolkit/lib/sourceutil.h"

/* The smallest page of any kernel: a piece inside it is inside a larger one too. */
#define PAGE 4096

struct crash {
	int fd;
	const struct ranges *ranges;
};

static void probe(const struct source_env *env, const struct ranges *ranges,
		  struct source_verdict *verdict)
{
	struct stat st;
	struct host host;
	int fd, errnum;

	(void)ranges;
	if (fstatat(env->dev_dirfd, "crash", &st, AT_SYMLINK_NOFOLLOW) < 0) {
		errnum = errno;
		verdict_set(verdict, false, "/dev/crash: %s", strerror(errnum));
		return;
	}
	if (!S_ISCHR(st.st_mode)) {
		verdict_set(verdict, false, "/dev/crash is not a character device");
		return;
	}
	fd = openat(env->dev_dirfd, "crash", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	errnum = errno;
	if (fd >= 0) {
		close(fd);
		verdict_set(verdict, true, "/dev/crash opens");
		return;
	}
	host_read(env->proc_dirfd, env->sys_dirfd, &host);
	verdict_set(verdict, false, "opening /dev/crash: %s (lockdown: %s)",
		    strerror(errnum), host_lockdown_name(host.lockdown));
}

static int open_crash(struct source *source, const struct source_env *env,
		      const struct ranges *ranges, struct err *err)
{
	static struct crash crash;

	crash.ranges = ranges;
	crash.fd = openat(env->dev_dirfd, "crash", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	source->state = &crash;
	if (crash.fd >= 0)
		return 0;
	if (errno == ENOENT)
		return err_set(err, ERR_REFUSED, "this machine has no /dev/crash");
	return err_sys(err, errno, "opening /dev/crash");
}

static uint64_t hole_crash(struct source *source, uint64_t phys, uint64_t len)
{
	const struct crash *crash = source->state;

	return source_hole(crash->ranges, phys, len);
}

static ssize_t read_crash(struct source *source, uint64_t phys, void *buf, size_t len)
{
	const struct crash *crash = source->state;
	size_t done = 0;

	len = (size_t)source_room(crash->ranges, phys, len);
	while (done < len) {
		size_t want = PAGE - (size_t)((phys + done) % PAGE);
		ssize_t n;

		if (want > len - done)
			want = len - done;
		do
			n = pread(crash->fd, (char *)buf + done, want,
				  (off_t)(phys + done));
		while (n < 0 && errno == EINTR);
		if (n < 0 && !done)
			return -1;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int close_crash(struct source *source, struct err *err)
{
	struct crash *crash = source->state;

	(void)err;
	if (crash)
		io_close(&crash->fd);
	source->state = NULL;
	return 0;
}

const struct source_ops source_crash = {
	.name = "crash",
	.probe = probe,
	.open = open_crash,
	.read = read_crash,
	.hole = hole_crash,
	.close = close_crash,
};
