#include "kmods/build.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kmods/catalogue.h"
#include "kmods/file.h"
#include "kmods/kernel.h"
#include "kmods/lime.h"
#include "kmods/lock.h"
#include "kmods/tree.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/io.h"

#define LOG_TAIL_BYTES 2000

enum state { KEPT, PENDING, RUNNING, BUILT, FAILED };

struct job {
	const struct kernel *kernel;
	struct module module;
	enum state state;
	pid_t pid;
	int fd; /* where the child's result comes from */
	struct timespec began;
};

/* What a child hands back. Both ends are this very program. */
struct result {
	int rc;
	struct err err;
	struct module module;
};

struct build {
	const struct build_options *options;
	struct recipe recipe;
	char scratch[PATH_MAX];
	int scratchfd, outfd;
	struct lock lock;
	struct lime lime;
	struct kernel *kernels;
	struct job *jobs;
	size_t count;
	struct catalogue old, new;
	bool changed; /* new is not what the file has */
};

static void say(const struct job *job, const char *text)
{
	fprintf(stderr, "kmods: %s %s: %s\n", job->kernel->arch->name,
		job->kernel->release, text);
}

/* The end of a failed build's log: in a CI the file itself is out of reach. */
static void print_log(const struct build *b, const struct job *job)
{
	char path[TREE_PATH_SIZE], *text, *line, *end;
	struct err ignored;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s.log", job->kernel->arch->name,
		 job->kernel->release);
	if (file_read(b->scratchfd, path, 64u << 20, &text, &len, &ignored) < 0)
		return;
	line = len > LOG_TAIL_BYTES ? text + len - LOG_TAIL_BYTES : text;
	for (; *line; line = end) {
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = '\0';
		cli_put_text(stderr, line);
		fputc('\n', stderr);
	}
	free(text);
}

static void fail(const struct build *b, struct job *job, const struct err *err)
{
	struct err whole = *err;

	job->state = FAILED;
	err_prefix(&whole, "%s %s", job->kernel->arch->name, job->kernel->release);
	err_report(&whole, "kmods");
	if (strstr(err->text, ".log"))
		print_log(b, job);
}

/* make and the kernel's makefiles split words at most other characters. */
static int open_scratch(struct build *b, struct err *err)
{
	b->scratchfd = tree_open(b->options->scratch, err);
	if (b->scratchfd < 0)
		return -1;
	if (!realpath(b->options->scratch, b->scratch))
		return err_sys(err, errno, "resolving %s", b->options->scratch);
	for (const char *p = b->scratch; *p; p++) {
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') &&
		    !(*p >= '0' && *p <= '9') && !strchr("/._+-", *p))
			return err_set(
				err, ERR_FAILED,
				"%s: kernels cannot be built below a name with '%c'",
				b->scratch, *p);
	}
	if (flock(b->scratchfd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, ERR_FAILED, "another build is at work in %s",
			       b->scratch);
	return 0;
}

/* The old entry of a kernel whose module is there and was made from the same things. */
static bool still_true(struct build *b, struct job *job)
{
	struct module *old =
		catalogue_find(&b->old, job->module.arch, job->module.release);
	char path[TREE_PATH_SIZE], hex[SHA256_HEX_SIZE], *data;
	struct err ignored;
	size_t len;

	if (!old || strcmp(old->inputs, job->module.inputs) != 0)
		return false;
	snprintf(path, sizeof(path), "%s/%s/lime.ko", old->arch, old->release);
	if (file_read(b->outfd, path, MODULE_BYTES_MAX, &data, &len, &ignored) < 0)
		return false;
	file_digest(data, len, hex);
	free(data);
	if (strcmp(hex, old->sha256) != 0)
		return false;
	/* The same packages may have become the pinned ones. */
	b->changed = b->changed || old->locked != job->kernel->locked;
	job->module = *old;
	job->module.locked = job->kernel->locked;
	return true;
}

static int plan(struct build *b, size_t *pending, struct err *err)
{
	*pending = 0;
	b->jobs = calloc(b->count ? b->count : 1, sizeof(*b->jobs));
	if (!b->jobs)
		return err_sys(err, errno, "planning");
	for (size_t i = 0; i < b->count; i++) {
		struct job *job = &b->jobs[i];
		struct err why;

		*job = (struct job){ .kernel = &b->kernels[i], .fd = -1 };
		if (kernel_describe(&b->recipe, job->kernel, &job->module, &why) < 0) {
			fail(b, job, &why);
		} else if (still_true(b, job)) {
			job->state = KEPT;
			if (catalogue_set(&b->new, &job->module, err) < 0)
				return -1;
		} else {
			job->state = PENDING;
			++*pending;
		}
	}
	return 0;
}

static void child(const struct build *b, const struct job *job, int fd)
{
	struct result result;

	/* Nobody would wait for it any more. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(&result, 0, sizeof(result));
	result.module = job->module;
	result.rc = kernel_build(&b->recipe, job->kernel, b->scratchfd, &result.module,
				 &result.err);
	/* Fits into an empty pipe, so the parent may wait first and read then. */
	_Static_assert(sizeof(result) < 16384, "a result must fit into a pipe");
	_exit(write(fd, &result, sizeof(result)) == sizeof(result) ? 0 : ERR_FAILED);
}

static int start(const struct build *b, struct job *job, struct err *err)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(err, errno, "making a pipe");
	clock_gettime(CLOCK_MONOTONIC, &job->began);
	fflush(NULL);
	job->pid = fork();
	if (job->pid == 0)
		child(b, job, fd[1]);
	io_close(&fd[1]);
	if (job->pid < 0) {
		io_close(&fd[0]);
		return err_sys(err, errno, "starting a process");
	}
	job->fd = fd[0];
	job->state = RUNNING;
	return 0;
}

/* Puts the built module into its place and into the catalogue. */
static int place(struct build *b, struct job *job, struct err *err)
{
	const struct module *m = &job->module;
	char path[TREE_PATH_SIZE], hex[SHA256_HEX_SIZE], name[NAME_MAX + 1], *data;
	int dir, rc = -1;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s/lime/lime.ko", m->arch, m->release);
	if (file_read(b->scratchfd, path, MODULE_BYTES_MAX, &data, &len, err) < 0)
		return -1;
	file_digest(data, len, hex);
	snprintf(path, sizeof(path), "%s/%s/lime.ko", m->arch, m->release);
	dir = tree_parent(b->outfd, path, true, name, err);
	if (strcmp(hex, m->sha256) != 0)
		err_set(err, ERR_FAILED, "lime.ko changed after it was read back");
	else if (dir >= 0 && file_put(dir, name, data, len, 0644, false, err) == 0 &&
		 catalogue_set(&b->new, m, err) == 0 &&
		 catalogue_write(b->outfd, &b->new, false, err) == 0)
		rc = 0;
	io_close(&dir);
	free(data);
	if (rc < 0)
		return -1;
	/* The log stays. */
	snprintf(path, sizeof(path), "%s/%s", m->arch, m->release);
	dir = tree_parent(b->scratchfd, path, false, name, err);
	if (dir < 0)
		return -1;
	rc = tree_remove(dir, name, err);
	io_close(&dir);
	return rc;
}

static void finish(struct build *b, struct job *job, int status)
{
	struct result result;
	struct timespec now;
	char text[64];
	ssize_t n = read(job->fd, &result, sizeof(result));

	io_close(&job->fd);
	if (n != sizeof(result)) {
		err_set(&result.err, ERR_FAILED, "its build was killed (signal %d)",
			WIFSIGNALED(status) ? WTERMSIG(status) : 0);
		fail(b, job, &result.err);
		return;
	}
	job->module = result.module;
	if (result.rc < 0 || place(b, job, &result.err) < 0) {
		fail(b, job, &result.err);
		return;
	}
	job->state = BUILT;
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "built in %.1f s, %llu bytes",
		 (double)(now.tv_sec - job->began.tv_sec) +
			 (double)(now.tv_nsec - job->began.tv_nsec) / 1e9,
		 (unsigned long long)job->module.size_bytes);
	say(job, text);
}

static int run_jobs(struct build *b, struct err *err)
{
	size_t next = 0, running = 0;
	int status;

	for (;;) {
		pid_t pid;

		for (; next < b->count && running < b->options->jobs; next++) {
			struct job *job = &b->jobs[next];

			if (job->state != PENDING)
				continue;
			if (start(b, job, err) == 0)
				running++;
			else
				fail(b, job, err);
		}
		if (running == 0)
			return 0;
		pid = waitpid(-1, &status, 0);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return err_sys(err, errno, "waiting for a build");
		for (size_t i = 0; i < b->count; i++) {
			if (b->jobs[i].state != RUNNING || b->jobs[i].pid != pid)
				continue;
			finish(b, &b->jobs[i], status);
			running--;
		}
	}
}

/* Removes modules that the catalogue does not have: the image takes the whole tree. */
static int prune(const struct build *b, const char *arch, struct err *err)
{
	int fd = openat(b->outfd, arch, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
	    rel;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		io_close(&fd);
		return errno == ENOENT ? 0 : err_sys(err, errno, "opening %s", arch);
	}
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.' || catalogue_find(&b->new, arch, d->d_name))
			continue;
		rel = openat(fd, d->d_name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (rel >= 0) {
			unlinkat(rel, "lime.ko", 0);
			unlinkat(rel, "lime.ko.partial", 0);
			close(rel);
		}
		if (unlinkat(fd, d->d_name, AT_REMOVEDIR) < 0) {
			err_sys(err, errno,
				"removing %s/%s, which the catalogue does not have", arch,
				d->d_name);
			closedir(dir);
			return -1;
		}
	}
	closedir(dir);
	return 0;
}

static int conclude(struct build *b, struct err *err)
{
	struct err names = { .kind = ERR_FAILED };
	size_t failed = 0, used = 0;

	for (size_t i = 0; i < b->count; i++) {
		const struct kernel *k = b->jobs[i].kernel;

		if (b->jobs[i].state != FAILED || used >= sizeof(names.text))
			continue;
		used += (size_t)snprintf(names.text + used, sizeof(names.text) - used,
					 "%s%s %s", failed++ ? ", " : "", k->arch->name,
					 k->release);
	}
	if (b->changed && catalogue_write(b->outfd, &b->new, failed == 0, err) < 0)
		return -1;
	if (failed > 0) {
		*err = names;
		return err_prefix(err, "%zu of %zu kernels have no module", failed,
				  b->count);
	}
	for (const struct arch *a = archs; a->name; a++) {
		if (prune(b, a->name, err) < 0)
			return -1;
	}
	if (!b->changed)
		fprintf(stderr, "kmods: %zu modules are up to date\n", b->count);
	return 0;
}

static int build(struct build *b, struct err *err)
{
	size_t pending;
	unsigned jobs = b->options->jobs;

	if (plan(b, &pending, err) < 0)
		return -1;
	b->new.version = b->options->catalogue_version;
	b->changed = b->changed || b->new.version != b->old.version;
	b->changed =
		b->changed || b->new.count != b->old.count || b->new.count != b->count;
	/* Cores that no other kernel keeps busy. */
	b->recipe.make_jobs =
		pending > 0 && pending < jobs ? jobs / (unsigned)pending : 1;
	if (pending > 0) {
		/* A module is replaced only after no catalogue speaks of the old one. */
		if (catalogue_write(b->outfd, &b->new, false, err) < 0 ||
		    run_jobs(b, err) < 0)
			return -1;
	}
	return conclude(b, err);
}

static int open_all(struct build *b, struct err *err)
{
	const struct build_options *o = b->options;
	struct err why;

	if (lock_read(o->lock, &b->lock, err) < 0 ||
	    lock_kernels(&b->lock, &b->kernels, &b->count, err) < 0 ||
	    lime_read(o->lime, o->lime_version, &b->lime, err) < 0 ||
	    open_scratch(b, err) < 0)
		return -1;
	b->outfd = tree_open(o->out, err);
	if (b->outfd < 0)
		return -1;
	if (catalogue_read(b->outfd, CATALOGUE_FILE, &b->old, &why) < 0) {
		err_prefix(&why, "everything is built again");
		err_report(&why, "kmods");
		catalogue_free(&b->old);
	}
	b->recipe = (struct recipe){
		.lime = &b->lime,
		.packages = o->packages,
		.tools = o->tools,
		.scratch = b->scratch,
	};
	return 0;
}

int build_modules(const struct build_options *options, struct err *err)
{
	/* Too large for the stack of a small thread, and only needed once. */
	struct build *b = calloc(1, sizeof(*b));
	int rc = -1;

	if (!b)
		return err_sys(err, errno, "starting");
	b->options = options;
	b->scratchfd = b->outfd = -1;
	if (open_all(b, err) == 0)
		rc = build(b, err);
	catalogue_free(&b->old);
	catalogue_free(&b->new);
	free(b->jobs);
	free(b->kernels);
	lime_free(&b->lime);
	lock_free(&b->lock);
	io_close(&b->outfd);
	io_close(&b->scratchfd);
	free(b);
	return rc;
}
