#include "toolkit/triage/tracefs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "toolkit/lib/host.h"
#include "toolkit/lib/io.h"
#include "toolkit/triage/textlines.h"

#define TRACEFS_TYPE 0x74726163
#define DEBUGFS_TYPE 0x64626720

/* linux/mount.h, where the C library has none of it. */
#ifndef SYS_fsopen
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif
#define OPEN_CLOEXEC 1	/* FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC */
#define CONFIG_CREATE 6 /* FSCONFIG_CMD_CREATE */

static bool kernel_has(const struct triage *t, const char *name)
{
	int fd = openat(t->procfd, "filesystems", O_RDONLY | O_CLOEXEC);
	struct textlines lines;
	char buf[1024], *line;
	bool found = false;
	size_t len;

	if (fd < 0)
		return false;
	textlines_begin(&lines, fd, buf, sizeof(buf), 65536);
	while (!found && (line = textlines_next(&lines, &len))) {
		const char *tab = strrchr(line, '\t');

		found = tab && strcmp(tab + 1, name) == 0;
	}
	close(fd);
	return found;
}

static int open_detached(const char *name)
{
	int context = (int)syscall(SYS_fsopen, name, OPEN_CLOEXEC), fd, saved;

	if (context < 0)
		return -1;
	fd = (int)syscall(SYS_fsconfig, context, CONFIG_CREATE, NULL, NULL, 0);
	if (fd == 0)
		fd = (int)syscall(SYS_fsmount, context, OPEN_CLOEXEC, 0);
	saved = errno;
	close(context);
	errno = saved;
	return fd;
}

int triage_kernel_fs(const struct triage *t, enum kernel_fs which,
		     enum triage_reason *reason)
{
	static const struct {
		const char *name, *path;
		uint32_t type;
	} known[] = {
		[KERNEL_FS_TRACEFS] = { "tracefs", "kernel/tracing", TRACEFS_TYPE },
		[KERNEL_FS_DEBUGFS] = { "debugfs", "kernel/debug", DEBUGFS_TYPE },
	};
	int fd = openat(t->sysfd, known[which].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd >= 0 && (!t->live || (fstatfs(fd, &fs) == 0 &&
				     (uint32_t)fs.f_type == known[which].type)))
		return fd;
	io_close(&fd);
	*reason = REASON_NOT_SUPPORTED;
	errno = ENODEV;
	if (!t->live || !kernel_has(t, known[which].name))
		return -1;
	*reason = REASON_CAPABILITY;
	errno = EPERM;
	if (!triage_may(t, HOST_CAP_SYS_ADMIN))
		return -1;
	fd = open_detached(known[which].name);
	if (fd < 0)
		*reason = triage_reason_of(t, errno);
	return fd;
}
