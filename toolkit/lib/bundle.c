/* The symbol bundle: see record.h. */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "toolkit/lib/elfnote.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/record.h"
#include "toolkit/lib/tarfile.h"

/* No single file of the bundle is larger; what is would not be what we take it for. */
#define BUNDLE_FILE_MAX (256u << 20)
/* As much as the files of /proc give at once. */
#define BUNDLE_READ (size_t)(2 * IO_BLOCK)
#define BUNDLE_MAX (UINT64_C(8) * BUNDLE_FILE_MAX)

/* What the parts of one bundle share. */
struct bundle {
	struct sink *sink;
	struct json *doc;
	struct json_node *missing;
	int64_t time_s;
	unsigned char *buf; /* what is collected before its length is written */
	size_t buf_bytes;   /* a multiple of BUNDLE_READ */
};

/* Finds the VMCOREINFO note in a buffer of ELF notes. */
static size_t find_note(const char *notes, size_t len, char text[VMCOREINFO_MAX])
{
	const char *note = elfnote_find(notes, len, "VMCOREINFO", 0, &len);

	if (!note || len >= VMCOREINFO_MAX)
		return 0;
	memcpy(text, note, len);
	text[len] = '\0';
	return strlen(text);
}

size_t record_vmcoreinfo(int proc_dirfd, void *scratch, size_t scratch_bytes,
			 char text[VMCOREINFO_MAX])
{
	int fd = openat(proc_dirfd, "kcore", O_RDONLY | O_CLOEXEC);
	size_t found = 0;
	Elf64_Ehdr ehdr;

	text[0] = '\0';
	if (fd < 0)
		return 0;
	if (io_pread(fd, &ehdr, sizeof(ehdr), 0) != sizeof(ehdr))
		ehdr.e_phnum = 0;
	for (size_t i = 0; i < ehdr.e_phnum && !found; i++) {
		Elf64_Phdr phdr;
		ssize_t n;

		if (io_pread(fd, &phdr, sizeof(phdr), ehdr.e_phoff + i * sizeof(phdr)) !=
		    sizeof(phdr))
			break;
		if (phdr.p_type != PT_NOTE)
			continue;
		n = io_pread(fd, scratch,
			     phdr.p_filesz < scratch_bytes ? phdr.p_filesz
							   : scratch_bytes,
			     phdr.p_offset);
		if (n > 0)
			found = find_note(scratch, (size_t)n, text);
	}
	io_close(&fd);
	return found;
}

static void add_missing(const struct bundle *bundle, const char *name, const char *reason)
{
	struct json_node *node = json_add_object(bundle->doc, bundle->missing, NULL);

	json_add_str(bundle->doc, node, "name", name);
	json_add_str(bundle->doc, node, "reason", reason);
}

/* Bytes of zero, less than a block of the volume. */
static int put_zeros(const struct bundle *bundle, size_t len, struct err *err)
{
	static unsigned char zeros[IO_BLOCK]; /* never written: no page of its own */

	return sink_put(bundle->sink, zeros, len, err);
}

static int put_header(const struct bundle *bundle, const char *name, uint64_t size_bytes,
		      struct err *err)
{
	unsigned char header[TARFILE_BLOCK];
	char path[TARFILE_NAME_MAX + 1];

	snprintf(path, sizeof(path), BUNDLE_DIR "/%s", name);
	tarfile_header(header, path, size_bytes, bundle->time_s);
	return sink_put(bundle->sink, header, sizeof(header), err);
}

static int pad_member(const struct bundle *bundle, uint64_t size_bytes, struct err *err)
{
	size_t over = (size_t)(size_bytes % TARFILE_BLOCK);

	return over ? put_zeros(bundle, TARFILE_BLOCK - over, err) : 0;
}

static int put_member(const struct bundle *bundle, const char *name, const void *data,
		      size_t len_bytes, struct err *err)
{
	if (put_header(bundle, name, len_bytes, err) < 0 ||
	    sink_put(bundle->sink, data, len_bytes, err) < 0)
		return -1;
	return pad_member(bundle, len_bytes, err);
}

/* Reads on into the buffer until it is full or the file ends. -1 with errno. direct: what
 * comes short is the end, behind which O_DIRECT may refuse to read. */
static ssize_t collect(const struct bundle *bundle, int fd, bool direct)
{
	size_t len = 0;

	while (len < bundle->buf_bytes) {
		ssize_t n = read(fd, bundle->buf + len, BUNDLE_READ);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
		/* So that there is always room for a whole read. */
		if (bundle->buf_bytes - len < BUNDLE_READ ||
		    (direct && (size_t)n < BUNDLE_READ))
			break;
	}
	return (ssize_t)len;
}

/* How long a file is that the buffer did not hold: what the kernel says, or else to its
 * end. -1 with errno. */
static int64_t measure(const struct bundle *bundle, int fd, size_t len)
{
	uint64_t total = len;
	struct stat st;
	ssize_t n = 1;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > (off_t)len)
		total = (uint64_t)st.st_size;
	else
		while (n && total <= BUNDLE_FILE_MAX) {
			n = read(fd, bundle->buf, BUNDLE_READ);
			if (n < 0 && errno == EINTR)
				n = 1;
			else if (n < 0)
				return -1;
			else
				total += (uint64_t)n;
		}
	if (total > BUNDLE_FILE_MAX) {
		errno = EFBIG;
		return -1;
	}
	return lseek(fd, 0, SEEK_SET) < 0 ? -1 : (int64_t)total;
}

/*
 * Copies size bytes of fd. A file that has fewer of them meanwhile is filled up with
 * zeros and one that has more is cut: its length was written before it. The record says
 * so.
 */
static int copy_large(const struct bundle *bundle, int fd, const char *name,
		      uint64_t size, struct err *err)
{
	uint64_t left = size;
	bool ended = false;
	ssize_t n;

	if (put_header(bundle, name, size, err) < 0)
		return -1;
	while (left && !ended) {
		n = read(fd, bundle->buf, BUNDLE_READ);
		if (n < 0 && errno == EINTR)
			continue;
		ended = n <= 0;
		if (n > 0 && (uint64_t)n > left)
			n = (ssize_t)left;
		if (n > 0 && sink_put(bundle->sink, bundle->buf, (size_t)n, err) < 0)
			return -1;
		left -= n > 0 ? (uint64_t)n : 0;
	}
	if (left || read(fd, bundle->buf, 1) > 0)
		add_missing(bundle, name, "its length changed while it was read");
	while (left) {
		size_t part = left < IO_BLOCK ? (size_t)left : IO_BLOCK;

		if (put_zeros(bundle, part, err) < 0)
			return -1;
		left -= part;
	}
	return pad_member(bundle, size, err);
}

static int copy_fd(const struct bundle *bundle, int fd, bool direct, const char *name,
		   struct err *err)
{
	ssize_t len = collect(bundle, fd, direct);
	bool ended = len >= 0 && ((direct && (size_t)len % BUNDLE_READ) ||
				  bundle->buf_bytes - (size_t)len >= BUNDLE_READ);
	int64_t size = len;

	if (len >= 0 && !ended)
		size = measure(bundle, fd, (size_t)len);
	if (size < 0) {
		add_missing(bundle, name, strerror(errno));
		return 0;
	}
	if (!ended)
		return copy_large(bundle, fd, name, (uint64_t)size, err);
	return put_member(bundle, name, bundle->buf, (size_t)len, err);
}

/* Copies one file of the host. That it cannot be read is a fact for the record. */
static int copy_file(const struct bundle *bundle, int from_dirfd, const char *path,
		     int flags, const char *name, struct err *err)
{
	int fd, rc;

	flags |= O_RDONLY | O_CLOEXEC | O_NONBLOCK;
	fd = openat(from_dirfd, path, flags);
	if (fd < 0 && errno == EINVAL && (flags & O_DIRECT)) {
		flags &= ~O_DIRECT;
		fd = openat(from_dirfd, path, flags);
	}
	if (fd < 0) {
		add_missing(bundle, name, strerror(errno));
		return 0;
	}
	rc = copy_fd(bundle, fd, flags & O_DIRECT, name, err);
	io_close(&fd);
	return rc;
}

/* What is put together in the buffer; what does not fit is cut off. */
struct list {
	char *text;
	size_t len, room;
	bool cut;
};

static void list_add(struct list *list, const char *text, size_t len)
{
	if (len > list->room - list->len) {
		list->cut = true;
		return;
	}
	memcpy(list->text + list->len, text, len);
	list->len += len;
}

/* "NAME BUILDID" for a module that has one. */
static void put_module(int modules_dirfd, const char *name, struct list *list)
{
	char path[512], note[256], line[512 + 2 * sizeof(note)];
	struct err ignored;
	size_t len, at = 0;
	int n;

	snprintf(path, sizeof(path), "%.200s/notes/.note.gnu.build-id", name);
	n = snprintf(line, sizeof(line), "%.200s ", name);
	if (io_read_text(modules_dirfd, path, note, sizeof(note), &len, &ignored) < 0 ||
	    len <= 16)
		return;
	/* Behind the note's header and the name "GNU". */
	for (at = 16; at < len; at++)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "%02x",
			      (unsigned char)note[at]);
	line[n++] = '\n';
	list_add(list, line, (size_t)n);
}

/* The modules of PROC/modules. */
static void put_loaded(int proc_dirfd, int modules_dirfd, struct list *list)
{
	int fd = openat(proc_dirfd, "modules", O_RDONLY | O_CLOEXEC);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	char line[1024];
	bool begins = true;

	if (!in) {
		io_close(&fd);
		return;
	}
	while (fgets(line, sizeof(line), in)) {
		bool whole = strchr(line, '\n');

		/* A name is letters, digits and '_': never a path. */
		line[strcspn(line, " \n")] = '\0';
		if (begins && line[0] && !strchr(line, '/') && line[0] != '.')
			put_module(modules_dirfd, line, list);
		begins = whole;
	}
	fclose(in);
}

/*
 * The build ids of the modules in /proc/modules, then the names of all that /sys/module
 * has, which is another view of what is loaded. Only the names of those: to look into
 * each of some 150 directories takes 250 pages of memory (dentries, their hash, inodes).
 */
static int write_modules(const struct bundle *bundle, int proc_dirfd, int sys_dirfd,
			 struct err *err)
{
	int fd = openat(sys_dirfd, "module", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct list list = { (char *)bundle->buf, 0, bundle->buf_bytes, false };
	struct dirent *entry;

	if (!dir) {
		io_close(&fd);
		return 0;
	}
	put_loaded(proc_dirfd, dirfd(dir), &list);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		list_add(&list, entry->d_name, strlen(entry->d_name));
		list_add(&list, "\n", 1);
	}
	closedir(dir);
	if (list.cut)
		add_missing(bundle, "module-build-ids",
			    "the list is longer than its room");
	return put_member(bundle, "module-build-ids", list.text, list.len, err);
}

/*
 * O_NOATIME: /boot stands on the host's disk, and reading must not write there. O_DIRECT:
 * its 250 KiB would take as many pages of the host's cache.
 */
static int copy_config(const struct bundle *bundle, int proc_dirfd, struct err *err)
{
	char path[128];
	struct utsname uts;

	if (faccessat(proc_dirfd, "config.gz", R_OK, 0) == 0)
		return copy_file(bundle, proc_dirfd, "config.gz", 0, "config.gz", err);
	if (uname(&uts) < 0)
		return 0;
	snprintf(path, sizeof(path), "/boot/config-%s", uts.release);
	return copy_file(bundle, AT_FDCWD, path, O_NOATIME | O_DIRECT, "config", err);
}

static int write_members(const struct bundle *bundle, int proc_dirfd, int sys_dirfd,
			 const char *vmcoreinfo, struct err *err)
{
	const struct {
		int dirfd;
		const char *path, *name;
	} files[] = {
		{ proc_dirfd, "version", "version" },
		{ proc_dirfd, "iomem", "iomem" },
		{ proc_dirfd, "cmdline", "cmdline" },
		{ proc_dirfd, "modules", "modules" },
		{ sys_dirfd, "kernel/btf/vmlinux", "btf" },
		{ proc_dirfd, "kallsyms", "kallsyms" },
	};
	size_t len = strlen(vmcoreinfo);

	if (!len)
		add_missing(bundle, "vmcoreinfo", "kcore has no such note");
	else if (put_member(bundle, "vmcoreinfo", vmcoreinfo, len, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (copy_file(bundle, files[i].dirfd, files[i].path, 0, files[i].name,
			      err) < 0)
			return -1;
	if (write_modules(bundle, proc_dirfd, sys_dirfd, err) < 0 ||
	    copy_config(bundle, proc_dirfd, err) < 0)
		return -1;
	/* The two blocks of zeros that end an archive, and on to a whole block of the
	 * volume, so that no file has to be cut inside one. */
	len = (size_t)(sink_position(bundle->sink) % IO_BLOCK);
	len = IO_BLOCK - len < 2 * TARFILE_BLOCK ? 2 * IO_BLOCK - len : IO_BLOCK - len;
	if (len > IO_BLOCK && put_zeros(bundle, IO_BLOCK, err) < 0)
		return -1;
	return put_zeros(bundle, len > IO_BLOCK ? len - IO_BLOCK : len, err);
}

int record_bundle(int proc_dirfd, int sys_dirfd, const char *vmcoreinfo,
		  struct store *store, unsigned char *arena, size_t arena_bytes,
		  struct json *doc, struct json_node *missing, struct err *err)
{
	size_t half = arena_bytes / 2 / BUNDLE_READ * BUNDLE_READ;
	struct sink sink;
	const struct bundle bundle = { .sink = &sink,
				       .doc = doc,
				       .missing = missing,
				       .time_s = time(NULL),
				       .buf = arena,
				       .buf_bytes = half };

	if (store_open(store, &sink, BUNDLE_FILE, arena + half,
		       (arena_bytes - half) / IO_BLOCK * IO_BLOCK, BUNDLE_MAX, err) < 0)
		return -1;
	if (write_members(&bundle, proc_dirfd, sys_dirfd, vmcoreinfo, err) == 0 &&
	    store_finish(store, &sink, err) == 0)
		return 0;
	sink_abandon(&sink);
	return -1;
}
