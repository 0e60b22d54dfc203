/* Programs and links of BPF that the kernel has, by bpf(2). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "toolkit/lib/clock.h"
#include "toolkit/lib/host.h"
#include "toolkit/triage/bpfnames.h"
#include "toolkit/triage/triage.h"

#define OBJECTS_MAX 16384
#define MAPS_MAX 64
#define OWNERS_MAX 65536
#define OWNERS_SHOWN 64
#define CAP_BPF_NUMBER 39

/* linux/bpf.h, of kernels after the C library's headers or before. */
#define CMD_PROG_GET_NEXT_ID 11
#define CMD_PROG_GET_FD_BY_ID 13
#define CMD_OBJ_GET_INFO_BY_FD 15
#define CMD_LINK_GET_FD_BY_ID 30
#define CMD_LINK_GET_NEXT_ID 31

struct holder {
	uint32_t id;
	bool link;
	int32_t pid, fd;
};

struct holders {
	struct holder *at;
	size_t count, room;
};

static long call(unsigned cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static void add_holder(struct holders *holders, const struct holder *holder)
{
	if (holders->count == holders->room) {
		size_t room = holders->room ? holders->room * 2 : 64;
		struct holder *more;

		if (room > OWNERS_MAX ||
		    !(more = realloc(holders->at, room * sizeof(*more))))
			return;
		holders->at = more;
		holders->room = room;
	}
	holders->at[holders->count++] = *holder;
}

/* "prog_id:\t12" or "link_id:\t3" in fdinfo (kernel/bpf/syscall.c). */
static bool id_of(int dirfd, const char *fd, const char *key, uint32_t *id)
{
	char path[32], text[1024], *at;
	ssize_t n;
	int file;

	snprintf(path, sizeof(path), "fdinfo/%.20s", fd);
	file = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	n = read(file, text, sizeof(text) - 1);
	close(file);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, key);
	if (!at)
		return false;
	*id = (uint32_t)strtoul(at + strlen(key), NULL, 10);
	return true;
}

static void holders_of(const struct triage *t, int32_t pid, struct holders *holders)
{
	char path[32];
	struct dirent *entry;
	int dirfd, fds;
	DIR *dir;

	snprintf(path, sizeof(path), "%d", pid);
	dirfd = openat(t->procfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return;
	fds = openat(dirfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fds < 0 ? NULL : fdopendir(fds);
	if (!dir && fds >= 0)
		close(fds);
	while (dir && (entry = readdir(dir))) {
		struct holder holder = { .pid = pid };
		char target[64];
		ssize_t n;

		if (entry->d_name[0] == '.')
			continue;
		n = readlinkat(fds, entry->d_name, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		holder.link = strncmp(target, "anon_inode:bpf_link", 19) == 0 ||
			      strncmp(target, "anon_inode:bpf-link", 19) == 0;
		if (!holder.link && strncmp(target, "anon_inode:bpf-prog", 19) != 0)
			continue;
		if (!id_of(dirfd, entry->d_name,
			   holder.link ? "link_id:" : "prog_id:", &holder.id))
			continue;
		holder.fd = (int32_t)strtol(entry->d_name, NULL, 10);
		add_holder(holders, &holder);
	}
	if (dir)
		closedir(dir);
	close(dirfd);
}

static void add_owners(struct json *doc, const struct holders *holders, bool link,
		       uint32_t id)
{
	struct json_node *array = json_add_array(doc, json_root(doc), "owners");
	size_t shown = 0;

	for (size_t i = 0; i < holders->count && shown < OWNERS_SHOWN; i++) {
		struct json_node *one;

		if (holders->at[i].id != id || holders->at[i].link != link)
			continue;
		one = json_add_object(doc, array, NULL);
		json_add_i64(doc, one, "pid", holders->at[i].pid);
		json_add_i64(doc, one, "fd", holders->at[i].fd);
		shown++;
	}
}

/* Programs that are called for what the kernel or any process does. */
static int hook_finding(struct triage *t, const struct bpf_prog_info *info,
			const char *name, const char *type, struct err *err)
{
	struct json_node *subject, *evidence;
	char shown[4 * BPF_OBJ_NAME_LEN + 1], text[256];
	struct json *doc;

	triage_shown(name, strlen(name), shown, sizeof(shown));
	snprintf(text, sizeof(text),
		 "The BPF program %u%s%s of type %s watches or changes "
		 "what the kernel does.",
		 info->id, *shown ? " " : "", shown, type);
	doc = triage_finding(t, "bpf_hook", SEVERITY_LOW, text, &subject, &evidence, err);
	if (!doc)
		return -1;
	json_add_u64(doc, subject, "bpf", info->id);
	json_add_str(doc, evidence, "program_type", type);
	triage_add_text(doc, evidence, "name", name, strlen(name));
	return triage_emit(t, doc, err);
}

static int emit_program(struct triage *t, const struct bpf_prog_info *info,
			const uint32_t *maps, const struct holders *holders,
			struct err *err)
{
	struct json *doc = triage_record("bpf", err);
	struct json_node *root, *array;
	char name[BPF_OBJ_NAME_LEN + 1] = "", tag[17];
	const char *type = bpf_program_type_name(info->type);

	if (!doc)
		return -1;
	root = json_root(doc);
	memcpy(name, info->name, BPF_OBJ_NAME_LEN);
	json_add_str(doc, root, "kind", "program");
	json_add_u64(doc, root, "id", info->id);
	if (type)
		json_add_str(doc, root, "program_type", type);
	else
		json_add_u64(doc, root, "program_type", info->type);
	triage_add_text(doc, root, "name", name, strlen(name));
	for (size_t i = 0; i < 8; i++)
		snprintf(tag + 2 * i, 3, "%02x", info->tag[i]);
	json_add_str(doc, root, "tag", tag);
	/* By the clock that counts while the machine sleeps (4.15). */
	if (info->load_time)
		triage_add_time(doc, root, "loaded",
				t->boot_ns + (int64_t)info->load_time);
	json_add_u64(doc, root, "uid", info->created_by_uid);
	array = json_add_array(doc, root, "maps");
	for (uint32_t i = 0; i < info->nr_map_ids && i < MAPS_MAX; i++)
		json_add_u64(doc, array, NULL, maps[i]);
	add_owners(doc, holders, false, info->id);
	if (triage_emit(t, doc, err) < 0)
		return -1;
	return bpf_program_hooks(info->type) ? hook_finding(t, info, name, type, err) : 0;
}

static int emit_link(struct triage *t, const struct bpf_link_info *info,
		     const struct holders *holders, struct err *err)
{
	struct json *doc = triage_record("bpf", err);
	struct json_node *root, *attach;
	const char *type = bpf_link_type_name(info->type);

	if (!doc)
		return -1;
	root = json_root(doc);
	json_add_str(doc, root, "kind", "link");
	json_add_u64(doc, root, "id", info->id);
	attach = json_add_object(doc, root, "attach");
	if (type)
		json_add_str(doc, attach, "type", type);
	else
		json_add_u64(doc, attach, "type", info->type);
	json_add_u64(doc, attach, "program", info->prog_id);
	switch (info->type) {
	case BPF_LINK_TYPE_TRACING:
		json_add_u64(doc, attach, "attach_type", info->tracing.attach_type);
		break;
	case BPF_LINK_TYPE_CGROUP:
		json_add_u64(doc, attach, "cgroup", info->cgroup.cgroup_id);
		json_add_u64(doc, attach, "attach_type", info->cgroup.attach_type);
		break;
	case BPF_LINK_TYPE_NETNS:
		json_add_u64(doc, attach, "netns", info->netns.netns_ino);
		json_add_u64(doc, attach, "attach_type", info->netns.attach_type);
		break;
	case BPF_LINK_TYPE_XDP:
		json_add_u64(doc, attach, "interface", info->xdp.ifindex);
		break;
	default:
		break;
	}
	add_owners(doc, holders, true, info->id);
	return triage_emit(t, doc, err);
}

/* The info of an object; -1 with errno. The descriptor it takes is closed again. */
static int info_of(unsigned get, uint32_t id, void *info, uint32_t size)
{
	union bpf_attr attr;
	int fd, saved, rc;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id; /* link_id is at the same place */
	fd = (int)call(get, &attr);
	if (fd < 0)
		return -1;
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = size;
	attr.info.info = (uint64_t)(uintptr_t)info;
	rc = (int)call(CMD_OBJ_GET_INFO_BY_FD, &attr);
	saved = errno;
	close(fd);
	errno = saved;
	return rc < 0 ? -1 : 0;
}

static int program(struct triage *t, uint32_t id, const struct holders *holders,
		   struct err *err)
{
	uint32_t maps[MAPS_MAX];
	struct bpf_prog_info info;

	memset(&info, 0, sizeof(info));
	memset(maps, 0, sizeof(maps));
	info.nr_map_ids = MAPS_MAX;
	info.map_ids = (uint64_t)(uintptr_t)maps;
	if (info_of(CMD_PROG_GET_FD_BY_ID, id, &info, sizeof(info)) < 0) {
		/* Before 4.15 there are no maps in it, and none may be asked for. */
		bool old = errno == E2BIG;

		memset(&info, 0, sizeof(info));
		if (!old || info_of(CMD_PROG_GET_FD_BY_ID, id, &info, sizeof(info)) < 0)
			return errno == ENOENT ? 0
					       : triage_unread(t, "bpf program",
							       triage_reason_of(t, errno),
							       errno, err);
	}
	return emit_program(t, &info, maps, holders, err);
}

static int one_link(struct triage *t, uint32_t id, const struct holders *holders,
		    struct err *err)
{
	struct bpf_link_info info;

	memset(&info, 0, sizeof(info));
	if (info_of(CMD_LINK_GET_FD_BY_ID, id, &info, sizeof(info)) < 0)
		return errno == ENOENT
			       ? 0
			       : triage_unread(t, "bpf link", triage_reason_of(t, errno),
					       errno, err);
	return emit_link(t, &info, holders, err);
}

/* Every object after the one before, in order of ids. */
static int each(struct triage *t, unsigned next, const struct holders *holders,
		int (*take)(struct triage *, uint32_t, const struct holders *,
			    struct err *),
		const char *what, struct err *err)
{
	uint32_t id = 0;

	for (unsigned count = 0; count < OBJECTS_MAX; count++) {
		union bpf_attr attr;

		memset(&attr, 0, sizeof(attr));
		attr.start_id = id;
		if (call(next, &attr) < 0) {
			/* EINVAL: links came with 5.7, ids with 4.13. */
			if (errno == ENOENT || (errno == EINVAL && !count))
				return 0;
			return triage_unread(t, what, triage_reason_of(t, errno), errno,
					     err);
		}
		id = attr.next_id;
		if (take(t, id, holders, err) < 0)
			return -1;
	}
	return triage_unread(t, what, REASON_TOO_LARGE, 0, err);
}

/* Is there a program at all? Then it is worth asking who holds it. */
static bool any_program(void)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	return call(CMD_PROG_GET_NEXT_ID, &attr) == 0;
}

int collect_bpf(struct triage *t, struct err *err)
{
	struct holders holders = { 0 };
	int rc;

	if (!t->live)
		return 0;
	if (!triage_may(t, HOST_CAP_SYS_ADMIN) && !triage_may(t, CAP_BPF_NUMBER))
		return triage_unread(t, "bpf", REASON_CAPABILITY, EPERM, err);
	if (any_program())
		for (size_t i = 0; i < t->census.person_count; i++)
			if (!t->census.persons[i].kernel_thread)
				holders_of(t, t->census.persons[i].pid, &holders);
	rc = each(t, CMD_PROG_GET_NEXT_ID, &holders, program, "bpf programs", err);
	if (rc == 0)
		rc = each(t, CMD_LINK_GET_NEXT_ID, &holders, one_link, "bpf links", err);
	free(holders.at);
	return rc;
}
