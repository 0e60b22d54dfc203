/*
 * Which blocks of 512 KiB an EBS snapshot is made of: those of an image that are not
 *zero, each with its SHA-256, and against a parent those that changed. The list is also a
 *small file that stands beside a release (IMAGE.blocks), so that the next one knows what
 *its parent holds without reading a snapshot back:
 *
 *	fvol-blocks 1
 *	image 64-HEX-DIGITS BYTES
 *	volume GIB
 *	snapshot snap-0123456789abcdef0	("-": none)
 *	count N
 *	INDEX 64-HEX-DIGITS		N lines, ascending by index
 *	end 64-HEX-DIGITS		SHA-256 of all lines before
 */
#ifndef FVOL_IMAGE_BLOCKS_H
#define FVOL_IMAGE_BLOCKS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "toolkit/lib/err.h"
#include "toolkit/lib/sha256.h"

#define BLOCKS_BYTES (512 * 1024)
#define BLOCKS_PER_GIB 2048
#define BLOCKS_GIB_MAX 65536 /* an EBS volume's limit */
#define BLOCKS_FILE_MAX (256 * 1024 * 1024)
#define SNAPSHOT_ID_SIZE 40

struct block {
	uint32_t index; /* from the begin of the volume, in blocks */
	uint8_t digest[SHA256_LEN];
};

/* Zero-initialised; freed by blocks_free(). */
struct blocks {
	struct block *at; /* ascending by index, none twice */
	size_t count, room;
	uint64_t image_bytes;
	uint32_t gib; /* of the volume: image_bytes rounded up */
	uint8_t image_sha256[SHA256_LEN];
	char snapshot[SNAPSHOT_ID_SIZE]; /* "" where none is known */
};

void blocks_free(struct blocks *blocks);

/* "snap-" and 8 to 32 digits of hexadecimal: what may stand in a path and a line. */
bool blocks_snapshot_ok(const char *id);

/* Adds a block behind the others. ERR_FAILED for want of memory or order. */
int blocks_add(struct blocks *blocks, uint32_t index, const uint8_t digest[SHA256_LEN],
	       struct err *err);

/* The SHA-256 of a block of zeros. */
const uint8_t *blocks_zero_digest(void);

/*
 * Reads a whole image: every block that is not zero with its digest, and the SHA-256 of
 * the file. Holes are not read. *interrupted, which may be NULL, ends it. told, which may
 * be NULL, hears of each piece.
 */
int blocks_scan(int fd, struct blocks *blocks, void (*told)(void *arg, uint64_t bytes),
		void *arg, const volatile sig_atomic_t *interrupted, struct err *err);

/*
 * Reads one block of an image of image_bytes into data[BLOCKS_BYTES], padded with zeros
 * behind the image's end. ERR_FAILED when the file is shorter by now.
 */
int blocks_read(int fd, uint64_t image_bytes, uint32_t index, void *data,
		struct err *err);

/*
 * What must be sent so that a snapshot whose parent holds `parent` (NULL: nothing) holds
 * `now`: blocks that are new or differ, and a zero block where there is none any more.
 * *changes is to be freed by the caller also on failure.
 */
int blocks_changes(const struct blocks *now, const struct blocks *parent,
		   struct blocks *changes, struct err *err);

/* The digest of a block, or NULL where the list has none: the block is zero. */
const uint8_t *blocks_find(const struct blocks *blocks, uint32_t index);

/*
 * The checksum of a snapshot that CompleteSnapshot wants with the method LINEAR: SHA-256
 * of the digests one after the other, ascending by index.
 */
void blocks_linear(const struct blocks *blocks, uint8_t digest[SHA256_LEN]);

/* Writes the file, whole or not at all. */
int blocks_save(const struct blocks *blocks, const char *path, struct err *err);

/*
 * Reads such a file, or its text (ended by a NUL that is not counted). ERR_FAILED, with
 * the line, for anything else, a list that was cut or changed among it.
 */
int blocks_load(const char *path, struct blocks *blocks, struct err *err);
int blocks_parse(const char *text, size_t len_bytes, struct blocks *blocks,
		 struct err *err);

#endif
