/*
 * The archive in which the symbol bundle stands: plain ustar, which every tar reads, with
 * regular files alone. One file instead of ten, for each name and each inode that a host
 * has to learn of changes pages of its memory. Source: POSIX.1-2008, pax, "ustar
 * Interchange Format". What is read is hostile.
 */
#ifndef FVOL_TARFILE_H
#define FVOL_TARFILE_H

#include <stddef.h>
#include <stdint.h>

/* A member is a header, its bytes, and zeros up to a multiple of this; an archive ends
 * with two blocks of zeros at least. */
#define TARFILE_BLOCK 512
#define TARFILE_NAME_MAX 99
#define TARFILE_PREFIX_MAX 154			   /* of the directory before it */
#define TARFILE_SIZE_MAX ((UINT64_C(1) << 33) - 1) /* eleven octal digits */

/*
 * Fills in the header of a regular file, mode 0600, of root. name has TARFILE_NAME_MAX
 * bytes at most, size_bytes is TARFILE_SIZE_MAX at most, time_s (since 1970) not
 * negative.
 */
void tarfile_header(unsigned char header[TARFILE_BLOCK], const char *name,
		    uint64_t size_bytes, int64_t time_s);

/* The same for dir/name; dir has TARFILE_PREFIX_MAX bytes at most, none when empty. */
void tarfile_header_in(unsigned char header[TARFILE_BLOCK], const char *dir,
		       const char *name, uint64_t size_bytes, int64_t time_s);

/*
 * Looks for a regular file in an archive in memory. Returns 1 with *data (in it) and
 * *data_len set; 0 when there is none of that name; -1 when the archive is damaged or no
 * ustar archive before that is known.
 */
int tarfile_find(const void *archive, size_t archive_len, const char *name,
		 const void **data, size_t *data_len);

#endif
