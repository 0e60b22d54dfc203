#include "image/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/path.h"
#include "image/walk.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/io.h"

static char type_letter(uint32_t mode)
{
	return S_ISDIR(mode)	? 'd'
	       : S_ISREG(mode)	? '-'
	       : S_ISLNK(mode)	? 'l'
	       : S_ISBLK(mode)	? 'b'
	       : S_ISCHR(mode)	? 'c'
	       : S_ISFIFO(mode) ? 'p'
	       : S_ISSOCK(mode) ? 's'
				: '?';
}

/* A path without the slashes in front, as walk() names its entries. */
static const char *relative(const char *path)
{
	return path ? path + strspn(path, "/") : "";
}

struct listing {
	FILE *out;
	size_t faults;
};

static int list_entry(void *arg, const struct walk_entry *entry, struct err *err)
{
	struct listing *listing = arg;

	(void)err;
	fprintf(listing->out, "%c%04o %14llu %12lld /", type_letter(entry->st.mode),
		entry->st.mode & 07777, (unsigned long long)entry->st.size_bytes,
		(long long)entry->st.mtime);
	cli_put_text(listing->out, entry->path);
	if (entry->fault) {
		fprintf(listing->out, "  [%s]", entry->fault);
		listing->faults++;
	}
	fputc('\n', listing->out);
	return 0;
}

int extract_list(const char *volume, const char *path, FILE *out, struct err *err)
{
	struct listing listing = { .out = out };
	struct ext4_volume *from = ext4_open(volume, err);
	struct ext4_stat st;
	uint32_t ino;
	int rc = -1;

	if (!from)
		return err_prefix(err, "%s", volume);
	if (walk_find(from, relative(path), &ino, &st, err) < 0)
		goto out;
	if (S_ISDIR(st.mode)) {
		rc = walk(from, ino, relative(path), list_entry, &listing, err);
	} else {
		struct walk_entry entry = { .path = relative(path),
					    .ino = ino,
					    .st = st };

		rc = list_entry(&listing, &entry, err);
	}
	if (rc == 0 && listing.faults)
		rc = err_set(err, ERR_NO, "%zu entries cannot be used", listing.faults);
out:
	ext4_close(from);
	return rc < 0 ? err_prefix(err, "%s", volume) : 0;
}

struct output {
	int fd;
	uint64_t next; /* cat: offset behind what was written */
};

static int write_all(int fd, const void *data, size_t len, struct err *err)
{
	const char *from = data;

	while (len) {
		ssize_t n = write(fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "writing the output");
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_zeros(struct output *output, uint64_t until, struct err *err)
{
	static const char zeros[65536];

	while (output->next < until) {
		uint64_t left = until - output->next;
		size_t len = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);

		if (write_all(output->fd, zeros, len, err) < 0)
			return -1;
		output->next += len;
	}
	return 0;
}

static int cat_piece(void *arg, uint64_t off, const void *data, size_t len,
		     struct err *err)
{
	struct output *output = arg;

	if (write_zeros(output, off, err) < 0 ||
	    write_all(output->fd, data, len, err) < 0)
		return -1;
	output->next += len;
	return 0;
}

int extract_cat(const char *volume, const char *path, int fd, struct err *err)
{
	struct output output = { .fd = fd };
	struct ext4_volume *from = ext4_open(volume, err);
	struct ext4_stat st;
	uint32_t ino;
	int rc = -1;

	if (!from)
		return err_prefix(err, "%s", volume);
	if (walk_find(from, relative(path), &ino, &st, err) < 0)
		goto out;
	if (walk_read(from, ino, cat_piece, &output, err) < 0 ||
	    write_zeros(&output, st.size_bytes, err) < 0) {
		err_prefix(err, "/%s", relative(path));
		goto out;
	}
	rc = 0;
out:
	ext4_close(from);
	return rc < 0 ? err_prefix(err, "%s", volume) : 0;
}

struct copying {
	struct ext4_volume *from;
	FILE *report;
	size_t left_out;
	int dirs[PATH_DEPTH_MAX + 2]; /* open directories, [0] is the destination */
};

static void leave_out(struct copying *copying, const char *path, const char *why)
{
	copying->left_out++;
	fputc('/', copying->report);
	cli_put_text(copying->report, path);
	fprintf(copying->report, ": left out: %s\n", why);
}

static int copy_piece(void *arg, uint64_t off, const void *data, size_t len,
		      struct err *err)
{
	struct output *output = arg;

	if (io_pwrite(output->fd, data, len, off) < 0)
		return err_sys(err, errno, "writing");
	return 0;
}

static int copy_file(struct copying *copying, const struct walk_entry *entry, int dirfd,
		     struct err *err)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
				     { .tv_sec = (time_t)entry->st.mtime } };
	struct output output = { .fd = -1 };
	int fd;

	output.fd = openat(dirfd, entry->name,
			   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (output.fd < 0)
		return err_sys(err, errno, "creating");
	/* A size that no file here can have is the volume's fault, not this machine's. */
	if (entry->st.size_bytes > INT64_MAX ||
	    ftruncate(output.fd, (off_t)entry->st.size_bytes) < 0) {
		if (entry->st.size_bytes > INT64_MAX || errno == EFBIG || errno == EINVAL)
			err_set(err, ERR_NO,
				"its size is %llu, more than a file can have",
				(unsigned long long)entry->st.size_bytes);
		else
			err_sys(err, errno, "setting the size");
		goto fail;
	}
	if (walk_read(copying->from, entry->ino, copy_piece, &output, err) < 0)
		goto fail;
	if (futimens(output.fd, times) < 0 || fsync(output.fd) < 0) {
		err_sys(err, errno, "making durable");
		goto fail;
	}
	fd = output.fd;
	output.fd = -1;
	if (close(fd) < 0) {
		err_sys(err, errno, "closing");
		goto fail;
	}
	return 0;
fail:
	/* Half a file must not pass for evidence. */
	io_close(&output.fd);
	unlinkat(dirfd, entry->name, 0);
	return -1;
}

static int copy_dir(struct copying *copying, const struct walk_entry *entry,
		    struct err *err)
{
	int *inner = &copying->dirs[entry->depth + 1];
	int dirfd = copying->dirs[entry->depth];

	io_close(inner);
	if (mkdirat(dirfd, entry->name, 0700) < 0)
		return err_sys(err, errno, "making the directory");
	*inner = openat(dirfd, entry->name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*inner < 0)
		return err_sys(err, errno, "opening the directory");
	return 0;
}

static int copy_entry(void *arg, const struct walk_entry *entry, struct err *err)
{
	struct copying *copying = arg;
	struct err why = { 0 };
	bool dir = S_ISDIR(entry->st.mode);
	int rc;

	if (entry->fault) {
		leave_out(copying, entry->path, entry->fault);
		return 0;
	}
	if (!dir && !S_ISREG(entry->st.mode)) {
		leave_out(copying, entry->path, "neither a file nor a directory");
		return 0;
	}
	rc = dir ? copy_dir(copying, entry, &why)
		 : copy_file(copying, entry, copying->dirs[entry->depth], &why);
	if (rc == 0)
		return WALK_ON;
	/* A fault of the volume costs one entry; one of this machine ends the copy. */
	if (why.kind == ERR_NO) {
		leave_out(copying, entry->path, why.text);
		return WALK_SKIP;
	}
	*err = why;
	return err_prefix(err, "/%s", entry->path);
}

static int copy_all(struct copying *copying, const char *path, struct err *err)
{
	const char *name = strrchr(path, '/');
	struct walk_entry entry = { .path = path, .name = name ? name + 1 : path };
	int into = copying->dirs[0];

	if (walk_find(copying->from, path, &entry.ino, &entry.st, err) < 0)
		return -1;
	if (!*path)
		return walk(copying->from, entry.ino, "", copy_entry, copying, err);
	if (copy_entry(copying, &entry, err) < 0)
		return -1;
	if (!S_ISDIR(entry.st.mode))
		return 0;
	copying->dirs[0] = copying->dirs[1];
	copying->dirs[1] = into;
	return walk(copying->from, entry.ino, path, copy_entry, copying, err);
}

int extract_copy(const char *volume, const char *path, const char *into, FILE *report,
		 struct err *err)
{
	struct copying copying = { .report = report };
	int rc = -1;

	for (size_t i = 0; i < sizeof(copying.dirs) / sizeof(copying.dirs[0]); i++)
		copying.dirs[i] = -1;
	copying.from = ext4_open(volume, err);
	if (!copying.from)
		return err_prefix(err, "%s", volume);
	copying.dirs[0] = open(into, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copying.dirs[0] < 0) {
		err_sys(err, errno, "opening %s", into);
		goto out;
	}
	if (copy_all(&copying, relative(path), err) < 0)
		goto out;
	if (ext4_needs_recovery(copying.from)) {
		err_set(err, ERR_GAPS,
			"the volume was not unmounted: what was written last "
			"may be missing");
		goto out;
	}
	if (copying.left_out) {
		err_set(err, ERR_GAPS, "%zu entries were left out", copying.left_out);
		goto out;
	}
	rc = 0;
out:
	for (size_t i = 0; i < sizeof(copying.dirs) / sizeof(copying.dirs[0]); i++)
		io_close(&copying.dirs[i]);
	ext4_close(copying.from);
	return rc < 0 ? err_prefix(err, "%s", volume) : 0;
}
