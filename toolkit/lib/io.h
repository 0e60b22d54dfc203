/*
 * Descriptors and files. Whatever fvol reads or writes in bulk bypasses the page cache
 * (O_DIRECT): each page that our own output takes is a page of freed evidence lost.
 */
#ifndef FVOL_IO_H
#define FVOL_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "toolkit/lib/err.h"

/* Offset, length and address alignment that O_DIRECT accepts on every disk of interest.
 */
#define IO_BLOCK 4096

/* A good size for one bulk read or write. */
#define IO_CHUNK_BYTES (256 * 1024)

/* Closes *fd when it is open and sets it to -1. For descriptors that were only read. */
void io_close(int *fd);

/*
 * Reads at off until len bytes or the end of the file; short only at the end. EINTR is
 * retried. Returns the count, or -1 with errno set.
 */
ssize_t io_pread(int fd, void *buf, size_t len, uint64_t off);

/* Writes all of it at off. Returns 0, or -1 with errno set. */
int io_pwrite(int fd, const void *buf, size_t len, uint64_t off);

/*
 * Reads a small text file whole and ends it with a NUL. Works on /proc and /sys, whose
 * files have no length. A file that does not fit in size - 1 bytes is an error, never
 * cut. *len_bytes may be NULL.
 */
int io_read_text(int dirfd, const char *path, char *buf, size_t size, size_t *len_bytes,
		 struct err *err);

/*
 * Opens for reading without the page cache where the file system can (tmpfs cannot; there
 * the file is in memory anyhow). Anything but a regular file is an error, and a final
 * symbolic link too unless follow. Returns the descriptor or -1.
 */
int io_open_direct(int dirfd, const char *path, bool follow, struct err *err);

/*
 * Reads a file opened by io_open_direct() into memory, ended by a NUL that is not
 * counted; the caller frees it. A file larger than max_bytes is an error. Returns NULL on
 * failure.
 */
char *io_read_direct(int fd, size_t max_bytes, size_t *len_bytes, struct err *err);

/*
 * May a file that was written beside it be renamed over name? Only when there is none, or
 * a regular file: root would rename over /dev/null or /dev/stdout as well, and every
 * program of the machine would write into the new file from then on. Returns 0 or -1.
 */
int io_replaceable(int dirfd, const char *name, struct err *err);

/* Makes the entries of a directory durable. */
int io_sync_dir(int dirfd, struct err *err);

/* mkdirat() that accepts a directory which is already there, but not a symbolic link. */
int io_mkdir(int dirfd, const char *path, mode_t mode, struct err *err);

/* Flushes and closes stdout, so that a full disk or a closed pipe is not a success. */
int io_close_stdout(struct err *err);

#endif
