/* What starts programs by itself, and who is logged in. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/fakesystem.h"
#include "tests/lib/triagelines.h"
#include "tests/unit/check.h"
#include "toolkit/lib/le.h"
#include "toolkit/triage/unittext.h"
#include "toolkit/triage/utmp.h"

#define SECRET                                                                           \
	"[Service]\n"                                                                    \
	"# ExecStart=/bin/no\n"                                                          \
	"Environment=AWS_SECRET_ACCESS_KEY=sEcReT \"B=two words\"\n"                     \
	"ExecStart=/usr/bin/agent --token sEcReT \\\n"                                   \
	"    --password=sEcReT --port 80\n"                                              \
	"Description=no\n"

static void link_to(const char *target, const char *path)
{
	struct timespec times[2] = { { .tv_sec = time(NULL) + 60 }, { .tv_sec = 1000 } };

	if (symlinkat(target, fake.rootfd, path) < 0 ||
	    utimensat(fake.rootfd, path, times, AT_SYMLINK_NOFOLLOW) < 0)
		abort();
}

static void units_of_systemd(void)
{
	fake_begin();
	fake_text(fake.rootfd, "etc/systemd/system/agent.service", SECRET);
	fake_text(fake.rootfd, "etc/systemd/system/off.timer",
		  "[Timer]\nOnCalendar=hourly\n");
	fake_text(fake.rootfd, "etc/systemd/system/agent.service.d/more.conf",
		  "[Service]\nExecStartPost=/tmp/x\n");
	fake_text(fake.rootfd, "etc/systemd/system/multi-user.target.wants/agent.service",
		  "");
	fake_text(fake.rootfd, "usr/lib/systemd/system/dist.service",
		  "[Service]\nExecStart=/usr/bin/dist\n");
	fake_text(fake.rootfd, "usr/lib/systemd/system/no.target", "[Unit]\n");
	fake_text(fake.rootfd, "opt/evil", "[Service]\nExecStart=/opt/evil.bin\n");
	link_to("/opt/evil", "etc/systemd/system/linked.service");
	link_to("/dev/null", "etc/systemd/system/masked.service");
	/* As on a system whose /lib is /usr/lib: once is enough. */
	link_to("usr/lib", "lib");
	CHECK(collect_units(&fake, &fake_err) == 0);
	CHECK(triage_line_with("\"kind\":\"systemd\"",
			       "\"path\":\"/etc/systemd/system/agent.service\"",
			       "--token sEcReT      --password=sEcReT --port 80\"",
			       "\"enabled\":true", "\"mtime\":\"20", NULL));
	CHECK(triage_line_with("off.timer", "[\"OnCalendar=hourly\"]",
			       "\"enabled\":false", NULL));
	CHECK(triage_line_with("/etc/systemd/system/agent.service.d/more.conf",
			       "ExecStartPost=/tmp/x", NULL));
	CHECK(triage_line_with("/etc/systemd/system/linked.service",
			       "ExecStart=/opt/evil.bin", NULL));
	CHECK(triage_lines_count("dist.service") == 1);
	CHECK(triage_lines_count("Description") == 0);
	CHECK(triage_lines_count("\"type\":\"unit\"") == 5);
	CHECK(triage_lines_count("\"unread\"") == 0);
	/* Those that the distribution did not bring are files to be looked at. */
	CHECK(fake.units.file_count == 4);
}

static void secrets_are_left_out(void)
{
	fake_begin();
	fake_options.redact = true;
	fake_text(fake.rootfd, "etc/systemd/system/agent.service", SECRET);
	CHECK(collect_units(&fake, &fake_err) == 0);
	CHECK(triage_lines_count("sEcReT") == 0 && triage_lines_count("words") == 0);
	CHECK(triage_line_with("Environment=AWS_SECRET_ACCESS_KEY=[redacted]",
			       "ExecStart=/usr/bin/agent --token [redacted] ",
			       "--password=[redacted] --port 80", NULL));
}

static void other_starters(void)
{
	fake_begin();
	fake_text(fake.rootfd, "etc/passwd",
		  "root:x:0:0:root:/root:/bin/sh\nbad line\n"
		  "daemon:x:1:1::/usr/sbin:/bin/false\n"
		  "me:x:1000:1000:,,,:/home/me:/bin/sh\n");
	fake_text(fake.rootfd, "root/.ssh/authorized_keys", "ssh-ed25519 AAAA root@x\n");
	fake_text(fake.rootfd, "home/me/.config/systemd/user/a.service",
		  "[Service]\nExecStart=/a\n");
	fake_text(fake.rootfd, "home/me/.bashrc", "x=1\n");
	fake_text(fake.rootfd, "etc/crontab", "# no\nMAILTO=me\n* * * * * root /x\\\n\n");
	fake_text(fake.rootfd, "var/spool/cron/crontabs/me", "@reboot /dev/shm/y\n");
	fake_text(fake.rootfd, "var/spool/cron/atjobs/a0001",
		  "#!/bin/sh\nHOME=/root; export HOME\n/z\n");
	fake_text(fake.rootfd, "etc/udev/rules.d/9.rules",
		  "ACTION==\"add\", \\\n  RUN+=\"/r\"\nKERNEL==\"x\"\n");
	fake_text(fake.rootfd, "etc/modprobe.d/a.conf", "install dccp /bin/false\n");
	fake_text(fake.rootfd, "etc/modprobe.d/b.conf", "options x y=1\n");
	fake_text(fake.rootfd, "etc/pam.d/sshd", "auth required pam_unix.so\n");
	fake_text(fake.rootfd, "etc/pam.d/su", "session optional pam_exec.so /p\n");
	fake_text(fake.rootfd, "etc/init.d/ssh", "#!/bin/sh\n");
	CHECK(collect_units(&fake, &fake_err) == 0);
	CHECK(triage_line_with("\"authorized_keys\"", "/root/.ssh/authorized_keys",
			       "ssh-ed25519 AAAA root@x", NULL));
	CHECK(triage_line_with("\"systemd_user\"",
			       "/home/me/.config/systemd/user/a.service", NULL));
	CHECK(triage_line_with("\"profile\"", "/home/me/.bashrc", NULL));
	CHECK(triage_line_with("/etc/crontab",
			       "[\"MAILTO=me\",\"* * * * * root /x\\\\\"]", NULL));
	CHECK(triage_line_with("/var/spool/cron/crontabs/me", "@reboot /dev/shm/y",
			       NULL));
	CHECK(triage_line_with("\"at\"", "[\"/z\"]", NULL));
	CHECK(triage_line_with("\"udev\"",
			       "[\"ACTION==\\\"add\\\",    RUN+=\\\"/r\\\"\"]", NULL));
	CHECK(triage_line_with("\"modprobe\"", "install dccp /bin/false", NULL));
	CHECK(triage_line_with("\"pam\"", "/etc/pam.d/su", "pam_exec.so /p", NULL));
	CHECK(triage_line_with("\"init\"", "/etc/init.d/ssh", NULL));
	CHECK(triage_lines_count("\"type\":\"unit\"") == 10);
}

static void too_much_is_cut_and_said(void)
{
	size_t len = 300 * 1024;
	char *text = malloc(len);

	fake_begin();
	for (size_t i = 0; i < len; i++)
		text[i] = i % 8 == 7 ? '\n' : 'x';
	fake_file(fake.rootfd, "etc/crontab", text, len);
	free(text);
	CHECK(collect_units(&fake, &fake_err) == 0);
	CHECK(triage_line_with("\"unread\"", "/etc/crontab", "too_large", NULL));
	CHECK(triage_line_with("\"unit\"", "\"lines_truncated\":true", NULL));
}

/* One record of utmp, of either layout. */
static void put_utmp(unsigned char *to, size_t size, const char *user, const char *host)
{
	size_t at = size == UTMP_RECORD_64 ? 344 : 340, width = size == 400 ? 8 : 4;

	memset(to, 0, size);
	put_le(to, UTMP_USER_PROCESS, 2);
	put_le(to + 4, 1234, 4);
	memcpy(to + 8, "pts/0", 5);
	memcpy(to + 44, user, strlen(user));
	memcpy(to + 76, host, strlen(host));
	put_le(to + at, 1700000000, width);
	put_le(to + at + width, 500000, width);
	memcpy(to + at + 2 * width, "\xc0\x00\x02\x01", 4);
}

static void sessions_of(size_t size)
{
	unsigned char bytes[3 * UTMP_RECORD_64] = { 0 };

	fake_begin();
	bytes[0] = 2; /* boot */
	put_utmp(bytes + size, size, "root", "192.0.2.1");
	put_utmp(bytes + 2 * size, size, "12345678901234567890123456789012", "\x1b[2J");
	fake_file(fake.rootfd, "run/utmp", bytes, 3 * size);
	CHECK(collect_sessions(&fake, &fake_err) == 0);
	CHECK(triage_lines_count("\"type\":\"session\"") == 2);
	CHECK(triage_line_with("\"user\":\"root\"", "\"line\":\"pts/0\"",
			       "\"address\":\"192.0.2.1\"", "\"pid\":1234",
			       "\"time\":\"2023-11-14T22:13:20.500000000Z\"", NULL));
	CHECK(triage_line_with("\"user\":\"12345678901234567890123456789012\"", NULL));
}

static void sessions_of_both_layouts(void)
{
	sessions_of(UTMP_RECORD_32);
	sessions_of(UTMP_RECORD_64);
	fake_begin();
	fake_text(fake.rootfd, "run/utmp", "damaged");
	CHECK(collect_sessions(&fake, &fake_err) == 0);
	CHECK(triage_line_with("\"unread\"", "/run/utmp", NULL));
}

static void sessions_of_systemd(void)
{
	fake_begin();
	fake_text(fake.rootfd, "run/systemd/sessions/4",
		  "# private\nUID=0\nUSER=root\nTTY=pts/1\nREMOTE_HOST=198.51.100.7\n"
		  "SERVICE=sshd\nLEADER=321\nREALTIME=1700000000500000\n");
	if (mkfifoat(fake.rootfd, "run/systemd/sessions/4.ref", 0600) < 0)
		abort();
	CHECK(collect_sessions(&fake, &fake_err) == 0);
	CHECK(triage_line_with("\"user\":\"root\"", "\"line\":\"pts/1\"",
			       "\"host\":\"198.51.100.7\"", "\"pid\":321",
			       "2023-11-14T22:13:20.500000000Z",
			       "\"source\":\"/run/systemd/sessions/4\"", NULL));
	CHECK(triage_lines_count("\n") == 0 && triage_lines_count("session") == 1);
}

int main(void)
{
	RUN(units_of_systemd);
	RUN(secrets_are_left_out);
	RUN(other_starters);
	RUN(too_much_is_cut_and_said);
	RUN(sessions_of_both_layouts);
	RUN(sessions_of_systemd);
	fake_end();
	return DONE();
}
