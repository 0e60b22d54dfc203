#include "toolkit/lib/package.h"

#include <archive.h>
#include <archive_entry.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 1000000
#define READ_BYTES ((size_t)256 * 1024)

/* The data.tar of a deb, as the inner reader's input. */
struct member {
	struct archive *outer;
	unsigned char buf[READ_BYTES];
};

static int failed(struct archive *a, struct err *err)
{
	const char *why = archive_error_string(a);

	return err_set(err, ERR_FAILED, "%s", why ? why : "the package cannot be read");
}

static int no_memory(struct err *err)
{
	return err_set(err, ERR_FAILED, "no memory to read the package");
}

/* Takes the entry's bytes; the header's size is only a bound. */
static int take(struct archive *a, struct archive_entry *entry, struct package_file *file,
		struct err *err)
{
	la_int64_t size = archive_entry_size(entry);
	size_t len = 0;

	if (size < 0 || (uint64_t)size > file->max_bytes)
		return err_set(err, ERR_FAILED, "%s is larger than %zu bytes", file->path,
			       file->max_bytes);
	free(file->data);
	file->len = 0;
	file->data = malloc((size_t)size + 1);
	if (!file->data)
		return no_memory(err);
	while (len < (size_t)size) {
		la_ssize_t n = archive_read_data(a, file->data + len, (size_t)size - len);

		if (n < 0)
			return failed(a, err);
		if (n == 0)
			return err_set(err, ERR_FAILED, "%s ends too early", file->path);
		len += (size_t)n;
	}
	file->data[len] = '\0';
	file->len = len;
	return 0;
}

/* Is this entry wanted? Returns the file that it is for, or NULL. */
static struct package_file *wanted(const char *path, struct package_file *files,
				   size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t end = files[i].data ? files[i].pattern : SIZE_MAX;

		for (size_t k = 0; k < end && files[i].patterns[k]; k++)
			if (fnmatch(files[i].patterns[k], path, FNM_PATHNAME) == 0) {
				files[i].pattern = k;
				return &files[i];
			}
	}
	return NULL;
}

static bool all_found(const struct package_file *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!files[i].data)
			return false;
	return true;
}

/* One entry, whose header has been read. Returns 1 when nothing more is wanted. */
static int read_entry(struct archive *a, struct archive_entry *entry,
		      struct package_file *files, size_t count, struct err *err)
{
	const char *path = archive_entry_pathname(entry);
	struct package_file *file;

	if (!path || archive_entry_filetype(entry) != AE_IFREG ||
	    archive_entry_hardlink(entry))
		return 0;
	while (*path == '.' && path[1] == '/')
		path += 2;
	while (*path == '/')
		path++;
	if (strlen(path) >= sizeof(files->path))
		return 0;
	file = wanted(path, files, count);
	if (!file)
		return 0;
	strcpy(file->path, path);
	if (take(a, entry, file, err) < 0)
		return -1;
	return all_found(files, count);
}

/* From an entry on whose header has been read. */
static int read_entries(struct archive *a, struct archive_entry *entry,
			struct package_file *files, size_t count, struct err *err)
{
	size_t entries = 0;
	int rc;

	do {
		if (++entries > ENTRIES_MAX)
			return err_set(err, ERR_FAILED, "more than %d entries",
				       ENTRIES_MAX);
		rc = read_entry(a, entry, files, count, err);
		if (rc)
			return rc < 0 ? -1 : 0;
	} while ((rc = archive_read_next_header(a, &entry)) == ARCHIVE_OK);
	return rc == ARCHIVE_EOF ? 0 : failed(a, err);
}

static la_ssize_t read_member(struct archive *inner, void *data, const void **block)
{
	struct member *member = data;
	la_ssize_t n = archive_read_data(member->outer, member->buf, sizeof(member->buf));

	if (n < 0)
		archive_set_error(inner, archive_errno(member->outer), "%s",
				  archive_error_string(member->outer));
	*block = member->buf;
	return n;
}

/* Named one by one: each "all" would link every format into the program. */
static bool support_filters(struct archive *a)
{
	return archive_read_support_filter_xz(a) == ARCHIVE_OK &&
	       archive_read_support_filter_lzma(a) == ARCHIVE_OK &&
	       archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
	       archive_read_support_filter_gzip(a) == ARCHIVE_OK;
}

/* The outer reader stands at data.tar. */
static int read_tar(struct archive *outer, struct package_file *files, size_t count,
		    struct err *err)
{
	struct member *member = malloc(sizeof(*member));
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	int rc = -1;

	if (!member || !a) {
		no_memory(err);
		goto out;
	}
	member->outer = outer;
	if (!support_filters(a) || archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_open(a, member, NULL, read_member, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(a, &entry) != ARCHIVE_OK)
		failed(a, err);
	else
		rc = read_entries(a, entry, files, count, err);
out:
	archive_read_free(a);
	free(member);
	return rc;
}

static int read_deb(struct archive *a, struct archive_entry *entry,
		    struct package_file *files, size_t count, struct err *err)
{
	int rc;

	do {
		const char *name = archive_entry_pathname(entry);

		if (name && strncmp(name, "data.tar", 8) == 0)
			return read_tar(a, files, count, err);
	} while ((rc = archive_read_next_header(a, &entry)) == ARCHIVE_OK);
	return rc == ARCHIVE_EOF ? err_set(err, ERR_FAILED, "it has no data.tar")
				 : failed(a, err);
}

int package_read(int fd, struct package_file *files, size_t count, struct err *err)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	int rc = -1;

	if (!a)
		return no_memory(err);
	if (!support_filters(a) || archive_read_support_filter_rpm(a) != ARCHIVE_OK ||
	    archive_read_support_format_ar(a) != ARCHIVE_OK ||
	    archive_read_support_format_cpio(a) != ARCHIVE_OK ||
	    archive_read_open_fd(a, fd, READ_BYTES) != ARCHIVE_OK) {
		failed(a, err);
		goto out;
	}
	/* Which format it is shows when the first header has been read. */
	if (archive_read_next_header(a, &entry) != ARCHIVE_OK)
		failed(a, err);
	else if ((archive_format(a) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_AR)
		rc = read_deb(a, entry, files, count, err);
	else
		rc = read_entries(a, entry, files, count, err);
out:
	archive_read_free(a);
	return rc;
}
