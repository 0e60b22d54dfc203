/*
 * Unpacks a Debian package, an rpm or a plain tar archive into a directory, trusting none
 * of its names: nothing is written outside that directory, whatever the package says. The
 * archive library is included by unpack.c alone.
 */
#ifndef FVOL_KMODS_UNPACK_H
#define FVOL_KMODS_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"

#define UNPACK_ENTRIES_MAX 65536
#define UNPACK_BYTES_MAX (1024ULL * 1024 * 1024)

/*
 * data is the whole package, whose hash the caller has verified. package names it in
 * errors, which also name the entry. Regular files (0644 or 0755, with their times),
 * directories, hard links to files unpacked before, and symbolic links, which are kept as
 * text and never followed. Anything else is ERR_FAILED, as is a file that is there
 * already. On failure what was unpacked so far stays. Returns 0 or -1.
 */
int unpack_package(const void *data, size_t len_bytes, const char *package, int dirfd,
		   struct err *err);

/* Is a regular file or link of this name (without "./") and size to be unpacked? */
typedef bool unpack_want(const char *path, uint64_t size_bytes);

/*
 * The same for the files and links that want() asks for, with only the directories that
 * lead to them. Everything else is checked as before, counted, and not written; the sizes
 * of what is left out are not bounded. want NULL takes all.
 */
int unpack_select(const void *data, size_t len_bytes, const char *package, int dirfd,
		  unpack_want *want, struct err *err);

/*
 * Called with the next bytes of an unpacked stream. Returns 0 to go on, -1 with err.
 */
typedef int unpack_bytes(void *arg, const void *data, size_t len_bytes, struct err *err);

/*
 * Uncompresses gzip, xz or zstd, or passes on what is none of these, up to max_bytes
 * (more is ERR_FAILED, so that a small file cannot become a large one). Returns 0 or -1.
 */
int unpack_stream(const void *data, size_t len_bytes, uint64_t max_bytes,
		  unpack_bytes *bytes, void *arg, struct err *err);

/*
 * Reads the file "control" out of a Debian package into memory that the caller frees, a
 * NUL behind it. Returns 0, or -1 with *text NULL.
 */
int unpack_control(const void *data, size_t len_bytes, char **text, size_t *text_len,
		   struct err *err);

#endif
