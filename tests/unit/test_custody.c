#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/custody.h"
#include "toolkit/lib/io.h"

static char dir[] = "/tmp/test_custody.XXXXXX";
static int dirfd_;
static uint8_t head[SHA256_LEN];

static int add(const char *action, const char *file, const char *note, struct err *err)
{
	uint8_t digest[SHA256_LEN] = { 1, 2, 3 };
	struct custody_event event = { .tool = "test",
				       .instance = "i-0123456789abcdef0",
				       .action = action,
				       .file = file,
				       .sha256 = digest,
				       .note = note };

	return custody_append(dirfd_, CUSTODY_NAME, &event, head, err);
}

static size_t load(char *text, size_t size)
{
	int fd = openat(dirfd_, CUSTODY_NAME, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : io_pread(fd, text, size - 1, 0);

	close(fd);
	text[n] = '\0';
	return (size_t)n;
}

static void store(const char *text, size_t len)
{
	int fd = openat(dirfd_, CUSTODY_NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(io_pwrite(fd, text, len, 0) == 0);
	close(fd);
}

static int verify(const uint8_t *anchor, struct custody_summary *summary, struct err *err)
{
	int fd = io_open_direct(dirfd_, CUSTODY_NAME, false, err);
	int rc = fd < 0 ? -1 : custody_verify(fd, anchor, NULL, NULL, summary, err);

	io_close(&fd);
	return rc;
}

static void fresh(void)
{
	unlinkat(dirfd_, CUSTODY_NAME, 0);
}

static void lines_chain(void)
{
	struct custody_summary summary = { 0 };
	uint8_t first[SHA256_LEN];
	char text[20000];
	struct err err = { 0 };
	struct stat st;

	fresh();
	CHECK(add("captured", "memory.lime", NULL, &err) == 0);
	memcpy(first, head, sizeof(first));
	CHECK(add("hashed", "SHA256SUMS", "a \"note\" \\ \x01\xff \xc3\xa9", &err) == 0);
	CHECK(verify(first, &summary, &err) == 0);
	CHECK(summary.lines == 2 && summary.torn == 0 && summary.anchor_line == 1);
	CHECK(memcmp(summary.head, head, sizeof(head)) == 0);
	CHECK(fstatat(dirfd_, CUSTODY_NAME, &st, 0) == 0 && (st.st_mode & 0777) == 0600);
	load(text, sizeof(text));
	CHECK(strncmp(text, "{\"seq\":1,\"prev\":\"0000", 21) == 0);
	CHECK(strstr(text, "\"note\":\"a \\\"note\\\" \\\\ ?? \xc3\xa9\"}\n") != NULL);
	/* The head is what sha256sum says of the last line without its newline. */
	{
		char *last = strchr(text, '\n') + 1;
		uint8_t digest[SHA256_LEN];

		sha256(last, strlen(last) - 1, digest);
		CHECK(memcmp(digest, head, sizeof(head)) == 0);
	}
}

/* Whatever byte is changed, whatever line is taken out or doubled: seen. */
static void every_change_is_seen(void)
{
	struct custody_summary summary = { 0 };
	char text[20000], changed[20000];
	uint8_t last[SHA256_LEN];
	struct err err = { 0 };
	size_t len, second, third;

	fresh();
	for (int i = 0; i < 3; i++)
		CHECK(add("hashed", "a", NULL, &err) == 0);
	memcpy(last, head, sizeof(last));
	len = load(text, sizeof(text));
	second = (size_t)(strchr(text, '\n') + 1 - text);
	third = (size_t)(strchr(text + second, '\n') + 1 - text);
	for (size_t i = 0; i < len; i++) {
		memcpy(changed, text, len);
		changed[i] ^= 1;
		store(changed, len);
		/* In the last line only the anchor tells. */
		CHECK(verify(last, &summary, &err) < 0 || summary.anchor_line == 0);
		CHECK(i >= third || summary.lines < 3);
	}
	/* The second line out. */
	memcpy(changed, text, second);
	memcpy(changed + second, text + third, len - third);
	store(changed, second + len - third);
	CHECK(verify(NULL, &summary, &err) < 0 && err.kind == ERR_NO);
	CHECK(summary.lines == 1);
	/* The last line out: the chain holds, the anchor is missed. */
	store(text, third);
	CHECK(verify(last, &summary, &err) == 0 && summary.anchor_line == 0);
}

/* At whatever byte an append was cut, the next one goes on and the loss is recorded. */
static void torn_lines_are_recorded(void)
{
	struct custody_summary summary = { 0 };
	char text[20000], after[40000];
	struct err err = { 0 };
	size_t len, second;

	fresh();
	CHECK(add("captured", "memory.lime", NULL, &err) == 0);
	CHECK(add("hashed", "SHA256SUMS", NULL, &err) == 0);
	len = load(text, sizeof(text));
	second = (size_t)(strchr(text, '\n') + 1 - text);
	for (size_t cut = 1; cut < len; cut++) {
		bool whole = cut == second || cut == second - 1 || cut == len - 1;

		store(text, cut);
		CHECK((verify(NULL, &summary, &err) == 0) == (cut == second));
		CHECK(add("sealed", "SHA256SUMS", NULL, &err) == 0);
		CHECK(verify(head, &summary, &err) == 0);
		CHECK(summary.torn == !whole);
		CHECK(summary.anchor_line == summary.lines);
		/* Nothing that was there is gone. */
		load(after, sizeof(after));
		CHECK(memcmp(after, text, cut) == 0);
	}
}

/* The append that records a torn line is torn itself. */
static void torn_twice(void)
{
	struct custody_summary summary = { 0 };
	char text[20000];
	struct err err = { 0 };
	size_t len;

	fresh();
	CHECK(add("captured", "memory.lime", NULL, &err) == 0);
	len = load(text, sizeof(text));
	for (size_t extra = 1; extra < 60; extra++) {
		char torn[20000];

		memcpy(torn, text, len);
		memcpy(torn + len, "{\"seq\":2,\"pr\n", 13);
		memcpy(torn + len + 13, text, extra - 1);
		store(torn, len + 12 + extra);
		CHECK(add("sealed", "SHA256SUMS", NULL, &err) == 0);
		CHECK(verify(head, &summary, &err) == 0);
		CHECK(summary.torn == 1 && summary.lines == 3);
		/* What was torn is under its hash. */
		{
			char now[20000];
			size_t all = load(now, sizeof(now));

			now[len + 3] ^= 1;
			store(now, all);
			CHECK(verify(head, &summary, &err) < 0);
			CHECK(summary.lines == 1);
		}
	}
}

static void strangers_are_refused(void)
{
	static char big[200000];
	struct err err = { 0 };

	memset(big, 'x', sizeof(big));
	store(big, sizeof(big));
	CHECK(add("sealed", "a", NULL, &err) < 0 && err.kind == ERR_NO);
	fresh();
	CHECK(symlinkat("elsewhere", dirfd_, CUSTODY_NAME) == 0);
	CHECK(add("sealed", "a", NULL, &err) < 0);
	fresh();
	CHECK(add("Sealed", "a", NULL, &err) < 0 && err.kind == ERR_USAGE);
	CHECK(add("sealed", "", NULL, &err) < 0 && err.kind == ERR_USAGE);
	CHECK(add("sealed", "\xff", NULL, &err) < 0 && err.kind == ERR_USAGE);
	memset(big, 'a', 400);
	big[400] = '\0';
	CHECK(add("sealed", big, NULL, &err) < 0 && err.kind == ERR_USAGE);
	fresh();
}

static void longest_line_fits(void)
{
	static char text[CUSTODY_LINE_MAX];
	static struct custody_line line = { .seq = UINT64_MAX,
					    .uid = UINT32_MAX,
					    .has_sha256 = true,
					    .time = "2026-11-21T16:20:00.123456789Z" };
	static struct custody_line again;
	struct err err = { 0 };
	int len;

	memset(line.tool, 1, sizeof(line.tool) - 1);
	memset(line.version, 1, sizeof(line.version) - 1);
	memset(line.instance, 1, sizeof(line.instance) - 1);
	memset(line.action, 'z', sizeof(line.action) - 1);
	memset(line.file, 1, sizeof(line.file) - 1);
	memset(line.note, 1, sizeof(line.note) - 1);
	len = custody_format(&line, text, &err);
	CHECK(len > 0 && len < CUSTODY_LINE_MAX);
	CHECK(custody_parse(text, (size_t)len - 1, &again));
	CHECK(memcmp(&line, &again, sizeof(line)) == 0);
}

static void write_sums(const char *text)
{
	int fd = openat(dirfd_, "SHA256SUMS", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(io_pwrite(fd, text, strlen(text), 0) == 0);
	close(fd);
}

static void seal_binds_the_sums(void)
{
	struct custody_event event = { .tool = "test",
				       .instance = "i-0",
				       .action = "hashed",
				       .file = "SHA256SUMS" };
	uint8_t digest[SHA256_LEN], sealed[SHA256_LEN], again[SHA256_LEN];
	struct custody_summary summary = { 0 };
	struct err err = { 0 };

	fresh();
	write_sums("sums\n");
	CHECK(custody_seal(dirfd_, "test", "i-0", sealed, &err) < 0);
	sha256("sums\n", 5, digest);
	event.sha256 = digest;
	CHECK(custody_append(dirfd_, CUSTODY_NAME, &event, head, &err) == 0);
	CHECK(custody_seal(dirfd_, "test", "i-0", sealed, &err) == 0);
	CHECK(verify(sealed, &summary, &err) == 0 && summary.lines == 2);
	/* Sealed already: the same head again. */
	CHECK(custody_seal(dirfd_, "test", "i-0", again, &err) == 0);
	CHECK(memcmp(sealed, again, sizeof(again)) == 0);
	write_sums("Sums\n");
	CHECK(custody_seal(dirfd_, "test", "i-0", again, &err) < 0 && err.kind == ERR_NO);
	unlinkat(dirfd_, "SHA256SUMS", 0);
}

int main(void)
{
	if (!mkdtemp(dir))
		return 5;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
	RUN(lines_chain);
	RUN(every_change_is_seen);
	RUN(torn_lines_are_recorded);
	RUN(torn_twice);
	RUN(strangers_are_refused);
	RUN(longest_line_fits);
	RUN(seal_binds_the_sums);
	fresh();
	rmdir(dir);
	return DONE();
}
