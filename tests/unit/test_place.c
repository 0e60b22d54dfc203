/* The places of triage: what stands in them, whatever happens on the way. */
#include "toolkit/triage/place.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/custody.h"
#include "toolkit/lib/io.h"
#include "toolkit/lib/sums.h"
#include "toolkit/lib/tarfile.h"
#include "toolkit/lib/zstd_frame.h"

#define MIB ((size_t)1 << 20)

static char top[] = "/tmp/test_place.XXXXXX";
static unsigned char noise[3 * MIB + 777], zeros[MIB];

/* A stream into memory, that may refuse. */
static struct {
	unsigned char *data;
	size_t len, room;
	unsigned finished, aborted;
} end;

static int end_write(void *arg, const void *data, size_t len, struct err *err)
{
	(void)arg;
	if (end.len + len > end.room)
		return err_set(err, ERR_FAILED, "the line was cut");
	memcpy(end.data + end.len, data, len);
	end.len += len;
	return 0;
}

static int end_finish(void *arg, struct err *err)
{
	(void)arg;
	(void)err;
	end.finished++;
	return 0;
}

static void end_abort(void *arg)
{
	(void)arg;
	end.aborted++;
}

static struct place_tar *open_tar(size_t room)
{
	static const struct sink_stream stream = { end_write, end_finish, end_abort,
						   NULL };
	struct err err;

	free(end.data);
	end.data = malloc(room);
	end.len = end.finished = end.aborted = 0;
	end.room = room;
	return place_tar_open(&stream, "i-1/20261122T040000Z", "i-1", &err);
}

/* The archive in the stream, unpacked; the caller frees it. */
static unsigned char *unpacked(size_t *len)
{
	unsigned char *tar = malloc(32 * MIB);
	size_t at = 0, packed, got;
	uint64_t plain;

	*len = 0;
	while (at < end.len) {
		if (!zstd_frame_measure(end.data + at, end.len - at, &packed, &plain) ||
		    zstd_frame_unpack_any(end.data + at, packed, tar + *len,
					  32 * MIB - *len, &got)) {
			CHECK(!"a frame");
			break;
		}
		at += packed;
		*len += got;
	}
	return tar;
}

static int put(const struct place_ops *ops, void *arg, const char *name,
	       uint64_t size_bytes, const void *data, size_t len, struct err *err)
{
	struct out_file *file = ops->open(arg, name, size_bytes, err);

	if (!file)
		return -1;
	if (ops->write(file, data, len, err) < 0) {
		ops->abandon(file);
		return -1;
	}
	return ops->close(file, err);
}

/* Reads PATH whole; the caller frees it. NULL when it is not there. */
static char *contents_of(const char *dir, const char *name, size_t *len)
{
	char path[PATH_MAX + 768];
	struct stat st;
	char *text = NULL;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		text = calloc(1, (size_t)st.st_size + 1);
		*len = (size_t)io_pread(fd, text, (size_t)st.st_size, 0);
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static bool is_there(const char *dir, const char *name)
{
	char path[PATH_MAX + 768];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

/* What a log says, as "action file," after "action file,". */
static char said[1024];

static int take_line(void *arg, const struct custody_line *line, struct err *err)
{
	size_t len = strlen(said);

	(void)arg;
	(void)err;
	CHECK_STR(line->tool, "triage");
	snprintf(said + len, sizeof(said) - len, "%s %s,", line->action, line->file);
	return 0;
}

static const char *custody_of(int fd, struct place_result const *result)
{
	struct custody_summary summary = { 0 };
	struct err err = { 0 };

	said[0] = '\0';
	if (custody_verify(fd, NULL, take_line, NULL, &summary, &err) < 0)
		snprintf(said, sizeof(said), "%s", err.text);
	CHECK(memcmp(summary.head, result->custody_head, SHA256_LEN) == 0);
	return said;
}

static const char *custody_in(const char *dir, const struct place_result *result)
{
	char path[PATH_MAX + 768];
	const char *text;
	int fd;

	snprintf(path, sizeof(path), "%s/" CUSTODY_NAME, dir);
	fd = open(path, O_RDONLY);
	text = fd < 0 ? "none" : custody_of(fd, result);
	if (fd >= 0)
		close(fd);
	return text;
}

/* Every line of a SHA256SUMS holds, and they are in order. Returns how many, or -1. */
static const char *order_of(const char *name, char key[PATH_MAX + 1])
{
	key[0] = strcmp(name, "triage.jsonl") == 0 ? '0' : strchr(name, '/') ? '2' : '1';
	strcpy(key + 1, name);
	return key;
}

static int sums_hold(const char *dir)
{
	size_t len, pos = 0, number = 0, size;
	char *text = contents_of(dir, "SHA256SUMS", &len), last[PATH_MAX + 1] = "";
	char key[PATH_MAX + 1];
	static struct sums_entry entry;
	struct err err;
	int count = 0;

	if (!text)
		return -1;
	while (count >= 0 && sums_next(text, len, &pos, &number, &entry, &err) == 1) {
		char *file = contents_of(dir, entry.name, &size);
		uint8_t digest[SHA256_LEN];

		sha256(file ? file : "", file ? size : 0, digest);
		if (!file || memcmp(digest, entry.digest, SHA256_LEN) != 0 ||
		    strcmp(last, order_of(entry.name, key)) >= 0)
			count = -2;
		strcpy(last, key);
		free(file);
		count++;
	}
	free(text);
	return count;
}

static const char *new_path(void)
{
	static char path[256];
	static unsigned number;

	snprintf(path, sizeof(path), "%s/%u", top, number++);
	return path;
}

static void directory_holds_what_was_written(void)
{
	const struct place_ops *ops = &place_dir_ops;
	const char *path = new_path();
	struct err err = { 0 };
	struct place_dir *dir = place_dir_new(path, "i-1", &err);
	struct out_file *records, *report;
	size_t len;
	char *text;

	CHECK(dir != NULL);
	records = ops->open(dir, "triage.jsonl", UINT64_MAX, &err);
	report = ops->open(dir, "report.html", UINT64_MAX, &err);
	CHECK(records && report);
	for (size_t at = 0; at < sizeof(noise); at += 1000) {
		size_t n = sizeof(noise) - at < 1000 ? sizeof(noise) - at : 1000;

		CHECK(ops->write(records, noise + at, n, &err) == 0);
		CHECK(ops->write(report, "x", 1, &err) == 0);
	}
	CHECK(is_there(path, "triage.jsonl.partial"));
	CHECK(put(ops, dir, "recovered/1-exe", sizeof(zeros), zeros, sizeof(zeros),
		  &err) == 0);
	CHECK(ops->close(records, &err) == 0 && ops->close(report, &err) == 0);
	CHECK(ops->finish(dir, &err) == 0);
	text = contents_of(path, "triage.jsonl", &len);
	CHECK(text && len == sizeof(noise) && memcmp(text, noise, len) == 0);
	free(text);
	CHECK(sums_hold(path) == 3);
	CHECK_STR(custody_in(path, place_dir_result(dir)),
		  "collected triage.jsonl,hashed SHA256SUMS,");
	CHECK(place_dir_result(dir)->files == 3 && place_dir_result(dir)->has_records);
	ops->free(dir);
}

static void directory_of_evidence_is_made(void)
{
	const char *path = new_path();
	struct err err = { 0 };
	struct place_dir *dir;
	char whole[PATH_MAX + 512];

	CHECK(mkdir(path, 0700) == 0);
	dir = place_dir_open(path, "i-0123", &err);
	CHECK(dir != NULL);
	CHECK(strncmp(place_dir_result(dir)->where, "i-0123/2", 8) == 0);
	snprintf(whole, sizeof(whole), "%s/%s", path, place_dir_result(dir)->where);
	CHECK(put(&place_dir_ops, dir, "a", 1, "a", 1, &err) == 0);
	CHECK(place_dir_ops.finish(dir, &err) == 0);
	CHECK(sums_hold(whole) == 1);
	CHECK_STR(custody_in(whole, place_dir_result(dir)), "hashed SHA256SUMS,");
	place_dir_ops.free(dir);
	CHECK(!place_dir_new(path, "i-1", &err)); /* it is there */
}

static void names_are_checked(void)
{
	static const char *const bad[] = {
		"",	    "/etc/passwd", "../x",	  "a/../b",	   "a/b/c",
		"a/",	    "SHA256SUMS",  ".x",	  "custody.jsonl", "a\nb",
		"x.failed", "x.partial",   "caf\xc3\xa9", "a\\b",
	};
	struct err err = { 0 };
	struct place_dir *dir = place_dir_new(new_path(), "i-1", &err);
	struct place_tar *tar = open_tar(MIB);
	struct out_file *file;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(!place_dir_ops.open(dir, bad[i], 1, &err));
		CHECK(!place_tar_ops.open(tar, bad[i], 1, &err));
	}
	CHECK(put(&place_dir_ops, dir, "a", 1, "a", 1, &err) == 0);
	CHECK(!place_dir_ops.open(dir, "a", 1, &err));
	file = place_tar_ops.open(tar, "a", 1, &err);
	CHECK(file && !place_tar_ops.open(tar, "a", 1, &err));
	place_tar_ops.abandon(file);
	place_dir_ops.free(dir);
	place_tar_ops.free(tar);
}

static void failure_leaves_partial_and_says_so(void)
{
	const struct place_ops *ops = &place_dir_ops;
	const char *path = new_path();
	struct err err = { 0 }, other, why = { ERR_FAILED, "the host went down" };
	struct place_dir *dir = place_dir_new(path, "i-1", &err);
	struct out_file *records = ops->open(dir, "triage.jsonl", UINT64_MAX, &err);

	CHECK(ops->write(records, noise, sizeof(noise), &err) == 0);
	CHECK(put(ops, dir, "recovered/1-exe", 10, noise, 10, &err) == 0);
	CHECK(put(ops, dir, "recovered/2-exe", 10, noise, 9, &err) < 0);
	CHECK(strstr(err.text, "9 of 10") != NULL);
	CHECK(put(ops, dir, "recovered/3-exe", 10, noise, 11, &err) < 0);
	CHECK(place_dir_fail(dir, &why, &err) == 0);
	/* Who has it open learns of it, and gives it up as if nothing had happened. */
	CHECK(ops->write(records, noise, 10, &other) < 0);
	ops->abandon(records);
	CHECK(!is_there(path, "triage.jsonl") && is_there(path, "triage.jsonl.partial"));
	CHECK(is_there(path, "recovered/2-exe.partial"));
	CHECK(sums_hold(path) == 1);
	CHECK_STR(custody_in(path, place_dir_result(dir)),
		  "failed recovered/2-exe.partial,failed recovered/3-exe.partial,"
		  "failed triage.jsonl.partial,hashed SHA256SUMS,");
	ops->free(dir);
}

static void killed_directory_does_not_look_whole(void)
{
	const struct place_ops *ops = &place_dir_ops;
	const char *path = new_path();
	struct err err = { 0 };
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct place_dir *dir = place_dir_new(path, "i-1", &err);
		struct out_file *file = ops->open(dir, "triage.jsonl", UINT64_MAX, &err);

		ops->write(file, noise, sizeof(noise), &err);
		raise(SIGKILL);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	CHECK(is_there(path, "triage.jsonl.partial") && !is_there(path, "triage.jsonl"));
	CHECK(!is_there(path, "SHA256SUMS") && !is_there(path, CUSTODY_NAME));
}

/* In a mount namespace of a child: a disk of 2 MiB. */
static int fill_disk(const char *path)
{
	const struct place_ops *ops = &place_dir_ops;
	struct err err = { 0 }, other = { 0 };
	struct place_dir *dir;
	char inside[300];

	if (unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", path, "tmpfs", 0, "size=2M") < 0)
		return 77;
	snprintf(inside, sizeof(inside), "%s/one", path);
	dir = place_dir_new(inside, "i-1", &err);
	CHECK(dir && put(ops, dir, "recovered/1-exe", MIB, noise, MIB, &err) == 0);
	CHECK(put(ops, dir, "triage.jsonl", UINT64_MAX, noise, sizeof(noise), &err) < 0);
	CHECK(err.kind == ERR_FAILED && strstr(err.text, "No space left"));
	CHECK(place_dir_fail(dir, &err, &other) == 0);
	CHECK(is_there(inside, "triage.jsonl.partial"));
	CHECK(sums_hold(inside) == 1);
	CHECK_STR(custody_in(inside, place_dir_result(dir)),
		  "failed triage.jsonl.partial,hashed SHA256SUMS,");
	ops->free(dir);
	return check_failures != 0;
}

static void full_disk_is_told_on_the_disk(void)
{
	const char *path = new_path();
	int status = 0;
	pid_t pid;

	CHECK(mkdir(path, 0700) == 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int rc = fill_disk(path);

		fflush(stdout);
		_exit(rc);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static bool member_is(const unsigned char *tar, size_t len, const char *name,
		      const void *data, size_t data_len)
{
	const void *found;
	size_t found_len;

	return tarfile_find(tar, len, name, &found, &found_len) == 1 &&
	       found_len == data_len && memcmp(found, data, data_len) == 0;
}

static void archive_holds_what_was_written(void)
{
	const struct place_ops *ops = &place_tar_ops;
	struct place_tar *tar = open_tar(32 * MIB);
	struct out_file *records, *big, *second;
	struct err err = { 0 };
	const void *found;
	unsigned char *all;
	size_t len, n;

	CHECK(tar != NULL);
	records = ops->open(tar, "triage.jsonl", UINT64_MAX, &err);
	CHECK(ops->write(records, noise, 2 * MIB, &err) == 0);
	big = ops->open(tar, "recovered/1-exe", sizeof(noise), &err);
	second = ops->open(tar, "recovered/2-exe", sizeof(noise), &err);
	CHECK(ops->write(big, noise, MIB + 1, &err) == 0);
	CHECK(ops->write(second, noise, sizeof(noise), &err) == 0);
	/* Closed beside one that goes straight out: behind it. */
	CHECK(ops->close(second, &err) == 0);
	CHECK(put(ops, tar, "empty", 0, "", 0, &err) == 0);
	CHECK(ops->write(records, noise + 2 * MIB, MIB + 777, &err) == 0);
	CHECK(ops->close(records, &err) == 0);
	CHECK(ops->write(big, noise + MIB + 1, 2 * MIB + 776, &err) == 0);
	CHECK(ops->close(big, &err) == 0);
	CHECK(put(ops, tar, "report.html", UINT64_MAX, "<html>", 6, &err) == 0);
	CHECK(ops->finish(tar, &err) == 0 && end.finished == 1);
	all = unpacked(&len);
	CHECK(len % TARFILE_BLOCK == 0);
	CHECK(member_is(all, len, "triage.jsonl", noise, sizeof(noise)));
	CHECK(member_is(all, len, "recovered/1-exe", noise, sizeof(noise)));
	CHECK(member_is(all, len, "recovered/2-exe", noise, sizeof(noise)));
	CHECK(member_is(all, len, "empty", "", 0));
	CHECK(member_is(all, len, "report.html", "<html>", 6));
	CHECK(tarfile_find(all, len, "SHA256SUMS", &found, &n) == 1);
	CHECK(tarfile_find(all, len, CUSTODY_NAME, &found, &n) == 1);
	CHECK(place_tar_result(tar)->files == 5);
	free(all);
	ops->free(tar);
	CHECK(end.aborted == 0);
}

static void archive_says_what_failed(void)
{
	const struct place_ops *ops = &place_tar_ops;
	struct place_tar *tar = open_tar(32 * MIB);
	struct out_file *big;
	struct err err = { 0 };
	const void *found;
	unsigned char *all;
	size_t len, n;

	CHECK(put(ops, tar, "small", 10, noise, 9, &err) < 0);
	big = ops->open(tar, "recovered/1-exe", sizeof(noise), &err);
	CHECK(ops->write(big, noise, MIB, &err) == 0);
	CHECK(put(ops, tar, "triage.jsonl", UINT64_MAX, "{}\n", 3, &err) == 0);
	ops->abandon(big);
	CHECK(ops->finish(tar, &err) == 0);
	CHECK(place_tar_result(tar)->failed == 2);
	all = unpacked(&len);
	CHECK(tarfile_find(all, len, "small", &found, &n) == 0);
	CHECK(tarfile_find(all, len, "recovered/1-exe.failed", &found, &n) == 1);
	CHECK(member_is(all, len, "triage.jsonl", "{}\n", 3));
	CHECK(tarfile_find(all, len, "SHA256SUMS", &found, &n) == 1 &&
	      !memmem(found, n, "1-exe\n", 6) && memmem(found, n, "1-exe.failed\n", 13));
	CHECK(tarfile_find(all, len, CUSTODY_NAME, &found, &n) == 1 &&
	      memmem(found, n, "\"recovered/1-exe\"", 17) &&
	      memmem(found, n, "\"small\"", 7));
	free(all);
	ops->free(tar);
}

static void archive_is_never_whole_by_accident(void)
{
	const struct place_ops *ops = &place_tar_ops;
	struct err err = { 0 };
	struct place_tar *tar;
	struct out_file *file;

	/* Wherever the line is cut; the first time nowhere. */
	for (size_t room = 32 * MIB, whole = 0; !whole || room + 4096 < whole;
	     room += 200000) {
		bool bad;

		tar = open_tar(room);
		bad = put(ops, tar, "a", UINT64_MAX, noise, MIB, &err) < 0;
		bad |= put(ops, tar, "b", UINT64_MAX, noise + MIB, MIB, &err) < 0;
		bad |= ops->finish(tar, &err) < 0;
		ops->free(tar);
		CHECK(end.aborted == bad && end.finished == !bad && bad == !!whole);
		if (!whole) {
			whole = end.len;
			room = 0;
		}
	}
	tar = open_tar(32 * MIB);
	place_tar_limit(tar, MIB);
	file = ops->open(tar, "triage.jsonl", UINT64_MAX, &err);
	CHECK(ops->write(file, noise, sizeof(noise), &err) < 0);
	CHECK(strstr(err.text, "wait in memory") != NULL);
	CHECK(ops->finish(tar, &err) < 0); /* it is still open */
	ops->abandon(file);
	/* What it held is free again. */
	CHECK(put(ops, tar, "b", UINT64_MAX, noise, MIB / 2, &err) == 0);
	ops->free(tar);
	CHECK(end.aborted == 1 && !end.finished);
	tar = open_tar(MIB);
	CHECK(!ops->open(tar, "large", UINT64_C(9) << 30, &err));
	CHECK(strstr(err.text, "8 GiB") != NULL);
	ops->free(tar);
}

static void file_has_its_name_when_it_is_whole(void)
{
	char path[300];
	struct options opt = { .tar = path, .instance = "i-1" };
	struct err err = { 0 };
	struct out_file *file, *big;
	struct place place;

	snprintf(path, sizeof(path), "%s.tar.zst", new_path());
	CHECK(place_open(&place, &opt, NULL, &err) == 0);
	CHECK(put(place.ops, place.arg, "a", UINT64_MAX, "a", 1, &err) == 0);
	big = place.ops->open(place.arg, "big", 2 * MIB, &err);
	CHECK(put(place.ops, place.arg, "b", UINT64_MAX, "b", 1, &err) == 0);
	file = place.ops->open(place.arg, "c", UINT64_MAX, &err);
	CHECK(place_fail(&place, &err, &err) == 0);
	CHECK(place.ops->write(file, "c", 1, &err) < 0);
	CHECK(put(place.ops, place.arg, "d", UINT64_MAX, "d", 1, &err) < 0);
	place.ops->abandon(file);
	place.ops->abandon(big);
	place_close(&place);
	CHECK(access(path, F_OK) < 0);
	CHECK(place_open(&place, &opt, NULL, &err) == 0);
	CHECK(put(place.ops, place.arg, "a", UINT64_MAX, "a", 1, &err) == 0);
	CHECK(access(path, F_OK) < 0);
	CHECK(place.ops->finish(place.arg, &err) == 0);
	CHECK_STR(place_result(&place)->where, path);
	place_close(&place);
	place_close(&place);
	CHECK(access(path, F_OK) == 0);
	CHECK(place_open(&place, &opt, NULL, &err) < 0); /* it is there */
	opt.output = path;
	CHECK(place_open(&place, &opt, NULL, &err) < 0 && err.kind == ERR_USAGE);
}

int main(void)
{
	uint32_t state = 1;
	char command[300];

	for (size_t i = 0; i < sizeof(noise); i++) {
		state = state * 1664525 + 1013904223;
		noise[i] = (unsigned char)(state >> 24);
	}
	if (!mkdtemp(top))
		return 1;
	RUN(directory_holds_what_was_written);
	RUN(directory_of_evidence_is_made);
	RUN(names_are_checked);
	RUN(failure_leaves_partial_and_says_so);
	RUN(killed_directory_does_not_look_whole);
	RUN(full_disk_is_told_on_the_disk);
	RUN(archive_holds_what_was_written);
	RUN(archive_says_what_failed);
	RUN(archive_is_never_whole_by_accident);
	RUN(file_has_its_name_when_it_is_whole);
	free(end.data);
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command) == 0 ? DONE() : 1;
}
