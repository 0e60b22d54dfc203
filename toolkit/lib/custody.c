#include "toolkit/lib/custody.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/clock.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/sums.h"
#include "toolkit/lib/utf8.h"

/* What is read of a log's end: the last line, and what a few torn appends left. */
#define TAIL_MAX (4 * CUSTODY_LINE_MAX)

/* The end of a log, and what the next line goes on from. */
struct tail {
	size_t len;
	bool whole; /* the file begins in it */
	struct custody_line last;
	bool has_last; /* false: there is no line yet */
	uint8_t head[SHA256_LEN];
	size_t torn_at, torn_len; /* bytes behind the last whole line */
	bool unended;		  /* the last whole line lacks nothing but its newline */
	char bytes[TAIL_MAX];	  /* last: what is not read is never touched */
};

/* Without strftime(), which would bring time zones along: every page counts. */
static void set_time(char text[40])
{
	int64_t ns = clock_ns(CLOCK_REALTIME);
	time_t seconds = (time_t)(ns / 1000000000);
	char whole[96] = "";
	struct tm tm;

	gmtime_r(&seconds, &tm);
	/* A clock that is out of its mind gives a time of another form: refused later. */
	snprintf(whole, sizeof(whole), "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ",
		 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		 tm.tm_sec, (int)(ns % 1000000000));
	memcpy(text, whole, 39);
	text[39] = '\0';
}

static int copy(char *to, size_t size, const char *from, const char *what,
		struct err *err)
{
	if (strlen(from) >= size)
		return err_set(err, ERR_USAGE, "the %s is longer than %zu bytes", what,
			       size - 1);
	strcpy(to, from);
	return 0;
}

static void copy_note(char note[CUSTODY_NOTE_MAX + 1], const char *from)
{
	size_t len = 0, step;

	for (; *from && len < CUSTODY_NOTE_MAX; from += step ? step : 1) {
		unsigned char c = (unsigned char)*from;

		step = utf8_len((const unsigned char *)from);
		if (!step || c < 0x20 || c == 0x7f) {
			note[len++] = '?';
		} else if (len + step <= CUSTODY_NOTE_MAX) {
			memcpy(note + len, from, step);
			len += step;
		} else {
			break;
		}
	}
	note[len] = '\0';
}

static int read_tail(int fd, struct tail *tail, struct err *err)
{
	struct stat st;
	uint64_t start;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "examining the log");
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FAILED, "not a regular file");
	tail->whole = st.st_size <= TAIL_MAX;
	start = tail->whole ? 0 : (uint64_t)st.st_size - TAIL_MAX;
	n = io_pread(fd, tail->bytes, sizeof(tail->bytes), start);
	if (n < 0)
		return err_sys(err, errno, "reading the end of the log");
	tail->len = (size_t)n;
	return 0;
}

/* Looks backwards for the last line that is whole; what follows it is torn. */
static int find_last(struct tail *tail, struct err *err)
{
	size_t end = tail->len; /* behind the line that is looked at */

	while (end) {
		char *newline = memrchr(tail->bytes, '\n', end);
		size_t start = newline ? (size_t)(newline - tail->bytes) + 1 : 0;

		/* The first line in the window may have lost its beginning. */
		if ((newline || tail->whole) &&
		    custody_parse(tail->bytes + start, end - start, &tail->last)) {
			tail->has_last = true;
			sha256(tail->bytes + start, end - start, tail->head);
			tail->unended = end == tail->len;
			tail->torn_at = tail->unended ? end : end + 1;
			tail->torn_len = tail->len - tail->torn_at;
			return 0;
		}
		if (!newline)
			break;
		end = (size_t)(newline - tail->bytes);
	}
	if (!tail->whole)
		return err_set(err, ERR_NO, "its end is no custody log");
	/* No line ever became whole. */
	tail->torn_len = tail->len;
	return 0;
}

/* A torn append leaves at most a few lines' worth; anything else was written by others.
 */
static int check_torn(const struct tail *tail, struct err *err)
{
	if (tail->torn_len > 3 * CUSTODY_LINE_MAX)
		return err_set(err, ERR_NO, "its end is no custody log");
	return 0;
}

/* Adds a line to text, which has room, and moves seq and head on. */
static int add_line(struct custody_line *line, struct tail *tail, char *text, size_t *len,
		    struct err *err)
{
	int n;

	line->seq = (tail->has_last ? tail->last.seq : 0) + 1;
	memcpy(line->prev, tail->head, sizeof(line->prev));
	n = custody_format(line, text + *len, err);
	if (n < 0)
		return -1;
	sha256(text + *len, (size_t)n - 1, tail->head);
	*len += (size_t)n;
	tail->last = *line;
	tail->has_last = true;
	return 0;
}

static int add_torn(const struct custody_line *event, const char *name, struct tail *tail,
		    char *text, size_t *len, struct err *err)
{
	struct custody_line line = *event;
	size_t torn_len = tail->torn_len;

	/* A newline that ends the torn bytes is not one of them. */
	if (tail->bytes[tail->len - 1] == '\n')
		torn_len--;
	else
		text[(*len)++] = '\n';
	strcpy(line.action, "torn");
	if (copy(line.file, sizeof(line.file), name, "log's name", err) < 0)
		return -1;
	line.has_sha256 = true;
	sha256(tail->bytes + tail->torn_at, torn_len, line.sha256);
	snprintf(line.note, sizeof(line.note), "%zu bytes of a line that was cut off",
		 torn_len);
	return add_line(&line, tail, text, len, err);
}

static int append(int fd, const char *name, struct custody_line *line,
		  uint8_t head[SHA256_LEN], struct err *err)
{
	static struct tail tail;
	static char text[2 * CUSTODY_LINE_MAX + 1];
	size_t len = 0;
	ssize_t n;

	memset(&tail, 0, offsetof(struct tail, bytes));
	if (read_tail(fd, &tail, err) < 0 || find_last(&tail, err) < 0 ||
	    check_torn(&tail, err) < 0)
		return -1;
	if (tail.unended)
		text[len++] = '\n';
	else if (tail.torn_len && add_torn(line, name, &tail, text, &len, err) < 0)
		return -1;
	if (add_line(line, &tail, text, &len, err) < 0)
		return -1;
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)len)
		return err_sys(err, n < 0 ? errno : ENOSPC, "adding a line");
	if (fsync(fd) < 0)
		return err_sys(err, errno, "making a line durable");
	memcpy(head, tail.head, SHA256_LEN);
	return 0;
}

int custody_open(int dirfd, const char *name, struct err *err)
{
	int fd = openat(dirfd, name,
			O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
			0600);

	return fd < 0 ? err_sys(err, errno, "opening %s", name) : fd;
}

int custody_append_fd(int fd, const char *name, const struct custody_event *event,
		      uint8_t head[SHA256_LEN], struct err *err)
{
	struct custody_line line = { .uid = (uint32_t)geteuid(),
				     .has_sha256 = event->sha256 != NULL };
	int rc = -1;

	set_time(line.time);
	copy_note(line.note, event->note ? event->note : "");
	if (event->sha256)
		memcpy(line.sha256, event->sha256, sizeof(line.sha256));
	if (copy(line.tool, sizeof(line.tool), event->tool, "tool's name", err) == 0 &&
	    copy(line.version, sizeof(line.version), FVOL_VERSION, "version", err) == 0 &&
	    copy(line.instance, sizeof(line.instance), event->instance, "instance's id",
		 err) == 0 &&
	    copy(line.action, sizeof(line.action), event->action, "action", err) == 0 &&
	    copy(line.file, sizeof(line.file), event->file, "file's name", err) == 0) {
		if (flock(fd, LOCK_EX) < 0)
			err_sys(err, errno, "locking it");
		else
			rc = append(fd, name, &line, head, err);
		flock(fd, LOCK_UN);
	}
	return rc < 0 ? err_prefix(err, "%s", name) : 0;
}

int custody_append(int dirfd, const char *name, const struct custody_event *event,
		   uint8_t head[SHA256_LEN], struct err *err)
{
	int fd = custody_open(dirfd, name, err);
	int rc = fd < 0 ? -1 : custody_append_fd(fd, name, event, head, err);

	if (fd >= 0 && close(fd) < 0 && rc == 0)
		rc = err_sys(err, errno, "closing %s", name);
	return rc < 0 ? -1 : io_sync_dir(dirfd, err);
}

/* A log that streams by. */
struct chain {
	struct custody_summary *summary;
	const uint8_t *anchor;
	custody_visit *visit;
	void *arg;
	struct custody_line line; /* the one that is looked at */
	uint64_t seq;		  /* of the last whole line */
	char text[CUSTODY_LINE_MAX];
	size_t len;	   /* of text; more than it holds: too long to be a line */
	uint64_t off;	   /* of the line in the file */
	uint64_t number;   /* of the line, torn ones counted, from 1 */
	uint64_t torn_off; /* of bytes that are in no whole line, and */
	uint64_t torn_number;
	uint64_t torn_bytes; /* how many: 0 none */
	struct sha256 torn;  /* of them, with the newlines between */
};

static void add_to_torn(struct chain *chain)
{
	if (!chain->torn_bytes) {
		sha256_init(&chain->torn);
		chain->torn_off = chain->off;
		chain->torn_number = chain->number;
	} else {
		sha256_update(&chain->torn, "\n", 1);
		chain->torn_bytes++;
	}
	sha256_update(&chain->torn, chain->text, chain->len);
	/* An empty line, too, is not one of ours. */
	chain->torn_bytes += chain->len ? chain->len : 1;
}

static int broken(const struct chain *chain, struct err *err)
{
	return err_set(err, ERR_NO,
		       "the chain breaks in line %llu at byte %llu; %llu lines before "
		       "it hold",
		       (unsigned long long)chain->torn_number,
		       (unsigned long long)chain->torn_off,
		       (unsigned long long)chain->summary->lines);
}

/* Does the line record what was torn before it? */
static bool explains(const struct chain *chain)
{
	struct sha256 copy_of = chain->torn;
	uint8_t digest[SHA256_LEN];

	if (strcmp(chain->line.action, "torn") != 0 || !chain->line.has_sha256)
		return false;
	sha256_final(&copy_of, digest);
	return memcmp(digest, chain->line.sha256, sizeof(digest)) == 0;
}

static int take_line(struct chain *chain, struct err *err)
{
	struct custody_summary *summary = chain->summary;
	bool next = chain->len < sizeof(chain->text) &&
		    custody_parse(chain->text, chain->len, &chain->line) &&
		    chain->line.seq == chain->seq + 1 &&
		    memcmp(chain->line.prev, summary->head, SHA256_LEN) == 0;

	if (next && chain->torn_bytes)
		next = explains(chain);
	else if (next && strcmp(chain->line.action, "torn") == 0)
		next = false;
	if (!next) {
		if (chain->len >= sizeof(chain->text) ||
		    chain->torn_bytes + chain->len > 3 * CUSTODY_LINE_MAX) {
			if (!chain->torn_bytes) {
				chain->torn_off = chain->off;
				chain->torn_number = chain->number;
			}
			return broken(chain, err);
		}
		add_to_torn(chain);
		return 0;
	}
	summary->torn += chain->torn_bytes != 0;
	chain->torn_bytes = 0;
	chain->seq++;
	summary->lines++;
	sha256(chain->text, chain->len, summary->head);
	if (chain->anchor && memcmp(summary->head, chain->anchor, SHA256_LEN) == 0)
		summary->anchor_line = summary->lines;
	if (summary->last)
		*summary->last = chain->line;
	return chain->visit ? chain->visit(chain->arg, &chain->line, err) : 0;
}

static int take_bytes(struct chain *chain, const char *bytes, size_t len, struct err *err)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != '\n') {
			if (chain->len < sizeof(chain->text))
				chain->text[chain->len++] = bytes[i];
			continue;
		}
		chain->number++;
		if (take_line(chain, err) < 0)
			return -1;
		chain->off += chain->len + 1;
		chain->len = 0;
	}
	return 0;
}

static int finish(struct chain *chain, struct err *err)
{
	struct custody_summary *summary = chain->summary;

	if (chain->torn_bytes) {
		return broken(chain, err);
	} else if (chain->len) {
		return err_set(
			err, ERR_NO,
			"ends in a torn line of %zu bytes at byte %llu; %llu lines "
			"before it hold",
			chain->len, (unsigned long long)chain->off,
			(unsigned long long)summary->lines);
	}
	return 0;
}

int custody_verify(int fd, const uint8_t *anchor, custody_visit *visit, void *arg,
		   struct custody_summary *summary, struct err *err)
{
	static _Alignas(IO_BLOCK) char buf[4 * IO_BLOCK];
	static struct chain chain;
	ssize_t n;

	memset(&chain, 0, sizeof(chain));
	chain.summary = summary;
	chain.anchor = anchor;
	chain.visit = visit;
	chain.arg = arg;
	summary->lines = summary->torn = summary->anchor_line = 0;
	memset(summary->head, 0, sizeof(summary->head));
	do {
		n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "reading at byte %llu",
				       (unsigned long long)(chain.off + chain.len));
		if (n > 0 && take_bytes(&chain, buf, (size_t)n, err) < 0)
			return -1;
		/* A short read is the end: after it O_DIRECT could not go on. */
	} while (n == (ssize_t)sizeof(buf) || n < 0);
	return finish(&chain, err);
}

/* What a log says of SHA256SUMS. */
struct seal {
	struct custody_line last;
	uint8_t sums[SHA256_LEN];
	bool has_sums;
};

static int look_for_sums(void *arg, const struct custody_line *line, struct err *err)
{
	struct seal *seal = arg;

	(void)err;
	if (strcmp(line->file, "SHA256SUMS") == 0 && line->has_sha256) {
		seal->has_sums = true;
		memcpy(seal->sums, line->sha256, SHA256_LEN);
	}
	return 0;
}

static int hash_sums(int dirfd, uint8_t digest[SHA256_LEN], struct err *err)
{
	int fd = io_open_direct(dirfd, "SHA256SUMS", false, err);
	int rc = fd < 0 ? -1 : sums_hash_fd(fd, digest, err);

	io_close(&fd);
	return rc;
}

int custody_seal(int dirfd, const char *tool, const char *instance,
		 uint8_t head[SHA256_LEN], struct err *err)
{
	static struct seal seal;
	struct custody_summary summary = { .last = &seal.last };
	struct custody_event event = { .tool = tool,
				       .instance = instance,
				       .action = "sealed",
				       .file = "SHA256SUMS" };
	uint8_t digest[SHA256_LEN];
	int fd, rc;

	memset(&seal, 0, sizeof(seal));
	fd = io_open_direct(dirfd, CUSTODY_NAME, false, err);
	if (fd < 0)
		return -1;
	rc = custody_verify(fd, NULL, look_for_sums, &seal, &summary, err);
	io_close(&fd);
	if (rc < 0)
		return err_prefix(err, CUSTODY_NAME);
	if (hash_sums(dirfd, digest, err) < 0)
		return -1;
	if (!seal.has_sums || memcmp(digest, seal.sums, sizeof(digest)) != 0)
		return err_set(err, ERR_NO,
			       "SHA256SUMS is not the one that " CUSTODY_NAME " names");
	if (summary.lines && strcmp(seal.last.action, "sealed") == 0) {
		memcpy(head, summary.head, SHA256_LEN);
		return 0;
	}
	event.sha256 = digest;
	return custody_append(dirfd, CUSTODY_NAME, &event, head, err);
}
