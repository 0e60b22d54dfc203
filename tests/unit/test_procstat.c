/* /proc/PID/stat and status: the name of a program is whatever it likes to be. */
#include <stdlib.h>

#include "tests/unit/check.h"
#include "toolkit/lib/procstat.h"

/* What follows the name: state, ppid, pgrp, session, tty, tpgid, flags … starttime. */
#define REST                                                                             \
	"S 41 42 43 34816 -1 2097216 1 2 3 4 15 26 7 8 20 0 9 0 123456789 10 11 "        \
	"18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n"

static struct procstat stat;

/* Parses "40 (NAME) REST" in memory of just its size. */
static bool parse(const char *name, size_t name_len, const char *rest)
{
	size_t len = 4 + name_len + 2 + strlen(rest);
	char *text = malloc(len);
	bool good;

	memcpy(text, "40 (", 4);
	memcpy(text + 4, name, name_len);
	memcpy(text + 4 + name_len, ") ", 2);
	memcpy(text + 4 + name_len + 2, rest, strlen(rest));
	good = procstat_parse(text, len, &stat);
	free(text);
	return good;
}

static void fields(void)
{
	CHECK(parse("cat", 3, REST));
	CHECK(stat.pid == 40 && stat.ppid == 41 && stat.pgrp == 42);
	CHECK(stat.session == 43 && stat.tty == 34816 && stat.state == 'S');
	CHECK(stat.flags == 2097216 && (stat.flags & PROCSTAT_KTHREAD));
	CHECK(stat.user_ticks == 15 && stat.system_ticks == 26 && stat.threads == 9);
	CHECK(stat.start_ticks == 123456789);
}

static void any_name(void)
{
	static const struct {
		const char *name;
		size_t len;
	} names[] = {
		{ "", 0 },
		{ ")", 1 },
		{ "a) R 1 1", 8 },
		{ "\n", 1 },
		{ "x) S 1 1\n9", 11 },
		{ "((((", 4 },
		{ "\xff\x80 ", 3 },
		{ "\0\0)", 3 },
		{ ") ) )", 5 },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CHECK(parse(names[i].name, names[i].len, REST));
		CHECK(stat.comm_len == names[i].len);
		CHECK(memcmp(stat.comm, names[i].name, names[i].len) == 0);
		CHECK(stat.ppid == 41 && stat.start_ticks == 123456789);
	}
}

static void what_the_kernel_would_not_write(void)
{
	static const char *const texts[] = {
		"",
		"40",
		"40 (a",
		"40 (a)",
		"40 (a) ",
		"40 (a) S",
		"(a) S 1 2 3",
		"x (a) " REST,
		"-4 (a) " REST,
		"0 (a) " REST,
		"40 a) " REST,
		"40  (a) " REST,
		")(" REST,
		"40 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18",
		"40 (a) S 1 x 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21",
	};
	char name[PROCSTAT_COMM_MAX + 1];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CHECK(!procstat_parse(texts[i], strlen(texts[i]), &stat));
	memset(name, 'n', sizeof(name));
	CHECK(parse(name, PROCSTAT_COMM_MAX, REST));
	CHECK(!parse(name, sizeof(name), REST));
}

#define STATUS                                                                              \
	"Name:\tevil\\nUid:\t0\t0\t0\t0\nUmask:\t0022\nState:\tS (sleeping)\n"              \
	"Tgid:\t40\nPid:\t40\nTracerPid:\t77\nUid:\t1000\t1001\t1002\t1003\n"               \
	"Gid:\t5\t6\t7\t4294967295\nGroups:\t4 24 27 \nNSpid:\t40\t3\t1\n"                  \
	"CapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\n"                            \
	"CapEff:\t00000000a80425fb\nCapBnd:\t0000000000000001\nCapAmb:\t0000000000000002\n" \
	"NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n"

static void lines_of_status(void)
{
	struct procstatus status;

	CHECK(procstatus_parse(STATUS, strlen(STATUS), &status));
	CHECK(status.tgid == 40 && status.tracer_pid == 77);
	CHECK(status.uid[0] == 1000 && status.uid[3] == 1003);
	CHECK(status.gid[0] == 5 && status.gid[3] == UINT32_MAX);
	CHECK(status.group_count == 3 && status.groups[2] == 27);
	CHECK(status.ns_pid_count == 3 && status.ns_pid[2] == 1);
	CHECK(status.has_caps && status.cap_effective == 0xa80425fb);
	CHECK(status.cap_permitted == 0x1ffffffffff && status.cap_bounding == 1);
	CHECK(status.cap_ambient == 2 && status.cap_inheritable == 0);
	CHECK(status.has_no_new_privs && status.no_new_privs == 1);
	CHECK(status.has_seccomp && status.seccomp == 2);
	CHECK(status.has_filters && status.seccomp_filters == 3);
}

static void status_of_other_kernels(void)
{
	static const char least[] = "Tgid:\t1\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n";
	struct procstatus status;

	CHECK(procstatus_parse(least, strlen(least), &status));
	CHECK(!status.has_caps && !status.has_seccomp && !status.has_no_new_privs);
	/* Each of the three must be there, and whole. */
	CHECK(!procstatus_parse(least, strlen(least) - 2, &status));
	CHECK(!procstatus_parse(least + 7, strlen(least) - 7, &status));
	CHECK(!procstatus_parse("", 0, &status));
}

static void more_groups_than_are_kept(void)
{
	size_t room = 8 * (PROCSTATUS_GROUPS_MAX + 10);
	char *text = malloc(room);
	size_t len = (size_t)snprintf(text, room,
				      "Tgid:\t1\nUid:\t0\t0\t0\t0\n"
				      "Gid:\t0\t0\t0\t0\nGroups:\t");
	struct procstatus status;

	for (int i = 0; i < PROCSTATUS_GROUPS_MAX; i++)
		len += (size_t)snprintf(text + len, room - len, "%d ", i);
	CHECK(procstatus_parse(text, len, &status));
	CHECK(status.group_count == PROCSTATUS_GROUPS_MAX && !status.groups_truncated);
	len += (size_t)snprintf(text + len, room - len, "9 \n");
	CHECK(procstatus_parse(text, len, &status) && status.groups_truncated);
	free(text);
}

int main(void)
{
	RUN(fields);
	RUN(any_name);
	RUN(what_the_kernel_would_not_write);
	RUN(lines_of_status);
	RUN(status_of_other_kernels);
	RUN(more_groups_than_are_kept);
	return DONE();
}
