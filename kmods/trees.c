#include "kmods/trees.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmods/file.h"
#include "kmods/tree.h"
#include "kmods/unpack.h"
#include "toolkit/lib/io.h"

#define DIRECTORY "trees"
/* Two kernels at work and their common headers take about 150 MiB. */
#define MEMORY_NEEDED_KIB (1024ULL * 1024)
#define MOUNT_OPTIONS "size=1g,mode=0755"

int package_load(const char *path, const char *sha256, uint64_t size_bytes, char **data,
		 size_t *len_bytes, struct err *err)
{
	char hex[SHA256_HEX_SIZE];

	if (file_read(AT_FDCWD, path, PACKAGE_BYTES_MAX, data, len_bytes, err) < 0)
		return -1;
	if (!sha256)
		return 0;
	file_digest(*data, *len_bytes, hex);
	if ((size_bytes == 0 || size_bytes == *len_bytes) && strcmp(hex, sha256) == 0)
		return 0;
	free(*data);
	*data = NULL;
	return err_set(err, ERR_NO, "%s is another file: SHA-256 %s, expected %s", path,
		       hex, sha256);
}

int package_load_locked(const char *packages, const struct lock_package *package,
			char **data, size_t *len_bytes, struct err *err)
{
	char path[PATH_MAX];

	*data = NULL;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", packages, package->file) >=
	    sizeof(path))
		return err_set(err, ERR_FAILED, "the name of %s is too long",
			       package->file);
	return package_load(path, package->package.sha256, package->size_bytes, data,
			    len_bytes, err);
}

/* usr/src/TREE/arch/NAME/…: the part from NAME on, or NULL. */
static const char *behind_arch(const char *path)
{
	static const char src[] = "usr/src/", kernels[] = "kernels/", arch[] = "arch/";
	const char *p = path + strlen(src);

	if (strncmp(path, src, strlen(src)) != 0)
		return NULL;
	if (strncmp(p, kernels, strlen(kernels)) == 0)
		p += strlen(kernels);
	p = strchr(p, '/');
	if (!p || strncmp(p + 1, arch, strlen(arch)) != 0)
		return NULL;
	return p + 1 + strlen(arch);
}

bool trees_want(const char *path, uint64_t size_bytes)
{
	/* arm64 shares a little of arm's. */
	static const char *const ours[] = { "x86/", "arm64/", "arm/" };
	const char *config = strstr(path, "/include/config/"), *arch = behind_arch(path);

	if (strncmp(path, "usr/share/", 10) == 0)
		return false;
	/*
	 * Three thousand empty files, one an option, whose times tell a second make what
	 * has changed. There is no second make.
	 */
	if (config && size_bytes == 0)
		return false;
	if (!arch || !strchr(arch, '/'))
		return true;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (strncmp(arch, ours[i], strlen(ours[i])) == 0)
			return true;
	}
	return false;
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	io_close(&fd);
	return done;
}

static bool memory_to_spare(void)
{
	unsigned long long kib = 0;
	char text[8192], *line;
	struct err ignored;

	if (io_read_text(AT_FDCWD, "/proc/meminfo", text, sizeof(text), NULL, &ignored) <
	    0)
		return false;
	line = strstr(text, "MemAvailable:");
	return line && sscanf(line, "MemAvailable: %llu kB", &kib) == 1 &&
	       kib >= MEMORY_NEEDED_KIB;
}

/* A user who may not mount may in a user namespace, as the same user. */
static bool enter_namespace(void)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWNS) == 0)
		return true;
	if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	write_text("/proc/self/gid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	return write_text("/proc/self/uid_map", map);
}

static bool mount_memory(const char *path)
{
	/* Nothing that is mounted here may show up outside. */
	return enter_namespace() &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, MOUNT_OPTIONS) == 0;
}

/* A child tries: half of the steps would leave a process that can do less than before. */
static bool can_mount_memory(const char *path)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(mount_memory(path) ? 0 : 1);
	while (pid > 0 && waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return false;
	}
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int trees_open(struct trees *trees, int scratchfd, const char *scratch, struct err *err)
{
	*trees = (struct trees){ .fd = -1 };
	if ((size_t)snprintf(trees->path, sizeof(trees->path), "%s/" DIRECTORY,
			     scratch) >= sizeof(trees->path))
		return err_set(err, ERR_FAILED,
			       "the scratch directory's name is too long");
	/* What a killed build on a disk has left. */
	if (tree_remove(scratchfd, DIRECTORY, err) < 0 ||
	    io_mkdir(scratchfd, DIRECTORY, 0755, err) < 0)
		return -1;
	trees->memory = memory_to_spare() && can_mount_memory(trees->path) &&
			mount_memory(trees->path);
	/* By its name: scratchfd leads to the directory below what was mounted. */
	trees->fd = open(trees->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (trees->fd < 0)
		return err_sys(err, errno, "opening %s", trees->path);
	return 0;
}

void trees_close(struct trees *trees)
{
	struct err ignored;
	int fd;

	if (trees->fd < 0)
		return;
	if (!trees->memory) {
		fd = openat(trees->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			tree_remove(fd, DIRECTORY, &ignored);
		io_close(&fd);
	}
	io_close(&trees->fd);
}

void tree_set_of(const struct kernel *kernel, struct tree_set *set)
{
	uint8_t digest[SHA256_LEN];
	struct sha256 ctx;

	memset(set, 0, sizeof(*set));
	sha256_init(&ctx);
	for (size_t i = 0; i < kernel->package_count; i++) {
		const struct lock_package *p = kernel->packages[i];

		if (p->role == LOCK_HEADERS)
			continue;
		set->packages[set->count++] = p;
		sha256_update(&ctx, p->package.sha256, SHA256_HEX_SIZE - 1);
	}
	sha256_final(&ctx, digest);
	sha256_to_hex(digest, set->name);
}

int trees_unpack(const char *packages, const struct lock_package *package, int dirfd,
		 struct err *err)
{
	size_t len;
	char *data;
	int rc;

	if (package_load_locked(packages, package, &data, &len, err) < 0)
		return -1;
	rc = unpack_select(data, len, package->file, dirfd, trees_want, err);
	free(data);
	return rc;
}

static int unpack_set(const struct trees *trees, const char *packages,
		      const struct tree_set *set, int (*finish)(int, struct err *),
		      struct err *err)
{
	char partial[SHA256_HEX_SIZE + 16];
	int fd, rc = 0;

	snprintf(partial, sizeof(partial), "%s.partial", set->name);
	fd = tree_new_dir(trees->fd, partial, err);
	if (fd < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < set->count; i++)
		rc = trees_unpack(packages, set->packages[i], fd, err);
	if (rc == 0)
		rc = finish(fd, err);
	close(fd);
	if (rc == 0 && renameat(trees->fd, partial, trees->fd, set->name) < 0)
		rc = err_sys(err, errno, "renaming %s", partial);
	return rc;
}

int trees_get(const struct trees *trees, const char *packages, const struct tree_set *set,
	      int (*finish)(int dirfd, struct err *err), struct err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(trees->fd, set->name, flags), lockfd;
	char lock[SHA256_HEX_SIZE + 16];

	if (fd >= 0 || errno != ENOENT)
		return fd >= 0 ? fd : err_sys(err, errno, "opening %s", set->name);
	snprintf(lock, sizeof(lock), "%s.lock", set->name);
	lockfd = openat(trees->fd, lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lockfd < 0)
		return err_sys(err, errno, "making %s", lock);
	while (flock(lockfd, LOCK_EX) < 0) {
		if (errno == EINTR)
			continue;
		err_sys(err, errno, "locking %s", lock);
		goto out;
	}
	/* Perhaps it was unpacked while we waited. */
	fd = openat(trees->fd, set->name, flags);
	if (fd < 0 && unpack_set(trees, packages, set, finish, err) == 0) {
		fd = openat(trees->fd, set->name, flags);
		if (fd < 0)
			err_sys(err, errno, "opening %s", set->name);
	}
out:
	close(lockfd);
	return fd;
}

int trees_drop(const struct trees *trees, const struct tree_set *set, struct err *err)
{
	return tree_remove(trees->fd, set->name, err);
}
