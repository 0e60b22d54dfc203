/*
 * Modules that have symbols in /proc/kallsyms. The kernel makes each of its hundred
 * thousand lines anew, some 40 ms for all of them, so that a thread of its own waits for
 * it; what is ours is a search for brackets.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/io.h"
#include "toolkit/triage/moduletext.h"
#include "toolkit/triage/moduleviews.h"

#define TABLE_BYTES ((uint64_t)64 << 20)
#define BUF_BYTES 65536

struct module_symbols {
	pthread_t thread;
	int procfd;
	struct module_views views;
	int errnum; /* why it could not be read to its end */
};

/* Lines of modules in a piece of whole lines; the others are not looked at. */
static void kallsyms_piece(struct module_views *views, const char *piece, size_t len)
{
	const char *end = piece + len, *open;

	for (; (open = memchr(piece, '[', (size_t)(end - piece)));) {
		const char *line = memrchr(piece, '\n', (size_t)(open - piece));
		const char *stop = memchr(open, '\n', (size_t)(end - open));
		size_t name_len;
		const char *name;

		line = line ? line + 1 : piece;
		stop = stop ? stop : end;
		name = kallsyms_line_module(line, (size_t)(stop - line), &name_len);
		if (name)
			module_views_add(views, name, name_len, MODULE_VIEW_KALLSYMS);
		piece = stop;
	}
}

static int read_symbols(int fd, char *buf, struct module_views *views)
{
	uint64_t total = 0;
	size_t have = 0;
	ssize_t n;

	while ((n = read(fd, buf + have, BUF_BYTES - have)) != 0) {
		char *last;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		total += (uint64_t)n;
		if (total > TABLE_BYTES)
			return EFBIG;
		have += (size_t)n;
		last = memrchr(buf, '\n', have);
		if (!last) {
			/* No line of it is that long. */
			if (have == BUF_BYTES)
				have = 0;
			continue;
		}
		kallsyms_piece(views, buf, (size_t)(last - buf));
		have -= (size_t)(last + 1 - buf);
		memmove(buf, last + 1, have);
	}
	return 0;
}

static void *work(void *arg)
{
	struct module_symbols *symbols = arg;
	int fd = openat(symbols->procfd, "kallsyms", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *buf = fd < 0 ? NULL : malloc(BUF_BYTES);

	symbols->errnum = !buf ? errno : read_symbols(fd, buf, &symbols->views);
	free(buf);
	io_close(&fd);
	return NULL;
}

struct module_symbols *module_symbols_begin(int procfd)
{
	struct module_symbols *symbols = calloc(1, sizeof(*symbols));

	if (!symbols)
		return NULL;
	symbols->procfd = procfd;
	if (pthread_create(&symbols->thread, NULL, work, symbols)) {
		free(symbols);
		return NULL;
	}
	return symbols;
}

void module_symbols_free(struct module_symbols *symbols)
{
	if (!symbols)
		return;
	pthread_join(symbols->thread, NULL);
	module_views_free(&symbols->views);
	free(symbols);
}

int module_symbols_end(struct triage *t, struct module_symbols *symbols,
		       struct module_views *views, struct err *err)
{
	int errnum = ENOMEM;

	if (symbols) {
		pthread_join(symbols->thread, NULL);
		errnum = symbols->errnum;
		for (size_t i = 0; i < symbols->views.count; i++)
			module_views_add(views, symbols->views.seen[i].name,
					 strlen(symbols->views.seen[i].name),
					 MODULE_VIEW_KALLSYMS);
		module_views_free(&symbols->views);
		free(symbols);
	}
	if (!errnum) {
		views->readable |= MODULE_VIEW_KALLSYMS;
		return 0;
	}
	/* ENOENT: a kernel without CONFIG_KALLSYMS. */
	return triage_unread(t, "/proc/kallsyms", triage_reason_of(t, errnum), errnum,
			     err);
}
