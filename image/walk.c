#include "image/walk.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/path.h"

struct reading {
	struct ext4_volume *volume;
	struct ext4_stat st;
	unsigned char *buf;
	int (*fn)(void *arg, uint64_t off, const void *data, size_t len, struct err *err);
	void *arg;
};

static int read_span(void *arg, const struct ext4_span *span, struct err *err)
{
	struct reading *reading = arg;
	uint64_t size = reading->st.size_bytes;

	for (uint64_t done = 0; done < span->blocks;) {
		uint64_t off = (span->file_block + done) * EXT4_BLOCK;
		uint64_t blocks = span->blocks - done;
		size_t len;

		if (off >= size)
			return 0; /* reserved beyond the end */
		/* Nor what lies beyond the end of a file shorter than its extent. */
		if (blocks > (size - off - 1) / EXT4_BLOCK + 1)
			blocks = (size - off - 1) / EXT4_BLOCK + 1;
		if (blocks > WALK_BUFFER / EXT4_BLOCK)
			blocks = WALK_BUFFER / EXT4_BLOCK;
		len = blocks * EXT4_BLOCK;
		if (len > size - off)
			len = (size_t)(size - off);
		if (ext4_fetch(reading->volume, span->block + done, blocks, reading->buf,
			       err) < 0 ||
		    reading->fn(reading->arg, off, reading->buf, len, err) < 0)
			return -1;
		done += blocks;
	}
	return 0;
}

int walk_read(struct ext4_volume *volume, uint32_t ino,
	      int (*fn)(void *arg, uint64_t off, const void *data, size_t len,
			struct err *err),
	      void *arg, struct err *err)
{
	struct reading reading = { .volume = volume, .fn = fn, .arg = arg };
	int rc = -1;

	if (ext4_stat(volume, ino, &reading.st, err) < 0)
		return -1;
	if (!S_ISREG(reading.st.mode))
		return err_set(err, ERR_NO, "not a regular file");
	reading.buf = aligned_alloc(EXT4_BLOCK, WALK_BUFFER);
	if (!reading.buf)
		return err_set(err, ERR_FAILED, "out of memory");
	rc = ext4_spans(volume, ino, &reading.st, read_span, &reading, err);
	free(reading.buf);
	return rc;
}

struct listing {
	struct ext4_volume *volume;
	struct ext4_stat st;
	uint32_t ino;
	int (*fn)(void *arg, const char *name, size_t len, uint32_t ino);
	void *arg;
};

static int list_span(void *arg, const struct ext4_span *span, struct err *err)
{
	struct listing *listing = arg;
	unsigned char block[DIRBLOCK_SIZE] __attribute__((aligned(8)));

	for (uint64_t i = 0; i < span->blocks; i++) {
		int rc;

		if (span->file_block + i >= listing->st.size_bytes / EXT4_BLOCK)
			return 0;
		if (ext4_fetch_dirblock(listing->volume, listing->ino, span->block + i,
					block, err) < 0)
			return -1;
		rc = dirblock_parse(block, listing->fn, listing->arg);
		if (rc == DIRBLOCK_BAD)
			return err_set(err, ERR_NO, "a directory block is damaged");
		if (rc)
			return rc;
	}
	return 0;
}

static int list(struct ext4_volume *volume, uint32_t ino,
		int (*fn)(void *arg, const char *name, size_t len, uint32_t ino),
		void *arg, struct err *err)
{
	struct listing listing = { .volume = volume, .ino = ino, .fn = fn, .arg = arg };

	if (ext4_stat(volume, ino, &listing.st, err) < 0)
		return -1;
	if (!S_ISDIR(listing.st.mode))
		return err_set(err, ERR_NO, "not a directory");
	return ext4_spans(volume, ino, &listing.st, list_span, &listing, err);
}

struct walking {
	struct ext4_volume *volume;
	int (*fn)(void *arg, const struct walk_entry *entry, struct err *err);
	void *arg;
	struct err *err;
	bool stopped; /* fn said so */
	char path[PATH_LEN_MAX + 1 + PATH_NAME_MAX + 1];
	size_t len;			     /* of path, the directory now being read */
	uint32_t inodes[PATH_DEPTH_MAX + 1]; /* the directory and those around it */
	size_t depth;
};

static int walk_dir(struct walking *walking);

static int tell(struct walking *walking, const struct walk_entry *entry)
{
	int rc = walking->fn(walking->arg, entry, walking->err);

	if (rc < 0)
		walking->stopped = true;
	return rc;
}

static bool inside_itself(const struct walking *walking, uint32_t ino)
{
	for (size_t i = 0; i <= walking->depth; i++)
		if (walking->inodes[i] == ino)
			return true;
	return false;
}

/* Goes into a directory; when it cannot be read, that is reported as the entry's fault.
 */
static int descend(struct walking *walking, struct walk_entry *entry, size_t len)
{
	size_t outer = walking->len;
	char reason[sizeof(walking->err->text)];
	int rc;

	walking->len = len;
	walking->inodes[++walking->depth] = entry->ino;
	rc = walk_dir(walking);
	walking->depth--;
	walking->len = outer;
	walking->path[len] = '\0';
	if (rc == 0 || walking->stopped || walking->err->kind != ERR_NO)
		return rc;
	snprintf(reason, sizeof(reason), "%s", walking->err->text);
	entry->fault = reason;
	return tell(walking, entry) < 0 ? -1 : 0;
}

static int walk_name(void *arg, const char *name, size_t len, uint32_t ino)
{
	struct walking *walking = arg;
	struct walk_entry entry = { .ino = ino, .depth = walking->depth };
	size_t start = walking->len ? walking->len + 1 : 0;
	char reason[sizeof(walking->err->text)];
	int rc;

	if ((len == 1 && name[0] == '.') ||
	    (len == 2 && name[0] == '.' && name[1] == '.'))
		return 0;
	entry.fault = path_name_fault(name, len);
	if (start + len > PATH_LEN_MAX)
		entry.fault = "has a path longer than 1024 bytes";
	if (start)
		walking->path[walking->len] = '/';
	memcpy(walking->path + start, name, len);
	walking->path[start + len] = '\0';
	entry.path = walking->path;
	entry.name = walking->path + start;
	if (!entry.fault &&
	    ext4_stat(walking->volume, ino, &entry.st, walking->err) < 0) {
		if (walking->err->kind != ERR_NO)
			return -1;
		snprintf(reason, sizeof(reason), "%s", walking->err->text);
		entry.fault = reason;
	}
	if (!entry.fault && S_ISDIR(entry.st.mode)) {
		if (inside_itself(walking, ino))
			entry.fault = "is a directory inside itself";
		else if (walking->depth == PATH_DEPTH_MAX)
			entry.fault = "is deeper than 32 names";
	}
	if (entry.fault)
		entry.st = (struct ext4_stat){ 0 };
	rc = tell(walking, &entry);
	if (rc == WALK_ON && !entry.fault && S_ISDIR(entry.st.mode))
		rc = descend(walking, &entry, start + len);
	walking->path[walking->len] = '\0';
	return rc < 0 ? -1 : 0;
}

static int walk_dir(struct walking *walking)
{
	return list(walking->volume, walking->inodes[walking->depth], walk_name, walking,
		    walking->err);
}

int walk(struct ext4_volume *volume, uint32_t ino, const char *path,
	 int (*fn)(void *arg, const struct walk_entry *entry, struct err *err), void *arg,
	 struct err *err)
{
	struct walking walking = { .volume = volume, .fn = fn, .arg = arg, .err = err };

	walking.len = strlen(path);
	if (walking.len > PATH_LEN_MAX)
		return err_set(err, ERR_USAGE, "the path is longer than 1024 bytes");
	memcpy(walking.path, path, walking.len + 1);
	walking.inodes[0] = ino;
	return walk_dir(&walking);
}

struct finding {
	const char *name;
	size_t len;
	uint32_t ino;
};

static int match(void *arg, const char *name, size_t len, uint32_t ino)
{
	struct finding *finding = arg;

	if (len != finding->len || memcmp(name, finding->name, len) != 0)
		return 0;
	finding->ino = ino;
	return 1;
}

int walk_find(struct ext4_volume *volume, const char *path, uint32_t *ino,
	      struct ext4_stat *st, struct err *err)
{
	const char *from_root = path + strspn(path, "/");
	const char *name = from_root;
	const char *fault = *name ? path_fault(name) : NULL;

	if (fault)
		return err_set(err, ERR_USAGE, "the path %s", fault);
	*ino = EXT4_ROOT;
	while (*name) {
		struct finding finding = { name, strcspn(name, "/"), 0 };
		int rc = list(volume, *ino, match, &finding, err);

		name += finding.len;
		if (rc == 0)
			err_set(err, ERR_NO, "no such file on the volume");
		if (rc != 1)
			return err_prefix(err, "/%.*s", (int)(name - from_root),
					  from_root);
		*ino = finding.ino;
		name += *name == '/';
	}
	if (ext4_stat(volume, *ino, st, err) < 0)
		return err_prefix(err, "/%s", from_root);
	return 0;
}
