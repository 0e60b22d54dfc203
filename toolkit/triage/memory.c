/*
 * The memory of single processes, as a LiME image of their own addresses: each header
 * tells where what follows it lay, so that the file needs no other index. Only pages that
 * are there are read, or that swapping took away: to ask for the others would make them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit/lib/host.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/lime.h"
#include "toolkit/lib/procmaps.h"
#include "toolkit/triage/process.h"
#include "toolkit/triage/watch.h"

#define MAPS_MAX (32u << 20)
#define PIECE_BYTES (256 * 1024)
#define PIECE_PAGES_MAX (PIECE_BYTES / 4096)
/* Documentation/admin-guide/mm/pagemap.rst */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)

struct memory {
	struct triage *t;
	int32_t pid;
	uint64_t start_ticks;
	int dirfd, memfd, mapfd;
	struct out_file *file;
	struct sha256 hash;
	uint64_t stored_bytes, failed_pages;
	struct proctext maps;
	uint64_t page; /* bytes of one */
	uint64_t flags[PIECE_PAGES_MAX];
	unsigned char pages[PIECE_BYTES];
};

static int put(struct memory *m, const void *data, size_t len, struct err *err)
{
	int rc;

	sha256_update(&m->hash, data, len);
	m->stored_bytes += len;
	watch_out_begin(m->t);
	rc = out_write(m->t->out, m->file, data, len, err);
	watch_out_end(m->t);
	return rc;
}

/* A run of pages, with its header; what cannot be read of it ends it. */
static int put_run(struct memory *m, uint64_t address, size_t pages, uint64_t *got,
		   struct err *err)
{
	unsigned char header[LIME_HEADER_BYTES];
	ssize_t n = pread(m->memfd, m->pages, pages * m->page, (off_t)address);
	struct range range;

	if (n <= 0) {
		m->failed_pages += pages;
		return 0;
	}
	n -= n % (ssize_t)m->page;
	m->failed_pages += pages - (size_t)n / m->page;
	if (!n)
		return 0;
	range = (struct range){ address, address + (uint64_t)n - 1 };
	lime_header(&range, header);
	*got += (uint64_t)n;
	if (put(m, header, sizeof(header), err) < 0)
		return -1;
	return put(m, m->pages, (size_t)n, err);
}

/* Reads the pages of a piece that are there, each run of them at once. */
static int put_piece(struct memory *m, uint64_t address, size_t pages, uint64_t *got,
		     struct err *err)
{
	ssize_t n = pread(m->mapfd, m->flags, pages * sizeof(m->flags[0]),
			  (off_t)(address / m->page * sizeof(m->flags[0])));
	size_t known = n < 0 ? 0 : (size_t)n / sizeof(m->flags[0]);

	for (size_t i = 0, run; i < known; i += run ? run : 1) {
		for (run = 0; i + run < known &&
			      m->flags[i + run] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED);)
			run++;
		if (run && put_run(m, address + i * m->page, run, got, err) < 0)
			return -1;
	}
	return 0;
}

static int put_region(struct memory *m, const struct procmap *map, struct json *doc,
		      struct json_node *list, struct err *err)
{
	struct json_node *node = json_add_object(doc, list, NULL);
	uint64_t got = 0, off = m->stored_bytes, most = PIECE_BYTES / m->page;

	triage_add_hex(doc, node, "start", map->start);
	triage_add_hex(doc, node, "end", map->end);
	json_add_str(doc, node, "perms", map->perms);
	if (map->path_len)
		triage_add_text(doc, node, "path", map->path, map->path_len);
	json_add_u64(doc, node, "offset", off);
	if (map->perms[0] == 'r' && map->path_len != 10 /* [vsyscall] */)
		for (uint64_t at = map->start; at < map->end; at += PIECE_BYTES) {
			uint64_t pages = (map->end - at) / m->page;

			if (put_piece(m, at, (size_t)(pages < most ? pages : most), &got,
				      err) < 0)
				return -1;
		}
	json_add_u64(doc, node, "bytes", got);
	return 0;
}

static int open_file(struct memory *m, const char *name, struct err *err)
{
	watch_out_begin(m->t);
	m->file = out_open(m->t->out, name, UINT64_MAX, err);
	watch_writes(m->file);
	watch_out_end(m->t);
	return m->file ? 0 : -1;
}

static int close_file(struct memory *m, bool whole, struct err *err)
{
	int rc = -1;

	watch_out_begin(m->t);
	watch_writes(NULL);
	if (whole)
		rc = out_close(m->t->out, m->file, err);
	else
		out_abandon(m->t->out, m->file);
	watch_out_end(m->t);
	return rc;
}

static int save(struct memory *m, struct json *doc, struct err *err)
{
	struct json_node *root = json_root(doc);
	struct json_node *list = json_add_array(doc, root, "regions");
	const char *at = m->maps.data, *end = at + m->maps.len_bytes;
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX_SIZE], name[64];
	struct procmap map;
	int more;

	snprintf(name, sizeof(name), "recovered/%d-memory.lime", m->pid);
	if (open_file(m, name, err) < 0)
		return -1;
	sha256_init(&m->hash);
	while ((more = procmaps_next(&at, end, &map)) != 0)
		if (more > 0 && put_region(m, &map, doc, list, err) < 0)
			return close_file(m, false, err);
	if (close_file(m, true, err) < 0)
		return -1;
	sha256_final(&m->hash, digest);
	sha256_to_hex(digest, hex);
	json_add_str(doc, root, "stored", name);
	json_add_u64(doc, root, "stored_bytes", m->stored_bytes);
	json_add_str(doc, root, "sha256", hex);
	json_add_u64(doc, root, "failed_pages", m->failed_pages);
	json_add_bool(doc, root, "complete", !m->failed_pages);
	m->t->recovered++;
	return 0;
}

/* Opens what is needed. Returns 0, or an errno with *what. */
static int open_all(struct memory *m, const char **what)
{
	char name[16];
	struct procstat stat;
	int rc;

	snprintf(name, sizeof(name), "%d", m->pid);
	*what = "memory";
	m->dirfd = openat(m->t->detachedfd >= 0 ? m->t->detachedfd : m->t->procfd, name,
			  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->dirfd < 0)
		return errno;
	rc = procfile_read(m->dirfd, "stat", 65536, &m->maps);
	if (rc || !procstat_parse(m->maps.data, m->maps.len_bytes, &stat))
		return rc ? rc : EINVAL;
	m->start_ticks = stat.start_ticks;
	*what = "mem";
	m->memfd = openat(m->dirfd, "mem", O_RDONLY | O_CLOEXEC);
	if (m->memfd < 0)
		return errno;
	*what = "pagemap";
	m->mapfd = openat(m->dirfd, "pagemap", O_RDONLY | O_CLOEXEC);
	if (m->mapfd < 0)
		return errno;
	*what = "maps";
	return procfile_read(m->dirfd, "maps", MAPS_MAX, &m->maps);
}

/* May what asks for no more than reading be read of it? Yama looks at attaching alone
 * (PTRACE_MODE_ATTACH), which the memory file is held to be. */
static bool may_be_read(const struct memory *m)
{
	int fd = openat(m->dirfd, "maps", O_RDONLY | O_CLOEXEC);
	bool may = fd >= 0;

	io_close(&fd);
	return may;
}

/* Documentation/admin-guide/LSM/Yama.rst: 1 leaves only those that triage began, which
 * runs nothing, 2 asks for CAP_SYS_PTRACE, and 3 refuses everybody. */
static bool refused_by_yama(const struct memory *m)
{
	int scope = m->t->yama;

	if (scope >= 3)
		return true;
	if (triage_may(m->t, HOST_CAP_SYS_PTRACE))
		return false;
	return scope == 2 || (scope == 1 && may_be_read(m));
}

static enum triage_reason why_refused(const struct memory *m)
{
	const struct person *person = census_person(&m->t->census, m->pid);

	if (refused_by_yama(m))
		return REASON_YAMA;
	if (person && person->userns && m->t->userns && person->userns != m->t->userns)
		return REASON_USER_NAMESPACE;
	return triage_may(m->t, HOST_CAP_SYS_PTRACE) ? REASON_LSM : REASON_CAPABILITY;
}

static int emit_unread(const struct memory *m, const char *what, int errnum,
		       struct err *err)
{
	enum triage_reason reason = triage_reason_of(m->t, errnum);
	struct json *doc;
	char said[48];

	if (errnum == EACCES || errnum == EPERM)
		reason = why_refused(m);
	else if (errnum == ENOENT)
		reason = REASON_GONE;
	snprintf(said, sizeof(said), "%s of process %d", what, m->pid);
	doc = triage_unread_begin(m->t, said, reason, errnum, err);
	if (doc) {
		struct json_node *root = json_root(doc);

		json_add_i64(doc, root, "pid", m->pid);
		if (reason == REASON_YAMA)
			json_add_i64(doc, root, "yama", m->t->yama);
		if (reason == REASON_CAPABILITY ||
		    (reason == REASON_YAMA && m->t->yama < 3))
			json_add_str(doc, root, "capability", "CAP_SYS_PTRACE");
	}
	return triage_emit(m->t, doc, err);
}

/* In a thread that may be left behind: arg is its own, and it frees it. */
static int collect_one(struct triage *t, void *arg, struct err *err)
{
	struct memory *m = arg;
	struct json *doc;
	const char *what;
	int why = open_all(m, &what), rc = -1;

	if (why) {
		rc = emit_unread(m, what, why, err);
		goto out;
	}
	doc = triage_record("recovered", err);
	if (!doc)
		goto out;
	json_add_i64(doc, json_root(doc), "pid", m->pid);
	json_add_u64(doc, json_root(doc), "start_ticks", m->start_ticks);
	json_add_str(doc, json_root(doc), "what", "memory");
	if (save(m, doc, err) < 0)
		json_free(doc);
	else
		rc = triage_emit(t, doc, err);
out:
	io_close(&m->mapfd);
	io_close(&m->memfd);
	io_close(&m->dirfd);
	procfile_free(&m->maps);
	free(m);
	return rc;
}

int collect_memory(struct triage *t, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < t->opt->memory_count; i++) {
		struct memory *m = calloc(1, sizeof(*m));
		char what[48];

		if (!m)
			return err_sys(err, ENOMEM, "reading the memory of processes");
		m->t = t;
		m->pid = t->opt->memory[i];
		m->dirfd = m->memfd = m->mapfd = -1;
		m->page = (uint64_t)sysconf(_SC_PAGESIZE);
		snprintf(what, sizeof(what), "memory of process %d", m->pid);
		rc = watch_run(t, what, collect_one, m, err);
	}
	return rc;
}
