/*
 * One block of an ext4 directory as bytes: packing names into it and reading names out
 * of it. Pure functions without the file system, so that the reader, which sees hostile
 * blocks, can be fuzzed alone. The layout is "Linear (Classic) Directories" in the
 * kernel's Documentation/filesystems/ext4/directory.rst; the last 12 bytes are the tail
 * that holds the checksum.
 */
#ifndef FVOL_IMAGE_DIRBLOCK_H
#define FVOL_IMAGE_DIRBLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIRBLOCK_SIZE 4096
#define DIRBLOCK_TAIL 12

struct dirblock_name {
	const char *name;
	uint32_t ino;
	bool dir;
};

/*
 * Fills one block with as many of the names as fit, in order, and leaves the tail with
 * an empty checksum. Returns how many were taken: 0 of 0 makes an empty block. block may
 * be NULL to count only.
 */
size_t dirblock_pack(unsigned char block[DIRBLOCK_SIZE],
		     const struct dirblock_name *names, size_t count);

/*
 * Calls fn for each entry in use; name has len bytes and no NUL. Goes on until fn
 * returns something other than 0, and returns that. Returns DIRBLOCK_BAD when lengths
 * do not add up; fn may then have been called for what came before.
 */
#define DIRBLOCK_BAD (-2)
int dirblock_parse(const unsigned char block[DIRBLOCK_SIZE],
		   int (*fn)(void *arg, const char *name, size_t len, uint32_t ino),
		   void *arg);

#endif
