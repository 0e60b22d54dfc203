/* Files without a length, read whole or up to a bound. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/procfile.h"

static char scratch[] = "/dev/shm/fvol-procfile.XXXXXX";
static int dirfd = -1;
static struct proctext text;

static void make(const char *name, size_t bytes)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	char *data = malloc(bytes + 1);

	for (size_t i = 0; i < bytes; i++)
		data[i] = (char)(i % 251);
	if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes)
		abort();
	close(fd);
	free(data);
}

static bool is_whole(size_t bytes)
{
	if (text.len_bytes != bytes || text.data[bytes] != '\0')
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (text.data[i] != (char)(i % 251))
			return false;
	return true;
}

static void any_length(void)
{
	static const size_t sizes[] = { 0,     1,     4095,  4096,   16382,  16383,
					16384, 16385, 65536, 300000, 1000003 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		make("file", sizes[i]);
		CHECK(procfile_read(dirfd, "file", 2 << 20, &text) == 0);
		CHECK(is_whole(sizes[i]) && !text.truncated);
	}
}

static void up_to_a_bound(void)
{
	make("file", 100000);
	CHECK(procfile_read(dirfd, "file", 100000, &text) == 0);
	CHECK(is_whole(100000) && !text.truncated);
	CHECK(procfile_read(dirfd, "file", 99999, &text) == 0);
	CHECK(is_whole(99999) && text.truncated);
	CHECK(procfile_read(dirfd, "file", 1, &text) == 0);
	CHECK(is_whole(1) && text.truncated);
	/* The next one is not. */
	make("file", 1);
	CHECK(procfile_read(dirfd, "file", 1, &text) == 0 && !text.truncated);
}

static void what_is_no_such_file(void)
{
	char *link;

	CHECK(procfile_read(dirfd, "none", 100, &text) == ENOENT && !text.len_bytes);
	CHECK(procfile_read(dirfd, ".", 100, &text) == EISDIR && !text.len_bytes);
	if (symlinkat("file", dirfd, "link") < 0 || mkfifoat(dirfd, "fifo", 0600) < 0)
		abort();
	CHECK(procfile_read(dirfd, "link", 100, &text) == ELOOP);
	/* Nobody writes to it: that is an end, and no reason to wait. */
	CHECK(procfile_read(dirfd, "fifo", 100, &text) == 0 && !text.len_bytes);
	CHECK(procfile_link(dirfd, "link", &text) == 0);
	CHECK_STR(text.data, "file");
	CHECK(procfile_link(dirfd, "file", &text) == EINVAL);
	CHECK(procfile_link(dirfd, "none", &text) == ENOENT);
	unlinkat(dirfd, "link", 0);
	link = malloc(4001);
	memset(link, 'x', 4000);
	link[4000] = '\0';
	if (symlinkat(link, dirfd, "link") < 0)
		abort();
	CHECK(procfile_link(dirfd, "link", &text) == 0 && text.len_bytes == 4000);
	free(link);
}

/* What stands in a link may be an attacker's, where the tree is. */
static void inodes_of_targets(void)
{
	static const struct {
		const char *target;
		uint64_t inode;
	} known[] = {
		{ "net:[4026531840]", 4026531840 },
		{ "mnt:[1]", 1 },
		{ "socket:[18446744073709551614]", UINT64_MAX - 1 },
		{ "socket:[18446744073709551615]", 0 },
		{ "socket:[18446744073709551617]", 0 },
		{ "net:[99999999999999999999999999999999]", 0 },
		{ "net:[0]", 0 },
		{ "net:[-1]", 0 },
		{ "net:[+1]", 0 },
		{ "net:[ 1]", 0 },
		{ "net:[0x10]", 0 },
		{ "net:[1", 0 },
		{ "net:[1 ]", 0 },
		{ "net:[1]x", 0 },
		{ "net:[1] (deleted)", 0 },
		{ "net:[]", 0 },
		{ "net:[", 0 },
		{ "net:", 0 },
		{ "net", 0 },
		{ "net:1]", 0 },
		{ "net[1]", 0 },
		{ ":[1]", 0 },
		{ "[1]", 0 },
		{ "", 0 },
		{ "/net:[1]", 0 },
		{ "/tmp/[4026531840]", 0 },
		{ "anon_inode:[eventfd]", 0 },
		{ "\xff:[1]", 0 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		/* A byte that is read behind the text is seen. */
		char *target = strdup(known[i].target);

		unlinkat(dirfd, "link", 0);
		if (procfile_inode_of(target) != known[i].inode)
			printf("  %s\n", target);
		CHECK(procfile_inode_of(target) == known[i].inode);
		CHECK(!*target || symlinkat(target, dirfd, "link") == 0);
		CHECK(procfile_namespace(dirfd, "link") == known[i].inode);
		free(target);
	}
}

static void namespaces_of_links(void)
{
	char target[100];

	CHECK(procfile_namespace(dirfd, "none") == 0);
	CHECK(procfile_namespace(dirfd, "file") == 0);
	/* Of a target longer than any of the kernel's the beginning is not taken. */
	memset(target, 'x', sizeof(target));
	memcpy(target + 58, ":[12]67", 8);
	for (size_t i = 0; i < 3; i++) {
		unlinkat(dirfd, "link", 0);
		CHECK(symlinkat(target + i, dirfd, "link") == 0);
		CHECK(procfile_namespace(dirfd, "link") == 0);
	}
}

static void clean_up(void)
{
	static const char *const names[] = { "file", "link", "fifo" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(dirfd, names[i], 0);
	close(dirfd);
	rmdir(scratch);
	procfile_free(&text);
}

int main(void)
{
	if (!mkdtemp(scratch))
		return 5;
	dirfd = open(scratch, O_RDONLY | O_DIRECTORY);
	RUN(any_length);
	RUN(up_to_a_bound);
	RUN(what_is_no_such_file);
	RUN(inodes_of_targets);
	RUN(namespaces_of_links);
	clean_up();
	return DONE();
}
