/*
 * Files of /proc read whole: they have no length, may be any bytes, and what stands in
 * them is the attacker's. The buffer is kept from file to file.
 */
#ifndef FVOL_PROCFILE_H
#define FVOL_PROCFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proctext {
	char *data; /* ended by a NUL that is not counted */
	size_t len_bytes, room_bytes;
	bool truncated; /* there was more than was allowed */
};

/*
 * Reads NAME below dirfd, max_bytes at most. Returns 0, or an errno, with what was read
 * until then in *text. Never waits for a FIFO or a terminal, never follows a link.
 */
int procfile_read(int dirfd, const char *name, size_t max_bytes, struct proctext *text);

/* The same for a file that the kernel writes as a whole (single_open() of its seq_file):
 * what one read gives is all of it. */
int procfile_read_single(int dirfd, const char *name, size_t max_bytes,
			 struct proctext *text);

/* The target of a symbolic link, likewise. */
int procfile_link(int dirfd, const char *name, struct proctext *text);

/*
 * The inode in the target of a link to what has no path, "net:[4026531840]" or
 * "socket:[1234]": a word of lower-case letters and, in brackets, decimal digits, nothing
 * else. 0, which the kernel gives to none, when the target is anything else.
 */
uint64_t procfile_inode_of(const char *target);

/* The same of the link NAME below dirfd (as ns/net of /proc/PID); 0 as well when it
 * cannot be read. */
uint64_t procfile_namespace(int dirfd, const char *name);

void procfile_free(struct proctext *text);

#endif
