#include "kmods/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmods/rpm.h"
#include "kmods/tree.h"
#include "toolkit/lib/io.h"

/* Of a name in an error: the reason behind it must still fit. */
#define SHOWN "%.160s"
#define CONTROL_ENTRIES_MAX 64
#define CONTROL_BYTES_MAX (256u * 1024)

struct unpacking {
	struct archive *tar;
	bool cpio;
	int dirfd;
	unpack_want *want; /* NULL: everything */
	uint64_t bytes;
	unsigned entries;
	/* The directory of the last entry: most have it in common with the next one. */
	int parentfd;
	char parent[TREE_PATH_SIZE];
};

/* The data.tar member of the package, as the inner reader's input. */
struct member {
	struct archive *outer;
	unsigned char buf[64 * 1024];
};

static int archive_failed(struct archive *a, struct err *err)
{
	const char *why = archive_error_string(a);

	return err_set(err, ERR_FAILED, "%s", why ? why : "the archive cannot be read");
}

static int write_data(struct unpacking *up, int fd, uint64_t size, struct err *err)
{
	const void *block;
	size_t len;
	la_int64_t off;
	int rc;

	while ((rc = archive_read_data_block(up->tar, &block, &len, &off)) ==
	       ARCHIVE_OK) {
		if (off < 0 || (uint64_t)off > size || len > size - (uint64_t)off)
			return err_set(err, ERR_FAILED, "more data than its header says");
		if (io_pwrite(fd, block, len, (uint64_t)off) < 0)
			return err_sys(err, errno, "writing");
	}
	if (rc != ARCHIVE_EOF)
		return archive_failed(up->tar, err);
	return 0;
}

/* Writes the entry's data into fd, which it closes. */
static int fill_file(struct unpacking *up, struct archive_entry *entry, int fd,
		     struct err *err)
{
	mode_t mode = archive_entry_perm(entry) & 0111 ? 0755 : 0644;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
				     { .tv_sec = archive_entry_mtime(entry) } };
	uint64_t size = (uint64_t)archive_entry_size(entry);
	int rc = -1;

	if (write_data(up, fd, size, err) < 0)
		goto out;
	/* A sparse end has no block, and the modes must not depend on the umask. */
	if (ftruncate(fd, (off_t)size) < 0 || fchmod(fd, mode) < 0 ||
	    futimens(fd, times) < 0) {
		err_sys(err, errno, "setting length, mode and time");
		goto out;
	}
	rc = 0;
out:
	if (close(fd) < 0 && rc == 0)
		rc = err_sys(err, errno, "closing");
	return rc;
}

static int count_size(struct unpacking *up, struct archive_entry *entry, struct err *err)
{
	la_int64_t size = archive_entry_size(entry);

	if (!archive_entry_size_is_set(entry) || size < 0)
		return err_set(err, ERR_FAILED, "it has no size");
	if ((uint64_t)size > UNPACK_BYTES_MAX - up->bytes)
		return err_set(err, ERR_FAILED,
			       "the package unpacks to more than %llu MiB",
			       UNPACK_BYTES_MAX >> 20);
	up->bytes += (uint64_t)size;
	return 0;
}

static int write_file(struct unpacking *up, struct archive_entry *entry, int dir,
		      const char *name, struct err *err)
{
	int fd;

	if (count_size(up, entry, err) < 0)
		return -1;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return err_sys(err, errno, "making the file");
	return fill_file(up, entry, fd, err);
}

/* Of the names of one file in cpio the last one has the data, for all of them. */
static int fill_link(struct unpacking *up, struct archive_entry *entry, int dir,
		     const char *name, struct err *err)
{
	int fd;

	if (!up->cpio || !archive_entry_size_is_set(entry) ||
	    archive_entry_size(entry) == 0)
		return 0;
	if (count_size(up, entry, err) < 0)
		return -1;
	fd = openat(dir, name, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "writing the linked file");
	return fill_file(up, entry, fd, err);
}

static int make_hard_link(struct unpacking *up, const char *raw, int dir,
			  const char *name, struct err *err)
{
	char target[TREE_PATH_SIZE], from[NAME_MAX + 1];
	struct stat st;
	int fd, rc = -1;

	if (tree_normal(raw, target, err) < 0)
		return err_prefix(err, "hard link to " SHOWN, raw);
	fd = tree_parent(up->dirfd, target, false, from, err);
	if (fd < 0)
		return err_prefix(err, "hard link to " SHOWN, raw);
	if (fstatat(fd, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
		err_sys(err, errno, "hard link to " SHOWN, raw);
	else if (!S_ISREG(st.st_mode))
		err_set(err, ERR_FAILED, "hard link to " SHOWN ": not a regular file",
			raw);
	else if (linkat(fd, from, dir, name, 0) < 0)
		err_sys(err, errno, "hard link to " SHOWN, raw);
	else
		rc = 0;
	close(fd);
	return rc;
}

static int make_symlink(const char *text, int dir, const char *name, struct err *err)
{
	if (!text || text[0] == '\0' || strlen(text) >= TREE_PATH_SIZE)
		return err_set(err, ERR_FAILED, "symbolic link without a usable text");
	if (symlinkat(text, dir, name) < 0)
		return err_sys(err, errno, "making the symbolic link");
	return 0;
}

/* As tree_parent(), but what is returned stays ours and is good until the next call. */
static int open_parent(struct unpacking *up, const char *path, char name[NAME_MAX + 1],
		       struct err *err)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (up->parentfd >= 0 && strncmp(up->parent, path, len) == 0 &&
	    up->parent[len] == '\0') {
		const char *last = slash ? slash + 1 : path;

		memcpy(name, last, strlen(last) + 1);
		return up->parentfd;
	}
	io_close(&up->parentfd);
	up->parentfd = tree_parent(up->dirfd, path, true, name, err);
	memcpy(up->parent, path, len);
	up->parent[len] = '\0';
	return up->parentfd;
}

/*
 * In cpio the one name of a file that has its data may be a name that is not wanted, so a
 * file with several names is unpacked in any case.
 */
static bool is_wanted(const struct unpacking *up, struct archive_entry *entry,
		      const char *path)
{
	return !up->want || (up->cpio && archive_entry_nlink(entry) > 1) ||
	       up->want(path, (uint64_t)archive_entry_size(entry));
}

static int unpack_entry(struct unpacking *up, struct archive_entry *entry,
			const char *path, struct err *err)
{
	const char *hardlink = archive_entry_hardlink(entry);
	__LA_MODE_T type = archive_entry_filetype(entry);
	char name[NAME_MAX + 1];
	int dir;

	if (archive_entry_perm(entry) & (S_ISUID | S_ISGID | S_ISVTX))
		return err_set(err, ERR_FAILED, "it is setuid, setgid or sticky");
	if (!hardlink && type == AE_IFDIR)
		return up->want ? 0 : tree_mkdir(up->dirfd, path, err);
	if (!hardlink && type != AE_IFREG && type != AE_IFLNK)
		return err_set(err, ERR_FAILED,
			       "neither a file, a directory nor a link (type %o)",
			       (unsigned)type);
	if (path[0] == '\0')
		return err_set(err, ERR_FAILED, "it would replace the directory itself");
	if (!is_wanted(up, entry, path))
		return 0;
	dir = open_parent(up, path, name, err);
	if (dir < 0)
		return -1;
	if (hardlink)
		return make_hard_link(up, hardlink, dir, name, err) < 0
			       ? -1
			       : fill_link(up, entry, dir, name, err);
	if (type == AE_IFLNK)
		return make_symlink(archive_entry_symlink(entry), dir, name, err);
	return write_file(up, entry, dir, name, err);
}

static int unpack_entries(struct unpacking *up, struct err *err)
{
	struct archive_entry *entry;
	char path[TREE_PATH_SIZE];
	int rc;

	while ((rc = archive_read_next_header(up->tar, &entry)) == ARCHIVE_OK) {
		const char *raw = archive_entry_pathname(entry);

		if (++up->entries > UNPACK_ENTRIES_MAX)
			return err_set(err, ERR_FAILED, "more than %d entries",
				       UNPACK_ENTRIES_MAX);
		if (!raw || raw[0] == '\0')
			return err_set(err, ERR_FAILED, "entry %u has no name",
				       up->entries);
		if (tree_normal(raw, path, err) < 0 ||
		    unpack_entry(up, entry, path, err) < 0)
			return err_prefix(err, "entry " SHOWN, raw);
	}
	if (rc != ARCHIVE_EOF) {
		archive_failed(up->tar, err);
		return err_prefix(err, "after %u entries", up->entries);
	}
	return 0;
}

static struct archive *new_reader(bool cpio, struct err *err)
{
	struct archive *a = archive_read_new();

	/* Named one by one: each "all" would link every format into the program. */
	if (a && archive_read_support_filter_xz(a) == ARCHIVE_OK &&
	    archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
	    archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
	    (cpio ? archive_read_support_filter_lzma(a) == ARCHIVE_OK &&
			     archive_read_support_format_cpio(a) == ARCHIVE_OK
		  : archive_read_support_format_tar(a) == ARCHIVE_OK))
		return a;
	err_set(err, ERR_FAILED,
		"the archive library has no tar, cpio, xz, zstd or gzip");
	archive_read_free(a);
	return NULL;
}

/* Compression alone: what it holds is one entry of the raw format. */
static struct archive *new_raw_reader(struct err *err)
{
	struct archive *a = archive_read_new();

	if (a && archive_read_support_filter_xz(a) == ARCHIVE_OK &&
	    archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
	    archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
	    archive_read_support_format_raw(a) == ARCHIVE_OK &&
	    archive_read_support_format_empty(a) == ARCHIVE_OK)
		return a;
	err_set(err, ERR_FAILED, "the archive library has no xz, zstd or gzip");
	archive_read_free(a);
	return NULL;
}

static int pass_on(struct archive *raw, uint64_t max, unpack_bytes *bytes, void *arg,
		   struct err *err)
{
	struct archive_entry *entry;
	uint64_t done = 0;
	const void *block;
	la_int64_t off;
	size_t len;
	int rc = archive_read_next_header(raw, &entry);

	if (rc == ARCHIVE_EOF)
		return 0;
	if (rc != ARCHIVE_OK)
		return archive_failed(raw, err);
	while ((rc = archive_read_data_block(raw, &block, &len, &off)) == ARCHIVE_OK) {
		if (len > max - done)
			return err_set(err, ERR_FAILED, "unpacks to more than %llu bytes",
				       (unsigned long long)max);
		done += len;
		if (bytes(arg, block, len, err) < 0)
			return -1;
	}
	return rc == ARCHIVE_EOF ? 0 : archive_failed(raw, err);
}

int unpack_stream(const void *data, size_t len_bytes, uint64_t max_bytes,
		  unpack_bytes *bytes, void *arg, struct err *err)
{
	struct archive *raw = new_raw_reader(err);
	int rc = -1;

	if (!raw)
		return -1;
	if (archive_read_open_memory(raw, data, len_bytes) != ARCHIVE_OK)
		archive_failed(raw, err);
	else
		rc = pass_on(raw, max_bytes, bytes, arg, err);
	archive_read_free(raw);
	return rc;
}

static la_ssize_t read_member(struct archive *tar, void *arg, const void **buf)
{
	struct member *m = arg;
	la_ssize_t n = archive_read_data(m->outer, m->buf, sizeof(m->buf));

	if (n < 0) {
		const char *why = archive_error_string(m->outer);

		archive_set_error(tar, EIO, "%s",
				  why ? why : "its member cannot be read");
		return ARCHIVE_FATAL;
	}
	*buf = m->buf;
	return n;
}

/*
 * Unpacks an archive from memory, or from the current member of outer when set: tar, or
 * cpio, which an rpm's payload is.
 */
static int unpack_archive(struct archive *outer, const void *data, size_t len, bool cpio,
			  int dirfd, unpack_want *want, struct err *err)
{
	struct unpacking up = {
		.cpio = cpio, .dirfd = dirfd, .want = want, .parentfd = -1
	};
	struct member member = { .outer = outer };
	int rc = -1;

	up.tar = new_reader(cpio, err);
	if (!up.tar)
		return -1;
	if ((outer ? archive_read_open(up.tar, &member, NULL, read_member, NULL)
		   : archive_read_open_memory(up.tar, data, len)) != ARCHIVE_OK)
		archive_failed(up.tar, err);
	else
		rc = unpack_entries(&up, err);
	archive_read_free(up.tar);
	io_close(&up.parentfd);
	return rc;
}

/* deb(5): the first member is debian-binary and says 2.x; data.tar stands there once. */
static int unpack_members(struct archive *deb, int dirfd, unpack_want *want,
			  struct err *err)
{
	struct archive_entry *entry;
	unsigned members = 0, data = 0;
	char version[8];
	int rc;

	while ((rc = archive_read_next_header(deb, &entry)) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(entry);

		if (!name)
			return err_set(err, ERR_FAILED, "a member has no name");
		if (members++ == 0 &&
		    (strcmp(name, "debian-binary") != 0 ||
		     archive_read_data(deb, version, sizeof(version)) < 2 ||
		     memcmp(version, "2.", 2) != 0))
			return err_set(err, ERR_FAILED,
				       "not a Debian package of format 2");
		if (strncmp(name, "data.tar", 8) != 0)
			continue;
		if (data++ > 0)
			return err_set(err, ERR_FAILED, "it has data.tar twice");
		if (unpack_archive(deb, NULL, 0, false, dirfd, want, err) < 0)
			return -1;
	}
	if (rc != ARCHIVE_EOF)
		return archive_failed(deb, err);
	if (data == 0)
		return err_set(err, ERR_FAILED, "it has no data.tar");
	return 0;
}

static int unpack_deb(const void *data, size_t len, int dirfd, unpack_want *want,
		      struct err *err)
{
	struct archive *deb = archive_read_new();
	int rc = -1;

	if (!deb || archive_read_support_format_ar(deb) != ARCHIVE_OK)
		err_set(err, ERR_FAILED, "the archive library has no ar");
	else if (archive_read_open_memory(deb, data, len) != ARCHIVE_OK)
		archive_failed(deb, err);
	else
		rc = unpack_members(deb, dirfd, want, err);
	archive_read_free(deb);
	return rc;
}

/*
 * Our own reader of the header finds the payload, so that what the archive library sees
 * is compressed cpio and nothing else.
 */
static int unpack_rpm(const void *data, size_t len, int dirfd, unpack_want *want,
		      struct err *err)
{
	size_t payload;

	if (rpm_payload(data, len, &payload, err) < 0)
		return -1;
	return unpack_archive(NULL, (const char *)data + payload, len - payload, true,
			      dirfd, want, err);
}

int unpack_select(const void *data, size_t len_bytes, const char *package, int dirfd,
		  unpack_want *want, struct err *err)
{
	int rc;

	if (len_bytes >= 8 && memcmp(data, "!<arch>\n", 8) == 0)
		rc = unpack_deb(data, len_bytes, dirfd, want, err);
	else if (rpm_is(data, len_bytes))
		rc = unpack_rpm(data, len_bytes, dirfd, want, err);
	else
		rc = unpack_archive(NULL, data, len_bytes, false, dirfd, want, err);
	if (rc < 0)
		err_prefix(err, SHOWN, package);
	return rc;
}

int unpack_package(const void *data, size_t len_bytes, const char *package, int dirfd,
		   struct err *err)
{
	return unpack_select(data, len_bytes, package, dirfd, NULL, err);
}

/* Reads the entry "control" of a control.tar, which is the current member of outer. */
static int find_control(struct archive *outer, char **text, size_t *text_len,
			struct err *err)
{
	struct member member = { .outer = outer };
	struct archive *tar = new_reader(false, err);
	struct archive_entry *entry;
	int rc = -1;

	if (!tar)
		return -1;
	if (archive_read_open(tar, &member, NULL, read_member, NULL) != ARCHIVE_OK) {
		archive_failed(tar, err);
		goto out;
	}
	err_set(err, ERR_FAILED, "it has no control file");
	for (unsigned i = 0; i < CONTROL_ENTRIES_MAX &&
			     archive_read_next_header(tar, &entry) == ARCHIVE_OK;
	     i++) {
		const char *name = archive_entry_pathname(entry);
		la_ssize_t n;

		if (!name || strcmp(name[0] == '.' && name[1] == '/' ? name + 2 : name,
				    "control") != 0)
			continue;
		*text = malloc(CONTROL_BYTES_MAX);
		if (!*text) {
			err_sys(err, errno, "reading its control file");
			break;
		}
		n = archive_read_data(tar, *text, CONTROL_BYTES_MAX - 1);
		if (n < 0) {
			archive_failed(tar, err);
			break;
		}
		(*text)[n] = '\0';
		*text_len = (size_t)n;
		rc = 0;
		break;
	}
out:
	archive_read_free(tar);
	return rc;
}

int unpack_control(const void *data, size_t len_bytes, char **text, size_t *text_len,
		   struct err *err)
{
	struct archive *deb = archive_read_new();
	struct archive_entry *entry;
	int rc = -1;

	*text = NULL;
	if (!deb || archive_read_support_format_ar(deb) != ARCHIVE_OK ||
	    archive_read_open_memory(deb, data, len_bytes) != ARCHIVE_OK) {
		err_set(err, ERR_FAILED, "it is not a Debian package");
		goto out;
	}
	err_set(err, ERR_FAILED, "it has no control.tar");
	while (archive_read_next_header(deb, &entry) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(entry);

		if (name && strncmp(name, "control.tar", 11) == 0) {
			rc = find_control(deb, text, text_len, err);
			break;
		}
	}
out:
	archive_read_free(deb);
	if (rc < 0) {
		free(*text);
		*text = NULL;
	}
	return rc;
}
