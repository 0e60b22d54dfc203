/*
 * A tar archive (pax) in zstd, written to a sink and read from a file. The archive
 * library is included by tar.c alone. What is read comes from a hostile host: names and
 * types are checked here, sizes and hashes by the caller.
 */
#ifndef FVOL_COMPRESS_TAR_H
#define FVOL_COMPRESS_TAR_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sink.h"

/* With the NUL. */
#define TAR_PATH_SIZE 1024

struct tar_entry {
	char path[TAR_PATH_SIZE]; /* relative, no "." or ".." in it; "/" ends none */
	bool dir;
	unsigned int mode; /* permission bits */
	struct timespec mtime;
	uint64_t size_bytes;
};

struct tar; /* one writer or reader */

/* Owner, group and machine do not enter the bytes. NULL on failure. */
struct tar *tar_write_open(struct sink *sink, struct err *err);
int tar_write_entry(struct tar *tar, const struct tar_entry *entry, struct err *err);
/* Of the entry begun last; size_bytes of it must come in all. */
int tar_write_data(struct tar *tar, const void *data, size_t len_bytes, struct err *err);
/* Ends the archive; the sink is finished by the caller. */
int tar_write_end(struct tar *tar, struct err *err);

/* fd is borrowed, of a regular file. NULL on failure. */
struct tar *tar_read_open(int fd, struct err *err);
/*
 * Returns 1, 0 at the end, or -1. A name that leaves the directory, control bytes in it,
 * and anything but files and directories are ERR_FAILED.
 */
int tar_read_entry(struct tar *tar, struct tar_entry *entry, struct err *err);
/* Returns how many bytes of the entry were read, 0 at its end, or -1. */
ssize_t tar_read_data(struct tar *tar, void *buf, size_t len_bytes, struct err *err);

/* Frees a writer or reader, NULL too. */
void tar_free(struct tar *tar);

#endif
