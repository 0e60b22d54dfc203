#include "image/verify.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/walk.h"
#include "image/workers.h"
#include "toolkit/lib/cli.h"
#include "toolkit/lib/signature.h"

#define FINDINGS_PRINTED 1000
#define SPANS_MAX 1000000

struct verifying {
	const struct verify_request *request;
	struct verify_result *result;
	struct ext4_volume *volume;
	struct manifest manifest;
	pthread_mutex_t lock; /* of volume but ext4_fetch(), and of result */
};

static void find(struct verifying *verifying, const char *path, const char *what)
{
	FILE *report = verifying->request->report;

	if (++verifying->result->findings > FINDINGS_PRINTED || !report)
		return;
	fputc('/', report);
	cli_put_text(report, path);
	fprintf(report, ": %s\n", what);
}

struct spans {
	struct ext4_span *at;
	size_t count;
	size_t room;
};

static int keep_span(void *arg, const struct ext4_span *span, struct err *err)
{
	struct spans *spans = arg;

	/* Ours have a handful; a hostile volume shall not fill our memory with them. */
	if (spans->count == SPANS_MAX)
		return err_set(err, ERR_NO, "is in too many pieces");
	if (spans->count == spans->room) {
		size_t room = spans->room ? 2 * spans->room : 4;
		struct ext4_span *grown = reallocarray(spans->at, room, sizeof(*grown));

		if (!grown)
			return err_set(err, ERR_FAILED, "out of memory");
		spans->at = grown;
		spans->room = room;
	}
	spans->at[spans->count++] = *span;
	return 0;
}

/* Hashes the blocks of one extent, cut at the file's size. Returns 0 or -1. */
static int hash_span(struct verifying *verifying, const struct ext4_span *span,
		     uint64_t size_bytes, struct sha256 *sha, unsigned char *buffer,
		     struct err *err)
{
	for (uint64_t done = 0; done < span->blocks;) {
		uint64_t off = (span->file_block + done) * EXT4_BLOCK;
		uint64_t left = off < size_bytes ? size_bytes - off : 0;
		uint64_t blocks = span->blocks - done;
		size_t len;

		if (!left)
			return 0;
		if (blocks > WORKERS_BUFFER / EXT4_BLOCK)
			blocks = WORKERS_BUFFER / EXT4_BLOCK;
		if (blocks > (left - 1) / EXT4_BLOCK + 1)
			blocks = (left - 1) / EXT4_BLOCK + 1;
		len = blocks * EXT4_BLOCK < left ? blocks * EXT4_BLOCK : (size_t)left;
		if (ext4_fetch(verifying->volume, span->block + done, blocks, buffer,
			       err) < 0)
			return -1;
		sha256_update(sha, buffer, len);
		done += blocks;
	}
	return 0;
}

static int hash_file(struct verifying *verifying, const struct manifest_line *line,
		     unsigned char *buffer, uint8_t digest[SHA256_LEN], struct err *err)
{
	const struct verify_request *request = verifying->request;
	struct spans spans = { 0 };
	struct ext4_stat st;
	struct sha256 sha;
	uint64_t next = 0; /* block */
	int rc;

	pthread_mutex_lock(&verifying->lock);
	rc = ext4_spans(verifying->volume, line->ino, &st, keep_span, &spans, err);
	pthread_mutex_unlock(&verifying->lock);
	if (rc == 0 && request->was_read &&
	    request->was_read(request->arg, line, spans.at, spans.count, digest)) {
		free(spans.at);
		return 0;
	}
	sha256_init(&sha);
	for (size_t i = 0; rc == 0 && i < spans.count; i++) {
		if (spans.at[i].file_block != next)
			break;
		next += spans.at[i].blocks;
		rc = hash_span(verifying, &spans.at[i], line->size_bytes, &sha, buffer,
			       err);
	}
	free(spans.at);
	if (rc < 0)
		return -1;
	if (next * EXT4_BLOCK < line->size_bytes)
		return err_set(err, ERR_NO, "has a hole, which no file of ours has");
	sha256_final(&sha, digest);
	return 0;
}

/* One file: what is wrong with it is kept with its line, to be told in order. */
static int check_line(void *arg, size_t number, unsigned char *buffer, struct err *err)
{
	struct verifying *verifying = arg;
	struct manifest_line *line = &verifying->manifest.lines[number];
	uint8_t digest[SHA256_LEN];
	struct err why = { 0 };

	if (!line->seen)
		return 0;
	if (hash_file(verifying, line, buffer, digest, &why) < 0) {
		if (why.kind != ERR_NO) {
			*err = why;
			return err_prefix(err, "/%s", line->path);
		}
	} else if (memcmp(digest, line->digest, sizeof(digest)) != 0) {
		err_set(&why, ERR_NO, "differs");
	} else {
		pthread_mutex_lock(&verifying->lock);
		verifying->result->files++;
		verifying->result->bytes += line->size_bytes;
		pthread_mutex_unlock(&verifying->lock);
		return 0;
	}
	line->fault = strdup(why.text);
	return line->fault ? 0 : err_set(err, ERR_FAILED, "out of memory");
}

static void note_file(struct verifying *verifying, const struct walk_entry *entry)
{
	struct manifest_line *line = manifest_find(&verifying->manifest, entry->path);

	if (!line && !manifest_omits(entry->path)) {
		find(verifying, entry->path, "is not in the MANIFEST");
		return;
	}
	if (entry->st.mode & (S_ISUID | S_ISGID))
		find(verifying, entry->path, "is setuid or setgid");
	if (!line)
		return;
	if (line->seen) {
		find(verifying, entry->path, "stands in its directory twice");
		return;
	}
	line->seen = true;
	line->ino = entry->ino;
	line->size_bytes = entry->st.size_bytes;
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

	(void)err;
	if (entry->fault) {
		find(verifying, entry->path, entry->fault);
		return 0;
	}
	if (S_ISDIR(entry->st.mode))
		return own ? WALK_SKIP : WALK_ON;
	if (S_ISREG(entry->st.mode))
		note_file(verifying, entry);
	else
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

	/* The size was read twice: a device may answer otherwise the second time. */
	if (off > text->len || len > text->len - off)
		return err_set(err, ERR_NO, "its size changed");
	memcpy(text->bytes + off, data, len);
	return 0;
}

char *verify_read(struct ext4_volume *volume, const char *path, size_t max_bytes,
		  size_t *len_bytes, struct err *err)
{
	struct text text = { 0 };
	struct ext4_stat st;
	uint32_t ino;

	if (walk_find(volume, path, &ino, &st, err) < 0)
		return NULL;
	if (!S_ISREG(st.mode) || st.size_bytes > max_bytes) {
		err_set(err, ERR_NO, "/%s is not a file of at most %zu bytes", path,
			max_bytes);
		return NULL;
	}
	text.len = st.size_bytes;
	text.bytes = calloc(1, text.len + 1);
	if (!text.bytes) {
		err_set(err, ERR_FAILED, "out of memory");
		return NULL;
	}
	if (walk_read(volume, ino, keep_text, &text, err) < 0) {
		err_prefix(err, "/%s", path);
		free(text.bytes);
		return NULL;
	}
	*len_bytes = (size_t)text.len;
	return text.bytes;
}

int verify_manifest(struct ext4_volume *volume, const uint8_t *expected, uint8_t *digest,
		    struct manifest *manifest, struct err *err)
{
	uint8_t own[SHA256_LEN];
	size_t len;
	char *text = verify_read(volume, MANIFEST_NAME, MANIFEST_MAX, &len, err);
	int rc = -1;

	*manifest = (struct manifest){ 0 };
	if (!text)
		return -1;
	sha256(text, len, own);
	if (digest)
		memcpy(digest, own, sizeof(own));
	/* A hole in it was read as zeros, which its parser refuses. */
	if (expected && memcmp(own, expected, sizeof(own)) != 0)
		err_set(err, ERR_NO,
			"the MANIFEST does not have the hash that was given");
	else if (manifest_parse(text, len, manifest, err) < 0)
		err_prefix(err, "/MANIFEST");
	else
		rc = 0;
	free(text);
	return rc;
}

static int check_signature(struct verifying *verifying, struct err *err)
{
	struct verify_result *result = verifying->result;
	const struct trust *trust = verifying->request->trust;
	size_t len, by;
	char *der;
	int rc;

	if (!trust)
		return 0;
	der = verify_read(verifying->volume, MANIFEST_SIGNATURE, SIGNATURE_MAX, &len,
			  err);
	if (!der)
		return -1;
	rc = trust_check(trust, result->manifest_sha256, (const uint8_t *)der, len, &by,
			 err);
	free(der);
	if (rc < 0)
		return err_prefix(err, "/MANIFEST.sig");
	result->is_signed = true;
	memcpy(result->key_id, trust->at[by].key.id, SHA256_LEN);
	return 0;
}

/* What each line of the MANIFEST has come to, in its order. */
static void tell_lines(struct verifying *verifying)
{
	for (size_t i = 0; i < verifying->manifest.count; i++) {
		const struct manifest_line *line = &verifying->manifest.lines[i];

		if (line->fault)
			find(verifying, line->path, line->fault);
		if (!line->seen)
			find(verifying, line->path, "is missing");
	}
}

static int check_all(struct verifying *verifying, struct err *err)
{
	struct verify_result *result = verifying->result;
	FILE *report = verifying->request->report;
	struct err why = { 0 };

	if (walk(verifying->volume, EXT4_ROOT, "", check_entry, verifying, err) < 0 ||
	    workers_run(verifying->manifest.count, check_line, verifying, err) < 0)
		return -1;
	tell_lines(verifying);
	if (result->findings > FINDINGS_PRINTED && report)
		fprintf(report, "and %zu more\n", result->findings - FINDINGS_PRINTED);
	if (result->findings)
		return err_set(err, ERR_NO, "not what its MANIFEST says: %zu differences",
			       result->findings);
	/* With a journal to be played, bitmaps and inodes may rightly disagree. */
	if (result->needs_recovery || ext4_check(verifying->volume, &why) == 0)
		return 0;
	*err = why;
	return err_prefix(err, "the file system is damaged");
}

int verify_volume(const struct verify_request *request, struct verify_result *result,
		  struct err *err)
{
	struct verifying verifying = { .request = request,
				       .result = result,
				       .lock = PTHREAD_MUTEX_INITIALIZER };
	int rc = -1;

	*result = (struct verify_result){ 0 };
	verifying.volume = ext4_open(request->path, err);
	if (!verifying.volume)
		goto out;
	result->needs_recovery = ext4_needs_recovery(verifying.volume);
	if (verify_manifest(verifying.volume, request->manifest_sha256,
			    result->manifest_sha256, &verifying.manifest, err) < 0 ||
	    check_signature(&verifying, err) < 0)
		goto out;
	rc = check_all(&verifying, err);
out:
	manifest_free(&verifying.manifest);
	ext4_close(verifying.volume);
	pthread_mutex_destroy(&verifying.lock);
	return rc < 0 ? err_prefix(err, "%s", request->path) : 0;
}
