/*
 * Lines of SHA256SUMS and of the volume's MANIFEST, as coreutils' sha256sum writes and
 * reads them: 64 hex digits, a blank, a blank or '*', the name. A name with a backslash,
 * newline or carriage return is escaped and its line begins with a backslash.
 */
#ifndef FVOL_SUMS_H
#define FVOL_SUMS_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

struct sums_entry {
	uint8_t digest[SHA256_LEN];
	char name[PATH_MAX];
};

/* The longest line sums_format() makes, with newline and NUL. */
#define SUMS_LINE_MAX (1 + 64 + 2 + 2 * PATH_MAX + 2)

/* Writes the line, ended by a newline and a NUL. Returns its length without the NUL. */
size_t sums_format(const uint8_t digest[SHA256_LEN], const char *name,
		   char line[SUMS_LINE_MAX]);

/*
 * Takes the next entry from text at *pos (of len bytes, ended by a NUL that is not
 * counted), empty lines left out. Returns 1, 0 at the end, or -1 with err naming the line
 * number, which *line_number counts.
 */
int sums_next(const char *text, size_t len_bytes, size_t *pos, size_t *line_number,
	      struct sums_entry *entry, struct err *err);

/* Hashes a file opened by io_open_direct(), past the page cache where possible. One at a
 * time in a process. */
int sums_hash_fd(int fd, uint8_t digest[SHA256_LEN], struct err *err);

/*
 * The same through the caller's memory, in pieces of buf_bytes, a multiple of IO_BLOCK as
 * buf is: for threads, and for programs that must take no more of the machine's.
 */
int sums_hash_in(int fd, unsigned char *buf, size_t buf_bytes, uint8_t digest[SHA256_LEN],
		 struct err *err);

#endif
