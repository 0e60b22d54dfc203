/* Images of memory at any address: what was put in, in every format, forth and back. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/dumpview.h"
#include "toolkit/lib/encoder_avml.h"
#include "toolkit/lib/le.h"
#include "toolkit/lib/lime.h"
#include "toolkit/lib/zstd_frame.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define CHUNK (1024 * KIB)
#define MEMORY (24 * MIB)

static unsigned char memory[MEMORY];
static struct ranges ranges = {
	3, { { 0x1000, 0x9ffff }, { 0x100000, 0xefffff }, { 0x1000000, 0x17fffff } }
};
static struct encoder_state state;
static struct dumpview view;
static struct err err;
static int fd = -1;
static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Numbers, noise and nothing, by turns. */
static void fill(void)
{
	for (size_t at = 0; at < MEMORY; at += 8) {
		uint64_t word = at / (96 * KIB) % 3 == 0   ? at
				: at / (96 * KIB) % 3 == 1 ? next_random()
							   : 0;

		memcpy(memory + at, &word, 8);
	}
}

static int put(void *arg, const void *data, size_t len, struct err *why)
{
	(void)arg;
	(void)why;
	return write(fd, data, len) == (ssize_t)len ? 0 : -1;
}

static int patch(void *arg, uint64_t off, const void *data, size_t len, struct err *why)
{
	(void)arg;
	(void)why;
	return pwrite(fd, data, len, (off_t)off) == (ssize_t)len ? 0 : -1;
}

static void chunk(const struct encoder_ops *ops, uint64_t phys, size_t len)
{
	unsigned char *packed = malloc(ops->packed_bound(len));
	void *scratch = aligned_alloc(64, (ops->scratch_bytes(CHUNK) + 63) / 64 * 64);
	bool zero = !memory[phys] && !memcmp(memory + phys, memory + phys + 1, len - 1);
	size_t n = ops->pack(memory + phys, len, packed, scratch);

	CHECK(ops->chunk(&state, phys, memory + phys, len, packed, n, zero, &err) == 0);
	free(packed);
	free(scratch);
}

/* Makes an image of the ranges in fd. */
static void encode(const char *format)
{
	const struct encoder_ops *ops = format[0] == 'a'   ? &encoder_avml
					: format[0] == 'z' ? &encoder_zst
							   : NULL;
	struct encoder_out out = { .put = put, .patch = patch };

	if (fd >= 0)
		close(fd);
	fd = memfd_create("image", MFD_CLOEXEC);
	if (ops)
		CHECK(ops->begin(&state, &ranges, &out, &err) == 0);
	for (size_t i = 0; i < ranges.count; i++) {
		const struct range *range = &ranges.at[i];
		uint64_t phys = range->start, left = range_bytes(range);
		unsigned char header[LIME_HEADER_BYTES];

		if (format[0] == 'r') {
			patch(NULL, phys, memory + phys, left, NULL);
			continue;
		}
		if (!ops) {
			lime_header(range, header);
			put(NULL, header, sizeof(header), NULL);
			put(NULL, memory + phys, left, NULL);
			continue;
		}
		CHECK(ops->range(&state, range, &err) == 0);
		for (size_t n; left; left -= n, phys += n) {
			n = left < CHUNK ? (size_t)left : CHUNK;
			chunk(ops, phys, n);
		}
	}
	if (ops)
		CHECK(ops->end(&state, &err) == 0);
}

/*
 * Seekable zstd as another program may write it: frames of FRAME bytes wherever they
 * fall, headers inside of them, and a table that is longer than what is read at once.
 */
#define FRAME 7000
static void encode_foreign(void)
{
	static unsigned char stream[MEMORY], packed[2 * FRAME];
	static unsigned char table[12 * (MEMORY / FRAME + 1) + 17];
	void *scratch = aligned_alloc(64, (zstd_frame_pack_scratch() + 63) / 64 * 64);
	size_t len = 0, entries = 0;

	CHECK(zstd_frame_bound(FRAME) <= sizeof(packed));
	if (fd >= 0)
		close(fd);
	fd = memfd_create("image", MFD_CLOEXEC);
	for (size_t i = 0; i < ranges.count; i++) {
		lime_header(&ranges.at[i], stream + len);
		memcpy(stream + len + LIME_HEADER_BYTES, memory + ranges.at[i].start,
		       range_bytes(&ranges.at[i]));
		len += LIME_HEADER_BYTES + range_bytes(&ranges.at[i]);
	}
	for (size_t at = 0; at < len; at += FRAME) {
		size_t plain = len - at < FRAME ? len - at : FRAME;
		size_t n = zstd_frame_pack(stream + at, plain, packed, scratch);

		put(NULL, packed, n, NULL);
		put_le(table + 8 + 8 * entries, n, 4);
		put_le(table + 12 + 8 * entries++, plain, 4);
	}
	put_le(table, SEEKABLE_FRAME_MAGIC, 4);
	put_le(table + 4, 8 * entries + SEEKABLE_FOOTER_BYTES, 4);
	put_le(table + 8 + 8 * entries, entries, 4);
	table[12 + 8 * entries] = 0;
	put_le(table + 13 + 8 * entries, SEEKABLE_MAGIC, 4);
	put(NULL, table, 8 + 8 * entries + SEEKABLE_FOOTER_BYTES, NULL);
	free(scratch);
}

/* Where the memory is that both ends of a read stand in. */
static bool inside(uint64_t phys, size_t len)
{
	for (size_t i = 0; i < ranges.count; i++)
		if (phys >= ranges.at[i].start && phys + len - 1 <= ranges.at[i].end)
			return true;
	return false;
}

static void any_address(const char *format)
{
	static unsigned char buf[3 * MIB];
	size_t wrong = 0, read = 0, refused = 0;
	const struct decoder_ops *ops;

	if (strcmp(format, "zst of another") == 0)
		encode_foreign();
	else
		encode(format);
	ops = format[0] == 'r' ? decoder_find(format) : NULL;
	CHECK(dumpview_open(&view, fd, ops, &err) == 0);
	for (int i = 0; i < 400; i++) {
		uint64_t phys = next_random() % MEMORY;
		size_t len = 1 + next_random() % (i % 10 ? 20000 : sizeof(buf));

		/* Often where a range begins: its frame was seen in the survey. */
		if (i % 4 == 0)
			phys = ranges.at[i / 4 % 3].start;
		if (phys + len > MEMORY)
			continue;
		if (dumpview_read(&view, phys, buf, len, &err) < 0) {
			refused++;
			/* Raw has the holes too, and AVML has zeros there. */
			wrong += inside(phys, len);
			continue;
		}
		read++;
		if (inside(phys, len))
			wrong += memcmp(buf, memory + phys, len) != 0;
		else
			wrong += format[0] == 'l' || format[0] == 'z';
	}
	CHECK(!wrong);
	CHECK(read > 200);
	CHECK(refused || format[0] == 'a' || format[0] == 'r');
	CHECK(dumpview_read(&view, MEMORY, buf, 1, &err) < 0);
	CHECK(strstr(err.text, "the image has no memory at 0x1800000") != NULL);
	CHECK(dumpview_read(&view, UINT64_MAX, buf, 1, &err) < 0);
	dumpview_close(&view);
}

static void lime(void)
{
	any_address("lime");
}

static void avml(void)
{
	any_address("avml");
}

static void raw(void)
{
	any_address("raw");
}

static void zst(void)
{
	any_address("zst");
}

static void zst_of_another(void)
{
	any_address("zst of another");
}

/* Piece after piece shows all memory, also when something else is read in between. */
static void piece_after_piece(void)
{
	static const char *const formats[] = { "lime", "avml", "zst" };

	for (size_t f = 0; f < 3; f++) {
		struct decoder_piece piece;
		uint64_t phys = 0, seen = 0, wrong = 0;
		unsigned char byte;
		int more;

		encode(formats[f]);
		CHECK(dumpview_open(&view, fd, NULL, &err) == 0);
		while ((more = dumpview_piece(&view, phys, &piece, &err)) > 0) {
			CHECK(piece.phys + piece.len_bytes > phys);
			wrong += memcmp(piece.data, memory + piece.phys,
					piece.len_bytes) != 0;
			seen += piece.len_bytes;
			phys = piece.phys + piece.len_bytes;
			if (seen / MIB % 3 == 0)
				dumpview_read(&view, next_random() % MEMORY, &byte, 1,
					      &err);
		}
		CHECK(more == 0 && !wrong);
		CHECK(f == 1 ? seen > 8 * MIB : seen == ranges_bytes(&ranges));
		dumpview_close(&view);
	}
}

/* Damage costs what is damaged: the rest is read as before. */
static void damaged(void)
{
	static const char *const formats[] = { "avml", "zst" };

	for (size_t f = 0; f < 2; f++) {
		static unsigned char buf[4096];
		size_t lost = 0, good = 0, wrong = 0;
		unsigned char byte;
		off_t at;

		encode(formats[f]);
		at = lseek(fd, 0, SEEK_END) / 2;
		CHECK(pread(fd, &byte, 1, at) == 1);
		byte ^= 0x55;
		CHECK(pwrite(fd, &byte, 1, at) == 1);
		if (dumpview_open(&view, fd, NULL, &err) < 0) {
			CHECK(!"damage of data is not one of structure");
			continue;
		}
		for (uint64_t phys = 0x1000000; phys < 0x1800000; phys += 4096) {
			if (dumpview_read(&view, phys, buf, 4096, &err) < 0)
				lost++;
			else if (memcmp(buf, memory + phys, 4096) == 0)
				good++;
			else
				wrong++;
		}
		for (uint64_t phys = 0x100000; phys < 0xf00000; phys += 4096) {
			if (dumpview_read(&view, phys, buf, 4096, &err) < 0)
				lost++;
			else if (memcmp(buf, memory + phys, 4096) == 0)
				good++;
			else
				wrong++;
		}
		CHECK(!wrong && lost && lost <= CHUNK / 4096 && good > 4000);
		dumpview_close(&view);
	}
}

/* More stretches than places are remembered: some are given up, none is lost. */
static void many_stretches(void)
{
	/* An AVML block of 64 KiB whose bytes are all its number. */
	static unsigned char plain[64 * KIB];
	const size_t blocks = 5000;
	struct encoder_out out = { .put = put, .patch = patch };
	struct ranges one = { 1, { { 0, 0 } } };
	unsigned char *packed = malloc(encoder_avml.packed_bound(sizeof(plain)));
	void *scratch = aligned_alloc(
		64, (encoder_avml.scratch_bytes(sizeof(plain)) + 63) / 64 * 64);
	size_t wrong = 0;

	close(fd);
	fd = memfd_create("image", MFD_CLOEXEC);
	one.at[0].end = blocks * 2 * MIB - 1;
	CHECK(encoder_avml.begin(&state, &one, &out, &err) == 0);
	CHECK(encoder_avml.range(&state, &one.at[0], &err) == 0);
	for (size_t i = 0; i < blocks; i++) {
		const uint64_t phys = i * 2 * MIB;
		size_t n;

		memset(plain, 1 + (int)(i % 200), sizeof(plain));
		n = encoder_avml.pack(plain, sizeof(plain), packed, scratch);
		CHECK(encoder_avml.chunk(&state, phys, plain, sizeof(plain), packed, n,
					 false, &err) == 0);
		/* Zeros are left out; that they are zeros is the caller's word. */
		CHECK(encoder_avml.chunk(&state, phys + sizeof(plain), NULL,
					 2 * MIB - sizeof(plain), NULL, 0, true,
					 &err) == 0);
	}
	CHECK(encoder_avml.end(&state, &err) == 0);
	CHECK(dumpview_open(&view, fd, NULL, &err) == 0);
	CHECK(view.stride_bytes > MIB && view.count <= 4096);
	for (int i = 0; i < 2000; i++) {
		size_t block = next_random() % blocks;
		unsigned char byte = 0;

		wrong += dumpview_read(&view, block * 2 * MIB + 5, &byte, 1, &err) < 0 ||
			 byte != 1 + block % 200;
		if (block + 1 < blocks)
			wrong += dumpview_read(&view, block * 2 * MIB + MIB, &byte, 1,
					       &err) < 0 ||
				 byte != 0;
	}
	CHECK(!wrong);
	dumpview_close(&view);
	free(packed);
	free(scratch);
}

/* A LiME header of memory that no machine has. */
static void impossible(void)
{
	struct range range = { UINT64_MAX - 4095, UINT64_MAX };
	unsigned char header[LIME_HEADER_BYTES];

	close(fd);
	fd = memfd_create("image", MFD_CLOEXEC);
	lime_header(&range, header);
	put(NULL, header, sizeof(header), NULL);
	put(NULL, memory, 4096, NULL);
	CHECK(dumpview_open(&view, fd, NULL, &err) < 0);
	CHECK(strstr(err.text, "no machine has memory at 0xffffffffffffffff") != NULL);
	dumpview_close(&view);
}

int main(void)
{
	fill();
	RUN(lime);
	RUN(avml);
	RUN(raw);
	RUN(zst);
	RUN(zst_of_another);
	RUN(piece_after_piece);
	RUN(damaged);
	RUN(many_stretches);
	RUN(impossible);
	return DONE();
}
