/*
 * /dev/crash: the driver of RHEL and its kin, in which the file offset is the physical
 * address. Source of the facts: drivers/char/crash.c of RHEL's kernels, whose
 * crash_read() answers EINVAL to a request that crosses a page, and EFAULT where no RAM
 * is, of which it writes a line to the kernel's log each time; crash_open() wants
 * CAP_SYS_RAWIO. What is RAM is asked page by page: of a range that ends inside a page
 * that part is refused. tests/vm/crash behaves the same.
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

/* Whatever stands at the name, opening it must not wait. */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

struct crash {
	int fd;
	const struct ranges *ranges;
	/* The address last refused with EFAULT, so that halving a request asks for it
	 * once: the machine's log is evidence. */
	bool refused;
	uint64_t refused_at;
};

/* One piece inside one page. Returns the count, -1 with errno. */
static ssize_t read_piece(int fd, uint64_t phys, void *buf, size_t len)
{
	ssize_t n;

	do
		n = pread(fd, buf, len, (off_t)phys);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Does the driver give a byte of any range? The last ones first: what stands low in
 * memory is odd. Returns 0, or why not. */
static int gives_nothing(int fd, const struct ranges *ranges)
{
	int errnum = ENODATA;

	for (size_t i = ranges->count; i > 0; i--) {
		unsigned char byte;
		ssize_t n = read_piece(fd, ranges->at[i - 1].start, &byte, 1);

		if (n == 1)
			return 0;
		errnum = n < 0 ? errno : ENODATA;
	}
	return errnum;
}

static void say_why(const struct source_env *env, int errnum,
		    struct source_verdict *verdict)
{
	struct host host;

	host_read(env->proc_dirfd, env->sys_dirfd, &host);
	if (!host_may(&host, HOST_CAP_SYS_RAWIO))
		verdict_set(verdict, false,
			    "/dev/crash needs CAP_SYS_RAWIO, which this process lacks");
	else
		verdict_set(verdict, false, "opening /dev/crash: %s (lockdown: %s)",
			    strerror(errnum), host_lockdown_name(host.lockdown));
}

static void probe(const struct source_env *env, const struct ranges *ranges,
		  struct source_verdict *verdict)
{
	struct stat st;
	int fd, errnum;

	if (fstatat(env->dev_dirfd, "crash", &st, AT_SYMLINK_NOFOLLOW) < 0) {
		errnum = errno;
		verdict_set(verdict, false, "/dev/crash: %s", strerror(errnum));
		return;
	}
	if (!S_ISCHR(st.st_mode)) {
		verdict_set(verdict, false, "/dev/crash is not a character device");
		return;
	}
	fd = openat(env->dev_dirfd, "crash", OPEN_FLAGS);
	if (fd < 0) {
		say_why(env, errno, verdict);
		return;
	}
	errnum = gives_nothing(fd, ranges);
	close(fd);
	if (errnum)
		verdict_set(verdict, false, "/dev/crash opens, but gives no memory: %s",
			    strerror(errnum));
	else
		verdict_set(verdict, true, "/dev/crash opens and gives memory");
}

static int open_crash(struct source *source, const struct source_env *env,
		      const struct ranges *ranges, struct err *err)
{
	static struct crash crash;
	struct source_verdict verdict;
	struct err fake;
	struct stat st;

	crash = (struct crash){ .ranges = ranges };
	crash.fd = openat(env->dev_dirfd, "crash", OPEN_FLAGS);
	source->state = &crash;
	if (crash.fd < 0 && errno == ENOENT)
		return err_set(err, ERR_REFUSED, "this machine has no /dev/crash");
	if (crash.fd < 0) {
		int errnum = errno;

		say_why(env, errnum, &verdict);
		return errnum == EPERM || errnum == EACCES
			       ? err_set(err, ERR_REFUSED, "%s", verdict.reason)
			       : err_sys(err, errnum, "opening /dev/crash");
	}
	/* Beside the kernel's own /proc a file is nobody's memory; beside a fake one it
	 * stands for the device. */
	if (fstat(crash.fd, &st) == 0 && !S_ISCHR(st.st_mode) &&
	    source_need_real_proc(env, &fake) == 0)
		return err_set(err, ERR_REFUSED, "/dev/crash is not a character device");
	return 0;
}

static uint64_t hole_crash(struct source *source, uint64_t phys, uint64_t len)
{
	const struct crash *crash = source->state;

	return source_hole(crash->ranges, phys, len);
}

static ssize_t read_crash(struct source *source, uint64_t phys, void *buf, size_t len)
{
	struct crash *crash = source->state;
	size_t done = 0;

	len = (size_t)source_room(crash->ranges, phys, len);
	while (done < len) {
		uint64_t at = phys + done;
		size_t want = PAGE - (size_t)(at % PAGE);
		ssize_t n;

		if (want > len - done)
			want = len - done;
		if (crash->refused && crash->refused_at == at) {
			errno = EFAULT;
			n = -1;
		} else {
			n = read_piece(crash->fd, at, (char *)buf + done, want);
		}
		if (n < 0) {
			crash->refused = errno == EFAULT;
			crash->refused_at = at;
			if (!done)
				return -1;
		}
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
