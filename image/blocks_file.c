#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/blocks.h"
#include "image/output.h"
#include "toolkit/lib/io.h"

#define MAGIC "fvol-blocks 1\n"

int blocks_save(const struct blocks *blocks, const char *path, struct err *err)
{
	char *text = NULL, hex[SHA256_HEX_SIZE];
	uint8_t digest[SHA256_LEN];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int rc = -1;

	if (!out)
		return err_set(err, ERR_FAILED, "out of memory");
	sha256_to_hex(blocks->image_sha256, hex);
	fprintf(out, MAGIC "image %s %llu\nvolume %u\nsnapshot %s\ncount %zu\n", hex,
		(unsigned long long)blocks->image_bytes, blocks->gib,
		blocks->snapshot[0] ? blocks->snapshot : "-", blocks->count);
	for (size_t i = 0; i < blocks->count; i++) {
		sha256_to_hex(blocks->at[i].digest, hex);
		fprintf(out, "%u %s\n", blocks->at[i].index, hex);
	}
	if (fflush(out) == 0) {
		sha256(text, len, digest);
		sha256_to_hex(digest, hex);
		fprintf(out, "end %s\n", hex);
	}
	if (fclose(out) != 0)
		err_set(err, ERR_FAILED, "out of memory");
	else
		rc = output_text(path, text, len, err);
	free(text);
	return rc;
}

struct lines {
	const char *at, *end;
	unsigned number;
};

/* Takes "WORD " of the next line; what follows is in *rest, up to the newline at *stop.
 */
static bool next_line(struct lines *lines, const char *word, const char **rest,
		      const char **stop)
{
	const char *newline = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
	size_t len = strlen(word);

	lines->number++;
	if (!newline || (size_t)(newline - lines->at) < len ||
	    memcmp(lines->at, word, len) != 0)
		return false;
	*rest = lines->at + len;
	*stop = newline;
	lines->at = newline + 1;
	return true;
}

/* A number without a sign and zeros in front, up to most; moves *at behind it. */
static bool number(const char **at, const char *stop, uint64_t most, uint64_t *value)
{
	const char *from = *at;

	*value = 0;
	for (; *at < stop && **at >= '0' && **at <= '9'; (*at)++) {
		*value = *value * 10 + (uint64_t)(**at - '0');
		if (*value > most)
			return false;
	}
	return *at > from && (*from != '0' || *at == from + 1);
}

static bool hex_digest(const char **at, const char *stop, uint8_t digest[SHA256_LEN])
{
	if (stop - *at < SHA256_HEX_SIZE - 1 || !sha256_from_hex(*at, digest))
		return false;
	*at += SHA256_HEX_SIZE - 1;
	return true;
}

static bool parse_head(struct lines *lines, struct blocks *blocks, uint64_t *count)
{
	const char *at, *stop;
	uint64_t gib;
	size_t len;

	if (!next_line(lines, "fvol-blocks 1", &at, &stop) || at != stop ||
	    !next_line(lines, "image ", &at, &stop) ||
	    !hex_digest(&at, stop, blocks->image_sha256) || at == stop || *at++ != ' ' ||
	    !number(&at, stop, (uint64_t)BLOCKS_GIB_MAX << 30, &blocks->image_bytes) ||
	    at != stop || !next_line(lines, "volume ", &at, &stop) ||
	    !number(&at, stop, BLOCKS_GIB_MAX, &gib) || at != stop || !gib ||
	    !next_line(lines, "snapshot ", &at, &stop))
		return false;
	blocks->gib = (uint32_t)gib;
	len = (size_t)(stop - at);
	if (len != 1 || *at != '-') {
		if (len >= sizeof(blocks->snapshot))
			return false;
		memcpy(blocks->snapshot, at, len);
		blocks->snapshot[len] = '\0';
		if (!blocks_snapshot_ok(blocks->snapshot))
			return false;
	}
	return next_line(lines, "count ", &at, &stop) &&
	       number(&at, stop, (uint64_t)BLOCKS_GIB_MAX * BLOCKS_PER_GIB, count) &&
	       at == stop;
}

static bool parse_blocks(struct lines *lines, struct blocks *blocks, uint64_t count)
{
	struct err unread = { 0 };
	uint8_t digest[SHA256_LEN];
	const char *at, *stop;
	uint64_t index;

	for (; count; count--) {
		if (!next_line(lines, "", &at, &stop) ||
		    !number(&at, stop, (uint64_t)blocks->gib * BLOCKS_PER_GIB - 1,
			    &index) ||
		    at == stop || *at++ != ' ' || !hex_digest(&at, stop, digest) ||
		    at != stop ||
		    blocks_add(blocks, (uint32_t)index, digest, &unread) < 0)
			return false;
	}
	return true;
}

int blocks_parse(const char *text, size_t len_bytes, struct blocks *blocks,
		 struct err *err)
{
	struct lines lines = { .at = text, .end = text + len_bytes };
	uint8_t said[SHA256_LEN], digest[SHA256_LEN];
	const char *at, *stop;
	uint64_t count;
	size_t before;

	*blocks = (struct blocks){ 0 };
	if (!parse_head(&lines, blocks, &count) || !parse_blocks(&lines, blocks, count))
		goto bad;
	before = (size_t)(lines.at - text);
	if (!next_line(&lines, "end ", &at, &stop) || !hex_digest(&at, stop, said) ||
	    at != stop || lines.at != lines.end)
		goto bad;
	sha256(text, before, digest);
	if (memcmp(said, digest, sizeof(digest)) == 0)
		return 0;
	err_set(err, ERR_FAILED, "the list of blocks was changed: its hash differs");
	blocks_free(blocks);
	return -1;
bad:
	err_set(err, ERR_FAILED, "line %u is not one of a list of blocks", lines.number);
	blocks_free(blocks);
	return -1;
}

int blocks_load(const char *path, struct blocks *blocks, struct err *err)
{
	int fd = io_open_direct(AT_FDCWD, path, true, err);
	char *text;
	size_t len;
	int rc;

	if (fd < 0)
		return -1;
	text = io_read_direct(fd, BLOCKS_FILE_MAX, &len, err);
	io_close(&fd);
	if (!text)
		return err_prefix(err, "%s", path);
	rc = blocks_parse(text, len, blocks, err);
	free(text);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}
