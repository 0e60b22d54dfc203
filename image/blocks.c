#include "image/blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/lib/io.h"

void blocks_free(struct blocks *blocks)
{
	free(blocks->at);
	*blocks = (struct blocks){ 0 };
}

bool blocks_snapshot_ok(const char *id)
{
	size_t len = strlen(id);

	return len >= 13 && len < SNAPSHOT_ID_SIZE && strncmp(id, "snap-", 5) == 0 &&
	       strspn(id + 5, "0123456789abcdef") == len - 5;
}

int blocks_add(struct blocks *blocks, uint32_t index, const uint8_t digest[SHA256_LEN],
	       struct err *err)
{
	struct block *block;

	if (blocks->count && blocks->at[blocks->count - 1].index >= index)
		return err_set(err, ERR_FAILED, "block %u is out of order", index);
	if (blocks->count == blocks->room) {
		size_t room = blocks->room ? 2 * blocks->room : 1024;
		struct block *at = realloc(blocks->at, room * sizeof(*at));

		if (!at)
			return err_set(err, ERR_FAILED, "out of memory");
		blocks->at = at;
		blocks->room = room;
	}
	block = &blocks->at[blocks->count++];
	block->index = index;
	memcpy(block->digest, digest, SHA256_LEN);
	return 0;
}

/* Is it all zeros? len_bytes is a multiple of 64. */
static bool is_zero(const void *data, size_t len_bytes)
{
	const unsigned char *at = data;

	for (size_t off = 0; off < len_bytes; off += 64) {
		uint64_t word[8];

		memcpy(word, at + off, sizeof(word));
		if (word[0] | word[1] | word[2] | word[3] | word[4] | word[5] | word[6] |
		    word[7])
			return false;
	}
	return true;
}

static uint8_t zero_digest[SHA256_LEN];
static const unsigned char zeros[64 * 1024];

static void make_zero_digest(void)
{
	struct sha256 sha;

	sha256_init(&sha);
	for (size_t off = 0; off < BLOCKS_BYTES; off += sizeof(zeros))
		sha256_update(&sha, zeros, sizeof(zeros));
	sha256_final(&sha, zero_digest);
}

const uint8_t *blocks_zero_digest(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_zero_digest);
	return zero_digest;
}

int blocks_read(int fd, uint64_t image_bytes, uint32_t index, void *data, struct err *err)
{
	uint64_t off = (uint64_t)index * BLOCKS_BYTES;
	size_t want = off >= image_bytes		  ? 0
		      : image_bytes - off >= BLOCKS_BYTES ? BLOCKS_BYTES
							  : (size_t)(image_bytes - off);
	ssize_t got = io_pread(fd, data, want, off);

	if (got < 0)
		return err_sys(err, errno, "reading the image at byte %llu",
			       (unsigned long long)off);
	if ((size_t)got != want)
		return err_set(err, ERR_FAILED, "the image was cut while it is read");
	memset((char *)data + want, 0, BLOCKS_BYTES - want);
	return 0;
}

/* Where data may stand at or behind off: holes of whole blocks are passed by. */
static uint64_t next_data(int fd, uint64_t off, uint64_t size)
{
	off_t at = lseek(fd, (off_t)off, SEEK_DATA);

	if (at < 0)
		/* ENXIO: nothing but a hole. Else the file system cannot say. */
		return errno == ENXIO ? size : off;
	return (uint64_t)at / BLOCKS_BYTES * BLOCKS_BYTES;
}

static void hash_hole(struct sha256 *sha, uint64_t bytes)
{
	while (bytes) {
		size_t n = bytes < sizeof(zeros) ? (size_t)bytes : sizeof(zeros);

		sha256_update(sha, zeros, n);
		bytes -= n;
	}
}

static int scan_block(int fd, struct blocks *blocks, uint32_t index, unsigned char *data,
		      struct sha256 *whole, struct err *err)
{
	uint64_t off = (uint64_t)index * BLOCKS_BYTES;
	uint64_t left = blocks->image_bytes - off;
	size_t len = left < BLOCKS_BYTES ? (size_t)left : BLOCKS_BYTES;
	struct sha256 sha;
	uint8_t digest[SHA256_LEN];

	if (blocks_read(fd, blocks->image_bytes, index, data, err) < 0)
		return -1;
	if (is_zero(data, BLOCKS_BYTES)) {
		hash_hole(whole, len);
		return 0;
	}
	sha256_init(&sha);
	sha256_update_two(&sha, data, len, whole, data, len);
	sha256_update(&sha, data + len, BLOCKS_BYTES - len);
	sha256_final(&sha, digest);
	return blocks_add(blocks, index, digest, err);
}

int blocks_scan(int fd, struct blocks *blocks, void (*told)(void *arg, uint64_t bytes),
		void *arg, const volatile sig_atomic_t *interrupted, struct err *err)
{
	off_t size = lseek(fd, 0, SEEK_END);
	unsigned char *data = aligned_alloc(4096, BLOCKS_BYTES);
	struct sha256 whole;
	uint64_t off = 0;
	int rc = -1;

	sha256_init(&whole);
	if (!data) {
		err_set(err, ERR_FAILED, "out of memory");
		goto out;
	}
	if (size <= 0 || (uint64_t)size > (uint64_t)BLOCKS_GIB_MAX << 30) {
		err_set(err, ERR_FAILED,
			"the image is empty, or larger than a volume can be");
		goto out;
	}
	blocks->image_bytes = (uint64_t)size;
	blocks->gib = (uint32_t)((blocks->image_bytes + (1ULL << 30) - 1) >> 30);
	while (off < blocks->image_bytes) {
		uint64_t at = next_data(fd, off, blocks->image_bytes);

		if (interrupted && *interrupted) {
			err_set(err, ERR_FAILED, "interrupted");
			goto out;
		}
		if (at > off) {
			if (at > blocks->image_bytes)
				at = blocks->image_bytes;
			hash_hole(&whole, at - off);
		} else {
			if (scan_block(fd, blocks, (uint32_t)(off / BLOCKS_BYTES), data,
				       &whole, err) < 0)
				goto out;
			at = off + BLOCKS_BYTES;
		}
		if (told)
			told(arg, at - off);
		off = at;
	}
	sha256_final(&whole, blocks->image_sha256);
	rc = 0;
out:
	free(data);
	return rc;
}

static int compare_index(const void *key, const void *element)
{
	uint32_t index = *(const uint32_t *)key;
	const struct block *block = element;

	return index < block->index ? -1 : index > block->index;
}

const uint8_t *blocks_find(const struct blocks *blocks, uint32_t index)
{
	const struct block *block = blocks->count
					    ? bsearch(&index, blocks->at, blocks->count,
						      sizeof(*blocks->at), compare_index)
					    : NULL;

	return block ? block->digest : NULL;
}

int blocks_changes(const struct blocks *now, const struct blocks *parent,
		   struct blocks *changes, struct err *err)
{
	size_t i = 0, j = 0, n_parent = parent ? parent->count : 0;

	changes->image_bytes = now->image_bytes;
	changes->gib = now->gib;
	memcpy(changes->image_sha256, now->image_sha256, SHA256_LEN);
	while (i < now->count || j < n_parent) {
		const struct block *ours = i < now->count ? &now->at[i] : NULL;
		const struct block *theirs = j < n_parent ? &parent->at[j] : NULL;
		bool both = ours && theirs && ours->index == theirs->index;

		if (both || (ours && (!theirs || ours->index < theirs->index))) {
			bool same = both &&
				    memcmp(ours->digest, theirs->digest, SHA256_LEN) == 0;

			if (!same &&
			    blocks_add(changes, ours->index, ours->digest, err) < 0)
				return -1;
			i++;
			j += both;
		} else {
			/* The parent's own zero block may stay one. */
			if (memcmp(theirs->digest, blocks_zero_digest(), SHA256_LEN) !=
				    0 &&
			    blocks_add(changes, theirs->index, blocks_zero_digest(),
				       err) < 0)
				return -1;
			j++;
		}
	}
	return 0;
}

void blocks_linear(const struct blocks *blocks, uint8_t digest[SHA256_LEN])
{
	struct sha256 sha;

	sha256_init(&sha);
	for (size_t i = 0; i < blocks->count; i++)
		sha256_update(&sha, blocks->at[i].digest, SHA256_LEN);
	sha256_final(&sha, digest);
}
