/*
 * A volume that comes back from a hostile host, from its superblock to the last byte of
 * its files: opened, walked, read, counted over. The input is the volume without its
 * zeros: its size in blocks, then for each block that is not zero its number and its 4096
 * bytes, numbers of 32 bits, little-endian (tests/fuzz/volume.py makes it). Checksums are
 * not looked at in this build: who makes a hostile volume makes them right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/ext4.h"
#include "image/manifest.h"
#include "image/verify.h"
#include "image/walk.h"

#define BLOCKS_MAX (256 * 1024) /* 1 GiB, all of it holes */
#define READ_MAX (UINT64_C(4) << 30)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct extracting {
	struct ext4_volume *volume;
	uint64_t next; /* of the file that is read */
	uint64_t size_bytes;
	uint64_t total;
	size_t entries;
	unsigned char sum;
};

static uint32_t word(const uint8_t *data)
{
	return data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
	       (uint32_t)data[3] << 24;
}

/* What is handed out ascends, lies within the file and is not endless. */
static int piece(void *arg, uint64_t off, const void *data, size_t len, struct err *err)
{
	struct extracting *extracting = arg;
	unsigned char sum = 0;

	(void)err;
	for (size_t i = 0; i < len; i++)
		sum ^= ((const unsigned char *)data)[i];
	extracting->sum ^= sum; /* every byte was touched */
	extracting->total += len;
	if (off < extracting->next || len > WALK_BUFFER || len == 0 ||
	    off + len > extracting->size_bytes || extracting->total > READ_MAX)
		abort();
	extracting->next = off + len;
	return 0;
}

static int entry(void *arg, const struct walk_entry *found, struct err *err)
{
	struct extracting *extracting = arg;
	struct err why = { 0 };

	(void)err;
	if (!found->fault && S_ISREG(found->st.mode)) {
		extracting->next = 0;
		extracting->size_bytes = found->st.size_bytes;
		walk_read(extracting->volume, found->ino, piece, extracting, &why);
	}
	/* The budget of reads ends it long before. */
	if (++extracting->entries > 1u << 24)
		abort();
	return WALK_ON;
}

static void use(const char *path)
{
	struct extracting extracting = { 0 };
	struct manifest manifest;
	struct ext4_facts facts;
	struct err err = { 0 };

	extracting.volume = ext4_open(path, &err);
	if (!extracting.volume)
		return;
	ext4_facts(extracting.volume, &facts);
	walk(extracting.volume, EXT4_ROOT, "", entry, &extracting, &err);
	if (verify_manifest(extracting.volume, NULL, NULL, &manifest, &err) == 0 &&
	    manifest.count > MANIFEST_MAX / 67)
		abort();
	manifest_free(&manifest);
	if (!ext4_needs_recovery(extracting.volume))
		ext4_check(extracting.volume, &err);
	ext4_close(extracting.volume);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const size_t record = 4 + EXT4_BLOCK;
	uint32_t blocks = len >= 4 ? word(data) : 0;
	char path[64];
	int fd;

	if (blocks == 0 || blocks > BLOCKS_MAX)
		return 0;
	fd = memfd_create("volume", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)blocks * EXT4_BLOCK) < 0)
		abort();
	for (size_t at = 4; len - at >= record; at += record) {
		uint32_t block = word(data + at);

		if (block < blocks && pwrite(fd, data + at + 4, EXT4_BLOCK,
					     (off_t)block * EXT4_BLOCK) != EXT4_BLOCK)
			abort();
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	use(path);
	close(fd);
	return 0;
}
