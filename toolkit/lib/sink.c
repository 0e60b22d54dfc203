#include "toolkit/lib/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

static int partial_name(const struct sink *sink, char out[NAME_MAX + 16])
{
	return snprintf(out, NAME_MAX + 16, "%s.partial", sink->name);
}

static int reserve(struct sink *sink, uint64_t expected_bytes, struct err *err)
{
	struct statvfs vfs;

	if (!expected_bytes)
		return 0;
	/* The size stays what was written: a file that was cut off must not look whole.
	 */
	if (fallocate(sink->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)expected_bytes) == 0)
		return 0;
	if (errno == EOPNOTSUPP)
		return 0;
	if (errno != ENOSPC || fstatvfs(sink->fd, &vfs) < 0)
		return err_sys(err, errno, "reserving %llu bytes for %s",
			       (unsigned long long)expected_bytes, sink->name);
	return err_set(err, ERR_FAILED,
		       "the volume is too small: %s needs %llu bytes, %llu are free",
		       sink->name, (unsigned long long)expected_bytes,
		       (unsigned long long)vfs.f_bavail * vfs.f_frsize);
}

int sink_open(struct sink *sink, int dirfd, const char *name, unsigned char *arena,
	      size_t arena_bytes, uint64_t expected_bytes, bool hashing, struct err *err)
{
	char partial[NAME_MAX + 16];
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	struct stat st;

	*sink = (struct sink){ .dirfd = dirfd,
			       .fd = -1,
			       .arena = arena,
			       .arena_bytes = arena_bytes,
			       .direct = true,
			       .hashing = hashing };
	if (strlen(name) + sizeof(".partial") > sizeof(sink->name))
		return err_set(err, ERR_USAGE, "%s: name too long", name);
	strcpy(sink->name, name);
	partial_name(sink, partial);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, ERR_FAILED, "%s exists already", name);
	if (unlinkat(dirfd, partial, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "removing an old %s", partial);
	sink->fd = openat(dirfd, partial, flags | O_DIRECT, 0600);
	if (sink->fd < 0 && errno == EINVAL) {
		/* tmpfs and a few others: say so through ->direct, do not fail. */
		sink->direct = false;
		unlinkat(dirfd, partial, 0);
		sink->fd = openat(dirfd, partial, flags, 0600);
	}
	if (sink->fd < 0)
		return err_sys(err, errno, "creating %s", partial);
	if (hashing)
		sha256_init(&sink->hash);
	if (reserve(sink, expected_bytes, err) == 0)
		return 0;
	io_close(&sink->fd);
	unlinkat(dirfd, partial, 0);
	return -1;
}

unsigned char *sink_space(struct sink *sink, size_t *room_bytes)
{
	*room_bytes = sink->arena_bytes - sink->fill_bytes;
	return sink->arena + sink->fill_bytes;
}

static int flush(struct sink *sink, struct err *err)
{
	size_t len = sink->fill_bytes;
	size_t padded = (len + IO_BLOCK - 1) / IO_BLOCK * IO_BLOCK;

	if (sink->hashing)
		sha256_update(&sink->hash, sink->arena, len);
	memset(sink->arena + len, 0, padded - len);
	if (io_pwrite(sink->fd, sink->arena, sink->direct ? padded : len,
		      sink->written_bytes) < 0)
		return err_sys(err, errno, "writing %s at byte %llu", sink->name,
			       (unsigned long long)sink->written_bytes);
	sink->written_bytes += len;
	sink->fill_bytes = 0;
	return 0;
}

int sink_commit(struct sink *sink, size_t len_bytes, struct err *err)
{
	sink->fill_bytes += len_bytes;
	return sink->fill_bytes == sink->arena_bytes ? flush(sink, err) : 0;
}

int sink_put(struct sink *sink, const void *data, size_t len_bytes, struct err *err)
{
	const unsigned char *from = data;

	while (len_bytes) {
		size_t room;
		unsigned char *to = sink_space(sink, &room);
		size_t n = len_bytes < room ? len_bytes : room;

		memcpy(to, from, n);
		if (sink_commit(sink, n, err) < 0)
			return -1;
		from += n;
		len_bytes -= n;
	}
	return 0;
}

int sink_finish(struct sink *sink, uint8_t digest[SHA256_LEN], struct err *err)
{
	char partial[NAME_MAX + 16];
	int fd;

	if (sink->fill_bytes && flush(sink, err) < 0)
		return -1;
	if (ftruncate(sink->fd, (off_t)sink->written_bytes) < 0)
		return err_sys(err, errno, "setting the length of %s", sink->name);
	if (fsync(sink->fd) < 0)
		return err_sys(err, errno, "making %s durable", sink->name);
	fd = sink->fd;
	sink->fd = -1;
	if (close(fd) < 0)
		return err_sys(err, errno, "closing %s", sink->name);
	partial_name(sink, partial);
	if (renameat(sink->dirfd, partial, sink->dirfd, sink->name) < 0)
		return err_sys(err, errno, "naming %s", sink->name);
	if (sink->hashing && digest)
		sha256_final(&sink->hash, digest);
	return io_sync_dir(sink->dirfd, err);
}

void sink_abandon(struct sink *sink)
{
	io_close(&sink->fd);
}

int sink_write_file(int dirfd, const char *name, const void *data, size_t len_bytes,
		    struct err *err)
{
	static _Alignas(IO_BLOCK) unsigned char arena[4 * IO_BLOCK];
	struct sink sink;

	if (sink_open(&sink, dirfd, name, arena, sizeof(arena), len_bytes, false, err) <
	    0)
		return -1;
	if (sink_put(&sink, data, len_bytes, err) == 0 &&
	    sink_finish(&sink, NULL, err) == 0)
		return 0;
	sink_abandon(&sink);
	return -1;
}
