/*
 * Children of the agent: command lines, steps of a Command document, module calls.
 *
 * A child runs in its own process group with standard input closed off, and is waited for
 * as the SSM agent does it: until it has ended AND everybody has let go of its standard
 * output, so that a background child which keeps the pipe blocks the step; at the timeout
 * the process group gets SIGKILL, and whoever left the group survives.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 256
/* After the kill: time for the pipes to drain. */
#define DRAIN_MS 300

struct stream {
	int fd;	  /* read end, -1 once it has ended */
	int copy; /* file that gets the same bytes, or -1 */
	uint32_t type;
};

struct run {
	pid_t pid;
	int ended;
	int status;
	struct stream out[2];
};

static void pump(struct agent *a, uint64_t tag, struct stream *s)
{
	static char buf[16384];

	while (s->fd >= 0) {
		ssize_t n = read(s->fd, buf, sizeof(buf));
		if (n > 0) {
			send_frame(a, s->type, tag, buf, (size_t)n);
			/* The copy is the guest's own record; the host has the bytes. */
			if (s->copy >= 0 && write(s->copy, buf, (size_t)n) < 0)
				s->copy = -1;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (n < 0 && errno == EAGAIN) {
			return;
		} else {
			close(s->fd);
			s->fd = -1;
		}
	}
}

static void reap(struct agent *a, struct run *r)
{
	struct signalfd_siginfo si;
	int status;
	pid_t pid;

	while (read(a->sigchld, &si, sizeof(si)) > 0)
		continue;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == r->pid) {
			r->ended = 1;
			r->status = status;
		}
	}
}

static void send_exit(struct agent *a, uint64_t tag, uint32_t kind, uint32_t value)
{
	struct frame_exit e = { kind, value };

	send_frame(a, F_EXIT, tag, &e, sizeof(e));
}

static void follow(struct agent *a, uint64_t tag, struct run *r, uint32_t timeout_ms)
{
	int64_t deadline = clock_ms() + timeout_ms;
	int killed = 0;

	while (!r->ended || r->out[0].fd >= 0 || r->out[1].fd >= 0) {
		int64_t left = deadline - clock_ms();
		if (left <= 0 && killed)
			break;
		if (left <= 0) {
			kill(-r->pid, SIGKILL);
			killed = 1;
			deadline = clock_ms() + DRAIN_MS;
			continue;
		}
		struct pollfd p[3] = {
			{ .fd = a->sigchld, .events = POLLIN },
			{ .fd = r->out[0].fd, .events = POLLIN },
			{ .fd = r->out[1].fd, .events = POLLIN },
		};
		(void)poll(p, 3, left > 60000 ? 60000 : (int)left);
		pump(a, tag, &r->out[0]);
		pump(a, tag, &r->out[1]);
		reap(a, r);
	}
	for (int i = 0; i < 2; i++)
		if (r->out[i].fd >= 0)
			close(r->out[i].fd);
	if (killed)
		send_exit(a, tag, EXIT_TIMEOUT, timeout_ms);
	else if (WIFEXITED(r->status))
		send_exit(a, tag, EXIT_CODE, (uint32_t)WEXITSTATUS(r->status));
	else
		send_exit(a, tag, EXIT_SIGNAL, (uint32_t)WTERMSIG(r->status));
}

static void become_child(int out, int err)
{
	sigset_t none;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	int null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	dup2(out, 1);
	dup2(err, 2);
	if (null > 2)
		close(null);
}

/* Runs child(arg) in a new process; its return value is the exit code. */
static void run_child(struct agent *a, uint64_t tag, uint32_t timeout_ms,
		      int (*child)(const void *), const void *arg, int copy_out,
		      int copy_err)
{
	struct run r = {
		.out = { { -1, copy_out, F_STDOUT }, { -1, copy_err, F_STDERR } },
	};
	int out[2], err[2];

	if (pipe2(out, O_CLOEXEC) < 0) {
		send_errno(a, tag, "pipe");
		return;
	}
	if (pipe2(err, O_CLOEXEC) < 0) {
		send_errno(a, tag, "pipe");
		close(out[0]);
		close(out[1]);
		return;
	}
	r.pid = fork();
	if (r.pid == 0) {
		become_child(out[1], err[1]);
		_exit(child(arg));
	}
	int saved = errno;
	close(out[1]);
	close(err[1]);
	if (r.pid < 0) {
		close(out[0]);
		close(err[0]);
		errno = saved;
		send_errno(a, tag, "fork");
		return;
	}
	/* Both sides, so that a kill of the group cannot come too early. */
	setpgid(r.pid, r.pid);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	r.out[0].fd = out[0];
	r.out[1].fd = err[0];
	follow(a, tag, &r, timeout_ms);
}

struct command {
	uint32_t timeout_ms;
	const char *cwd;
	char *argv[ARGS_MAX + 1];
	char *envp[ARGS_MAX + 1];
	const unsigned char *rest; /* what follows the strings */
	uint32_t argc;
};

static int parse_command(const struct frame *f, struct command *c)
{
	const unsigned char *p = f->data, *end = f->data + f->len_bytes;
	uint32_t argc, envc;

	if (next_u32(&p, end, &c->timeout_ms) || next_u32(&p, end, &argc) ||
	    next_u32(&p, end, &envc) || argc == 0 || argc > ARGS_MAX || envc > ARGS_MAX)
		return -1;
	c->cwd = next_string(&p, end);
	if (!c->cwd)
		return -1;
	for (uint32_t i = 0; i < argc; i++)
		if (!(c->argv[i] = (char *)next_string(&p, end)))
			return -1;
	for (uint32_t i = 0; i < envc; i++)
		if (!(c->envp[i] = (char *)next_string(&p, end)))
			return -1;
	c->argv[argc] = NULL;
	c->envp[envc] = NULL;
	c->rest = p;
	c->argc = argc;
	return 0;
}

static int exec_command(const void *arg)
{
	const struct command *c = arg;
	const char *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

	if (chdir(c->cwd) < 0) {
		perror(c->cwd);
		return 126;
	}
	/* The program is looked for in the agent's PATH, whatever the child's is. */
	setenv("PATH", path, 1);
	execvpe(c->argv[0], c->argv, c->envp);
	perror(c->argv[0]);
	return errno == ENOENT ? 127 : 126;
}

void answer_run(struct agent *a, const struct frame *f)
{
	static struct command c;

	errno = EPROTO;
	if (parse_command(f, &c) < 0)
		send_errno(a, f->tag, "run");
	else
		run_child(a, f->tag, c.timeout_ms, exec_command, &c, -1, -1);
}

/* Makes each directory of path. Returns 0, or -1 with errno. */
static int make_path(char *path)
{
	for (char *p = path + 1;; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char was = *p;
		*p = '\0';
		int rc = mkdir(path, 0700);
		*p = was;
		if (rc < 0 && errno != EEXIST)
			return -1;
		if (was == '\0')
			return 0;
	}
}

/* Writes the mailbox's first len bytes as an executable script. Returns 0, or -1 with
 * errno. */
static int write_script(struct agent *a, char *dir, const char *file, uint32_t len)
{
	if (make_path(dir) < 0)
		return -1;
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	if (fd < 0)
		return -1;
	int rc = copy_from_mailbox(a, fd, len);
	int saved = errno;
	close(fd);
	errno = saved;
	return rc;
}

/*
 * What the SSM agent does with one step: the script as a file of mode 0700 on the root
 * disk, run by `sh -c PATH` from the agent's working directory, and its output in two
 * files beside it.
 */
void answer_step(struct agent *a, const struct frame *f)
{
	static struct command c;
	static char dir[512], file[600];
	static char iid[128], region[128];
	uint64_t tag = f->tag;
	uint32_t script_len;

	errno = EPROTO;
	if (parse_command(f, &c) < 0 || c.argc != 4 ||
	    next_u32(&c.rest, f->data + f->len_bytes, &script_len)) {
		send_errno(a, tag, "step");
		return;
	}
	snprintf(dir, sizeof(dir),
		 "/var/lib/amazon/ssm/%.64s/document/orchestration/%.64s/%.64s",
		 c.argv[0], c.argv[1], c.argv[2]);
	snprintf(iid, sizeof(iid), "AWS_SSM_INSTANCE_ID=%.64s", c.argv[0]);
	snprintf(region, sizeof(region), "AWS_SSM_REGION_NAME=%.64s", c.argv[3]);
	snprintf(file, sizeof(file), "%s/_script.sh", dir);
	if (write_script(a, dir, file, script_len) < 0) {
		send_errno(a, tag, file);
		return;
	}
	size_t n = 0;
	while (c.envp[n])
		n++;
	if (n + 3 > ARGS_MAX) {
		errno = E2BIG;
		send_errno(a, tag, "step");
		return;
	}
	c.envp[n++] = iid;
	c.envp[n++] = region;
	c.envp[n++] = "AWS_SSM_PLATFORM_NAME=Debian GNU/Linux";
	c.envp[n] = NULL;
	c.argv[0] = "sh";
	c.argv[1] = "-c";
	c.argv[2] = file;
	c.argv[3] = NULL;
	char path[640];
	snprintf(path, sizeof(path), "%s/stdout", dir);
	int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	snprintf(path, sizeof(path), "%s/stderr", dir);
	int err = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	run_child(a, tag, c.timeout_ms, exec_command, &c, out, err);
	if (out >= 0)
		close(out);
	if (err >= 0)
		close(err);
}

struct module {
	const char *name; /* file, or the loaded module's name */
	const char *params;
};

static int insert_module(const void *arg)
{
	const struct module *m = arg;
	int fd = open(m->name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, m->params, 0) < 0) {
		perror(m->name);
		return 1;
	}
	return 0;
}

static int remove_module(const void *arg)
{
	const struct module *m = arg;

	if (syscall(SYS_delete_module, m->name, O_NONBLOCK) < 0) {
		perror(m->name);
		return 1;
	}
	return 0;
}

/* In a child, because a module's init may block for as long as it likes. */
static void module_call(struct agent *a, const struct frame *f, int (*call)(const void *))
{
	const unsigned char *p = f->data, *end = f->data + f->len_bytes;
	struct module m;
	uint32_t timeout_ms;

	errno = EPROTO;
	if (next_u32(&p, end, &timeout_ms) || !(m.name = next_string(&p, end)) ||
	    !(m.params = next_string(&p, end)))
		send_errno(a, f->tag, "module");
	else
		run_child(a, f->tag, timeout_ms, call, &m, -1, -1);
}

void answer_insmod(struct agent *a, const struct frame *f)
{
	module_call(a, f, insert_module);
}

void answer_rmmod(struct agent *a, const struct frame *f)
{
	module_call(a, f, remove_module);
}
