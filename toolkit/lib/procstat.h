/*
 * /proc/PID/stat and status (Linux Documentation/filesystems/proc.rst). The name of a
 * program stands raw in stat, with parentheses and newlines if it has any; status has it
 * escaped.
 */
#ifndef FVOL_PROCSTAT_H
#define FVOL_PROCSTAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the kernel may show of a name: TASK_COMM_LEN is 16, but workers have longer ones.
 */
#define PROCSTAT_COMM_MAX 64
#define PROCSTAT_KTHREAD 0x00200000u /* PF_KTHREAD of linux/sched.h */

struct procstat {
	int32_t pid, ppid, pgrp, session, tty;
	char comm[PROCSTAT_COMM_MAX];
	size_t comm_len;
	char state;
	uint32_t flags;
	uint64_t user_ticks, system_ticks, start_ticks;
	uint64_t threads;
};

/* Returns false when text is not what the kernel writes. */
bool procstat_parse(const char *text, size_t len_bytes, struct procstat *stat);

#define PROCSTATUS_GROUPS_MAX 1024
#define PROCSTATUS_NS_MAX 33 /* MAX_PID_NS_LEVEL and the first */

struct procstatus {
	int32_t tgid, tracer_pid;
	uint32_t uid[4], gid[4]; /* real, effective, saved, file system */
	uint32_t groups[PROCSTATUS_GROUPS_MAX];
	size_t group_count;
	bool groups_truncated;
	int32_t ns_pid[PROCSTATUS_NS_MAX];
	size_t ns_pid_count;
	bool has_caps, has_no_new_privs, has_seccomp, has_filters;
	uint64_t cap_inheritable, cap_permitted, cap_effective, cap_bounding, cap_ambient;
	uint32_t no_new_privs, seccomp, seccomp_filters;
};

/* Returns false when the lines that every kernel writes are not there. */
bool procstatus_parse(const char *text, size_t len_bytes, struct procstatus *status);

#endif
