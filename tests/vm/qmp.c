/*
 * vmctl qmp: one command to QEMU's monitor. The only file that knows yyjson.
 */
#include "frame.h"
#include "vmctl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#define LINE_MAX_BYTES (1 << 20)

struct monitor {
	int fd;
	int64_t deadline_ms;
	size_t have;
	char *buf;
};

static int wait_for(const struct monitor *m, short events)
{
	struct pollfd p = { .fd = m->fd, .events = events };
	int64_t left = m->deadline_ms - clock_ms();

	if (left <= 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	return poll(&p, 1, (int)left) < 0 && errno != EINTR ? -1 : 0;
}

/* Returns the next line as a document that the caller frees, or NULL with errno. */
static yyjson_doc *next_message(struct monitor *m)
{
	for (;;) {
		char *nl = memchr(m->buf, '\n', m->have);
		if (nl) {
			size_t len = (size_t)(nl - m->buf);
			yyjson_doc *doc = yyjson_read(m->buf, len, 0);

			m->have -= len + 1;
			memmove(m->buf, nl + 1, m->have);
			if (!doc)
				errno = EBADMSG;
			return doc;
		}
		if (m->have == LINE_MAX_BYTES) {
			errno = EMSGSIZE;
			return NULL;
		}
		ssize_t n = read(m->fd, m->buf + m->have, LINE_MAX_BYTES - m->have);
		if (n > 0) {
			m->have += (size_t)n;
			continue;
		}
		if (n == 0) {
			errno = EPIPE;
			return NULL;
		}
		if ((errno != EAGAIN && errno != EINTR) || wait_for(m, POLLIN) < 0)
			return NULL;
	}
}

static int send_line(struct monitor *m, const char *text)
{
	size_t len = strlen(text);

	for (size_t done = 0; done <= len;) {
		ssize_t n = done < len ? write(m->fd, text + done, len - done)
				       : write(m->fd, "\n", 1);
		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		else if (wait_for(m, POLLOUT) < 0)
			return -1;
	}
	return 0;
}

/*
 * Sends a command and takes its answer; events in between are passed over. Prints what is
 * returned when print says so.
 */
static int execute(struct monitor *m, const char *json, int print)
{
	int rc = -1;

	if (send_line(m, json) < 0)
		return complain(VM_NEVER, "monitor: %s", strerror(errno));
	while (rc < 0) {
		yyjson_doc *doc = next_message(m);
		if (!doc)
			return complain(VM_NEVER, "monitor: %s: %s", json,
					strerror(errno));
		yyjson_val *root = yyjson_doc_get_root(doc);
		yyjson_val *value = yyjson_obj_get(root, "return");
		yyjson_val *error = yyjson_obj_get(root, "error");
		char *text = value && print ? yyjson_val_write(value, 0, NULL) : NULL;
		const char *desc = yyjson_get_str(yyjson_obj_get(error, "desc"));

		if (text)
			puts(text);
		if (value)
			rc = VM_YES;
		else if (error)
			rc = complain(VM_NO, "monitor: %s: %s", json,
				      desc ? desc : "error");
		free(text);
		yyjson_doc_free(doc);
	}
	return rc;
}

int cmd_qmp(int argc, char **argv)
{
	struct monitor m = { .fd = -1 };
	unsigned long seconds = argc == 4 ? strtoul(argv[3], NULL, 10) : 60;
	int rc;

	if (argc < 3 || argc > 4 || !seconds || seconds > 86400)
		return usage();
	m.deadline_ms = clock_ms() + (int64_t)seconds * 1000;
	m.buf = malloc(LINE_MAX_BYTES);
	if (!m.buf)
		return complain(VM_NEVER, "out of memory");
	m.fd = connect_unix(argv[1]);
	if (m.fd < 0) {
		rc = complain(VM_NOBODY, "connecting to %s: %s", argv[1],
			      strerror(errno));
		goto out;
	}
	yyjson_doc *greeting = next_message(&m);
	if (!greeting) {
		rc = complain(VM_NEVER, "monitor: greeting: %s", strerror(errno));
		goto out;
	}
	yyjson_doc_free(greeting);
	rc = execute(&m, "{\"execute\":\"qmp_capabilities\"}", 0);
	if (rc == VM_YES)
		rc = execute(&m, argv[2], 1);
out:
	if (m.fd >= 0)
		close(m.fd);
	free(m.buf);
	return rc;
}
