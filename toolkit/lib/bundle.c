/* The symbol bundle: see record.h. */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "toolkit/lib/elfnote.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/record.h"

/* No single file of the bundle is larger; what is would not be what we take it for. */
#define BUNDLE_FILE_MAX (256u << 20)
/* As much as the files of /proc give at once. */
#define BUNDLE_READ (size_t)(2 * IO_BLOCK)

/* What the parts of one bundle share. */
struct bundle {
	struct store *store;
	struct json *doc;
	struct json_node *missing;
	unsigned char *buf;   /* BUNDLE_READ bytes */
	unsigned char *arena; /* of the file being written */
	size_t arena_bytes;
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

size_t record_vmcoreinfo(int proc_dirfd, char text[VMCOREINFO_MAX])
{
	static char notes[4 * VMCOREINFO_MAX];
	int fd = openat(proc_dirfd, "kcore", O_RDONLY | O_CLOEXEC);
	size_t found = 0;
	Elf64_Ehdr ehdr;

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
		n = io_pread(fd, notes,
			     phdr.p_filesz < sizeof(notes) ? phdr.p_filesz
							   : sizeof(notes),
			     phdr.p_offset);
		if (n > 0)
			found = find_note(notes, (size_t)n, text);
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

static int open_file(const struct bundle *bundle, const char *name, struct sink *sink,
		     struct err *err)
{
	char path[64];

	snprintf(path, sizeof(path), BUNDLE_DIR "/%s", name);
	return store_open(bundle->store, sink, path, bundle->arena, bundle->arena_bytes,
			  BUNDLE_FILE_MAX, err);
}

/* Copies what fd gives into sink. Returns 1 done, 0 the source failed (errno), -1 error.
 */
static int copy_all(const struct bundle *bundle, int fd, struct sink *sink,
		    struct err *err)
{
	uint64_t total = 0;

	for (;;) {
		ssize_t n = read(fd, bundle->buf, BUNDLE_READ);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return 0;
		if (n == 0)
			return 1;
		total += (uint64_t)n;
		if (total > BUNDLE_FILE_MAX) {
			errno = EFBIG;
			return 0;
		}
		if (sink_put(sink, bundle->buf, (size_t)n, err) < 0)
			return -1;
	}
}

/* Copies one file of the host. That it cannot be read is a fact for the record. */
static int copy_file(const struct bundle *bundle, int from_dirfd, const char *path,
		     const char *name, struct err *err)
{
	/* O_NOATIME: /boot stands on the host's disk, and reading must not write there.
	 */
	int fd = openat(from_dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOATIME);
	struct sink sink;
	int rc;

	if (fd < 0) {
		add_missing(bundle, name, strerror(errno));
		return 0;
	}
	if (open_file(bundle, name, &sink, err) < 0) {
		io_close(&fd);
		return -1;
	}
	rc = copy_all(bundle, fd, &sink, err);
	if (rc == 0)
		add_missing(bundle, name, strerror(errno));
	io_close(&fd);
	if (rc > 0)
		return store_finish(bundle->store, &sink, err);
	sink_remove(&sink);
	return rc;
}

/* "NAME BUILDID" for a module that has one. */
static int put_module(int modules_dirfd, const char *name, struct sink *sink,
		      struct err *err)
{
	char path[512], note[256], line[512 + 2 * sizeof(note)];
	struct err ignored;
	size_t len, at = 0;
	int n;

	snprintf(path, sizeof(path), "%.200s/notes/.note.gnu.build-id", name);
	n = snprintf(line, sizeof(line), "%.200s ", name);
	if (io_read_text(modules_dirfd, path, note, sizeof(note), &len, &ignored) < 0 ||
	    len <= 16)
		return 0;
	/* Behind the note's header and the name "GNU". */
	for (at = 16; at < len; at++)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "%02x",
			      (unsigned char)note[at]);
	line[n++] = '\n';
	return sink_put(sink, line, (size_t)n, err);
}

/* The modules of PROC/modules. */
static int put_loaded(int proc_dirfd, int modules_dirfd, struct sink *sink,
		      struct err *err)
{
	int fd = openat(proc_dirfd, "modules", O_RDONLY | O_CLOEXEC);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	char line[1024];
	bool begins = true;
	int rc = 0;

	if (!in) {
		io_close(&fd);
		return 0;
	}
	while (rc == 0 && fgets(line, sizeof(line), in)) {
		bool whole = strchr(line, '\n');

		/* A name is letters, digits and '_': never a path. */
		line[strcspn(line, " \n")] = '\0';
		if (begins && line[0] && !strchr(line, '/') && line[0] != '.')
			rc = put_module(modules_dirfd, line, sink, err);
		begins = whole;
	}
	fclose(in);
	return rc;
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
	struct dirent *entry;
	struct sink sink;
	int rc;

	if (!dir) {
		io_close(&fd);
		return 0;
	}
	if (open_file(bundle, "module-build-ids", &sink, err) < 0) {
		closedir(dir);
		return -1;
	}
	rc = put_loaded(proc_dirfd, dirfd(dir), &sink, err);
	while (rc == 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		rc = sink_put(&sink, entry->d_name, strlen(entry->d_name), err);
		if (rc == 0)
			rc = sink_put(&sink, "\n", 1, err);
	}
	closedir(dir);
	if (rc == 0)
		rc = store_finish(bundle->store, &sink, err);
	sink_abandon(&sink);
	return rc;
}

static int copy_config(const struct bundle *bundle, int proc_dirfd, struct err *err)
{
	char path[128];
	struct utsname uts;

	if (faccessat(proc_dirfd, "config.gz", R_OK, 0) == 0)
		return copy_file(bundle, proc_dirfd, "config.gz", "config.gz", err);
	if (uname(&uts) < 0)
		return 0;
	snprintf(path, sizeof(path), "/boot/config-%s", uts.release);
	return copy_file(bundle, AT_FDCWD, path, "config", err);
}

int record_bundle(int proc_dirfd, int sys_dirfd, struct store *store,
		  unsigned char *arena, size_t arena_bytes, struct json *doc,
		  struct json_node *missing, struct err *err)
{
	static char text[VMCOREINFO_MAX];
	const struct bundle bundle = { .store = store,
				       .doc = doc,
				       .missing = missing,
				       .buf = arena,
				       .arena = arena + BUNDLE_READ,
				       .arena_bytes = (arena_bytes - BUNDLE_READ) /
						      IO_BLOCK * IO_BLOCK };
	const struct {
		int dirfd;
		const char *path, *name;
	} files[] = {
		{ sys_dirfd, "kernel/btf/vmlinux", "btf" },
		{ proc_dirfd, "kallsyms", "kallsyms" },
		{ proc_dirfd, "version", "version" },
		{ proc_dirfd, "iomem", "iomem" },
		{ proc_dirfd, "cmdline", "cmdline" },
		{ proc_dirfd, "modules", "modules" },
	};
	size_t len = record_vmcoreinfo(proc_dirfd, text);

	if (!len)
		add_missing(&bundle, "vmcoreinfo", "kcore has no such note");
	else if (store_put(store, BUNDLE_DIR "/vmcoreinfo", text, len, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (copy_file(&bundle, files[i].dirfd, files[i].path, files[i].name,
			      err) < 0)
			return -1;
	if (write_modules(&bundle, proc_dirfd, sys_dirfd, err) < 0)
		return -1;
	return copy_config(&bundle, proc_dirfd, err);
}
