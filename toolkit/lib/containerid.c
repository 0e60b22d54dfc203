#include "toolkit/lib/containerid.h"

#include <string.h>

/* A piece of a path. */
struct piece {
	const char *at;
	size_t len;
};

static bool is_hex(const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!strchr("0123456789abcdef", at[i]) || !at[i])
			return false;
	return true;
}

static bool begins(struct piece piece, const char *prefix)
{
	return piece.len > strlen(prefix) &&
	       memcmp(piece.at, prefix, strlen(prefix)) == 0;
}

static bool is(struct piece piece, const char *name)
{
	return piece.len == strlen(name) && memcmp(piece.at, name, piece.len) == 0;
}

static struct piece without(struct piece piece, const char *prefix, const char *suffix)
{
	size_t head = strlen(prefix), tail = strlen(suffix);

	if (!begins(piece, prefix))
		return (struct piece){ 0 };
	piece.at += head;
	piece.len -= head;
	if (piece.len <= tail || memcmp(piece.at + piece.len - tail, suffix, tail) != 0)
		return (struct piece){ 0 };
	piece.len -= tail;
	return piece;
}

static bool keep(char to[CONTAINERID_MAX], struct piece piece)
{
	if (!piece.len || piece.len >= CONTAINERID_MAX)
		return false;
	memcpy(to, piece.at, piece.len);
	to[piece.len] = '\0';
	return true;
}

/* 64 hex digits, or Fargate's 32 and a number. */
static bool is_id(struct piece piece)
{
	size_t digits = 0;

	if (piece.len == 64)
		return is_hex(piece.at, 64);
	if (piece.len < 34 || piece.at[32] != '-' || !is_hex(piece.at, 32))
		return false;
	while (33 + digits < piece.len && piece.at[33 + digits] >= '0' &&
	       piece.at[33 + digits] <= '9')
		digits++;
	return 33 + digits == piece.len;
}

/* A UID of Kubernetes, by systemd's slices written with _ for -. */
static bool keep_pod(char to[CONTAINERID_MAX], struct piece piece)
{
	if (piece.len > 6 && memcmp(piece.at + piece.len - 6, ".slice", 6) == 0)
		piece.len -= 6;
	for (size_t i = 0; i + 3 < piece.len; i++) {
		if (memcmp(piece.at + i, "pod", 3) != 0)
			continue;
		if (i && piece.at[i - 1] != '-')
			continue;
		piece.at += i + 3;
		piece.len -= i + 3;
		if (!keep(to, piece))
			return false;
		for (char *c = to; *c; c++)
			*c = *c == '_' ? '-' : *c;
		return true;
	}
	return false;
}

/* Does the piece name a container of a known runtime? */
static bool by_scope(struct piece piece, struct containerid *found)
{
	static const struct {
		const char *prefix, *suffix, *runtime;
		bool hex;
	} known[] = {
		{ "docker-", ".scope", "docker", true },
		{ "cri-containerd-", ".scope", "containerd", true },
		{ "nerdctl-", ".scope", "containerd", true },
		{ "crio-", ".scope", "cri-o", true },
		{ "crio-", "", "cri-o", true },
		{ "libpod-", ".scope", "podman", true },
		{ "libpod-", "", "podman", true },
		{ "lxc.payload.", "", "lxc", false },
		{ "systemd-nspawn@", ".service", "systemd-nspawn", false },
		{ "machine-", ".scope", "systemd-nspawn", false },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct piece id = without(piece, known[i].prefix, known[i].suffix);

		/* machined keeps virtual machines as well. */
		if (begins(id, "qemu\\x2d"))
			continue;
		if (!id.len || (known[i].hex && !is_id(id)))
			continue;
		if (!keep(found->id, id))
			return false;
		found->runtime = known[i].runtime;
		return true;
	}
	return false;
}

/* SLICE:RUNTIME:ID, a cgroup of a runtime that asked systemd for it and did without. */
static bool by_colons(struct piece piece, struct containerid *found)
{
	static const struct {
		const char *prefix, *runtime;
	} known[] = { { "docker", "docker" },
		      { "cri-containerd", "containerd" },
		      { "nerdctl", "containerd" },
		      { "crio", "cri-o" },
		      { "libpod", "podman" } };
	const char *second = memrchr(piece.at, ':', piece.len);
	const char *first =
		second ? memrchr(piece.at, ':', (size_t)(second - piece.at)) : NULL;
	struct piece id, name;

	if (!first)
		return false;
	id = (struct piece){ second + 1, (size_t)(piece.at + piece.len - second - 1) };
	name = (struct piece){ first + 1, (size_t)(second - first - 1) };
	if (!is_id(id) || !keep(found->id, id))
		return false;
	found->runtime = "containerd";
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (is(name, known[i].prefix))
			found->runtime = known[i].runtime;
	piece.len = (size_t)(first - piece.at);
	keep_pod(found->pod, piece);
	return true;
}

/* The piece is a plain id; who stands above it tells the runtime. */
static bool by_parent(struct piece piece, bool docker, bool pod, bool ecs,
		      struct containerid *found)
{
	if (!is_id(piece) || !keep(found->id, piece))
		return false;
	found->runtime = ecs && piece.len != 64 ? "fargate"
			 : ecs			? "ecs"
			 : docker		? "docker"
			 : pod			? "containerd"
						: "unknown";
	return true;
}

static struct piece next_piece(const char **at, const char *end)
{
	struct piece piece = { 0 };

	while (*at < end && **at == '/')
		++*at;
	piece.at = *at;
	while (*at < end && **at != '/')
		++*at;
	piece.len = (size_t)(*at - piece.at);
	return piece;
}

static bool split(const char *text, const char *end, struct cgroup_line *line)
{
	const char *at = text, *path;
	uint64_t hierarchy = 0;

	/* The kernel's is an int. */
	while (at < end && *at >= '0' && *at <= '9' && hierarchy < UINT32_MAX)
		hierarchy = hierarchy * 10 + (uint64_t)(*at++ - '0');
	if (at == text || at == end || *at != ':')
		return false;
	at++;
	path = memchr(at, ':', (size_t)(end - at));
	if (!path)
		return false;
	*line = (struct cgroup_line){ .hierarchy = hierarchy,
				      .controllers = at,
				      .controllers_len = (size_t)(path - at),
				      .path = path + 1,
				      .path_len = (size_t)(end - path - 1) };
	return true;
}

bool containerid_next_cgroup(const char **at, const char *end, struct cgroup_line *line)
{
	while (*at < end) {
		const char *text = *at;
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		*at = stop ? stop + 1 : end;
		if (split(text, stop ? stop : end, line))
			return true;
	}
	return false;
}

bool containerid_of_cgroup(const char *path, size_t len_bytes, struct containerid *found)
{
	const char *end = path + len_bytes;
	struct containerid seen = { .source = "cgroup" };
	struct piece piece;
	bool docker = false, ecs = false, lxc = false, hit = false;

	/* The last one counts: containers stand in one another. */
	while ((piece = next_piece(&path, end)).len) {
		struct piece task = without(piece, "ecstasks-", ".slice");

		if (task.len)
			keep(seen.task, task);
		else if (ecs && piece.len >= 32 && !is_id(piece))
			/* Right below, or below the name of the cluster. */
			keep(seen.task, piece);
		if (lxc && keep(seen.id, piece)) {
			seen.runtime = "lxc";
			hit = true;
		}
		if (by_scope(piece, &seen) || by_colons(piece, &seen) ||
		    by_parent(piece, docker, seen.pod[0] != '\0', ecs, &seen))
			hit = true;
		else
			keep_pod(seen.pod, piece);
		docker = is(piece, "docker");
		ecs = ecs || is(piece, "ecs");
		lxc = is(piece, "lxc");
	}
	if (!hit)
		return false;
	if (seen.task[0] && strcmp(seen.runtime, "unknown") == 0)
		seen.runtime = "ecs";
	*found = seen;
	return true;
}

/* The id behind MARK in a path. */
static bool behind(struct piece path, const char *mark, char to[CONTAINERID_MAX],
		   bool hex)
{
	const char *at = memmem(path.at, path.len, mark, strlen(mark));
	struct piece id;

	if (!at)
		return false;
	id.at = at + strlen(mark);
	id.len = (size_t)(path.at + path.len - id.at);
	if (memchr(id.at, '/', id.len))
		id.len = (size_t)((const char *)memchr(id.at, '/', id.len) - id.at);
	return (!hex || is_id(id)) && keep(to, id);
}

bool containerid_of_mounts(const char *text, size_t len_bytes, struct containerid *found)
{
	static const struct {
		const char *mark, *runtime;
	} known[] = {
		{ "/docker/containers/", "docker" },
		{ "/overlay-containers/", "podman" },
		{ "/io.containerd.grpc.v1.cri/sandboxes/", "containerd" },
		{ "/io.containerd.runtime.v2.task/k8s.io/", "containerd" },
		{ "/containers/", "unknown" },
	};
	struct containerid seen = { .source = "mountinfo" };
	const char *end = text + len_bytes;

	for (const char *line = text, *next; line < end; line = next) {
		struct piece root = { .at = line };
		const char *stop = memchr(line, '\n', (size_t)(end - line));

		stop = stop ? stop : end;
		next = stop + 1;
		/* The fourth field: what of its file system is mounted. */
		for (int field = 0; field < 3 && root.at; field++) {
			root.at = memchr(root.at, ' ', (size_t)(stop - root.at));
			root.at = root.at ? root.at + 1 : NULL;
		}
		if (!root.at)
			continue;
		root.len = strcspn(root.at, " \n");
		if (root.len > (size_t)(stop - root.at))
			continue;
		if (!seen.pod[0])
			behind(root, "/kubelet/pods/", seen.pod, false);
		for (size_t i = 0; !seen.id[0] && i < sizeof(known) / sizeof(known[0]);
		     i++)
			if (behind(root, known[i].mark, seen.id, true))
				seen.runtime = known[i].runtime;
	}
	if (!seen.id[0] && !seen.pod[0])
		return false;
	/* CRI-O keeps its files where podman does. */
	if (seen.pod[0] && (!seen.runtime || strcmp(seen.runtime, "podman") == 0))
		seen.runtime = seen.runtime ? "cri-o" : "containerd";
	*found = seen;
	return true;
}
