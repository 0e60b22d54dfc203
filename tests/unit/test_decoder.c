/* The decoders of image formats: what encoders made, cut, changed, and hostile bytes. */
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "toolkit/lib/decoder.h"
#include "toolkit/lib/encoder_avml.h"
#include "toolkit/lib/le.h"
#include "toolkit/lib/lime.h"
#include "toolkit/lib/snappy.h"
#include "toolkit/lib/source_decoder.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define CHUNK (128 * KIB)
#define MEMORY (40 * MIB)

static uint8_t memory[MEMORY], back[MEMORY];
static uint8_t image[MEMORY + 2 * MIB];
static uint64_t image_len;
static struct ranges ranges;
static struct encoder_state state;
static struct decoder decoder;
static struct err err;

static int put(void *arg, const void *data, size_t len, struct err *why)
{
	(void)arg;
	(void)why;
	memcpy(image + image_len, data, len);
	image_len += len;
	return 0;
}

static int patch(void *arg, uint64_t off, const void *data, size_t len, struct err *why)
{
	(void)arg;
	(void)why;
	memcpy(image + off, data, len);
	return 0;
}

static bool is_zero(const uint8_t *at, size_t len)
{
	return len == 0 || (at[0] == 0 && memcmp(at, at + 1, len - 1) == 0);
}

static void encode_chunk(const struct encoder_ops *ops, uint64_t phys, size_t len)
{
	uint8_t *packed = malloc(ops->packed_bound(len));
	void *scratch = aligned_alloc(64, (ops->scratch_bytes(CHUNK) + 63) / 64 * 64);
	size_t n = ops->pack(memory + phys, len, packed, scratch);

	CHECK(ops->chunk(&state, phys, memory + phys, len, packed, n,
			 is_zero(memory + phys, len), &err) == 0);
	free(packed);
	free(scratch);
}

/* Makes the image of ranges. */
static void encode(const char *format, size_t chunk)
{
	const struct encoder_ops *ops = format[0] == 'a' ? &encoder_avml : &encoder_zst;
	struct encoder_out out = { .put = put, .patch = patch };

	image_len = 0;
	if (format[0] == 'r') {
		image_len = ranges.at[ranges.count - 1].end + 1;
		memset(image, 0, image_len);
	}
	if (format[0] == 'a' || format[0] == 'z')
		CHECK(ops->begin(&state, &ranges, &out, &err) == 0);
	for (size_t i = 0; i < ranges.count; i++) {
		const struct range *range = &ranges.at[i];
		uint64_t left = range_bytes(range), phys = range->start;

		if (format[0] == 'r') {
			memcpy(image + phys, memory + phys, left);
		} else if (format[0] == 'l') {
			lime_header(range, image + image_len);
			put(NULL, memory + phys, 0, NULL);
			image_len += LIME_HEADER_BYTES;
			put(NULL, memory + phys, left, NULL);
		} else {
			CHECK(ops->range(&state, range, &err) == 0);
			for (size_t n; left; left -= n, phys += n) {
				n = left < chunk ? (size_t)left : chunk;
				encode_chunk(ops, phys, n);
			}
		}
	}
	if (format[0] == 'a' || format[0] == 'z')
		CHECK(ops->end(&state, &err) == 0);
}

/* Decodes len bytes of the image into back. Returns 0 or -1 with err. */
static int decode(const char *format, uint64_t len, bool salvage,
		  const struct ranges *given)
{
	struct source_decoder sd;
	struct source source;
	int fd = memfd_create("image", MFD_CLOEXEC), rc = -1;

	CHECK(write(fd, image, len) == (ssize_t)len);
	memset(&err, 0, sizeof(err));
	if (decoder_open(&decoder, fd, decoder_find(format), salvage, &err) < 0 ||
	    decoder_survey(&decoder, given, &err) < 0 ||
	    decoder_start(&decoder, &err) < 0)
		goto out;
	source = source_decoder_open(&sd, &decoder, NULL);
	for (size_t i = 0; i < decoder.ranges.count; i++) {
		uint64_t phys = decoder.ranges.at[i].start;

		if (decoder.ranges.at[i].end >= MEMORY)
			goto finish;
		while (phys <= decoder.ranges.at[i].end) {
			uint64_t left = decoder.ranges.at[i].end - phys + 1;
			uint64_t lost = source.ops->hole(&source, phys, left);
			ssize_t n = (ssize_t)lost;

			memset(back + phys, 0, lost);
			if (!lost)
				n = source.ops->read(&source, phys, back + phys, left);
			if (n <= 0)
				goto finish;
			phys += (uint64_t)n;
		}
	}
finish:
	rc = source_decoder_finish(&sd, &err);
out:
	decoder_close(&decoder);
	close(fd);
	return rc;
}

static bool same_ranges(void)
{
	return decoder.ranges.count == ranges.count &&
	       !memcmp(decoder.ranges.at, ranges.at, ranges.count * sizeof(ranges.at[0]));
}

static bool lost_at(uint64_t phys)
{
	for (size_t i = 0; i < decoder.damages; i++)
		if (phys >= decoder.damage[i].range.start &&
		    phys <= decoder.damage[i].range.end)
			return true;
	return false;
}

/* Is every byte of what was decoded right, or listed as lost? */
static bool right_or_lost(void)
{
	for (size_t i = 0; i < decoder.ranges.count; i++) {
		const struct range *range = &decoder.ranges.at[i];

		if (range->end >= MEMORY)
			return false;
		for (uint64_t phys = range->start; phys <= range->end; phys++)
			if (back[phys] != memory[phys] && !lost_at(phys))
				return false;
	}
	return true;
}

static uint64_t seed = 0x9e3779b97f4a7c15;

static void fill_random(uint64_t at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		memory[at + i] = (uint8_t)(seed >> 32);
	}
}

static void fill_text(uint64_t at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		memory[at + i] =
			(uint8_t)((size_t) "the quick brown fox "[i % 20] + i / 400 % 7);
}

static void fill_mixed(uint64_t at, size_t len)
{
	memset(memory + at, 0, len);
	for (size_t off = 0, n; off < len; off += n) {
		n = len - off < 4096 ? len - off : 4096;
		if (off / 4096 % 5 == 1)
			fill_random(at + off, n);
		else if (off / 4096 % 5 > 2)
			fill_text(at + off, n);
	}
}

static void fill_zero(uint64_t at, size_t len)
{
	memset(memory + at, 0, len);
}

static void one_range(uint64_t start, uint64_t len)
{
	ranges.count = 1;
	ranges.at[0] = (struct range){ start, start + len - 1 };
}

/* Three ranges of odd lengths with mixed contents, few enough bytes to try each one. */
static void small_image(const char *format)
{
	ranges.count = 3;
	ranges.at[0] = (struct range){ 0x1000, 0x17ff };
	ranges.at[1] = (struct range){ 0x2000, 0x2abc };
	ranges.at[2] = (struct range){ 0x8001, 0x9000 };
	memset(memory, 0, 0x10000);
	seed = 88172645463325252;
	fill_text(0x1000, 0x800);
	fill_text(0x2000, 0xabd);
	fill_random(0x2400, 0x100);
	fill_text(0x8001, 0x1000);
	encode(format, 2 * KIB);
}

static void golden_bytes(void)
{
	/* clang-format off */
	static const uint8_t avml[] = {
		0x41, 0x56, 0x4d, 0x4c, 2, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0,
		0x3f, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0xff, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y',
		0xfe, 2, 0, 0, 0, 0,
		0, 0x0a, 0, 0, 0x45, 0x63, 0x4f, 0x8f, 0x40, 0, 'A', 0xfa, 1, 0,
		30, 0, 0, 0, 0, 0, 0, 0,
	};
	static const uint8_t lime[] = {
		'E', 'M', 'i', 'L', 1, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0,
		0x02, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c',
	};
	/* clang-format on */

	memset(memory, 0, 0x2000);
	memset(memory + 0x1000, 'A', 64);
	memcpy(image, avml, sizeof(avml));
	one_range(0x1000, 64);
	CHECK(decode("avml", sizeof(avml), false, NULL) == 0);
	CHECK_STR(err.text, "");
	CHECK(same_ranges() && !memcmp(back + 0x1000, memory + 0x1000, 64));
	memcpy(image, lime, sizeof(lime));
	one_range(0x1000, 3);
	CHECK(decode("lime", sizeof(lime), false, NULL) == 0);
	CHECK(same_ranges() && !memcmp(back + 0x1000, "abc", 3));
	CHECK(decode("raw", 3, false, NULL) == 0 && !memcmp(back, "EMi", 3));
	CHECK(decoder_recognise(lime, 4) == &decoder_lime);
	CHECK(decoder_recognise(avml, 4) == &decoder_avml);
	CHECK(!decoder_recognise(lime, 3) && !decoder_recognise(avml + 8, 4));
}

static void snappy_blocks(void)
{
	/* Section 2: a literal, copies of each width, one that overlaps itself. */
	static const uint8_t good[] = { 23,   8, 'a', 'b', 'c', 0x01, 3,
					0x16, 3, 0,   8,   'x', 'y',  'z',
					7,    3, 0,   0,   0,	0x05, 1 };
	static const uint8_t plain[] = "abcabcabcabcaxyzxyyyyyy";
	uint8_t out[SNAPPY_BLOCK_BYTES];

	CHECK(snappy_plain_bytes(good, sizeof(good)) == 23);
	CHECK(snappy_decode(good, sizeof(good), out, 23) == 23);
	CHECK(!memcmp(out, plain, 23));
	CHECK(snappy_decode(good, sizeof(good), out, 22) == 0);
	for (size_t cut = 0; cut < sizeof(good); cut++)
		CHECK(snappy_decode(good, cut, out, sizeof(out)) == 0);
	/* A copy from before the beginning, of no distance, and a length of nothing. */
	CHECK(snappy_decode("\4\0a\1\2", 5, out, sizeof(out)) == 0);
	CHECK(snappy_decode("\5\0a\1\0", 5, out, sizeof(out)) == 0);
	CHECK(snappy_decode("\0", 1, out, sizeof(out)) == 0);
	CHECK(snappy_plain_bytes("\xff\xff\xff\xff\xff", 5) == 0);
	CHECK(snappy_plain_bytes("\x81\x80\x04", 3) == 0);
	CHECK(snappy_plain_bytes("\x80\x80\x04", 3) == 65536);
}

static void (*const fills[])(uint64_t, size_t) = { fill_zero, fill_text, fill_mixed,
						   fill_random };

static void round_trips(void)
{
	static const size_t lens[] = { 1,	  4095,	     64 * KIB,	  64 * KIB + 1,
				       CHUNK - 1, CHUNK + 9, 3 * MIB + 77 };
	static const char *const formats[] = { "lime", "avml", "raw", "zst" };

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]) * 4 * 4; i++) {
		size_t len = lens[i / 16];
		const char *format = formats[i % 4];
		bool avml = format[0] == 'a';

		/* Random bytes fit in no AVML block, nor does a single byte. */
		if (avml && (i / 4 % 4 == 3 || len == 1))
			continue;
		memset(memory, 0, 0x200000);
		memset(back, 0xaa, 0x1000000);
		ranges.count = 2;
		ranges.at[0] = (struct range){ 0x1000, 0x1000 + len - 1 };
		ranges.at[1] = (struct range){ 0x400001, 0x400001 + len / 2 };
		fills[i / 4 % 4](0x1000, len);
		fills[i / 4 % 4](0x400001, len / 2 + 1);
		if (avml)
			fill_text(0x400001, len / 2 + 1);
		encode(format, CHUNK);
		CHECK(decode(format, image_len, false,
			     format[0] == 'r' || avml ? &ranges : NULL) == 0);
		CHECK_STR(err.text, "");
		CHECK(same_ranges());
		CHECK(!memcmp(back + 0x1000, memory + 0x1000, len));
		CHECK(!memcmp(back + 0x400001, memory + 0x400001, len / 2 + 1));
	}
}

/* Without ranges: what AVML left out is no memory, what is adjacent is one range. */
static void avml_without_ranges(void)
{
	one_range(MIB, 2 * MIB);
	fill_text(MIB, 2 * MIB);
	fill_zero(MIB + 4 * CHUNK, 2 * CHUNK);
	encode("avml", CHUNK);
	CHECK(decode("avml", image_len, false, NULL) == 0);
	CHECK(decoder.ranges.count == 2 && decoder.joined_bytes == 0);
	CHECK(decoder.ranges.at[0].start == MIB);
	CHECK(decoder.ranges.at[0].end == MIB + 4 * CHUNK - 1);
	CHECK(decoder.ranges.at[1].start == MIB + 6 * CHUNK);
	CHECK(decoder.stored_bytes == 2 * MIB - 2 * CHUNK);
	/* Blocks outside of the ranges that are given would be lost without a word. */
	one_range(MIB, 2 * MIB - 1);
	CHECK(decode("avml", image_len, false, &ranges) < 0);
	CHECK(strstr(err.text, "outside of the ranges") != NULL);
}

static void too_many_ranges_are_joined(void)
{
	size_t pages = RANGES_MAX + 700;

	one_range(0, 2 * pages * 4096);
	fill_zero(0, 2 * pages * 4096);
	for (size_t i = 0; i < pages; i++)
		fill_text(2 * i * 4096, 4096);
	/* A real hole stays. */
	fill_zero(16 * MIB, MIB);
	encode("avml", 4096);
	CHECK(decode("avml", image_len, false, NULL) == 0);
	CHECK(decoder.joined_bytes == 65536);
	CHECK(decoder.ranges.count == 2);
	CHECK(decoder.ranges.at[0].end == 16 * MIB - 4097);
	CHECK(right_or_lost());
}

/* Every length that is not the whole: an error that says where, and never a crash. */
static void truncated(const char *format)
{
	uint64_t whole, valid = 0;

	small_image(format);
	whole = image_len;
	for (uint64_t cut = 0; cut < whole; cut++) {
		memset(back, 0xaa, 0x10000);
		if (decode(format, cut, false, NULL) == 0) {
			/* Cut between blocks or ranges: a shorter image, all right. */
			valid++;
			CHECK(right_or_lost() && decoder.damages == 0);
		} else {
			CHECK(strstr(err.text, "byte") != NULL ||
			      strstr(err.text, "empty") != NULL);
		}
		memset(back, 0xaa, 0x10000);
		if (decode(format, cut, true, NULL) == 0)
			CHECK(right_or_lost());
		else
			CHECK(strstr(err.text, "holds no memory") != NULL ||
			      strstr(err.text, "empty") != NULL);
	}
	CHECK(valid == (format[0] == 'z' ? 0 : format[0] == 'l' ? 2 : 4));
}

static void truncated_lime(void)
{
	truncated("lime");
}

static void truncated_avml(void)
{
	truncated("avml");
}

static void truncated_zst(void)
{
	truncated("zst");
}

/* Every byte of what has checksums changed: seen, and salvage keeps the rest. */
static void changed(const char *format)
{
	int harmless = 0;

	small_image(format);
	for (uint64_t at = 0; at < image_len; at++) {
		for (int how = 0; how < 3; how++) {
			uint8_t was = image[at];

			image[at] ^= (uint8_t)(how == 0 ? 1 : how == 1 ? 0x80 : 0xff);
			memset(back, 0xaa, 0x10000);
			/* zstd has bits that mean nothing. */
			if (decode(format, image_len, false, NULL) == 0)
				CHECK(format[0] == 'z' && ++harmless < 20 &&
				      same_ranges() && right_or_lost());
			else
				CHECK(strstr(err.text, "byte") != NULL);
			memset(back, 0xaa, 0x10000);
			CHECK(decode(format, image_len, true, NULL) == 0);
			CHECK(right_or_lost());
			image[at] = was;
		}
	}
}

static void changed_avml(void)
{
	changed("avml");
}

static void changed_zst(void)
{
	changed("zst");
}

static void salvaged_chunk_costs_itself(void)
{
	uint64_t lost = 0;

	one_range(MIB, 4 * MIB);
	fill_mixed(MIB, 4 * MIB);
	encode("avml", CHUNK);
	image[image_len / 2] ^= 4;
	CHECK(decode("avml", image_len, false, NULL) < 0);
	CHECK(decode("avml", image_len, true, NULL) == 0);
	CHECK(decoder.damages == 1 && same_ranges() && right_or_lost());
	lost = range_bytes(&decoder.damage[0].range);
	CHECK(lost == SNAPPY_BLOCK_BYTES);
	CHECK(decoder.damage[0].off < image_len / 2 &&
	      decoder.damage[0].off > image_len / 2 - SNAPPY_BLOCK_BYTES);
	encode("zst", CHUNK);
	image[image_len / 2] ^= 4;
	CHECK(decode("zst", image_len, false, NULL) < 0);
	CHECK(decode("zst", image_len, true, NULL) == 0);
	CHECK(decoder.damages == 1 && same_ranges() && right_or_lost());
	CHECK(range_bytes(&decoder.damage[0].range) == CHUNK);
	/* The table as well: frame by frame. */
	image[image_len - 1] ^= 4;
	CHECK(decode("zst", image_len, false, NULL) < 0);
	CHECK(decode("zst", image_len, true, NULL) == 0);
	CHECK(decoder.damages == 2 && same_ranges() && right_or_lost());
}

static void salvaged_lime(void)
{
	ranges.count = 3;
	ranges.at[0] = (struct range){ 0x1000, 0x8fff };
	ranges.at[1] = (struct range){ 0x10000, 0x1ffff };
	ranges.at[2] = (struct range){ 0x30000, 0x30fff };
	fill_text(0, 0x40000);
	/* Memory that holds a LiME header, as that of a machine that was dumped does. */
	lime_header(&ranges.at[2], memory + 0x2000);
	lime_header(&ranges.at[2], memory + 0x12000);
	encode("lime", 0);
	/* The second header gone: the third range is found behind it. */
	image[0x8020] = 0;
	CHECK(decode("lime", image_len, false, NULL) < 0);
	CHECK(strstr(err.text, "no LiME header at byte 32800") != NULL);
	CHECK(decode("lime", image_len, true, NULL) == 0);
	CHECK(decoder.damages == 1 && decoder.ranges.count == 2 && right_or_lost());
	CHECK(decoder.damage[0].range.start > decoder.damage[0].range.end);
	CHECK(decoder.ranges.at[1].start == 0x30000);
	/* Its end changed so that it claims more than the file has. */
	encode("lime", 0);
	image[0x8020 + 20] = 1;
	CHECK(decode("lime", image_len, false, NULL) < 0);
	CHECK(decode("lime", image_len, true, NULL) == 0);
	CHECK(decoder.damages == 1 && same_ranges() && right_or_lost());
	/* Cut off: what is there, and what is missing by address. */
	encode("lime", 0);
	CHECK(decode("lime", 0x8020 + 32 + 100, true, NULL) == 0);
	CHECK(decoder.ranges.count == 2 && decoder.ranges.at[1].end == 0x10063);
	CHECK(decoder.damages == 1 && decoder.damage[0].range.start == 0x10064 &&
	      decoder.damage[0].range.end == 0x1ffff);
	CHECK(right_or_lost());
}

static void salvaged_raw(void)
{
	one_range(0x1000, 0x3000);
	fill_text(0, 0x4000);
	encode("raw", 0);
	CHECK(decode("raw", 0x3456, false, &ranges) < 0);
	CHECK(strstr(err.text, "at byte 13398") != NULL);
	CHECK(decode("raw", 0x3456, true, &ranges) == 0);
	CHECK(decoder.damages == 1 && decoder.damage[0].range.start == 0x3456);
	CHECK(same_ranges() && right_or_lost());
}

static void hostile_lengths(void)
{
	struct range range = { 0x1000, UINT64_MAX };
	static const uint64_t counts[] = { 1, 0x8000000, 0xffffffff };

	lime_header(&range, image);
	memset(image + 32, 1, 100);
	CHECK(decode("lime", 132, false, NULL) < 0);
	CHECK(decode("lime", 132, true, NULL) == 0);
	CHECK(ranges_bytes(&decoder.ranges) == 100);
	/* All of 2^64 bytes has a length of 0. */
	range.start = 0;
	lime_header(&range, image);
	CHECK(decode("lime", 132, false, NULL) < 0);
	CHECK(decode("lime", 132, true, NULL) < 0);
	/* A block that spans everything. */
	small_image("avml");
	put_le(image + 16, UINT64_MAX, 8);
	CHECK(decode("avml", image_len, false, NULL) < 0);
	CHECK(strstr(err.text, "16 MiB at byte 0") != NULL);
	for (size_t i = 0; i < 3; i++) {
		small_image("zst");
		put_le(image + image_len - 9, counts[i], 4);
		CHECK(decode("zst", image_len, false, NULL) < 0);
	}
	/* The ranges of two headers over one another. */
	small_image("lime");
	put_le(image + 0x800 + 32 + 8, 0x17ff, 8);
	CHECK(decode("lime", image_len, false, NULL) < 0);
	CHECK(strstr(err.text, "not above the one before it at byte 2080") != NULL);
}

static void hash_is_of_the_stream(void)
{
	static const volatile sig_atomic_t never;
	uint8_t expected[SHA256_LEN], digest[SHA256_LEN];
	int fd;

	small_image("lime");
	sha256(image, image_len, expected);
	small_image("zst");
	fd = memfd_create("image", MFD_CLOEXEC);
	CHECK(write(fd, image, image_len) == (ssize_t)image_len);
	CHECK(decoder_open(&decoder, fd, NULL, false, &err) == 0);
	CHECK(decoder_survey(&decoder, NULL, &err) == 0);
	for (int twice = 0; twice < 2; twice++) {
		CHECK(source_decoder_hash(&decoder, &never, digest, &err) == 0);
		CHECK(!memcmp(digest, expected, SHA256_LEN));
	}
	decoder_close(&decoder);
	close(fd);
}

int main(void)
{
	RUN(golden_bytes);
	RUN(snappy_blocks);
	RUN(round_trips);
	RUN(avml_without_ranges);
	RUN(too_many_ranges_are_joined);
	RUN(truncated_lime);
	RUN(truncated_avml);
	RUN(truncated_zst);
	RUN(changed_avml);
	RUN(changed_zst);
	RUN(salvaged_chunk_costs_itself);
	RUN(salvaged_lime);
	RUN(salvaged_raw);
	RUN(hostile_lengths);
	RUN(hash_is_of_the_stream);
	return DONE();
}
