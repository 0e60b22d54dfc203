/* Files of the host are opened without a trace, or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/host.h"
#include "toolkit/triage/quiet.h"

static char scratch[] = "/dev/shm/fvol-quiet.XXXXXX";
static struct triage triage = { .capabilities = (uint64_t)1 << HOST_CAP_SYS_ADMIN };
static enum triage_reason reason;

static void write_file(const char *path, const char *text)
{
	int fd = openat(triage.rootfd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

static void set_times(const char *path, time_t atime, time_t mtime)
{
	struct timespec times[2] = { { .tv_sec = atime }, { .tv_sec = mtime } };

	if (utimensat(triage.rootfd, path, times, AT_SYMLINK_NOFOLLOW) < 0)
		abort();
}

/* As one that was followed of late: relatime spares it. */
static void make_link(const char *target, const char *path)
{
	if (symlinkat(target, triage.rootfd, path) < 0)
		abort();
	set_times(path, time(NULL) + 60, 1000);
}

static time_t atime_of(const char *path)
{
	struct stat st;

	if (fstatat(triage.rootfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		abort();
	return st.st_atim.tv_sec;
}

static const char *text_of(const char *path, unsigned flags)
{
	static char buf[64];

	reason = REASON_COUNT;
	return triage_read_quiet(&triage, triage.rootfd, path, flags, buf, sizeof(buf),
				 NULL, &reason) < 0
		       ? NULL
		       : buf;
}

static void reading_moves_no_access_time(void)
{
	struct stat st;
	int fd;

	write_file("plain", "text");
	set_times("plain", 1000, 2000);
	CHECK_STR(text_of("plain", 0), "text");
	CHECK_STR(text_of("/plain", 0), "text");
	CHECK(atime_of("plain") == 1000);

	set_times("etc", 1000, 2000);
	fd = triage_open_quiet(&triage, triage.rootfd, "/etc", QUIET_DIRECTORY, &st,
			       &reason);
	CHECK(fd >= 0 && S_ISDIR(st.st_mode));
	CHECK(read(fd, &st, 1) < 0 && errno == EISDIR);
	close(fd);
	CHECK(atime_of("etc") == 1000);
}

/* Links are ours to follow: absolute ones stay below the root, and so does "..". */
static void links_stay_below_the_root(void)
{
	time_t now = time(NULL);

	write_file("etc/real", "real");
	make_link("/etc", "link");
	make_link("../../../../../etc/real", "etc/up");
	make_link("loop", "loop");
	CHECK_STR(text_of("link/real", 0), "real");
	CHECK_STR(text_of("etc/../../../link//real", 0), "real");
	CHECK(!text_of("etc/up", 0) && errno == ELOOP);
	CHECK_STR(text_of("etc/up", QUIET_FOLLOW), "real");
	CHECK(!text_of("loop", QUIET_FOLLOW) && errno == ELOOP);
	CHECK(!text_of("loop/x", 0) && errno == ELOOP);
	CHECK(!text_of("plain/x", 0) && errno == ENOTDIR);
	CHECK(!text_of("none", 0) && errno == ENOENT && reason == REASON_NOT_SUPPORTED);
	CHECK(atime_of("etc/up") >= now - 60);
}

/* There is no O_NOATIME for links: one that relatime would move is not read. */
static void links_whose_time_would_move(void)
{
	make_link("plain", "old");
	CHECK(!text_of("old", 0) && errno == ELOOP);
	set_times("old", 1000, 500);
	CHECK(!text_of("old", QUIET_FOLLOW) && reason == REASON_WOULD_CHANGE_HOST);
	CHECK(!text_of("old/x", 0) && reason == REASON_WOULD_CHANGE_HOST);
	CHECK(atime_of("old") == 1000);
}

static void only_files_are_opened(void)
{
	CHECK(mkfifoat(triage.rootfd, "fifo", 0600) == 0);
	CHECK(!text_of("fifo", 0) && errno == EINVAL);
	CHECK(!text_of("etc", 0) && errno == EISDIR);
	CHECK(triage_open_quiet(&triage, triage.rootfd, "plain", QUIET_DIRECTORY, NULL,
				&reason) < 0 &&
	      errno == ENOTDIR);
	write_file("long", "0123456789012345678901234567890123456789"
			   "012345678901234567890123456789");
	CHECK(!text_of("long", 0) && reason == REASON_TOO_LARGE);
	write_file("fits", "0123456789012345678901234567890123456789"
			   "01234567890123456789012");
	CHECK(text_of("fits", 0) && strlen(text_of("fits", 0)) == 63);
}

/* Somebody who owns nothing: false when the answers are not as they are to be. */
static int child_without_rights(void)
{
	if (setresuid(65534, 65534, 65534) < 0)
		return 10;
	if (text_of("plain", 0) || reason != REASON_WOULD_CHANGE_HOST || errno != EPERM)
		return 1;
	if (!text_of("recent", 0))
		return 2;
	return 0;
}

static void without_the_right_to_o_noatime(void)
{
	int status;
	pid_t pid;

	write_file("recent", "text");
	/* The change time is now, too: an access after it is what relatime spares. */
	set_times("recent", time(NULL) + 60, 2000);
	fchmodat(triage.rootfd, ".", 0755, 0);
	pid = fork();
	if (pid == 0)
		_exit(child_without_rights());
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == 0);
	CHECK(atime_of("plain") == 1000);
}

static void magic_links_open_what_has_no_name(void)
{
	char path[64], buf[8];
	int fd, held;

	write_file("gone", "gone");
	held = openat(triage.rootfd, "gone", O_RDONLY);
	unlinkat(triage.rootfd, "gone", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
	fd = triage_open_quiet(&triage, AT_FDCWD, path, QUIET_MAGIC, NULL, &reason);
	CHECK(fd >= 0 && read(fd, buf, 4) == 4 && memcmp(buf, "gone", 4) == 0);
	close(fd);
	close(held);
}

int main(void)
{
	char command[128];

	if (!mkdtemp(scratch) ||
	    (triage.rootfd = open(scratch, O_RDONLY | O_DIRECTORY)) < 0 ||
	    mkdirat(triage.rootfd, "etc", 0755) < 0)
		return 1;
	RUN(reading_moves_no_access_time);
	RUN(links_stay_below_the_root);
	RUN(links_whose_time_would_move);
	RUN(only_files_are_opened);
	RUN(without_the_right_to_o_noatime);
	RUN(magic_links_open_what_has_no_name);
	snprintf(command, sizeof(command), "rm -r %s", scratch);
	return system(command) || DONE();
}
