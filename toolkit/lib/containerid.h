/*
 * Which container a process is in, as its cgroup says, or the files that a runtime mounts
 * into it. The names of the cgroups are the runtimes' own:
 *   docker, cgroupfs and systemd      /docker/ID, docker-ID.scope
 *   containerd, cri-o (Kubernetes)    …/podUID/ID, cri-containerd-ID.scope, crio-ID.scope
 *   podman                            libpod-ID.scope
 *   ECS, v1 and v2                    /ecs/TASK/ID, ecstasks-TASK.slice/docker-ID.scope
 *   Fargate                           /ecs/TASK/HEX32-DIGITS
 *   LXC, systemd-nspawn               lxc.payload.NAME, systemd-nspawn@NAME.service
 */
#ifndef FVOL_CONTAINERID_H
#define FVOL_CONTAINERID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTAINERID_MAX 128

struct containerid {
	const char *runtime; /* static; "unknown" when only the form of the id tells */
	const char *source;  /* "cgroup" or "mountinfo" */
	char id[CONTAINERID_MAX];
	char task[CONTAINERID_MAX]; /* of ECS; empty: none */
	char pod[CONTAINERID_MAX];  /* UID of Kubernetes; empty: none */
};

/* A line of /proc/PID/cgroup, HIERARCHY:CONTROLLERS:PATH (cgroups(7)). */
struct cgroup_line {
	uint64_t hierarchy;
	const char *controllers, *path; /* in the text, ended by no NUL */
	size_t controllers_len, path_len;
};

/* Takes the next line of a text and moves *at behind it, at most to end. What is no such
 * line is passed over. Returns false at the end, *line untouched. */
bool containerid_next_cgroup(const char **at, const char *end, struct cgroup_line *line);

/* Looks at one path of /proc/PID/cgroup. Returns false, *found untouched, when it names
 * no container. */
bool containerid_of_cgroup(const char *path, size_t len_bytes, struct containerid *found);

/* The same for the text of /proc/PID/mountinfo: for those who see their own cgroup as /.
 */
bool containerid_of_mounts(const char *text, size_t len_bytes, struct containerid *found);

#endif
