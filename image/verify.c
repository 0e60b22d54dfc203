#include "image/verify.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/manifest.h"
#include "image/walk.h"
#include "toolkit/lib/cli.h"

#define FINDINGS_PRINTED 1000

struct verifying {
	struct ext4_volume *volume;
	struct manifest manifest;
	FILE *report;
	struct verify_result *result;
};

static void find(struct verifying *verifying, const char *path, const char *what)
{
	if (++verifying->result->findings > FINDINGS_PRINTED || !verifying->report)
		return;
	fputc('/', verifying->report);
	cli_put_text(verifying->report, path);
	fprintf(verifying->report, ": %s\n", what);
}

struct hashing {
	struct sha256 sha;
	uint64_t next; /* offset behind what was hashed */
};

static int hash_piece(void *arg, uint64_t off, const void *data, size_t len,
		      struct err *err)
{
	struct hashing *hashing = arg;

	if (off != hashing->next)
		return err_set(err, ERR_NO, "has a hole, which no file of ours has");
	sha256_update(&hashing->sha, data, len);
	hashing->next += len;
	return 0;
}

static int hash_file(struct verifying *verifying, const struct walk_entry *entry,
		     uint8_t digest[SHA256_LEN], struct err *err)
{
	struct hashing hashing = { .next = 0 };

	sha256_init(&hashing.sha);
	if (walk_read(verifying->volume, entry->ino, hash_piece, &hashing, err) < 0)
		return -1;
	if (hashing.next != entry->st.size_bytes)
		return err_set(err, ERR_NO, "has a hole, which no file of ours has");
	sha256_final(&hashing.sha, digest);
	verifying->result->bytes += hashing.next;
	return 0;
}

static int check_file(struct verifying *verifying, const struct walk_entry *entry,
		      struct err *err)
{
	struct manifest_line *line = manifest_find(&verifying->manifest, entry->path);
	uint8_t digest[SHA256_LEN];
	struct err why = { 0 };

	if (!line && !manifest_omits(entry->path)) {
		find(verifying, entry->path, "is not in the MANIFEST");
		return 0;
	}
	if (entry->st.mode & (S_ISUID | S_ISGID))
		find(verifying, entry->path, "is setuid or setgid");
	if (!line)
		return 0;
	if (line->seen) {
		find(verifying, entry->path, "stands in its directory twice");
		return 0;
	}
	line->seen = true;
	if (hash_file(verifying, entry, digest, &why) < 0) {
		if (why.kind != ERR_NO) {
			*err = why;
			return err_prefix(err, "/%s", entry->path);
		}
		find(verifying, entry->path, why.text);
	} else if (memcmp(digest, line->digest, sizeof(digest)) != 0) {
		find(verifying, entry->path, "differs from the MANIFEST");
	} else {
		verifying->result->files++;
	}
	return 0;
}

static const char *type_words(uint32_t mode)
{
	return S_ISLNK(mode)			? "is a symbolic link"
	       : S_ISBLK(mode) || S_ISCHR(mode) ? "is a device node"
	       : S_ISFIFO(mode)			? "is a FIFO"
	       : S_ISSOCK(mode)			? "is a socket"
						: "is of no known type";
}

static int check_entry(void *arg, const struct walk_entry *entry, struct err *err)
{
	struct verifying *verifying = arg;
	bool own = strcmp(entry->path, "evidence") == 0 ||
		   strcmp(entry->path, "lost+found") == 0;

	if (entry->fault) {
		find(verifying, entry->path, entry->fault);
		return 0;
	}
	if (S_ISDIR(entry->st.mode))
		return own ? WALK_SKIP : WALK_ON;
	if (S_ISREG(entry->st.mode))
		return check_file(verifying, entry, err);
	find(verifying, entry->path, type_words(entry->st.mode));
	return 0;
}

struct text {
	char *bytes;
	uint64_t len;
};

static int keep_text(void *arg, uint64_t off, const void *data, size_t len,
		     struct err *err)
{
	struct text *text = arg;

	(void)err;
	memcpy(text->bytes + off, data, len);
	return 0;
}

static int load_manifest(struct verifying *verifying, const uint8_t *expected,
			 struct err *err)
{
	struct text text = { 0 };
	struct ext4_stat st;
	uint8_t digest[SHA256_LEN];
	uint32_t ino;
	int rc = -1;

	if (walk_find(verifying->volume, MANIFEST_NAME, &ino, &st, err) < 0)
		return -1;
	if (!S_ISREG(st.mode) || st.size_bytes > MANIFEST_MAX)
		return err_set(err, ERR_NO, "/MANIFEST is not a file of at most %d bytes",
			       MANIFEST_MAX);
	text.len = st.size_bytes;
	/* Zeroed: a hole in it is read as zeros, which its parser refuses. */
	text.bytes = calloc(1, text.len + 1);
	if (!text.bytes)
		return err_set(err, ERR_FAILED, "out of memory");
	if (walk_read(verifying->volume, ino, keep_text, &text, err) < 0) {
		err_prefix(err, "/MANIFEST");
		goto out;
	}
	sha256(text.bytes, text.len, digest);
	if (expected && memcmp(digest, expected, sizeof(digest)) != 0) {
		err_set(err, ERR_NO,
			"the MANIFEST does not have the hash that was given");
		goto out;
	}
	if (manifest_parse(text.bytes, text.len, &verifying->manifest, err) < 0) {
		err_prefix(err, "/MANIFEST");
		goto out;
	}
	rc = 0;
out:
	free(text.bytes);
	return rc;
}

static int check_all(struct verifying *verifying, struct err *err)
{
	struct verify_result *result = verifying->result;

	if (walk(verifying->volume, EXT4_ROOT, "", check_entry, verifying, err) < 0)
		return -1;
	for (size_t i = 0; i < verifying->manifest.count; i++)
		if (!verifying->manifest.lines[i].seen)
			find(verifying, verifying->manifest.lines[i].path, "is missing");
	if (result->findings > FINDINGS_PRINTED && verifying->report)
		fprintf(verifying->report, "and %zu more\n",
			result->findings - FINDINGS_PRINTED);
	if (result->findings)
		return err_set(err, ERR_NO, "not what its MANIFEST says: %zu differences",
			       result->findings);
	return 0;
}

int verify_volume(const char *path, const uint8_t *manifest_sha256, FILE *report,
		  struct verify_result *result, struct err *err)
{
	struct verifying verifying = { .report = report, .result = result };
	int rc = -1;

	*result = (struct verify_result){ 0 };
	verifying.volume = ext4_open(path, err);
	if (!verifying.volume)
		goto out;
	result->needs_recovery = ext4_needs_recovery(verifying.volume);
	if (load_manifest(&verifying, manifest_sha256, err) < 0)
		goto out;
	rc = check_all(&verifying, err);
out:
	manifest_free(&verifying.manifest);
	ext4_close(verifying.volume);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}
