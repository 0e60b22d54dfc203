#include "image/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/workers.h"
#include "toolkit/lib/io.h"

/* A worker's buffer: what is written, and behind it what is read back. */
#define DATA_MAX (WORKERS_BUFFER / 2)

/* Nodes that are handled in one go: neighbours in the image, together in one buffer. */
struct batch {
	size_t first;
	size_t count;
};

struct copying {
	struct tree *tree;
	const struct parent *parent;
	const struct copy_to *to;
	struct batch *batches;
	size_t count;
	int rootfd;
	int fd; /* of the image; without the page cache if possible */
	bool known;
	bool hash_only;
};

/* The digests of a file while it is read. */
struct sums {
	struct sha256 sha256;
	struct sha1 sha1;
	bool both;
};

static void sums_init(struct sums *sums, const struct copying *copying)
{
	sha256_init(&sums->sha256);
	sums->both = copying->to && copying->to->sha1;
	if (sums->both)
		sha1_init(&sums->sha1);
}

static void sums_update(struct sums *sums, const void *data, size_t len)
{
	if (sums->both)
		sha1_update_both(&sums->sha1, &sums->sha256, data, len);
	else
		sha256_update(&sums->sha256, data, len);
}

static size_t rounded(uint64_t size_bytes)
{
	return (size_t)((size_bytes + EXT4_BLOCK - 1) / EXT4_BLOCK * EXT4_BLOCK);
}

static int open_source(const struct copying *copying, const struct tree_node *node,
		       struct err *err)
{
	int fd = openat(copying->rootfd, node->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		err_sys(err, errno, "%s", node->source);
	return fd;
}

/* Reads exactly len bytes at off of a node's source or of its file in the parent. */
static int read_source(int fd, const struct tree_node *node, uint64_t off,
		       unsigned char *buffer, size_t len, struct err *err)
{
	ssize_t n = io_pread(fd, buffer, len, off);

	if (n < 0)
		return err_sys(err, errno, "%s", node->source);
	if ((size_t)n != len)
		return err_set(err, ERR_FAILED, "%s: its size changed during the build",
			       node->source);
	return 0;
}

static int end_source(int fd, const struct tree_node *node, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "%s", node->source);
	if ((uint64_t)st.st_size != node->size_bytes)
		return err_set(err, ERR_FAILED, "%s: its size changed during the build",
			       node->source);
	return 0;
}

/* Takes the digest of what was read, or holds it against the one that is known. */
static int settle_digest(const struct copying *copying, struct tree_node *node,
			 struct sums *sums, struct err *err)
{
	uint8_t digest[SHA256_LEN];

	if (sums->both)
		sha1_final(&sums->sha1, node->sha1);
	sha256_final(&sums->sha256, digest);
	if ((node->old_ino || copying->known) &&
	    memcmp(digest, node->digest, sizeof(digest)) != 0)
		return err_set(err, ERR_FAILED, "/%s: its bytes changed during the build",
			       node->path);
	memcpy(node->digest, digest, sizeof(digest));
	node->read_back = !copying->hash_only;
	return 0;
}

/* The same as memcmp(), which the C library does by bytes; len is of whole blocks. */
static bool same_blocks(const unsigned char *a, const unsigned char *b, size_t len)
{
	uint64_t differ = 0;

	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t x, y;

		memcpy(&x, a + i, sizeof(x));
		memcpy(&y, b + i, sizeof(y));
		differ |= x ^ y;
	}
	return !differ;
}

/* Writes at most DATA_MAX bytes and reads them back into `again`, unless that is NULL. */
static int put(const struct copying *copying, const unsigned char *data, size_t len,
	       uint64_t off, unsigned char *again, struct err *err)
{
	ssize_t n;

	if (io_pwrite(copying->fd, data, len, off) < 0)
		return err_sys(err, errno, "writing %s", copying->to->path);
	if (!again)
		return 0;
	n = io_pread(copying->fd, again, len, off);
	if (n < 0)
		return err_sys(err, errno, "reading %s back", copying->to->path);
	if ((size_t)n != len || !same_blocks(again, data, len))
		return err_set(err, ERR_FAILED,
			       "%s: the disk gives other bytes back than were written "
			       "at byte %llu",
			       copying->to->path, (unsigned long long)off);
	return 0;
}

/* Writes whole blocks that begin at block `from` of a file; `again` is as for put(). */
static int write_blocks(const struct copying *copying, const struct ext4_map *map,
			uint64_t from, const unsigned char *data, uint64_t blocks,
			unsigned char *again, struct err *err)
{
	uint64_t start = 0;

	for (size_t i = 0; i < map->count && blocks; i++) {
		uint64_t size = map->runs[i].blocks;
		uint64_t inner = from - start;
		uint64_t n;

		if (from < start + size) {
			n = size - inner < blocks ? size - inner : blocks;
			if (put(copying, data, n * EXT4_BLOCK,
				(map->runs[i].block + inner) * EXT4_BLOCK, again,
				err) < 0)
				return -1;
			data += n * EXT4_BLOCK;
			from += n;
			blocks -= n;
		}
		start += size;
	}
	return blocks ? err_set(err, ERR_FAILED, "data beyond its blocks") : 0;
}

/* One file that is larger than the buffer, or is hashed only. */
static int copy_large(const struct copying *copying, struct tree_node *node, int fd,
		      unsigned char *buffer, struct err *err)
{
	struct sums sums;
	int rc = 0;

	sums_init(&sums, copying);
	for (uint64_t off = 0; rc == 0 && off < node->size_bytes;) {
		uint64_t left = node->size_bytes - off;
		size_t len = left < DATA_MAX ? (size_t)left : DATA_MAX;

		rc = read_source(fd, node, off, buffer, len, err);
		if (rc == 0)
			sums_update(&sums, buffer, len);
		if (rc == 0 && !copying->hash_only) {
			memset(buffer + len, 0, rounded(len) - len);
			rc = write_blocks(copying, &node->map, off / EXT4_BLOCK, buffer,
					  rounded(len) / EXT4_BLOCK, buffer + DATA_MAX,
					  err);
		}
		off += len;
	}
	if (rc == 0)
		rc = end_source(fd, node, err);
	return rc < 0 ? -1 : settle_digest(copying, node, &sums, err);
}

/* One file from the parent, whose blocks are read in the order of its map there. */
static int copy_old(const struct copying *copying, struct tree_node *node,
		    const struct ext4_map *old, unsigned char *buffer, struct err *err)
{
	uint64_t at = 0, left = node->size_bytes; /* blocks; bytes */
	struct sums sums;

	sums_init(&sums, copying);
	for (size_t i = 0; i < old->count; i++)
		for (uint64_t done = 0; done < old->runs[i].blocks;) {
			uint64_t n = old->runs[i].blocks - done;
			size_t len;

			if (n > DATA_MAX / EXT4_BLOCK)
				n = DATA_MAX / EXT4_BLOCK;
			len = n * EXT4_BLOCK < left ? n * EXT4_BLOCK : (size_t)left;
			if (ext4_fetch(copying->parent->volume, old->runs[i].block + done,
				       n, buffer, err) < 0)
				return -1;
			sums_update(&sums, buffer, len);
			memset(buffer + len, 0, n * EXT4_BLOCK - len);
			if (write_blocks(copying, &node->map, at, buffer, n,
					 buffer + DATA_MAX, err) < 0)
				return -1;
			done += n;
			at += n;
			left -= len;
		}
	return settle_digest(copying, node, &sums, err);
}

static int copy_one(const struct copying *copying, struct tree_node *node,
		    unsigned char *buffer, struct err *err)
{
	int fd = open_source(copying, node, err);
	int rc;

	if (fd < 0)
		return -1;
	rc = copy_large(copying, node, fd, buffer, err);
	close(fd);
	return rc;
}

/* Small files side by side in the buffer as they stand in the image: one write. */
static int copy_batch(const struct copying *copying, const struct batch *batch,
		      unsigned char *buffer, struct err *err)
{
	struct tree_node *nodes = copying->tree->nodes;
	uint64_t start = 0;
	size_t filled = 0;

	for (size_t i = batch->first; i < batch->first + batch->count; i++) {
		struct tree_node *node = &nodes[i];
		size_t len = (size_t)node->size_bytes;
		struct sums sums;
		int fd, rc;

		if (!node->source)
			continue;
		fd = open_source(copying, node, err);
		if (fd < 0)
			return -1;
		rc = read_source(fd, node, 0, buffer + filled, len, err);
		if (rc == 0)
			rc = end_source(fd, node, err);
		close(fd);
		if (rc < 0)
			return -1;
		sums_init(&sums, copying);
		sums_update(&sums, buffer + filled, len);
		memset(buffer + filled + len, 0, rounded(len) - len);
		if (settle_digest(copying, node, &sums, err) < 0)
			return -1;
		if (len && !filled)
			start = node->map.runs[0].block;
		filled += rounded(len);
	}
	return filled ? put(copying, buffer, filled, start * EXT4_BLOCK,
			    buffer + DATA_MAX, err)
		      : 0;
}

static int run_batch(void *arg, size_t number, unsigned char *buffer, struct err *err)
{
	const struct copying *copying = arg;
	const struct batch *batch = &copying->batches[number];
	struct tree_node *node = &copying->tree->nodes[batch->first];

	if (batch->count > 1 || (!copying->hash_only && node->source &&
				 node->size_bytes <= DATA_MAX && node->map.count <= 1))
		return copy_batch(copying, batch, buffer, err);
	return copy_one(copying, node, buffer, err);
}

/*
 * Does a file go into the same write as the one whose last block is before `end`? The
 * nodes between them are directories or have no data here.
 */
static bool joins(const struct copying *copying, const struct tree_node *node,
		  uint64_t end, size_t filled)
{
	if (copying->hash_only || !filled || filled > DATA_MAX ||
	    rounded(node->size_bytes) > DATA_MAX - filled)
		return false;
	return !node->size_bytes ||
	       (node->map.count == 1 && node->map.runs[0].block == end);
}

static int plan_batches(struct copying *copying, struct err *err)
{
	size_t filled = 0;
	uint64_t end = 0;

	copying->batches = calloc(copying->tree->count, sizeof(*copying->batches));
	if (!copying->batches)
		return err_set(err, ERR_FAILED, "out of memory");
	for (size_t i = 0; i < copying->tree->count; i++) {
		const struct tree_node *node = &copying->tree->nodes[i];
		struct batch *last = &copying->batches[copying->count];

		if (!node->source)
			continue;
		if (joins(copying, node, end, filled)) {
			last[-1].count = i - last[-1].first + 1;
			filled += rounded(node->size_bytes);
		} else {
			*last = (struct batch){ i, 1 };
			copying->count++;
			/* A file in pieces is written alone. */
			filled = node->map.count > 1 ? 0 : rounded(node->size_bytes);
		}
		if (node->map.count)
			end = node->map.runs[0].block + node->map.runs[0].blocks;
	}
	return 0;
}

static int run_all(struct copying *copying, const char *root, struct err *err)
{
	int rc = -1;

	copying->rootfd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copying->rootfd < 0)
		return err_sys(err, errno, "opening %s", root);
	if (plan_batches(copying, err) == 0)
		rc = workers_run(copying->count, run_batch, copying, err);
	free(copying->batches);
	close(copying->rootfd);
	return rc;
}

int copy_hash(struct tree *tree, const char *root, struct err *err)
{
	struct copying copying = { .tree = tree, .hash_only = true, .fd = -1 };

	return run_all(&copying, root, err);
}

struct inherited {
	struct tree_node *node;
	struct ext4_map map; /* in the parent */
};

struct inheriting {
	const struct copying *copying;
	struct inherited *files;
	size_t count;
};

static int copy_inherited_file(void *arg, size_t number, unsigned char *buffer,
			       struct err *err)
{
	const struct inheriting *inheriting = arg;
	const struct inherited *file = &inheriting->files[number];

	return copy_old(inheriting->copying, file->node, &file->map, buffer, err);
}

/* What the plan does not bring is read from the parent. */
static int copy_inherited(struct copying *copying, struct err *err)
{
	struct inheriting inheriting = { .copying = copying };
	int rc = 0;

	inheriting.files = calloc(copying->tree->count, sizeof(*inheriting.files));
	if (!inheriting.files)
		return err_set(err, ERR_FAILED, "out of memory");
	/* Extents are looked up here: only data may be read by several threads. */
	for (size_t i = 0; rc == 0 && i < copying->tree->count; i++) {
		struct tree_node *node = &copying->tree->nodes[i];
		struct inherited *file = &inheriting.files[inheriting.count];

		if (!node->old_ino)
			continue;
		file->node = node;
		rc = parent_map(copying->parent, parent_find(copying->parent, node->path),
				&file->map, err);
		inheriting.count += rc == 0;
	}
	if (rc == 0)
		rc = workers_run(inheriting.count, copy_inherited_file, &inheriting, err);
	for (size_t i = 0; i < inheriting.count; i++)
		free(inheriting.files[i].map.runs);
	free(inheriting.files);
	return rc;
}

/*
 * Gives the image its own disk blocks for all that will be written, in one go for each
 * run: into holes, writes past the page cache would be done one after the other, each
 * with a change of the host's file system. Only a hint: where it cannot be, writes do it.
 */
static void allocate(const struct tree *tree, int fd)
{
	uint64_t start = 0, end = 0;

	for (size_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];

		for (size_t j = 0; !node->dir && j < node->map.count; j++) {
			const struct ext4_run *run = &node->map.runs[j];

			if (run->block != end) {
				if (end > start)
					fallocate(fd, FALLOC_FL_KEEP_SIZE,
						  (off_t)(start * EXT4_BLOCK),
						  (off_t)((end - start) * EXT4_BLOCK));
				start = run->block;
			}
			end = run->block + run->blocks;
		}
	}
	if (end > start)
		fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)(start * EXT4_BLOCK),
			  (off_t)((end - start) * EXT4_BLOCK));
}

int copy_files(struct tree *tree, const char *root, const struct parent *parent,
	       bool digests_known, const struct copy_to *to, struct err *err)
{
	struct copying copying = {
		.tree = tree, .parent = parent, .to = to, .known = digests_known
	};
	int rc;

	copying.fd = open(to->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_DIRECT);
	if (copying.fd < 0)
		copying.fd = to->fd;
	else
		allocate(tree, to->fd);
	rc = run_all(&copying, root, err);
	if (rc == 0 && parent)
		rc = copy_inherited(&copying, err);
	if (copying.fd != to->fd && close(copying.fd) < 0 && rc == 0)
		rc = err_sys(err, errno, "closing %s", to->path);
	return rc;
}

int copy_text(const struct copy_to *to, const struct ext4_map *map, const void *data,
	      size_t len_bytes, struct err *err)
{
	const struct copying copying = { .to = to, .fd = to->fd };
	size_t whole = rounded(len_bytes);
	unsigned char *blocks = calloc(1, whole ? whole : 1);
	int rc;

	if (!blocks)
		return err_set(err, ERR_FAILED, "out of memory");
	memcpy(blocks, data, len_bytes);
	rc = write_blocks(&copying, map, 0, blocks, whole / EXT4_BLOCK, NULL, err);
	free(blocks);
	return rc;
}
