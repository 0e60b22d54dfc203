#include "toolkit/compress/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "toolkit/lib/window.h"

#define LEVEL "3"
#define READ_BYTES (256u << 10)
/* Of a name in an error: the reason behind it must still fit. */
#define SHOWN "%.160s"

struct tar {
	struct archive *archive;
	struct archive_entry *entry; /* of a writer */
	bool writes;
	/* Writer. */
	struct sink *sink;
	/* Reader. */
	struct window window;
	uint64_t off;
	struct err err; /* of the file or sink, which the library cannot carry */
};

/* What went wrong below the library, or what the library says. */
static int failed(struct tar *tar, struct err *err)
{
	const char *why = archive_error_string(tar->archive);

	if (tar->err.kind != ERR_NONE) {
		*err = tar->err;
		return -1;
	}
	if (tar->writes)
		return err_set(err, ERR_FAILED, "%s", why ? why : "it cannot be packed");
	return err_set(err, ERR_FAILED, "%s, before byte %" PRIu64,
		       why ? why : "it cannot be unpacked", tar->off);
}

static la_ssize_t put(struct archive *archive, void *arg, const void *data, size_t len)
{
	struct tar *tar = arg;

	if (sink_put(tar->sink, data, len, &tar->err) == 0)
		return (la_ssize_t)len;
	archive_set_error(archive, EIO, "%s", tar->err.text);
	return ARCHIVE_FATAL;
}

static la_ssize_t get(struct archive *archive, void *arg, const void **data)
{
	struct tar *tar = arg;
	uint64_t left = tar->window.size_bytes - tar->off;
	size_t len = left < READ_BYTES ? (size_t)left : READ_BYTES;

	if (!len)
		return 0;
	*data = window_at(&tar->window, tar->off, len, &tar->err);
	if (!*data) {
		archive_set_error(archive, EIO, "%s", tar->err.text);
		return ARCHIVE_FATAL;
	}
	tar->off += len;
	return (la_ssize_t)len;
}

void tar_free(struct tar *tar)
{
	if (!tar)
		return;
	if (tar->archive && tar->writes)
		archive_write_free(tar->archive);
	else if (tar->archive)
		archive_read_free(tar->archive);
	archive_entry_free(tar->entry);
	window_close(&tar->window);
	free(tar);
}

struct tar *tar_write_open(struct sink *sink, struct err *err)
{
	struct tar *tar = calloc(1, sizeof(*tar));

	if (!tar) {
		err_sys(err, ENOMEM, "packing");
		return NULL;
	}
	tar->writes = true;
	tar->sink = sink;
	tar->entry = archive_entry_new();
	tar->archive = archive_write_new();
	/* No padding behind the last block: it would not be zstd. */
	if (tar->entry && tar->archive &&
	    archive_write_set_format_pax(tar->archive) == ARCHIVE_OK &&
	    archive_write_add_filter_zstd(tar->archive) == ARCHIVE_OK &&
	    archive_write_set_filter_option(tar->archive, "zstd", "compression-level",
					    LEVEL) == ARCHIVE_OK &&
	    archive_write_set_bytes_in_last_block(tar->archive, 1) == ARCHIVE_OK &&
	    archive_write_open(tar->archive, tar, NULL, put, NULL) == ARCHIVE_OK)
		return tar;
	failed(tar, err);
	tar_free(tar);
	return NULL;
}

int tar_write_entry(struct tar *tar, const struct tar_entry *from, struct err *err)
{
	struct archive_entry *entry = archive_entry_clear(tar->entry);

	archive_entry_set_pathname(entry, from->path);
	archive_entry_set_filetype(entry, from->dir ? AE_IFDIR : AE_IFREG);
	archive_entry_set_perm(entry, from->mode & 0777);
	archive_entry_set_mtime(entry, from->mtime.tv_sec, from->mtime.tv_nsec);
	archive_entry_set_size(entry, from->dir ? 0 : (la_int64_t)from->size_bytes);
	return archive_write_header(tar->archive, entry) == ARCHIVE_OK ? 0
								       : failed(tar, err);
}

int tar_write_data(struct tar *tar, const void *data, size_t len_bytes, struct err *err)
{
	la_ssize_t n = archive_write_data(tar->archive, data, len_bytes);

	return n >= 0 && (size_t)n == len_bytes ? 0 : failed(tar, err);
}

int tar_write_end(struct tar *tar, struct err *err)
{
	return archive_write_close(tar->archive) == ARCHIVE_OK ? 0 : failed(tar, err);
}

struct tar *tar_read_open(int fd, struct err *err)
{
	struct tar *tar = calloc(1, sizeof(*tar));

	if (!tar) {
		err_sys(err, ENOMEM, "unpacking");
		return NULL;
	}
	if (window_open(&tar->window, fd, READ_BYTES, err) < 0) {
		free(tar);
		return NULL;
	}
	tar->archive = archive_read_new();
	if (tar->archive &&
	    archive_read_support_filter_zstd(tar->archive) == ARCHIVE_OK &&
	    archive_read_support_format_tar(tar->archive) == ARCHIVE_OK &&
	    archive_read_open(tar->archive, tar, NULL, get, NULL) == ARCHIVE_OK)
		return tar;
	failed(tar, err);
	tar_free(tar);
	return NULL;
}

/* Copies a name that stays below the directory; a '/' at its end goes. */
static int take_name(const char *raw, char path[TAR_PATH_SIZE], struct err *err)
{
	size_t len = raw ? strlen(raw) : 0;

	while (len && raw[len - 1] == '/')
		len--;
	if (!len || len >= TAR_PATH_SIZE || raw[0] == '/')
		return err_set(err, ERR_FAILED, "it is empty, absolute or too long");
	memcpy(path, raw, len);
	path[len] = '\0';
	for (const char *at = path; *at;) {
		size_t part = strcspn(at, "/");

		if (!part || (part == 1 && at[0] == '.') ||
		    (part == 2 && at[0] == '.' && at[1] == '.'))
			return err_set(err, ERR_FAILED, "it has a part that is no name");
		for (size_t i = 0; i < part; i++)
			if ((unsigned char)at[i] < 0x20 || at[i] == 0x7f)
				return err_set(err, ERR_FAILED, "it has control bytes");
		at += part;
		if (*at)
			at++;
	}
	return 0;
}

int tar_read_entry(struct tar *tar, struct tar_entry *to, struct err *err)
{
	struct archive_entry *entry;
	int rc = archive_read_next_header(tar->archive, &entry);
	const char *raw;

	if (rc == ARCHIVE_EOF)
		return 0;
	if (rc != ARCHIVE_OK)
		return failed(tar, err);
	raw = archive_entry_pathname(entry);
	if (take_name(raw, to->path, err) < 0)
		return err_prefix(err, "the name '" SHOWN "'", raw ? raw : "");
	to->dir = archive_entry_filetype(entry) == AE_IFDIR;
	if (archive_entry_hardlink(entry) || archive_entry_symlink(entry) ||
	    (!to->dir && archive_entry_filetype(entry) != AE_IFREG))
		return err_set(err, ERR_FAILED,
			       SHOWN " is neither a file nor a directory", to->path);
	if (!to->dir &&
	    (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0))
		return err_set(err, ERR_FAILED, SHOWN " has no size", to->path);
	to->mode = archive_entry_perm(entry) & 0777;
	to->mtime.tv_sec = archive_entry_mtime(entry);
	to->mtime.tv_nsec = archive_entry_mtime_nsec(entry);
	to->size_bytes = to->dir ? 0 : (uint64_t)archive_entry_size(entry);
	return 1;
}

ssize_t tar_read_data(struct tar *tar, void *buf, size_t len_bytes, struct err *err)
{
	la_ssize_t n = archive_read_data(tar->archive, buf, len_bytes);

	return n < 0 ? failed(tar, err) : (ssize_t)n;
}
