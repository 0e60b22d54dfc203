/*
 * PID 1 of a test guest, in the place of both init and the SSM agent.
 *
 * It is static and stands beside the userland under test, so that what a test sees of the
 * guest (processes, modules, the step's environment) does not depend on that userland. It
 * writes nothing on the root disk unless a command says so: an idle guest leaves its disk
 * alone, which is what makes a one-byte change by the scripts visible.
 */
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

void send_frame(struct agent *a, uint32_t type, uint64_t tag, const void *data,
		size_t len)
{
	/* Nobody there is no error here: the asker's own deadline tells it. */
	(void)frame_write(a->tty, type, tag, data, len, clock_ms() + SEND_MS);
}

void send_ok(struct agent *a, uint64_t tag, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	send_frame(a, F_OK, tag, text, (size_t)n);
}

void send_errno(struct agent *a, uint64_t tag, const char *what)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));

	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	send_frame(a, F_ERROR, tag, text, (size_t)n);
}

const char *next_string(const unsigned char **p, const unsigned char *end)
{
	const unsigned char *nul = memchr(*p, 0, (size_t)(end - *p));
	const char *s = (const char *)*p;

	if (!nul)
		return NULL;
	*p = nul + 1;
	return s;
}

int next_u32(const unsigned char **p, const unsigned char *end, uint32_t *out)
{
	if (end - *p < (ptrdiff_t)sizeof(*out))
		return -1;
	memcpy(out, *p, sizeof(*out));
	*p += sizeof(*out);
	return 0;
}

/*
 * sync(2) writes back the data and commits the journal; freezing also empties the journal
 * into the final places and clears the recovery flag, so that the disk image can be read
 * block by block as it stands.
 */
static void answer_sync(struct agent *a, const struct frame *f)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME);

	sync();
	if (fd < 0) {
		send_errno(a, f->tag, "open /");
		return;
	}
	if (ioctl(fd, FIFREEZE, 0) < 0 || ioctl(fd, FITHAW, 0) < 0)
		send_errno(a, f->tag, "freeze /");
	else
		send_ok(a, f->tag, "synced");
	close(fd);
}

/* Returns the parent's pid from /proc/PID/stat, whose second field may hold anything. */
static int read_stat(const char *pid, char *comm, size_t comm_size)
{
	char path[64], text[512];
	int ppid = -1;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	FILE *in = fopen(path, "re");
	if (!in)
		return -1;
	size_t n = fread(text, 1, sizeof(text) - 1, in);
	fclose(in);
	text[n] = '\0';
	char *open = strchr(text, '('), *close = strrchr(text, ')');
	if (!open || !close || sscanf(close + 1, " %*c %d", &ppid) != 1)
		return -1;
	*close = '\0';
	snprintf(comm, comm_size, "%s", open + 1);
	return ppid;
}

static void answer_ps(struct agent *a, const struct frame *f)
{
	DIR *dir = opendir("/proc");
	struct dirent *de;

	if (!dir) {
		send_errno(a, f->tag, "/proc");
		return;
	}
	while ((de = readdir(dir))) {
		char path[64], exe[512], comm[64], line[700];

		if (de->d_name[0] < '1' || de->d_name[0] > '9')
			continue;
		int ppid = read_stat(de->d_name, comm, sizeof(comm));
		/* Threads of the kernel come and go by themselves. */
		if (ppid < 0 || ppid == 2 || !strcmp(de->d_name, "2"))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/exe", de->d_name);
		ssize_t n = readlink(path, exe, sizeof(exe) - 1);
		exe[n < 0 ? 0 : n] = '\0';
		int len = snprintf(line, sizeof(line), "%.20s %d %s %s\n", de->d_name,
				   ppid, comm, n < 0 ? "-" : exe);
		send_frame(a, F_STDOUT, f->tag, line, (size_t)len);
	}
	closedir(dir);
	send_ok(a, f->tag, "end");
}

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void answer(struct agent *a, const struct frame *f)
{
	struct utsname u;

	switch (f->type) {
	case F_HELLO:
		uname(&u);
		send_ok(a, f->tag, "%s %s", u.release, u.machine);
		break;
	case F_PUT_OPEN:
		answer_put_open(a, f);
		break;
	case F_PUT_DATA:
		answer_put_data(a, f);
		break;
	case F_GET_OPEN:
		answer_get_open(a, f);
		break;
	case F_GET_DATA:
		answer_get_data(a, f);
		break;
	case F_CLOSE:
		answer_close(a, f);
		break;
	case F_RUN:
		answer_run(a, f);
		break;
	case F_STEP:
		answer_step(a, f);
		break;
	case F_INSMOD:
		answer_insmod(a, f);
		break;
	case F_RMMOD:
		answer_rmmod(a, f);
		break;
	case F_SYNC:
		answer_sync(a, f);
		break;
	case F_PS:
		answer_ps(a, f);
		break;
	case F_PLANT:
		answer_plant(a, f);
		break;
	case F_LITTER:
		answer_litter(a, f);
		break;
	case F_POWEROFF:
		send_ok(a, f->tag, "off");
		tcdrain(a->tty);
		power_off();
		break;
	default:
		errno = ENOSYS;
		send_errno(a, f->tag, "command");
	}
}

static void mount_one(const char *type, const char *at, unsigned long flags,
		      const char *data)
{
	/* EBUSY: the kernel mounts devtmpfs by itself where it is configured to. */
	if (mount(type, at, type, flags, data) < 0 && errno != EBUSY)
		fprintf(stderr, "agent: mounting %s: %s\n", at, strerror(errno));
}

/* The mounts that systemd makes on a real instance, with its flags. */
static void mount_all(void)
{
	unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	mount_one("proc", "/proc", safe, NULL);
	mount_one("sysfs", "/sys", safe, NULL);
	mount_one("devtmpfs", "/dev", MS_NOSUID, "mode=755");
	mount_one("securityfs", "/sys/kernel/security", safe, NULL);
	mount_one("tracefs", "/sys/kernel/tracing", safe, NULL);
	mount_one("tmpfs", "/run", safe, "mode=755");
	mount_one("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
	if (symlink("/proc/self/fd", "/dev/fd") < 0 && errno != EEXIST)
		perror("agent: /dev/fd");
}

static int open_tty(const char *name)
{
	char path[64];
	struct termios t;

	snprintf(path, sizeof(path), "/dev/%s", name);
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || tcgetattr(fd, &t) < 0)
		return -1;
	cfmakeraw(&t);
	/* Without CLOCAL a host that disconnects would hang up the line. */
	t.c_cflag |= CLOCAL | CREAD;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	cfsetspeed(&t, B115200);
	if (tcsetattr(fd, TCSANOW, &t) < 0)
		return -1;
	tcflush(fd, TCIFLUSH);
	return fd;
}

int main(void)
{
	static struct agent a;
	struct frame f;
	sigset_t set;

	if (getpid() != 1) {
		fprintf(stderr, "agent: this is the init of a test guest\n");
		return 2;
	}
	umask(022);
	mount_all();
	const char *name = getenv("agent_tty");
	a.file_fd = -1;
	a.mailbox_fd = -1;
	a.tty = open_tty(name ? name : "ttyS1");
	if (a.tty < 0) {
		perror("agent: serial port");
		power_off();
	}
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	a.sigchld = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	frame_reader_init(&a.reader, a.tty);
	for (;;) {
		struct signalfd_siginfo si;
		struct pollfd p[2] = {
			{ .fd = a.tty, .events = POLLIN },
			{ .fd = a.sigchld, .events = POLLIN },
		};
		while (frame_poll(&a.reader, &f) == 1)
			answer(&a, &f);
		(void)poll(p, 2, -1);
		while (read(a.sigchld, &si, sizeof(si)) > 0)
			continue;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
	}
}
