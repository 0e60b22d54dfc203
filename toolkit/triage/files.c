/* A record for each file that a process or the start of the system refers to. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "toolkit/triage/hiddenfiles.h"
#include "toolkit/triage/oddpath.h"
#include "toolkit/triage/quiet.h"

#define STAT_FLAGS (AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT)

static void add_roles(struct json *doc, uint8_t roles)
{
	static const struct {
		uint8_t role;
		const char *name;
	} known[] = {
		{ FILE_ROLE_EXE, "exe" },	  { FILE_ROLE_LIBRARY, "library" },
		{ FILE_ROLE_FD, "fd" },		  { FILE_ROLE_UNIT, "unit" },
		{ FILE_ROLE_PRELOAD, "preload" },
	};
	struct json_node *array = json_add_array(doc, json_root(doc), "roles");

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (roles & known[i].role)
			json_add_str(doc, array, NULL, known[i].name);
}

static void add_time(struct json *doc, const char *key,
		     const struct statx_timestamp *time)
{
	/* Of a damaged inode it may be beyond what nanoseconds of 64 bits reach. */
	if (time->tv_sec > -9000000000 && time->tv_sec < 9000000000)
		triage_add_time(doc, json_root(doc), key,
				time->tv_sec * 1000000000 + time->tv_nsec);
}

static void add_stat(struct json *doc, const struct statx *st)
{
	struct json_node *root = json_root(doc);
	char mode[16];

	snprintf(mode, sizeof(mode), "%06o", st->stx_mode);
	json_add_str(doc, root, "mode", mode);
	json_add_u64(doc, root, "uid", st->stx_uid);
	json_add_u64(doc, root, "gid", st->stx_gid);
	json_add_u64(doc, root, "size", st->stx_size);
	json_add_u64(doc, root, "nlink", st->stx_nlink);
	add_time(doc, "atime", &st->stx_atime);
	add_time(doc, "mtime", &st->stx_mtime);
	add_time(doc, "ctime", &st->stx_ctime);
	if (st->stx_mask & STATX_BTIME)
		add_time(doc, "btime", &st->stx_btime);
	else
		json_add_null(doc, root, "btime");
}

/* By the link of a process that has it, or else by its name, if that still is it. */
static bool stat_of(const struct triage *t, const struct known_file *file,
		    struct statx *st)
{
	enum triage_reason reason;

	if (file->via[0]
		    ? statx(t->procfd, file->via, STAT_FLAGS,
			    STATX_BASIC_STATS | STATX_BTIME, st) < 0
		    : triage_stat_quiet(t, t->rootfd, file->path, 0, st, &reason) < 0)
		return false;
	/* The process may be another by now. */
	return st->stx_ino == file->inode && st->stx_dev_major == file->major &&
	       st->stx_dev_minor == file->minor;
}

static int emit(struct triage *t, const struct known_file *file, const struct statx *st,
		struct err *err)
{
	struct json *doc = triage_record("file", err);
	char digest[2 * SHA256_LEN + 1];
	struct json_node *root, *array;

	if (!doc)
		return -1;
	root = json_root(doc);
	triage_add_text(doc, root, "path", file->path, strlen(file->path));
	triage_add_dev(doc, root, "dev", file->major, file->minor);
	json_add_u64(doc, root, "inode", file->inode);
	if (st)
		add_stat(doc, st);
	json_add_bool(doc, root, "deleted", file->deleted);
	if (file->hashed) {
		for (size_t i = 0; i < SHA256_LEN; i++)
			snprintf(digest + 2 * i, 3, "%02x", file->sha256[i]);
		json_add_str(doc, root, "sha256", digest);
	}
	add_roles(doc, file->roles);
	array = json_add_array(doc, root, "pids");
	for (size_t i = 0; i < sizeof(file->pids) / sizeof(file->pids[0]); i++)
		if (file->pids[i])
			json_add_i64(doc, array, NULL, file->pids[i]);
	return triage_emit(t, doc, err);
}

static int temporary_finding(struct triage *t, const struct known_file *file,
			     struct err *err)
{
	struct json_node *subject, *evidence, *array;
	char shown[512], text[640];
	struct json *doc;

	triage_shown(file->path, strlen(file->path), shown, sizeof(shown));
	snprintf(text, sizeof(text),
		 "A process runs %s, which lies where everybody may write.", shown);
	doc = triage_finding(t, "executable_in_temporary_directory", SEVERITY_MEDIUM,
			     text, &subject, &evidence, err);
	if (!doc)
		return -1;
	triage_add_text(doc, subject, "path", file->path, strlen(file->path));
	array = json_add_array(doc, evidence, "pids");
	for (size_t i = 0; i < sizeof(file->pids) / sizeof(file->pids[0]); i++)
		if (file->pids[i])
			json_add_i64(doc, array, NULL, file->pids[i]);
	return triage_emit(t, doc, err);
}

int collect_files(struct triage *t, struct err *err)
{
	struct hidden_files *hidden = hidden_files_new(err);
	int rc = hidden ? 0 : -1;

	/* They were collected beside the processes. */
	for (size_t i = 0; i < t->units.file_count; i++)
		census_add_file(&t->census, t->units.files[i].major,
				t->units.files[i].minor, t->units.files[i].inode,
				t->units.files[i].path, t->units.files[i].roles, 0);
	for (size_t i = 0; rc == 0 && i < t->census.file_count; i++) {
		const struct known_file *file = &t->census.files[i];
		struct statx st;
		bool known = stat_of(t, file, &st);

		rc = emit(t, file, known ? &st : NULL, err);
		if (rc == 0 && file->roles & FILE_ROLE_EXE && odd_temporary(file->path))
			rc = temporary_finding(t, file, err);
		if (known && !file->deleted && st.stx_nlink)
			hidden_files_add(hidden, file->path, &st);
	}
	if (rc == 0)
		rc = hidden_files_look(t, hidden, err);
	hidden_files_free(hidden);
	return rc;
}
