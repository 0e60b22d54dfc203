/* /proc/kcore as a source: kcore.h does the work. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/host.h"
#include "toolkit/lib/kcore.h"
#include "toolkit/lib/source.h"
#include "toolkit/lib/sourceutil.h"

/*
 * Kernels in which a read() whose last page is unreadable fails whole, and one with such
 * a page before its end has zeros there: upstream's 3d5854d75e31 ("fs/proc/kcore.c: allow
 * translation of physical memory addresses", 6.12-rc3) kept the failed copy's return
 * value after the page had been replaced by zeros; 088f294609d8 ("fs/proc/kcore.c: Clear
 * ret value in read_kcore_iter after successful iov_iter_zero", 6.13-rc1) clears it. The
 * stable releases that took the first: 6.1.116, 6.6.57, 6.11.4; the
 * second: 6.1.120, 6.6.64, 6.12.4. 6.11 ended with 6.11.11 before it. All other kernels
 * give zeros, silently.
 */
static const struct {
	uint32_t first, last;
} fail_whole_reads[] = {
	{ HOST_VERSION(6, 1, 116), HOST_VERSION(6, 1, 119) },
	{ HOST_VERSION(6, 6, 57), HOST_VERSION(6, 6, 63) },
	{ HOST_VERSION(6, 11, 4), HOST_VERSION(6, 11, 11) },
	{ HOST_VERSION(6, 12, 0), HOST_VERSION(6, 12, 3) },
};

static bool fails_whole_reads(uint32_t version)
{
	for (size_t i = 0; i < sizeof(fail_whole_reads) / sizeof(fail_whole_reads[0]);
	     i++)
		if (version >= fail_whole_reads[i].first &&
		    version <= fail_whole_reads[i].last)
			return true;
	return false;
}

static void probe(const struct source_env *env, const struct ranges *ranges,
		  struct source_verdict *verdict)
{
	struct host host;
	int fd, errnum;

	(void)ranges;
	host_identify(env->proc_dirfd, &host);
	fd = openat(env->proc_dirfd, "kcore", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	errnum = errno;
	if (fd >= 0) {
		close(fd);
		if (fails_whole_reads(host.version))
			verdict_set(verdict, true,
				    "/proc/kcore opens; this kernel fails a whole read "
				    "for one unreadable page, so single pages may be "
				    "refused");
		else
			verdict_set(verdict, true, "/proc/kcore opens");
		return;
	}
	host_read(env->proc_dirfd, env->sys_dirfd, &host);
	if (errnum == ENOENT) {
		verdict_set(verdict, false,
			    "this kernel has no /proc/kcore (CONFIG_PROC_KCORE)");
	} else if (!host_may(&host, HOST_CAP_SYS_RAWIO)) {
		verdict_set(verdict, false,
			    "/proc/kcore needs CAP_SYS_RAWIO, which this process lacks");
	} else if (host.lockdown == LOCKDOWN_CONFIDENTIALITY) {
		verdict_set(verdict, false,
			    "lockdown=confidentiality refuses /proc/kcore");
	} else {
		verdict_set(verdict, false, "opening /proc/kcore: %s (lockdown: %s)",
			    strerror(errnum), host_lockdown_name(host.lockdown));
	}
}

static int open_kcore(struct source *source, const struct source_env *env,
		      const struct ranges *ranges, struct err *err)
{
	static struct kcore kcore;
	struct source_verdict verdict;

	kcore.fd = -1;
	source->state = &kcore;
	if (kcore_open(&kcore, env->proc_dirfd, ranges, err) == 0) {
		source->direct_map = kcore.base;
		return 0;
	}
	if (err->kind == ERR_REFUSED) {
		/* "Operation not permitted" is not why. */
		probe(env, ranges, &verdict);
		if (!verdict.usable)
			err_set(err, ERR_REFUSED, "%s", verdict.reason);
	}
	return -1;
}

static ssize_t read_kcore(struct source *source, uint64_t phys, void *buf, size_t len)
{
	return kcore_read(source->state, phys, buf, len);
}

static uint64_t hole_kcore(struct source *source, uint64_t phys, uint64_t len)
{
	return kcore_hole(source->state, phys, len);
}

static int close_kcore(struct source *source, struct err *err)
{
	(void)err;
	if (source->state)
		kcore_close(source->state);
	source->state = NULL;
	return 0;
}

const struct source_ops source_kcore = {
	.name = "kcore",
	.probe = probe,
	.open = open_kcore,
	.read = read_kcore,
	.hole = hole_kcore,
	.close = close_kcore,
};
