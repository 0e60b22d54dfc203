/*
 * vmctl: one-shot commands to a test guest and to the QEMU that runs it.
 *
 * Every command is bounded in time and ends in one of three ways that a test must tell
 * apart: the answer is yes (0), the answer is no (1), or no answer ever came (5, and the
 * message begins "never finished:"; 4 when nobody listens).
 */
#include "vmctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char usage_text[] =
	"usage: vmctl qmp SOCKET JSON [SECONDS]\n"
	"       vmctl guard SECONDS PROGRAM [ARGUMENT...]\n"
	"       vmctl ready SOCKET SECONDS [PID]          PID: the guard, given up on when dead\n"
	"       vmctl put SOCKET FILE PATH [OCTAL-MODE]\n"
	"       vmctl get SOCKET PATH FILE\n"
	"       vmctl run [OPTION...] SOCKET PROGRAM [ARGUMENT...]\n"
	"       vmctl step [OPTION...] SOCKET SCRIPT\n"
	"       vmctl insmod [--timeout S] SOCKET PATH [PARAMETERS]\n"
	"       vmctl rmmod [--timeout S] SOCKET NAME\n"
	"       vmctl plant SOCKET PAGES FILE    FILE: a line \"PHYSICAL BYTES\" (hex) a page\n"
	"       vmctl litter SOCKET PAGES\n"
	"       vmctl sync|ps|poweroff SOCKET\n"
	"SOCKET is the agent's (the monitor's for qmp). Options of run and step:\n"
	"  --timeout S         the guest kills the process group after S seconds (60)\n"
	"  --status FILE       gets `exit N', `signal N', `timeout', `error' or `never'\n"
	"  --env NAME=VALUE    added to the program's environment\n"
	"  --cwd DIR           working directory (run: /, step: /usr/bin)\n"
	"  --instance ID, --command ID, --step NAME, --region NAME   of the step\n"
	"Exit: 0 yes (the program's exit code is 0); 1 no; 2 usage; 4 nobody listens;\n"
	"5 never finished (no answer in time, or the guest died).\n";

int usage(void)
{
	fputs(usage_text, stderr);
	return VM_USAGE;
}

int complain(int code, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs(code == VM_NEVER ? "vmctl: never finished: " : "vmctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

int connect_unix(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char dir[4096];
	const char *base = strrchr(path, '/');
	int dirfd = -1, fd = -1, saved;

	/* The directory by its descriptor: build trees may stand deep. */
	if (snprintf(dir, sizeof(dir), "%.*s", base ? (int)(base - path) + 1 : 1,
		     base ? path : ".") >= (int)sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	base = base ? base + 1 : path;
	dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -1;
	if (snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/%s", dirfd,
		     base) >= (int)sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		goto out;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto out;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		saved = errno;
		close(fd);
		fd = -1;
		errno = saved;
	}
out:
	saved = errno;
	close(dirfd);
	errno = saved;
	return fd;
}

int main(int argc, char **argv)
{
	int rc;

	if (argc < 2)
		return usage();
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")) {
		fputs(usage_text, stdout);
		return fflush(stdout) ? 5 : 0;
	}
	if (!strcmp(argv[1], "qmp"))
		rc = cmd_qmp(argc - 1, argv + 1);
	else if (!strcmp(argv[1], "guard"))
		rc = cmd_guard(argc - 1, argv + 1);
	else
		rc = cmd_guest(argc - 1, argv + 1);
	if (fflush(stdout) || ferror(stdout))
		return complain(VM_NEVER, "standard output: %s", strerror(errno));
	return rc;
}
