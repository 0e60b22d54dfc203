/*
 * Containers by the paths of cgroups and mounts, in the forms that the runtimes give them
 * (the agents' and runtimes' own sources and their users' listings; the ids are made up).
 */
#include <stdlib.h>

#include "tests/unit/check.h"
#include "toolkit/lib/containerid.h"

#define ID "3dd988081e7149463c043b5d9c57d7309e079c5e9290f91feba1cc45a04d6a5b"
#define OUTER "99b81d1cb02a5e0cda6cbc2ef1a1d5ba3b43cb1dbfdb4b4e6f0bd0d2e8b7b1c4"
#define TASK "e95a40efbde84cbc8600660a109ec194"
#define UUID "0410eff2-7e59-4111-823e-1e0d98ef7f30"
#define POD "2d3da189-6407-48e3-9ab6-78188d75e609"
#define POD_ "2d3da189_6407_48e3_9ab6_78188d75e609"
#define SLICES                                                                           \
	"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_ ".slice"

static const struct known {
	const char *path, *runtime, *id, *task, *pod;
} known[] = {
	/* docker: cgroupfs, systemd, in itself */
	{ "/docker/" ID, "docker", ID, "", "" },
	{ "/system.slice/docker-" ID ".scope", "docker", ID, "", "" },
	{ "/docker/" OUTER "/docker/" ID, "docker", ID, "", "" },
	{ "/docker/" ID "/init.scope", "docker", ID, "", "" },
	{ "/system.slice:docker:" ID, "docker", ID, "", "" },
	{ "/../../docker/" ID, "docker", ID, "", "" },
	/* Kubernetes, systemd */
	{ SLICES "/cri-containerd-" ID ".scope", "containerd", ID, "", POD },
	{ SLICES "/docker-" ID ".scope", "docker", ID, "", POD },
	{ SLICES "/crio-" ID ".scope", "cri-o", ID, "", POD },
	{ SLICES "/crio-" ID ".scope/container", "cri-o", ID, "", POD },
	{ "/kubepods.slice/kubepods-pod" POD_ ".slice/cri-containerd-" ID ".scope",
	  "containerd", ID, "", POD },
	{ "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" POD_
	  ".slice/cri-containerd-" ID ".scope/init.scope",
	  "containerd", ID, "", POD },
	/* Kubernetes, cgroupfs */
	{ "/kubepods/besteffort/pod" POD "/" ID, "containerd", ID, "", POD },
	{ "/kubepods/pod" POD "/" ID, "containerd", ID, "", POD },
	{ "/kubepods/burstable/pod" POD "/crio-" ID, "cri-o", ID, "", POD },
	/* containerd's driver of old */
	{ "/system.slice/containerd.service/kubepods-burstable-pod" POD_
	  ".slice:cri-containerd:" ID,
	  "containerd", ID, "", POD },
	{ "/kubepods-pod" POD_ ".slice:crio:" ID, "cri-o", ID, "", POD },
	/* kind: a node that is a container itself */
	{ "/docker/" OUTER "/kubelet/kubepods/besteffort/pod" POD "/" ID, "containerd",
	  ID, "", POD },
	{ "/system.slice/docker-" OUTER ".scope/kubelet.slice/kubelet-kubepods.slice/"
	  "kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" POD_
	  ".slice/cri-containerd-" ID ".scope",
	  "containerd", ID, "", POD },
	/* nerdctl, and containerd without any */
	{ "/system.slice/nerdctl-" ID ".scope", "containerd", ID, "", "" },
	{ "/default/" ID, "unknown", ID, "", "" },
	/* podman: as root, as a user, cgroupfs */
	{ "/machine.slice/libpod-" ID ".scope", "podman", ID, "", "" },
	{ "/machine.slice/libpod-" ID ".scope/container", "podman", ID, "", "" },
	{ "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID
	  ".scope/container",
	  "podman", ID, "", "" },
	{ "/libpod_parent/libpod-" ID, "podman", ID, "", "" },
	/* ECS on instances, version 1 with both kinds of task ids, version 2 */
	{ "/ecs/" UUID "/" ID, "ecs", ID, UUID, "" },
	{ "/ecs/" TASK "/" ID, "ecs", ID, TASK, "" },
	{ "/ecs/cluster/" TASK "/" ID, "ecs", ID, TASK, "" },
	{ "/ecstasks.slice/ecstasks-" TASK ".slice/docker-" ID ".scope", "docker", ID,
	  TASK, "" },
	/* Fargate */
	{ "/ecs/" TASK "/" TASK "-3914536363", "fargate", TASK "-3914536363", TASK, "" },
	/* LXC and nspawn */
	{ "/lxc.payload.web1", "lxc", "web1", "", "" },
	{ "/lxc.payload.web1/system.slice/ssh.service", "lxc", "web1", "", "" },
	{ "/lxc/101/ns", "lxc", "101", "", "" },
	{ "/machine.slice/systemd-nspawn@web.service/payload", "systemd-nspawn", "web",
	  "", "" },
	{ "/machine.slice/machine-web.scope/payload", "systemd-nspawn", "web", "", "" },
};

static void paths_of_runtimes(void)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const struct known *k = &known[i];
		size_t len = strlen(k->path);
		char *copy = malloc(len);
		struct containerid found;
		int before = check_failures;

		memcpy(copy, k->path, len);
		CHECK(containerid_of_cgroup(copy, len, &found));
		free(copy);
		if (check_failures == before) {
			CHECK_STR(found.runtime, k->runtime);
			CHECK_STR(found.id, k->id);
			CHECK_STR(found.task, k->task);
			CHECK_STR(found.pod, k->pod);
			CHECK_STR(found.source, "cgroup");
		}
		if (check_failures != before)
			printf("  %s\n", k->path);
	}
}

static void paths_of_no_container(void)
{
	static const char *const paths[] = {
		"",
		"/",
		"/init.scope",
		"/system.slice/ssh.service",
		"/docker",
		"/user.slice/user-1000.slice/session-2.scope",
		"/system.slice/docker.service",
		"/system.slice/containerd.service",
		"/kubepods.slice",
		"/ecs",
		"/lxc",
		"/kubepods/besteffort",
		"/ecstasks.slice",
		SLICES,
		/* What watches over a container stands beside it. */
		SLICES "/crio-conmon-" ID ".scope",
		"/machine.slice/libpod-conmon-" ID ".scope",
		"/lxc.monitor.web1",
		/* Virtual machines are no containers. */
		"/machine.slice/machine-qemu\\x2d1\\x2dweb.scope",
		/* Something that only looks like an id. */
		"/docker/3dd98808",
		"/docker/" ID "0",
		"/docker/" TASK,
		"/system.slice/docker-" ID,
		"/system.slice/docker-" TASK ".scope",
		"/docker/3DD988081E7149463C043B5D9C57D7309E079C5E9290F91FEBA1CC45A04D6A5B",
		"/ecs/" TASK,
		"/ecs/" TASK "/" TASK "-",
		"/ecs/" TASK "/" TASK "-12x",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct containerid found = { .runtime = "untouched" };
		int before = check_failures;

		CHECK(!containerid_of_cgroup(paths[i], strlen(paths[i]), &found));
		CHECK_STR(found.runtime, "untouched");
		if (check_failures != before)
			printf("  %s\n", paths[i]);
	}
}

static bool of_mounts(const char *text, struct containerid *found)
{
	size_t len = strlen(text);
	char *copy = malloc(len + 1);
	bool is;

	memcpy(copy, text, len + 1);
	is = containerid_of_mounts(copy, len, found);
	free(copy);
	return is;
}

#define ROOT_MOUNT                                                                       \
	"700 600 0:59 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/docker/x\n"

static void mounts_of_runtimes(void)
{
	static const struct known files[] = {
		{ ROOT_MOUNT "712 700 259:1 /var/lib/docker/containers/" ID
			     "/hostname /etc/hostname rw - ext4 /dev/root rw\n",
		  "docker", ID, "", "" },
		{ ROOT_MOUNT
		  "712 700 259:1 /var/lib/containerd/io.containerd.grpc.v1.cri/"
		  "sandboxes/" ID "/hostname /etc/hostname rw - ext4 /dev/root rw\n"
		  "713 700 259:1 /var/lib/kubelet/pods/" POD
		  "/etc-hosts /etc/hosts rw - ext4 /dev/root rw\n",
		  "containerd", ID, "", POD },
		{ ROOT_MOUNT "713 700 259:1 /var/lib/kubelet/pods/" POD
			     "/etc-hosts /etc/hosts rw - ext4 /dev/root rw\n",
		  "containerd", "", "", POD },
		{ "712 700 0:25 /containers/storage/overlay-containers/" ID
		  "/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw\n",
		  "podman", ID, "", "" },
		{ "713 700 259:1 /var/lib/kubelet/pods/" POD
		  "/etc-hosts /etc/hosts rw - ext4 /dev/root rw\n"
		  "712 700 0:25 /containers/storage/overlay-containers/" ID
		  "/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw",
		  "cri-o", ID, "", POD },
		{ "712 700 259:1 /containers/" TASK
		  "-3914536363/hostname /etc/hostname rw - "
		  "ext4 /dev/root rw\n",
		  "unknown", TASK "-3914536363", "", "" },
	};
	struct containerid found;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int before = check_failures;

		CHECK(of_mounts(files[i].path, &found));
		if (check_failures == before) {
			CHECK_STR(found.runtime, files[i].runtime);
			CHECK_STR(found.id, files[i].id);
			CHECK_STR(found.pod, files[i].pod);
			CHECK_STR(found.source, "mountinfo");
		}
		if (check_failures != before)
			printf("  %s\n", files[i].path);
	}
}

static void mounts_of_a_host(void)
{
	struct containerid found = { .runtime = "untouched" };

	/* What runs containers has their files as mount points, not as what is mounted.
	 */
	CHECK(!of_mounts("26 1 259:1 / / rw - ext4 /dev/root rw\n"
			 "90 26 0:50 / /var/lib/docker/containers/" ID
			 "/mounts/shm rw - tmpfs shm rw\n"
			 "91 26 0:51 / /var/lib/kubelet/pods/" POD
			 "/volumes/x rw - tmpfs tmpfs rw\n",
			 &found));
	CHECK(!of_mounts("", &found) && !of_mounts("\n\n1 2\n1 2 3\n1 2 3 \n", &found));
	CHECK(!of_mounts("1 2 3 /var/lib/docker/containers/" TASK "/hostname /x",
			 &found));
	CHECK_STR(found.runtime, "untouched");
}

/* The lines of a text that was cut from a larger one, as "HIERARCHY|CONTROLLERS|PATH;".
 */
static void check_lines(const char *text, const char *expected)
{
	size_t len = strlen(text);
	char *copy = malloc(len ? len : 1), said[400] = "";
	const char *at = copy;
	struct cgroup_line line;

	memcpy(copy, text, len);
	while (containerid_next_cgroup(&at, copy + len, &line))
		snprintf(said + strlen(said), sizeof(said) - strlen(said),
			 "%llu|%.*s|%.*s;", (unsigned long long)line.hierarchy,
			 (int)line.controllers_len, line.controllers, (int)line.path_len,
			 line.path);
	CHECK(at == copy + len);
	CHECK_STR(said, expected);
	free(copy);
}

static void lines_of_cgroups(void)
{
	check_lines("0::/init.scope\n", "0||/init.scope;");
	check_lines("12:cpu,cpuacct:/\n1:name=systemd:/user.slice\n0::/x",
		    "12|cpu,cpuacct|/;1|name=systemd|/user.slice;0||/x;");
	/* Only a path has colons, as many as it likes. */
	check_lines("0::/system.slice:docker:" ID "\n",
		    "0||/system.slice:docker:" ID ";");
	check_lines("0::\n0::", "0||;0||;");
	/* What is no line hides none that is. */
	check_lines("\n\n:\n::\n:cpu:/\nx::/\n-1::/\n0\n0:\n0:cpu\n0 ::/\n7::/y\n",
		    "7||/y;");
	check_lines("99999999999999999999999::/\n2::/", "2||/;");
	check_lines("", "");
}

int main(void)
{
	RUN(paths_of_runtimes);
	RUN(paths_of_no_container);
	RUN(mounts_of_runtimes);
	RUN(mounts_of_a_host);
	RUN(lines_of_cgroups);
	return DONE();
}
