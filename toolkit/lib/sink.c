#include "toolkit/lib/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

static int partial_name(const struct sink *sink, char out[NAME_MAX + 16])
{
	return snprintf(out, NAME_MAX + 16, "%s.partial", sink->name);
}

static int too_small(const struct sink *sink, uint64_t needed_bytes, uint64_t free_bytes,
		     struct err *err)
{
	return err_set(err, ERR_FAILED,
		       "the volume is too small: %s needs %llu bytes, %llu are free",
		       sink->name, (unsigned long long)needed_bytes,
		       (unsigned long long)free_bytes);
}

static int reserve(struct sink *sink, uint64_t reserve_bytes, struct err *err)
{
	struct statvfs vfs;

	if (!reserve_bytes)
		return 0;
	/* The size stays what was written: a file that was cut off must not look whole.
	 */
	if (fallocate(sink->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)reserve_bytes) == 0)
		return 0;
	if (errno == EOPNOTSUPP)
		return 0;
	if (errno != ENOSPC || fstatvfs(sink->fd, &vfs) < 0)
		return err_sys(err, errno, "reserving %llu bytes for %s",
			       (unsigned long long)reserve_bytes, sink->name);
	return too_small(sink, reserve_bytes, (uint64_t)vfs.f_bavail * vfs.f_frsize, err);
}

/* Two ranges that end and begin inside one block count it twice: 4 KiB too much. */
static uint64_t blocks_start(const struct range *range)
{
	return range->start / IO_BLOCK * IO_BLOCK;
}

static uint64_t blocks_end(const struct range *range)
{
	return (range->end / IO_BLOCK + 1) * IO_BLOCK;
}

static void start_hash(struct sink *sink)
{
	if (sink->hashing)
		sha256_init(&sink->hash);
	sink_mark(sink);
}

int sink_open(struct sink *sink, int dirfd, const char *name, unsigned char *arena,
	      size_t arena_bytes, uint64_t reserve_bytes, bool hashing, struct err *err)
{
	char partial[NAME_MAX + 16];
	/* Read, too: sink_patch() changes blocks that are on the disk. */
	int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
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
	sink->has_file = true;
	start_hash(sink);
	if (reserve(sink, reserve_bytes, err) == 0)
		return 0;
	io_close(&sink->fd);
	unlinkat(dirfd, partial, 0);
	return -1;
}

int sink_open_stream(struct sink *sink, const char *name,
		     const struct sink_stream *stream, unsigned char *arena,
		     size_t arena_bytes, bool hashing, struct err *err)
{
	*sink = (struct sink){ .dirfd = -1,
			       .fd = -1,
			       .arena = arena,
			       .arena_bytes = arena_bytes,
			       .direct = true,
			       .hashing = hashing };
	if (strlen(name) >= sizeof(sink->name))
		return err_set(err, ERR_USAGE, "%s: name too long", name);
	strcpy(sink->name, name);
	if (stream)
		sink_mirror(sink, stream);
	start_hash(sink);
	return 0;
}

void sink_mirror(struct sink *sink, const struct sink_stream *stream)
{
	sink->stream = *stream;
	sink->has_stream = true;
}

bool sink_can_patch(const struct sink *sink)
{
	return sink->has_file && !sink->has_stream;
}

/* Once: a stream that was finished, or given up, is left alone. */
static void abort_stream(struct sink *sink)
{
	if (sink->has_stream)
		sink->stream.abort(sink->stream.arg);
	sink->has_stream = false;
}

/* What became of a call of the stream. The failure of one beside a file is only kept. */
static int stream_result(struct sink *sink, int rc, const struct err *refused,
			 struct err *err)
{
	if (rc == 0)
		return 0;
	if (!sink->has_file) {
		*err = *refused;
		return err_prefix(err, "%s", sink->name);
	}
	sink->mirror_failed = true;
	sink->mirror_err = *refused;
	err_prefix(&sink->mirror_err, "%s", sink->name);
	abort_stream(sink);
	return 0;
}

static int stream_write(struct sink *sink, const void *data, size_t len, struct err *err)
{
	struct err refused = { 0 };

	if (!sink->has_stream || !len)
		return 0;
	return stream_result(sink,
			     sink->stream.write(sink->stream.arg, data, len, &refused),
			     &refused, err);
}

int sink_reserve_ranges(struct sink *sink, const struct ranges *ranges, struct err *err)
{
	uint64_t needed = 0, free_bytes;
	struct statvfs vfs;

	if (fstatvfs(sink->fd, &vfs) < 0)
		return err_sys(err, errno, "asking for the space of %s", sink->name);
	free_bytes = (uint64_t)vfs.f_bfree * vfs.f_frsize;
	for (size_t i = 0; i < ranges->count; i++)
		needed += blocks_end(&ranges->at[i]) - blocks_start(&ranges->at[i]);
	/* Asked first, for this also holds where nothing can be reserved. */
	if (needed > free_bytes)
		return too_small(sink, needed, free_bytes, err);
	for (size_t i = 0; i < ranges->count; i++) {
		uint64_t start = blocks_start(&ranges->at[i]);
		uint64_t len = blocks_end(&ranges->at[i]) - start;

		if (fallocate(sink->fd, FALLOC_FL_KEEP_SIZE, (off_t)start, (off_t)len) ==
		    0)
			continue;
		if (errno == EOPNOTSUPP)
			return 0;
		if (errno == ENOSPC)
			return too_small(sink, needed, free_bytes, err);
		return err_sys(err, errno, "reserving %llu bytes at %llu for %s",
			       (unsigned long long)len, (unsigned long long)start,
			       sink->name);
	}
	return 0;
}

uint64_t sink_position(const struct sink *sink)
{
	return sink->written_bytes + sink->fill_bytes;
}

/* Writes whole blocks at the end of what is flushed. */
static int write_blocks(struct sink *sink, const void *data, size_t len, struct err *err)
{
	if (stream_write(sink, data, len, err) < 0)
		return -1;
	if (sink->has_file && io_pwrite(sink->fd, data, len, sink->written_bytes) < 0)
		return err_sys(err, errno, "writing %s at byte %llu", sink->name,
			       (unsigned long long)sink->written_bytes);
	sink->written_bytes += len;
	return 0;
}

/* Writes the whole blocks of the arena and keeps the rest. */
static int flush(struct sink *sink, struct err *err)
{
	size_t whole = sink->fill_bytes / IO_BLOCK * IO_BLOCK;

	if (!whole)
		return 0;
	if (write_blocks(sink, sink->arena, whole, err) < 0)
		return -1;
	sink->fill_bytes -= whole;
	memmove(sink->arena, sink->arena + whole, sink->fill_bytes);
	return 0;
}

static int put_copied(struct sink *sink, const unsigned char *from, size_t len_bytes,
		      struct err *err)
{
	while (len_bytes) {
		size_t room = sink->arena_bytes - sink->fill_bytes;
		size_t n = len_bytes < room ? len_bytes : room;

		memcpy(sink->arena + sink->fill_bytes, from, n);
		sink->fill_bytes += n;
		from += n;
		len_bytes -= n;
		if (sink->fill_bytes == sink->arena_bytes && flush(sink, err) < 0)
			return -1;
	}
	return 0;
}

int sink_put(struct sink *sink, const void *data, size_t len_bytes, struct err *err)
{
	if (sink->hashing)
		sha256_update(&sink->hash, data, len_bytes);
	return put_copied(sink, data, len_bytes, err);
}

int sink_put_hashed(struct sink *sink, const void *data, size_t len_bytes,
		    struct err *err)
{
	return put_copied(sink, data, len_bytes, err);
}

int sink_put_in_place(struct sink *sink, unsigned char *data, size_t len_bytes,
		      struct err *err)
{
	size_t before, whole;

	if (sink->hashing)
		sha256_update(&sink->hash, data, len_bytes);
	if (flush(sink, err) < 0)
		return -1;
	before = sink->fill_bytes;
	if ((uintptr_t)data % IO_BLOCK != before)
		return put_copied(sink, data, len_bytes, err);
	/* What waits in the arena is the first part of the block that data stands in. */
	memcpy(data - before, sink->arena, before);
	whole = (before + len_bytes) / IO_BLOCK * IO_BLOCK;
	if (!whole)
		return put_copied(sink, data, len_bytes, err);
	if (write_blocks(sink, data - before, whole, err) < 0)
		return -1;
	sink->fill_bytes = before + len_bytes - whole;
	memcpy(sink->arena, data - before + whole, sink->fill_bytes);
	return 0;
}

int sink_skip(struct sink *sink, uint64_t len_bytes, struct err *err)
{
	static unsigned char zeros[IO_BLOCK]; /* never written: no page of its own */
	uint64_t hashed = 0;
	uint64_t to_block = (IO_BLOCK - sink_position(sink) % IO_BLOCK) % IO_BLOCK;
	uint64_t whole;

	while (sink->hashing && hashed < len_bytes) {
		uint64_t left = len_bytes - hashed;
		size_t n = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);

		sha256_update(&sink->hash, zeros, n);
		hashed += n;
	}
	if (to_block > len_bytes)
		to_block = len_bytes;
	if (put_copied(sink, zeros, (size_t)to_block, err) < 0 || flush(sink, err) < 0)
		return -1;
	len_bytes -= to_block;
	whole = len_bytes / IO_BLOCK * IO_BLOCK;
	for (uint64_t n = 0; sink->has_stream && n < whole; n += IO_BLOCK)
		if (stream_write(sink, zeros, IO_BLOCK, err) < 0)
			return -1;
	sink->written_bytes += whole;
	return put_copied(sink, zeros, (size_t)(len_bytes - whole), err);
}

/* What goes back to the disk needs; its pages are taken by the first that does. */
static _Alignas(IO_BLOCK) unsigned char again[16 * IO_BLOCK];

/* Reads flushed blocks into again[]. */
static int read_again(const struct sink *sink, uint64_t start, size_t len,
		      struct err *err)
{
	ssize_t n = io_pread(sink->fd, again, len, start);

	if (n == (ssize_t)len)
		return 0;
	return err_sys(err, n < 0 ? errno : EIO, "reading %s back at byte %llu",
		       sink->name, (unsigned long long)start);
}

/* Changes bytes of flushed blocks: O_DIRECT writes blocks only, so they are read back. */
static int patch_disk(struct sink *sink, uint64_t off, const unsigned char *data,
		      size_t len, struct err *err)
{
	while (len) {
		uint64_t start = off / IO_BLOCK * IO_BLOCK;
		size_t at = (size_t)(off - start);
		size_t n = IO_BLOCK - at < len ? IO_BLOCK - at : len;

		if (read_again(sink, start, IO_BLOCK, err) < 0)
			return -1;
		memcpy(again + at, data, n);
		if (io_pwrite(sink->fd, again, IO_BLOCK, start) < 0)
			return err_sys(err, errno, "writing %s at byte %llu", sink->name,
				       (unsigned long long)start);
		off += n;
		data += n;
		len -= n;
	}
	return 0;
}

void sink_mark(struct sink *sink)
{
	sink->marked_off = sink_position(sink);
	sink->marked_hash = sink->hash;
}

/* Hashes what was put since the mark, as it is now. */
static int hash_again(struct sink *sink, struct err *err)
{
	uint64_t off = sink->marked_off;

	sink->hash = sink->marked_hash;
	while (off < sink->written_bytes) {
		uint64_t start = off / IO_BLOCK * IO_BLOCK;
		uint64_t left = sink->written_bytes - start;
		size_t len = left < sizeof(again) ? (size_t)left : sizeof(again);
		size_t at = (size_t)(off - start);

		if (read_again(sink, start, len, err) < 0)
			return -1;
		sha256_update(&sink->hash, again + at, len - at);
		off = start + len;
	}
	sha256_update(&sink->hash, sink->arena + (off - sink->written_bytes),
		      (size_t)(sink_position(sink) - off));
	return 0;
}

int sink_patch(struct sink *sink, uint64_t off, const void *data, size_t len_bytes,
	       struct err *err)
{
	const unsigned char *from = data;
	size_t on_disk = 0;

	if (!sink_can_patch(sink) || off > sink_position(sink) ||
	    len_bytes > sink_position(sink) - off ||
	    (sink->hashing && off < sink->marked_off))
		return err_set(err, ERR_FAILED, "%s: no such bytes to change",
			       sink->name);
	if (off < sink->written_bytes)
		on_disk = sink->written_bytes - off < len_bytes
				  ? (size_t)(sink->written_bytes - off)
				  : len_bytes;
	if (on_disk && patch_disk(sink, off, from, on_disk, err) < 0)
		return -1;
	if (on_disk < len_bytes)
		memcpy(sink->arena + (off + on_disk - sink->written_bytes),
		       from + on_disk, len_bytes - on_disk);
	return sink->hashing ? hash_again(sink, err) : 0;
}

int sink_sync(struct sink *sink, struct err *err)
{
	if (sink->has_file && fdatasync(sink->fd) < 0)
		return err_sys(err, errno, "making %s durable", sink->name);
	return 0;
}

/*
 * Cutting inside a block makes the kernel read it into its cache, which stays there for
 * as long as the file's inode: written out and given back, the same page of memory serves
 * the next file. Best effort.
 */
static void drop_tail(const struct sink *sink)
{
	off_t start = (off_t)sink->written_bytes;

	if (!sink->direct || !sink->fill_bytes)
		return;
	if (sink->deferred)
		sync_file_range(sink->fd, start, IO_BLOCK,
				SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					SYNC_FILE_RANGE_WAIT_AFTER);
	posix_fadvise(sink->fd, start, IO_BLOCK, POSIX_FADV_DONTNEED);
}

/* Writes what waits in the arena, padded to a block, and cuts the padding off. */
static int write_rest(struct sink *sink, struct err *err)
{
	size_t padded;

	if (flush(sink, err) < 0)
		return -1;
	if (sink->fill_bytes) {
		padded = sink->direct ? IO_BLOCK : sink->fill_bytes;
		memset(sink->arena + sink->fill_bytes, 0, IO_BLOCK - sink->fill_bytes);
		if (io_pwrite(sink->fd, sink->arena, padded, sink->written_bytes) < 0)
			return err_sys(err, errno, "writing the end of %s", sink->name);
	}
	if (ftruncate(sink->fd, (off_t)sink_position(sink)) < 0)
		return err_sys(err, errno, "setting the length of %s", sink->name);
	if (!sink->deferred && fsync(sink->fd) < 0)
		return err_sys(err, errno, "making %s durable", sink->name);
	drop_tail(sink);
	return 0;
}

static int finish_stream(struct sink *sink, struct err *err)
{
	struct err refused = { 0 };
	int rc;

	if (!sink->has_stream)
		return 0;
	rc = sink->stream.finish(sink->stream.arg, &refused);
	if (rc == 0)
		sink->has_stream = false;
	return stream_result(sink, rc, &refused, err);
}

static int finish_file(struct sink *sink, struct err *err)
{
	char partial[NAME_MAX + 16];
	int fd;

	if (write_rest(sink, err) < 0)
		return -1;
	fd = sink->fd;
	sink->fd = -1;
	if (close(fd) < 0)
		return err_sys(err, errno, "closing %s", sink->name);
	partial_name(sink, partial);
	if (renameat(sink->dirfd, partial, sink->dirfd, sink->name) < 0)
		return err_sys(err, errno, "naming %s", sink->name);
	return sink->deferred ? 0 : io_sync_dir(sink->dirfd, err);
}

int sink_finish(struct sink *sink, uint8_t digest[SHA256_LEN], struct err *err)
{
	if (flush(sink, err) < 0 ||
	    stream_write(sink, sink->arena, sink->fill_bytes, err) < 0)
		return -1;
	/* The file first: it must not wait for a network. */
	if ((sink->has_file && finish_file(sink, err) < 0) ||
	    finish_stream(sink, err) < 0)
		return -1;
	if (sink->hashing && digest)
		sha256_final(&sink->hash, digest);
	return 0;
}

int sink_truncate(struct sink *sink, uint64_t len_bytes, struct err *err)
{
	if (!sink->has_file)
		return err_set(err, ERR_FAILED, "%s cannot be cut", sink->name);
	if (len_bytes > sink->written_bytes) {
		if (len_bytes > sink_position(sink))
			return err_set(err, ERR_FAILED, "%s is shorter", sink->name);
		sink->fill_bytes = (size_t)(len_bytes - sink->written_bytes);
		return write_rest(sink, err);
	}
	if (ftruncate(sink->fd, (off_t)len_bytes) < 0 || fsync(sink->fd) < 0)
		return err_sys(err, errno, "cutting %s", sink->name);
	sink->written_bytes = len_bytes;
	sink->fill_bytes = 0;
	return 0;
}

void sink_abandon(struct sink *sink)
{
	abort_stream(sink);
	io_close(&sink->fd);
}

void sink_remove(struct sink *sink)
{
	char partial[NAME_MAX + 16];

	abort_stream(sink);
	if (sink->fd < 0)
		return;
	io_close(&sink->fd);
	partial_name(sink, partial);
	unlinkat(sink->dirfd, partial, 0);
}

static int write_file(int dirfd, const char *name, const void *data, size_t len_bytes,
		      struct err *err)
{
	static _Alignas(IO_BLOCK) unsigned char arena[2 * IO_BLOCK];
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

int sink_write_path(const char *path, const void *data, size_t len_bytes, struct err *err)
{
	char *copy_dir = strdup(path), *copy_base = strdup(path);
	int dirfd = -1, rc = -1;

	if (!copy_dir || !copy_base) {
		err_sys(err, ENOMEM, "writing %s", path);
		goto out;
	}
	dirfd = open(dirname(copy_dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		err_sys(err, errno, "opening the directory of %s", path);
	else
		rc = write_file(dirfd, basename(copy_base), data, len_bytes, err);
out:
	io_close(&dirfd);
	free(copy_dir);
	free(copy_base);
	return rc;
}
