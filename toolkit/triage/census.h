/*
 * Who was there: what is kept in memory of each process, so that sockets find their
 * owners, namespaces somebody through whom to look into them, and views something to be
 * held against. Small on purpose: ten thousand processes take about two megabytes.
 */
#ifndef FVOL_TRIAGE_CENSUS_H
#define FVOL_TRIAGE_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/sha256.h"

struct person {
	int32_t pid;
	uint64_t start_ticks;
	uint64_t netns, mntns, userns; /* inodes; 0: not readable */
	char comm[16]; /* as the kernel keeps it, not ended by NUL when full */
	uint8_t comm_len;
	bool kernel_thread;
	bool fds_read; /* all its descriptors are known */
};

struct owner {
	uint64_t inode; /* of a socket */
	int32_t pid, fd;
};

/* A file that processes refer to, once for each (dev, inode). */
struct known_file {
	uint64_t inode;
	uint32_t major, minor;
	uint8_t roles; /* bits of FILE_ROLE_ */
	bool deleted, hashed;
	uint8_t sha256[SHA256_LEN]; /* when hashed */
	int32_t pids[4];	    /* the first that referred to it; 0: none */
	char *path; /* as the link says; NUL-terminated, bytes of the attacker's */
	/* By which it can be opened again without its name: PID and what below /proc/PID.
	 */
	char via[48];
};

enum {
	FILE_ROLE_EXE = 1,
	FILE_ROLE_LIBRARY = 2,
	FILE_ROLE_FD = 4,
	FILE_ROLE_UNIT = 8,
	FILE_ROLE_PRELOAD = 16,
};

struct census {
	struct person *persons; /* in order of pid once census_sort() was called */
	size_t person_count, person_room;
	struct owner *owners; /* in order of inode, likewise */
	size_t owner_count, owner_room;
	struct known_file *files;
	size_t file_count, file_room;
	uint32_t *file_table; /* hash of (dev, inode) to index + 1 */
	size_t file_table_room;
	bool failed; /* memory ran out, or there was more than fits: something is missing
		      */
};

void census_add_person(struct census *census, const struct person *person);
void census_add_owner(struct census *census, uint64_t inode, int32_t pid, int32_t fd);
/* Adds a file or a role and a pid to one that is known. path and via are copied. Returns
 * it, or NULL when it could not be kept. */
struct known_file *census_add_file(struct census *census, uint32_t major, uint32_t minor,
				   uint64_t inode, const char *path, uint8_t role,
				   int32_t pid);
void census_sort(struct census *census);
/* NULL when there is none; after census_sort(). */
const struct person *census_person(const struct census *census, int32_t pid);
/* The first of *count owners of a socket; NULL when nobody holds it. After census_sort().
 */
const struct owner *census_owners(const struct census *census, uint64_t inode,
				  size_t *count);
/* NULL when it is not known. */
const struct known_file *census_file(const struct census *census, uint32_t major,
				     uint32_t minor, uint64_t inode);
/* Empties it and keeps its memory. */
void census_clear(struct census *census);
void census_free(struct census *census);

#endif
