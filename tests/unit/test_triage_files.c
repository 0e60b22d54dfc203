/* Files that processes refer to, and those that directories do not list. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/lib/fakesystem.h"
#include "tests/lib/triagelines.h"
#include "tests/unit/check.h"

/* In place of the C library's: names that a hiding module would leave out. */
static const char *hide;
#include <dirent.h>
#include <dlfcn.h>

struct dirent *readdir(DIR *dir)
{
	struct dirent *(*real)(DIR *) =
		(struct dirent * (*)(DIR *)) dlsym(RTLD_NEXT, "readdir");
	struct dirent *entry;

	do
		entry = real(dir);
	while (entry && hide && strcmp(entry->d_name, hide) == 0);
	return entry;
}

static struct known_file *refer(const char *path, uint8_t role, int32_t pid)
{
	struct stat st;

	if (fstatat(fake.rootfd, path + 1, &st, 0) < 0)
		abort();
	return census_add_file(&fake.census, major(st.st_dev), minor(st.st_dev),
			       st.st_ino, path, role, pid);
}

static void files_of_the_census(void)
{
	struct known_file *file;

	fake_begin();
	fake_text(fake.rootfd, "usr/bin/x", "12345");
	fake_text(fake.rootfd, "tmp/.y", "1");
	refer("/usr/bin/x", FILE_ROLE_EXE, 7);
	refer("/usr/bin/x", FILE_ROLE_FD, 8);
	refer("/tmp/.y", FILE_ROLE_EXE, 9);
	file = census_add_file(&fake.census, 0, 1, 99, "/memfd:a", FILE_ROLE_EXE, 10);
	file->deleted = true;
	/* By the process's link, which is the first way. */
	fake_text(fake.rootfd, "other", "123");
	file = refer("/other", FILE_ROLE_LIBRARY, 11);
	unlinkat(fake.rootfd, "other", 0);
	strcpy(file->via, "11/exe");
	CHECK(collect_files(&fake, &fake_err) == 0);
	CHECK(triage_lines_count("\"type\":\"file\"") == 4);
	CHECK(triage_line_with("\"path\":\"/usr/bin/x\"", "\"mode\":\"100644\"",
			       "\"size\":5", "\"nlink\":1", "\"atime\":\"20",
			       "\"roles\":[\"exe\",\"fd\"]", "\"pids\":[7,8]",
			       "\"deleted\":false", NULL));
	CHECK(triage_line_with("/memfd:a", "\"deleted\":true", NULL));
	CHECK(triage_line_with("executable_in_temporary_directory", "/tmp/.y",
			       "\"pids\":[9]", NULL));
	CHECK(triage_lines_count("\"finding\"") == 1);
}

static void a_file_that_is_not_listed(void)
{
	fake_begin();
	fake_text(fake.rootfd, "usr/bin/rk\x1b", "1");
	fake_text(fake.rootfd, "usr/bin/z", "1");
	refer("/usr/bin/rk\x1b", FILE_ROLE_EXE, 7);
	refer("/usr/bin/z", FILE_ROLE_EXE, 7);
	hide = "rk\x1b";
	CHECK(collect_files(&fake, &fake_err) == 0);
	hide = NULL;
	CHECK(triage_line_with("\"hidden_file\"", "\"severity\":\"high\"",
			       "/usr/bin/rk\\\\x1b", "\"readdir\":\"absent\"",
			       "\"rechecked\":3", NULL));
	CHECK(triage_lines_count("\"finding\"") == 1);
}

static void what_every_program_loads(void)
{
	fake_begin();
	fake_text(fake.rootfd, "etc/ld.so.preload", "");
	hide = "ld.so.preload";
	CHECK(collect_files(&fake, &fake_err) == 0);
	hide = NULL;
	CHECK(triage_line_with("\"hidden_file\"", "/etc/ld.so.preload", NULL));
	CHECK(triage_lines_count("\"finding\"") == 1);
}

static void a_directory_that_is_not_listed(void)
{
	fake_begin();
	fake_text(fake.rootfd, "tmp/rk/x", "1");
	fake_text(fake.rootfd, "tmp/other/x", "1");
	hide = "rk";
	CHECK(collect_files(&fake, &fake_err) == 0);
	hide = NULL;
	CHECK(triage_line_with("\"hidden_file\"", "\"path\":\"/tmp\"",
			       "\"link_count\":2,\"readdir\":1", NULL));
	CHECK(triage_lines_count("\"finding\"") == 1);
	triage_lines_clear();
	CHECK(collect_files(&fake, &fake_err) == 0);
	CHECK(triage_lines_count("\"finding\"") == 0);
}

/* A file of another mount namespace has a name that is somebody else's here. */
static void another_file_of_that_name(void)
{
	struct known_file *file;

	fake_begin();
	fake_text(fake.rootfd, "usr/bin/x", "1");
	file = refer("/usr/bin/x", FILE_ROLE_EXE, 7);
	if (linkat(fake.rootfd, "usr/bin/x", fake.procfd, "7exe", 0) < 0)
		abort();
	strcpy(file->via, "7exe");
	unlinkat(fake.rootfd, "usr/bin/x", 0);
	CHECK(collect_files(&fake, &fake_err) == 0);
	fake_text(fake.rootfd, "usr/bin/x", "2");
	hide = "x";
	CHECK(collect_files(&fake, &fake_err) == 0);
	hide = NULL;
	CHECK(triage_lines_count("\"finding\"") == 0);
}

int main(void)
{
	RUN(files_of_the_census);
	RUN(a_file_that_is_not_listed);
	RUN(what_every_program_loads);
	RUN(a_directory_that_is_not_listed);
	RUN(another_file_of_that_name);
	fake_end();
	return DONE();
}
