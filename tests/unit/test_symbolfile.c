/* A symbol file is there whole or not at all, also when a signal comes. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/interrupt.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/symbolfile.h"

#define BTF_FILE "tests/unit/data/btf/small.btf"
#define VERSION_TEXT "Linux version 6.1.0-test (a@b) (gcc) #1 SMP now\n"
#define KALLSYMS "ffffffff81000000 T _text\nffffffff81001000 D linux_banner\n"

static int dirfd;

static int write_file(bool plain, struct err *err)
{
	struct symbolfile_bundle bundle = { .kallsyms = KALLSYMS,
					    .kallsyms_len = strlen(KALLSYMS),
					    .version = VERSION_TEXT,
					    .version_len = strlen(VERSION_TEXT) };
	struct symbolfile_report report;
	struct symbolfile_parts parts = { 0 };
	int fd = io_open_direct(AT_FDCWD, BTF_FILE, false, err), rc = -1;
	char *btf = NULL;

	if (fd >= 0)
		btf = io_read_direct(fd, 1 << 20, &bundle.btf_len, err);
	io_close(&fd);
	bundle.btf = btf;
	if (btf && symbolfile_from_bundle(&parts, &bundle, err) == 0)
		rc = symbolfile_write(&parts, dirfd, "file", plain, &report, err);
	symbolfile_free(&parts);
	free(btf);
	return rc;
}

static off_t size_of(const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -1 : st.st_size;
}

static void interrupt_writing(bool plain)
{
	struct err err = { 0 };
	off_t before;

	CHECK(write_file(plain, &err) == 0);
	before = size_of("file");
	CHECK(before > 0);
	interrupted = 1;
	CHECK(write_file(plain, &err) == -1);
	interrupted = 0;
	CHECK(err.kind == ERR_FAILED);
	CHECK(strstr(err.text, "signal"));
	CHECK(size_of("file") == before);
	CHECK(size_of("file.partial") == -1);
	unlinkat(dirfd, "file", 0);
}

static void test_a_signal_leaves_no_half(void)
{
	interrupt_writing(true);
	interrupt_writing(false);
}

static void test_what_is_no_file_stays(void)
{
	struct stat st;
	struct err err = { 0 };

	CHECK(mkfifoat(dirfd, "file", 0600) == 0);
	CHECK(write_file(false, &err) == -1);
	CHECK(strstr(err.text, "no regular file"));
	CHECK(fstatat(dirfd, "file", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	      S_ISFIFO(st.st_mode));
	CHECK(size_of("file.partial") == -1);
	unlinkat(dirfd, "file", 0);
}

int main(void)
{
	char dir[] = "/tmp/fvol-symbolfile-XXXXXX";

	if (!mkdtemp(dir))
		return 1;
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	RUN(test_a_signal_leaves_no_half);
	RUN(test_what_is_no_file_stays);
	close(dirfd);
	rmdir(dir);
	return DONE();
}
