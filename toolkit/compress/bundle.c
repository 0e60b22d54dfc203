#include "toolkit/compress/bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolkit/compress/listing.h"
#include "toolkit/compress/tar.h"
#include "toolkit/lib/clijson.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/json.h"
#include "toolkit/lib/sink.h"
#include "toolkit/lib/window.h"

#define DEPTH_MAX 32
#define DATA_BYTES (256u << 10)
#define SHOWN "%.160s"

static _Alignas(IO_BLOCK) unsigned char sink_arena[256 * IO_BLOCK];

/* What is said of a bundle at the end. */
struct report {
	const char *path;
	uint64_t bytes;
	uint8_t sha256[SHA256_LEN];
	bool has_sha256;
	size_t files, checked, sums;
};

/* Adds path, relative to rootfd, and what is below it. */
static int add_tree(struct listing *listing, int parentfd, const char *name,
		    const char *path, unsigned int depth, struct err *err)
{
	struct tar_entry entry = { 0 };
	struct dirent *child;
	struct stat st;
	DIR *dir;
	int fd, rc = -1;

	if (fstatat(parentfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "examining " SHOWN, path);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return err_set(err, ERR_FAILED,
			       SHOWN " is neither a file nor a directory", path);
	if (strlen(path) >= sizeof(entry.path) || depth > DEPTH_MAX)
		return err_set(err, ERR_FAILED, SHOWN " is too long or too deep", path);
	strcpy(entry.path, path);
	entry.dir = S_ISDIR(st.st_mode);
	entry.mode = st.st_mode & 0777;
	entry.mtime = st.st_mtim;
	entry.size_bytes = entry.dir ? 0 : (uint64_t)st.st_size;
	if (!listing_add(listing, &entry, err))
		return -1;
	if (!entry.dir)
		return 0;
	fd = openat(parentfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		err_sys(err, errno, "opening " SHOWN, path);
		io_close(&fd);
		return -1;
	}
	while (errno = 0, (child = readdir(dir))) {
		char below[TAR_PATH_SIZE + NAME_MAX + 2];

		if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0)
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, child->d_name);
		if (add_tree(listing, dirfd(dir), child->d_name, below, depth + 1, err) <
		    0)
			goto out;
	}
	rc = errno ? err_sys(err, errno, "listing " SHOWN, path) : 0;
out:
	closedir(dir);
	return rc;
}

/* Opens a listed file below the directory that holds the tree, link by link. */
static int open_listed(int rootfd, const char *path, struct err *err)
{
	char part[NAME_MAX + 1];
	int fd = dup(rootfd), next;

	for (size_t len; fd >= 0 && path[len = strcspn(path, "/")]; path += len + 1) {
		if (len > NAME_MAX) {
			io_close(&fd);
			errno = ENAMETOOLONG;
			break;
		}
		memcpy(part, path, len);
		part[len] = '\0';
		next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		io_close(&fd);
		fd = next;
	}
	if (fd < 0)
		return err_sys(err, errno, "opening the directory of " SHOWN, path);
	next = io_open_direct(fd, path, false, err);
	io_close(&fd);
	return next;
}

/* Packs the contents of one file and hashes them. */
static int pack_file(struct tar *tar, int fd, struct listed *listed, struct err *err)
{
	uint64_t size = listed->entry.size_bytes;
	struct window window;
	struct sha256 hash;
	int rc = -1;

	if (window_open(&window, fd, DATA_BYTES, err) < 0)
		return -1;
	sha256_init(&hash);
	if (window.size_bytes != size) {
		err_set(err, ERR_FAILED, "its length changed");
		goto out;
	}
	for (uint64_t off = 0, n; off < size; off += n) {
		const unsigned char *data;

		n = size - off < DATA_BYTES ? size - off : DATA_BYTES;
		data = window_at(&window, off, (size_t)n, err);
		if (!data || tar_write_data(tar, data, (size_t)n, err) < 0)
			goto out;
		sha256_update(&hash, data, (size_t)n);
		if (listed->sums)
			memcpy(listed->sums + off, data, (size_t)n);
	}
	rc = 0;
out:
	sha256_final(&hash, listed->sha256);
	window_close(&window);
	return rc;
}

static int pack_all(struct tar *tar, int rootfd, struct listing *listing, struct err *err)
{
	for (size_t i = 0; i < listing->count; i++) {
		struct listed *listed = listing->at[i];
		int fd, rc;

		if (tar_write_entry(tar, &listed->entry, err) < 0)
			return err_prefix(err, SHOWN, listed->entry.path);
		if (listed->entry.dir)
			continue;
		fd = open_listed(rootfd, listed->entry.path, err);
		if (fd < 0)
			return -1;
		rc = pack_file(tar, fd, listed, err);
		io_close(&fd);
		if (rc < 0)
			return err_prefix(err, SHOWN, listed->entry.path);
	}
	return tar_write_end(tar, err);
}

/* Reads the contents of the entry that the reader stands at. */
static int unpack_file(struct tar *tar, struct listed *listed, struct err *err)
{
	static unsigned char buf[DATA_BYTES];
	uint64_t done = 0, size = listed->entry.size_bytes;
	struct sha256 hash;
	ssize_t n;

	sha256_init(&hash);
	while ((n = tar_read_data(tar, buf, sizeof(buf), err)) > 0) {
		if ((uint64_t)n > size - done) {
			n = err_set(err, ERR_FAILED, "it is longer than it says");
			break;
		}
		sha256_update(&hash, buf, (size_t)n);
		if (listed->sums)
			memcpy(listed->sums + done, buf, (size_t)n);
		done += (uint64_t)n;
	}
	sha256_final(&hash, listed->sha256);
	if (n == 0 && done != size)
		n = err_set(err, ERR_FAILED, "it is shorter than it says");
	return n < 0 ? err_prefix(err, SHOWN, listed->entry.path) : 0;
}

/* Lists what a bundle holds, with the hash of every file. */
static int read_bundle(int fd, struct listing *listing, struct err *err)
{
	struct tar *tar = tar_read_open(fd, err);
	struct tar_entry entry;
	int more = -1;

	while (tar && (more = tar_read_entry(tar, &entry, err)) > 0) {
		struct listed *listed = listing_add(listing, &entry, err);

		if (!listed || (!entry.dir && unpack_file(tar, listed, err) < 0)) {
			more = -1;
			break;
		}
	}
	tar_free(tar);
	if (more < 0)
		return -1;
	if (!listing->count)
		return err_set(err, ERR_FAILED, "it holds nothing");
	listing_sort(listing);
	return listing_unique(listing, err);
}

/* Both sorted. */
static int compare(const struct listing *wanted, const struct listing *found,
		   struct err *err)
{
	if (wanted->count != found->count)
		return err_set(err, ERR_FAILED, "it holds %zu names, %zu were packed",
			       found->count, wanted->count);
	for (size_t i = 0; i < wanted->count; i++) {
		const struct listed *a = wanted->at[i], *b = found->at[i];

		if (strcmp(a->entry.path, b->entry.path) != 0 ||
		    a->entry.dir != b->entry.dir || a->entry.mode != b->entry.mode ||
		    a->entry.size_bytes != b->entry.size_bytes ||
		    memcmp(a->sha256, b->sha256, a->entry.dir ? 0 : SHA256_LEN) != 0)
			return err_set(err, ERR_FAILED, SHOWN " is not as it was packed",
				       a->entry.path);
	}
	return 0;
}

static size_t files_of(const struct listing *listing)
{
	size_t files = 0;

	for (size_t i = 0; i < listing->count; i++)
		files += !listing->at[i]->entry.dir;
	return files;
}

static int print_report(const struct options *opt, const struct report *report,
			struct err *err)
{
	char hex[SHA256_HEX_SIZE] = "";
	struct json *doc;

	if (!report->sums)
		fprintf(stderr, "compress: warning: no SHA256SUMS in it\n");
	if (!opt->json) {
		printf("%s: %zu files, %zu as SHA256SUMS lists them\n", report->path,
		       report->files, report->checked);
		return 0;
	}
	doc = json_new();
	if (!doc)
		return err_sys(err, ENOMEM, "describing the bundle");
	json_add_str(doc, json_root(doc), "bundle", report->path);
	json_add_u64(doc, json_root(doc), "bytes", report->bytes);
	if (report->has_sha256) {
		sha256_to_hex(report->sha256, hex);
		json_add_str(doc, json_root(doc), "sha256", hex);
	}
	json_add_u64(doc, json_root(doc), "files", report->files);
	json_add_u64(doc, json_root(doc), "files_in_sums", report->checked);
	return cli_print_json(doc, err);
}

/* Reads the bundle that stands as name in dirfd back and holds it against wanted. */
static int verify(int dirfd, const char *name, const struct listing *wanted,
		  struct report *report, struct err *err)
{
	struct listing found = { 0 };
	int fd = io_open_direct(dirfd, name, false, err), rc = -1;

	if (fd >= 0 && read_bundle(fd, &found, err) == 0)
		rc = compare(wanted, &found, err);
	if (rc < 0)
		err_prefix(err, "reading %s back", report->path);
	else
		rc = listing_check_sums(&found, &report->checked, &report->sums, err);
	io_close(&fd);
	listing_free(&found);
	return rc;
}

static int write_bundle(int rootfd, struct listing *listing, int dirfd, const char *name,
			struct report *report, struct err *err)
{
	struct sink sink;
	struct tar *tar = NULL;
	int rc = -1;

	if (sink_open(&sink, dirfd, name, sink_arena, sizeof(sink_arena), 0, true, err) <
	    0)
		return -1;
	tar = tar_write_open(&sink, err);
	if (tar)
		rc = pack_all(tar, rootfd, listing, err);
	tar_free(tar);
	report->bytes = sink_position(&sink);
	if (rc == 0)
		rc = sink_finish(&sink, report->sha256, err);
	report->has_sha256 = true;
	if (rc < 0)
		sink_remove(&sink);
	return rc;
}

/* path as directory and name: real is the canonical form, cut in place. */
static int split(const char *path, char real[PATH_MAX], const char **name, int *fd,
		 struct err *err)
{
	char *slash;

	if (!realpath(path, real))
		return err_sys(err, errno, "opening %s", path);
	slash = strrchr(real, '/');
	*name = slash + 1;
	if (!**name)
		return err_set(err, ERR_USAGE, "%s: not the root directory", path);
	*slash = '\0';
	*fd = open(slash == real ? "/" : real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd < 0 ? err_sys(err, errno, "opening the directory of %s", path) : 0;
}

static int open_dir_of(const char *path, char copy[PATH_MAX], char name[PATH_MAX],
		       int *fd, struct err *err)
{
	if (strlen(path) >= PATH_MAX)
		return err_set(err, ERR_USAGE, "%s: name too long", path);
	strcpy(copy, path);
	strcpy(name, basename(copy));
	strcpy(copy, path);
	*fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd < 0 ? err_sys(err, errno, "opening the directory of %s", path) : 0;
}

int bundle_make(const struct options *opt)
{
	static char real[PATH_MAX], copy[PATH_MAX], name[PATH_MAX];
	struct report report = { .path = opt->output };
	struct listing listing = { 0 };
	struct err err = { 0 };
	const char *top = NULL;
	int rootfd = -1, dirfd = -1, rc = -1;

	if (split(opt->input, real, &top, &rootfd, &err) < 0 ||
	    open_dir_of(opt->output, copy, name, &dirfd, &err) < 0 ||
	    add_tree(&listing, rootfd, top, top, 0, &err) < 0)
		goto out;
	listing_sort(&listing);
	if (!listing.at[0]->entry.dir) {
		err_set(&err, ERR_USAGE, "%s is not a directory", opt->input);
		goto out;
	}
	if (write_bundle(rootfd, &listing, dirfd, name, &report, &err) < 0)
		goto out;
	report.files = files_of(&listing);
	rc = verify(dirfd, name, &listing, &report, &err);
	if (rc == 0)
		rc = print_report(opt, &report, &err);
	/* Evidence that is not as its SHA256SUMS says is packed all the same. */
	else if (err.kind != ERR_NO)
		unlinkat(dirfd, name, 0);
out:
	io_close(&rootfd);
	io_close(&dirfd);
	listing_free(&listing);
	return rc < 0 ? err_report(&err, "compress") : 0;
}

int bundle_check(const struct options *opt)
{
	struct report report = { .path = opt->input };
	struct listing listing = { 0 };
	struct err err = { 0 };
	struct stat st = { 0 };
	int fd = io_open_direct(AT_FDCWD, opt->input, true, &err), rc = -1;

	if (fd >= 0 && read_bundle(fd, &listing, &err) == 0 &&
	    listing_check_sums(&listing, &report.checked, &report.sums, &err) == 0)
		rc = 0;
	else if (fd >= 0)
		err_prefix(&err, "%s", opt->input);
	if (rc == 0 && fstat(fd, &st) == 0) {
		report.bytes = (uint64_t)st.st_size;
		report.files = files_of(&listing);
		rc = print_report(opt, &report, &err);
	}
	io_close(&fd);
	listing_free(&listing);
	return rc < 0 ? err_report(&err, "compress") : 0;
}
