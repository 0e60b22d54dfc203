/* The host's end of the talk with a guest's agent. */
#include "frame.h"
#include "vmctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* An idle guest answers within milliseconds; a loaded emulator may take a while. */
#define ANSWER_MS 30000
/* What the guest gets beyond its own timeout before it counts as hung. */
#define GRACE_MS 20000
#define PAGE 4096

struct guest {
	int fd;
	uint64_t tag;
	const char *status_file;
	char answer[512]; /* data of the last F_OK, NUL-terminated */
	struct frame_reader reader;
};

/* Options that come before the socket. */
struct options {
	unsigned long timeout_s;
	const char *status_file, *cwd, *instance, *command, *step, *region;
	const char *env[64];
	unsigned env_count;
};

struct sink {
	FILE *out, *err;
	int plant; /* standard output is a plant's records, printed as hex lines */
};

static int open_guest(struct guest *g, const char *path)
{
	g->fd = connect_unix(path);
	if (g->fd < 0)
		return complain(VM_NOBODY, "connecting to %s: %s", path, strerror(errno));
	if (getrandom(&g->tag, sizeof(g->tag), 0) != sizeof(g->tag))
		return complain(VM_NEVER, "getrandom: %s", strerror(errno));
	frame_reader_init(&g->reader, g->fd);
	return VM_YES;
}

/* Writes what became of the program into the status file, when one was asked for. */
static int write_status(const struct guest *g, const char *word, long value)
{
	if (!g->status_file)
		return 0;
	FILE *out = fopen(g->status_file, "we");
	if (!out)
		return -1;
	if (value < 0)
		fprintf(out, "%s\n", word);
	else
		fprintf(out, "%s %ld\n", word, value);
	return fclose(out);
}

static int never(const struct guest *g, const char *what, int rc)
{
	write_status(g, "never", -1);
	if (rc == 0)
		return complain(VM_NEVER, "%s: no answer from the guest in time", what);
	return complain(VM_NEVER, "%s: the guest is gone%s%s", what, errno ? ": " : "",
			errno ? strerror(errno) : "");
}

static int print_plant(FILE *out, const struct frame *f)
{
	uint64_t phys;

	if (f->len_bytes != sizeof(phys) + PAGE)
		return -1;
	memcpy(&phys, f->data, sizeof(phys));
	fprintf(out, "%llx ", (unsigned long long)phys);
	for (size_t i = 0; i < PAGE; i++)
		fprintf(out, "%02x", f->data[sizeof(phys) + i]);
	return fputc('\n', out) < 0 ? -1 : 0;
}

static int report_exit(const struct guest *g, const char *what, const struct frame *f)
{
	struct frame_exit e;

	if (f->len_bytes != sizeof(e))
		return complain(VM_NO, "%s: malformed answer", what);
	memcpy(&e, f->data, sizeof(e));
	if (e.kind == EXIT_TIMEOUT) {
		write_status(g, "timeout", -1);
		return complain(VM_NEVER, "%s: killed by the guest after %u ms", what,
				e.value);
	}
	if (write_status(g, e.kind == EXIT_CODE ? "exit" : "signal", (long)e.value) < 0)
		return complain(VM_NEVER, "%s: %s", g->status_file, strerror(errno));
	if (e.kind == EXIT_CODE && e.value == 0)
		return VM_YES;
	return complain(VM_NO, "%s: %s %u", what,
			e.kind == EXIT_CODE ? "exit code" : "signal", e.value);
}

/*
 * Takes frames until the one that ends the command; g->answer gets a final F_OK's data.
 * Output renews the deadline only when renew says so: a transfer may take
 * as long as it moves, a program may not.
 */
static int finish(struct guest *g, const char *what, int64_t wait_ms, int renew,
		  struct sink *s)
{
	int64_t deadline = clock_ms() + wait_ms;
	struct frame f;
	int rc;

	while ((rc = frame_read(&g->reader, &f, deadline)) == 1) {
		if (f.tag != g->tag)
			continue;
		if (renew)
			deadline = clock_ms() + wait_ms;
		switch (f.type) {
		case F_STDOUT:
			if (s->plant ? print_plant(s->out, &f) < 0
				     : fwrite(f.data, 1, f.len_bytes, s->out) !=
					       f.len_bytes)
				return complain(VM_NEVER, "%s: writing the output", what);
			break;
		case F_STDERR:
			if (fwrite(f.data, 1, f.len_bytes, s->err) != f.len_bytes)
				return complain(VM_NEVER, "%s: writing the output", what);
			break;
		case F_OK:
			if (f.len_bytes >= sizeof(g->answer))
				return complain(VM_NO, "%s: malformed answer", what);
			memcpy(g->answer, f.data, f.len_bytes);
			g->answer[f.len_bytes] = '\0';
			return VM_YES;
		case F_EXIT:
			fflush(s->out);
			return report_exit(g, what, &f);
		case F_ERROR:
			write_status(g, "error", -1);
			return complain(VM_NO, "%s: %.*s", what, (int)f.len_bytes,
					(const char *)f.data);
		default:
			return complain(VM_NO, "%s: unknown answer %u", what, f.type);
		}
	}
	return never(g, what, rc);
}

static int ask(struct guest *g, const char *what, uint32_t type, const void *data,
	       size_t len, int64_t wait_ms, int renew, struct sink *s)
{
	/* Each question has its tag, so that a late answer to the last one is no answer.
	 */
	g->tag++;
	if (frame_write(g->fd, type, g->tag, data, len, clock_ms() + ANSWER_MS) < 0)
		return never(g, what, -1);
	return finish(g, what, wait_ms, renew, s);
}

/* Whether a process is there and no zombie; a pid of 0 always is. */
static int alive(unsigned long pid)
{
	char path[64], state = 'Z';

	if (!pid)
		return 1;
	snprintf(path, sizeof(path), "/proc/%lu/stat", pid);
	FILE *in = fopen(path, "re");
	if (!in)
		return 0;
	/* The pid is of our own guard, whose name has no blank. */
	if (fscanf(in, "%*d %*s %c", &state) != 1)
		state = 'Z';
	fclose(in);
	return state != 'Z';
}

static int ready(struct guest *g, const char *path, const char *seconds,
		 unsigned long pid)
{
	int64_t end = clock_ms() + 1000 * (int64_t)strtoul(seconds, NULL, 10);
	struct frame f;
	int rc = 0;

	/* The emulator may still be on its way to its sockets. */
	while ((g->fd = connect_unix(path)) < 0) {
		if (clock_ms() >= end || !alive(pid))
			return complain(VM_NEVER, "connecting to %s: %s", path,
					strerror(errno));
		usleep(50000);
	}
	if (getrandom(&g->tag, sizeof(g->tag), 0) != sizeof(g->tag))
		return complain(VM_NEVER, "getrandom: %s", strerror(errno));
	frame_reader_init(&g->reader, g->fd);
	while (clock_ms() < end) {
		/* Whatever is sent before the agent owns the line is lost: ask again. */
		if (frame_write(g->fd, F_HELLO, g->tag, "", 0, end) < 0)
			return never(g, "ready", -1);
		int64_t next = clock_ms() + 250;
		while ((rc = frame_read(&g->reader, &f, next < end ? next : end)) == 1) {
			if (f.tag == g->tag && f.type == F_OK) {
				printf("%.*s\n", (int)f.len_bytes, (const char *)f.data);
				return VM_YES;
			}
		}
		if (rc < 0)
			return never(g, "ready", rc);
	}
	return never(g, "ready", 0);
}

/* Opens the mailbox, which stands beside the socket. Returns -1 after a complaint. */
static int open_mailbox(const char *socket)
{
	char path[4096];
	const char *base = strrchr(socket, '/');

	if (snprintf(path, sizeof(path), "%.*smailbox",
		     base ? (int)(base - socket) + 1 : 0, socket) >= (int)sizeof(path))
		errno = ENAMETOOLONG;
	else {
		int fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	complain(VM_NEVER, "%s: %s", path, strerror(errno));
	return -1;
}

/*
 * Copies the next part of a file, up to the mailbox's size: from the file to the
 * mailbox's start, or the other way round. Returns the number of bytes, 0 at the end, -1
 * with errno.
 */
static ssize_t move(int from, int to, int mailbox, size_t want)
{
	static char buf[65536];
	size_t done = 0;

	while (done < want) {
		size_t len = want - done < sizeof(buf) ? want - done : sizeof(buf);
		ssize_t n = from == mailbox ? pread(from, buf, len, (off_t)done)
					    : read(from, buf, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		ssize_t w = to == mailbox ? pwrite(to, buf, (size_t)n, (off_t)done)
					  : write(to, buf, (size_t)n);
		if (w != n)
			return -1;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int put(struct guest *g, const char *socket, const char *file, const char *path,
	       const char *mode)
{
	unsigned char buf[4096];
	struct sink s = { stdout, stderr, 0 };
	uint32_t m = (uint32_t)strtoul(mode ? mode : "755", NULL, 8);
	size_t len = strlen(path) + 1;
	int fd = -1, mailbox = -1, rc = VM_NEVER;
	ssize_t n = 0;

	if (len + sizeof(m) > sizeof(buf))
		return complain(VM_USAGE, "put: the path is too long");
	memcpy(buf, &m, sizeof(m));
	memcpy(buf + sizeof(m), path, len);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return complain(VM_USAGE, "%s: %s", file, strerror(errno));
	mailbox = open_mailbox(socket);
	if (mailbox < 0)
		goto out;
	rc = ask(g, path, F_PUT_OPEN, buf, sizeof(m) + len, ANSWER_MS, 0, &s);
	while (rc == VM_YES && (n = move(fd, mailbox, mailbox, MAILBOX_BYTES)) > 0) {
		uint32_t bytes = (uint32_t)n;
		rc = ask(g, path, F_PUT_DATA, &bytes, sizeof(bytes), ANSWER_MS, 0, &s);
	}
	if (n < 0)
		rc = complain(VM_NEVER, "%s: %s", file, strerror(errno));
	if (rc == VM_YES)
		rc = ask(g, path, F_CLOSE, "", 0, ANSWER_MS, 0, &s);
out:
	close(fd);
	if (mailbox >= 0)
		close(mailbox);
	return rc;
}

static int get(struct guest *g, const char *socket, const char *path, const char *file)
{
	struct sink s = { stdout, stderr, 0 };
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int mailbox = fd < 0 ? -1 : open_mailbox(socket), rc = VM_NEVER;
	uint32_t bytes;

	if (fd < 0)
		return complain(VM_USAGE, "%s: %s", file, strerror(errno));
	if (mailbox < 0)
		goto out;
	rc = ask(g, path, F_GET_OPEN, path, strlen(path) + 1, ANSWER_MS, 0, &s);
	while (rc == VM_YES) {
		rc = ask(g, path, F_GET_DATA, "", 0, ANSWER_MS, 0, &s);
		if (rc != VM_YES)
			break;
		memcpy(&bytes, g->answer, sizeof(bytes));
		if (!bytes)
			break;
		if (bytes > MAILBOX_BYTES || move(mailbox, fd, mailbox, bytes) != bytes)
			rc = complain(VM_NEVER, "%s: %s", file, strerror(errno));
	}
	if (rc == VM_YES)
		rc = ask(g, path, F_CLOSE, "", 0, ANSWER_MS, 0, &s);
out:
	if (mailbox >= 0)
		close(mailbox);
	if (close(fd) < 0)
		rc = complain(VM_NEVER, "%s: %s", file, strerror(errno));
	return rc;
}

/* A command whose output goes to a file. */
static int into_file(struct guest *g, uint32_t type, const void *data, size_t len,
		     const char *file)
{
	struct sink s = { NULL, stderr, 1 };

	s.out = fopen(file, "we");
	if (!s.out)
		return complain(VM_USAGE, "%s: %s", file, strerror(errno));
	g->tag++;
	int rc = frame_write(g->fd, type, g->tag, data, len, clock_ms() + ANSWER_MS) < 0
			 ? never(g, file, -1)
			 : finish(g, file, ANSWER_MS, 1, &s);
	if (fclose(s.out))
		return complain(VM_NEVER, "%s: %s", file, strerror(errno));
	if (rc == VM_YES)
		puts(g->answer);
	return rc;
}

static int add(unsigned char *buf, size_t *len, const void *data, size_t n)
{
	if (n > FRAME_MAX - *len)
		return -1;
	memcpy(buf + *len, data, n);
	*len += n;
	return 0;
}

static int add_string(unsigned char *buf, size_t *len, const char *s)
{
	return add(buf, len, s, strlen(s) + 1);
}

static int add_command(unsigned char *buf, size_t *len, const struct options *o,
		       const char *cwd, char *const *argv, uint32_t argc)
{
	uint32_t head[3] = { (uint32_t)o->timeout_s * 1000, argc, o->env_count };
	int rc = add(buf, len, head, sizeof(head)) |
		 add_string(buf, len, o->cwd ? o->cwd : cwd);

	for (uint32_t i = 0; i < argc; i++)
		rc |= add_string(buf, len, argv[i]);
	for (unsigned i = 0; i < o->env_count; i++)
		rc |= add_string(buf, len, o->env[i]);
	return rc;
}

static int run(struct guest *g, const struct options *o, char **argv, int argc)
{
	static unsigned char buf[FRAME_MAX];
	struct sink s = { stdout, stderr, 0 };
	size_t len = 0;

	if (add_command(buf, &len, o, "/", argv, (uint32_t)argc))
		return complain(VM_USAGE, "run: the command is too long");
	return ask(g, argv[0], F_RUN, buf, len, (int64_t)o->timeout_s * 1000 + GRACE_MS,
		   0, &s);
}

static int step(struct guest *g, const struct options *o, const char *socket,
		const char *script)
{
	static unsigned char buf[FRAME_MAX];
	struct sink s = { stdout, stderr, 0 };
	char *names[] = { (char *)o->instance, (char *)o->command, (char *)o->step,
			  (char *)o->region };
	size_t len = 0;

	int fd = open(script, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return complain(VM_USAGE, "%s: %s", script, strerror(errno));
	int mailbox = open_mailbox(socket);
	ssize_t n = mailbox < 0 ? -1 : move(fd, mailbox, mailbox, MAILBOX_BYTES);
	close(fd);
	if (mailbox < 0)
		return VM_NEVER;
	close(mailbox);
	if (n < 0)
		return complain(VM_NEVER, "%s: %s", script, strerror(errno));
	uint32_t bytes = (uint32_t)n;
	/* The SSM agent's unit has WorkingDirectory=/usr/bin, and steps inherit it. */
	if (add_command(buf, &len, o, "/usr/bin", names, 4) ||
	    add(buf, &len, &bytes, sizeof(bytes)))
		return complain(VM_USAGE, "step: the command is too long");
	return ask(g, o->step, F_STEP, buf, len, (int64_t)o->timeout_s * 1000 + GRACE_MS,
		   0, &s);
}

static int module_call(struct guest *g, uint32_t type, const struct options *o,
		       const char *name, const char *params)
{
	static unsigned char buf[FRAME_MAX];
	struct sink s = { stdout, stderr, 0 };
	uint32_t timeout_ms = (uint32_t)o->timeout_s * 1000;
	size_t len = 0;

	if (add(buf, &len, &timeout_ms, sizeof(timeout_ms)) ||
	    add_string(buf, &len, name) || add_string(buf, &len, params))
		return complain(VM_USAGE, "module: the parameters are too long");
	return ask(g, name, type, buf, len, (int64_t)o->timeout_s * 1000 + GRACE_MS, 0,
		   &s);
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "timeout", required_argument, NULL, 't' },
		{ "status", required_argument, NULL, 's' },
		{ "env", required_argument, NULL, 'e' },
		{ "cwd", required_argument, NULL, 'w' },
		{ "instance", required_argument, NULL, 'i' },
		{ "command", required_argument, NULL, 'c' },
		{ "step", required_argument, NULL, 'p' },
		{ "region", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		switch (c) {
		case 't':
			o->timeout_s = strtoul(optarg, NULL, 10);
			break;
		case 's':
			o->status_file = optarg;
			break;
		case 'w':
			o->cwd = optarg;
			break;
		case 'i':
			o->instance = optarg;
			break;
		case 'c':
			o->command = optarg;
			break;
		case 'p':
			o->step = optarg;
			break;
		case 'r':
			o->region = optarg;
			break;
		case 'e':
			if (o->env_count == sizeof(o->env) / sizeof(o->env[0]))
				return -1;
			o->env[o->env_count++] = optarg;
			break;
		default:
			return -1;
		}
	}
	return o->timeout_s && o->timeout_s <= 86400 ? 0 : -1;
}

static int simple(struct guest *g, const char *name)
{
	struct sink s = { stdout, stderr, 0 };
	uint32_t type = !strcmp(name, "sync") ? F_SYNC
			: !strcmp(name, "ps") ? F_PS
					      : F_POWEROFF;

	return ask(g, name, type, "", 0, ANSWER_MS, 1, &s);
}

/* argv: the command, the socket, its argc - 2 arguments. Returns -1 when that is none. */
static int dispatch(struct guest *g, const struct options *o, int argc, char **argv)
{
	struct sink s = { stdout, stderr, 0 };
	const char *name = argv[0];
	uint32_t pages = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;

	if (!strcmp(name, "put") && (argc == 4 || argc == 5))
		return put(g, argv[1], argv[2], argv[3], argc == 5 ? argv[4] : NULL);
	if (!strcmp(name, "get") && argc == 4)
		return get(g, argv[1], argv[2], argv[3]);
	if (!strcmp(name, "run") && argc > 2)
		return run(g, o, argv + 2, argc - 2);
	if (!strcmp(name, "step") && argc == 3)
		return step(g, o, argv[1], argv[2]);
	if (!strcmp(name, "insmod") && (argc == 3 || argc == 4))
		return module_call(g, F_INSMOD, o, argv[2], argc == 4 ? argv[3] : "");
	if (!strcmp(name, "rmmod") && argc == 3)
		return module_call(g, F_RMMOD, o, argv[2], "");
	if (!strcmp(name, "plant") && argc == 4 && pages)
		return into_file(g, F_PLANT, &pages, sizeof(pages), argv[3]);
	if (!strcmp(name, "litter") && argc == 3 && pages)
		return ask(g, name, F_LITTER, &pages, sizeof(pages), ANSWER_MS, 0, &s);
	if (argc == 2 &&
	    (!strcmp(name, "sync") || !strcmp(name, "ps") || !strcmp(name, "poweroff")))
		return simple(g, name);
	return -1;
}

int cmd_guest(int argc, char **argv)
{
	static struct guest g;
	struct options o = {
		.timeout_s = 60,
		.instance = "i-0123456789abcdef0",
		.command = "00000000-0000-4000-8000-000000000000",
		.step = "step",
		.region = "eu-west-1",
		/* systemd's default for a service. */
		.env = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			 "LANG=C.UTF-8" },
		.env_count = 2,
	};
	char *name = argv[0];

	if (parse_options(argc, argv, &o) < 0 || optind >= argc)
		return usage();
	argc -= optind - 1;
	argv += optind - 1;
	argv[0] = name;
	g.status_file = o.status_file;
	if (!strcmp(name, "ready"))
		return argc == 3 || argc == 4
			       ? ready(&g, argv[1], argv[2],
				       argc == 4 ? strtoul(argv[3], NULL, 10) : 0)
			       : usage();
	write_status(&g, "never", -1);
	int rc = open_guest(&g, argv[1]);
	if (rc == VM_YES)
		rc = dispatch(&g, &o, argc, argv);
	return rc < 0 ? usage() : rc;
}
