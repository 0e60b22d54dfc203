/* The encoders of image formats, judged by the independent readers. */
#include <stdbool.h>
#include <stdlib.h>

#include "tests/readers/image.h"
#include "tests/readers/unsnappy.h"
#include "tests/unit/check.h"
#include "toolkit/lib/crc32c.h"
#include "toolkit/lib/encoder_avml.h"
#include "toolkit/lib/snappy.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define CHUNK (256 * KIB)
#define MEMORY (80 * MIB)

/* Memory of the machine under test, by physical address, and the image made of it. */
static uint8_t memory[MEMORY];
static uint8_t output[MEMORY + 2 * MIB];
static uint64_t output_len;
static uint64_t output_room = sizeof(output);
static struct ranges ranges;
static struct encoder_state state;
static struct err err;

static int put(void *arg, const void *data, size_t len, struct err *why)
{
	(void)arg;
	if (len > output_room - output_len)
		return err_set(why, ERR_FAILED, "full");
	memcpy(output + output_len, data, len);
	output_len += len;
	return 0;
}

static int patch(void *arg, uint64_t off, const void *data, size_t len, struct err *why)
{
	(void)arg;
	(void)why;
	CHECK(off + len <= output_len);
	memcpy(output + off, data, len);
	return 0;
}

static bool is_zero(const uint8_t *at, size_t len)
{
	return len == 0 || (at[0] == 0 && memcmp(at, at + 1, len - 1) == 0);
}

static int encode_chunk(const struct encoder_ops *ops, uint64_t phys, size_t len)
{
	size_t bound = ops->packed_bound(len), packed_len = 0;
	uint8_t *packed = malloc(bound);
	void *scratch = aligned_alloc(64, (ops->scratch_bytes(CHUNK) + 63) / 64 * 64);
	bool zero = is_zero(memory + phys, len);
	int rc;

	if (!zero) {
		packed_len = ops->pack(memory + phys, len, packed, scratch);
		CHECK(packed_len > 0 && packed_len <= bound);
	}
	rc = ops->chunk(&state, phys, memory + phys, len, zero ? NULL : packed,
			packed_len, zero, &err);
	free(packed);
	free(scratch);
	return rc;
}

/* What the pipeline does, in one thread. */
static int encode(const struct encoder_ops *ops, size_t chunk_bytes, bool can_patch)
{
	struct encoder_out out = { .put = put, .patch = can_patch ? patch : NULL };

	output_len = 0;
	if (ops->begin(&state, &ranges, &out, &err) < 0)
		return -1;
	for (size_t i = 0; i < ranges.count; i++) {
		uint64_t left = range_bytes(&ranges.at[i]), phys = ranges.at[i].start;

		if (ops->range(&state, &ranges.at[i], &err) < 0)
			return -1;
		for (size_t n; left; left -= n, phys += n) {
			n = left < chunk_bytes ? (size_t)left : chunk_bytes;
			if (encode_chunk(ops, phys, n) < 0)
				return -1;
		}
	}
	return ops->end(&state, &err);
}

static void one_range(uint64_t start, uint64_t len)
{
	ranges.count = 1;
	ranges.at[0] = (struct range){ start, start + len - 1 };
}

/* Every byte of the image is the memory's; what the image lacks of the ranges is zero. */
static void check_image(enum image_format format)
{
	static uint8_t copy[16 * MIB];
	struct image image;
	size_t n = 0;

	CHECK(image_open(&image, output, output_len) == 0);
	if (image.why[0])
		printf("  %s\n", image.why);
	CHECK(output_len == 0 || image.format == format);
	for (size_t i = 0; i < ranges.count; i++) {
		uint64_t phys = ranges.at[i].start, end = ranges.at[i].end + 1;

		for (; n < image.count && image.at[n].start < end; n++) {
			const struct segment *at = &image.at[n];

			CHECK(at->start >= phys && at->start + at->len <= end);
			CHECK(is_zero(memory + phys, at->start - phys));
			for (uint64_t off = 0, m; off < at->len; off += m) {
				m = at->len - off < sizeof(copy) ? at->len - off
								 : sizeof(copy);
				CHECK(image_read(&image, n, off, copy, m) == 0);
				CHECK(!memcmp(copy, memory + at->start + off, m));
			}
			phys = at->start + at->len;
		}
		CHECK(is_zero(memory + phys, end - phys));
		CHECK(format == IMAGE_AVML || phys == end);
	}
	CHECK(n == image.count);
	image_close(&image);
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
	for (size_t i = 0; i < len;) {
		char line[64];
		size_t n =
			(size_t)snprintf(line, sizeof(line), "%zu: pid %zu on cpu %zu\n",
					 i / 7, i % 32749, i % 13);

		n = n < len - i ? n : len - i;
		memcpy(memory + at + i, line, n);
		i += n;
	}
}

/* Pages of all kinds, as memory is. */
static void fill_mixed(uint64_t at, size_t len)
{
	memset(memory + at, 0, len);
	for (size_t off = 0, n; off < len; off += n) {
		n = len - off < 4096 ? len - off : 4096;
		if (off / 4096 % 5 == 1)
			fill_random(at + off, n);
		else if (off / 4096 % 5 == 3)
			fill_text(at + off, n);
	}
}

static void fill_zero(uint64_t at, size_t len)
{
	memset(memory + at, 0, len);
}

static void fill_period(uint64_t at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		memory[at + i] = (uint8_t)(i % 11 + i / 3000);
}

static void (*const fills[])(uint64_t, size_t) = { fill_zero, fill_random, fill_text,
						   fill_mixed, fill_period };
#define FILLS (sizeof(fills) / sizeof(fills[0]))

static void crc_is_castagnoli(void)
{
	static const uint8_t zeros[32];

	/* RFC 3720, appendix B.4, and the usual check value. */
	CHECK(crc32c(0, zeros, 32) == 0x8a9136aa);
	CHECK(crc32c(0, "123456789", 9) == 0xe3069283);
	CHECK(crc32c(crc32c(0, "1234", 4), "56789", 5) == 0xe3069283);
	fill_random(0, 4 * KIB);
	for (size_t at = 0; at < 9; at++)
		for (size_t len = 0; len < 80; len++)
			CHECK(crc32c(7, memory + at, len) ==
			      crc32c_portable(7, memory + at, len));
}

static void snappy_round_trip(void)
{
	static const size_t lens[] = { 1,   2,	 3,   4,    5,	  15,	16,    17,
				       18,  59,	 60,  61,   62,	  64,	68,    255,
				       256, 257, 258, 4095, 4096, 4097, 65535, 65536 };
	static struct snappy_table table;
	uint8_t plain[SNAPPY_BLOCK_BYTES];

	memset(&table, 0xa5, sizeof(table));
	for (size_t i = 0; i < FILLS * sizeof(lens) / sizeof(lens[0]); i++) {
		size_t len = lens[i / FILLS], packed_len;
		uint8_t *data = malloc(len), *packed = malloc(len + 16);

		fills[i % FILLS](0, len);
		memcpy(data, memory, len);
		packed_len = snappy_encode(data, len, packed, len + 16, &table);
		CHECK(packed_len > 0 && packed_len < len + 16);
		CHECK(unsnappy(packed, packed_len, plain, len) == (long)len);
		CHECK(!memcmp(plain, data, len));
		free(data);
		free(packed);
	}
}

static void snappy_zeros_are_zeros(void)
{
	uint8_t packed[SNAPPY_ZEROS_MAX], plain[SNAPPY_BLOCK_BYTES];

	for (size_t len = 1; len <= SNAPPY_BLOCK_BYTES; len += len < 300 ? 1 : 4047) {
		size_t n = snappy_zeros(len, packed);

		CHECK(n <= sizeof(packed));
		CHECK(unsnappy(packed, n, plain, sizeof(plain)) == (long)len);
		CHECK(is_zero(plain, len));
	}
	CHECK(snappy_zeros(SNAPPY_BLOCK_BYTES, packed) <= sizeof(packed));
}

static void avml_golden(void)
{
	/* clang-format off */
	static const uint8_t before[] = {
		0x41, 0x56, 0x4d, 0x4c, 2, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0,
		0xff, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0xff, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y',
		0, 0xc8, 0, 0, 0xbc, 0xf5, 0x54, 0x46, 0x80, 0x20, 0, 'A',
	};
	static const uint8_t after[] = { 0xfa, 1, 0, 0xd6, 0, 0, 0, 0, 0, 0, 0 };
	/* clang-format on */

	memset(memory + 0x1000, 'A', 0x1000);
	one_range(0x1000, 0x1000);
	CHECK(encode(&encoder_avml, CHUNK, true) == 0);
	CHECK(output_len == sizeof(before) + (size_t)63 * 3 + sizeof(after));
	CHECK(!memcmp(output, before, sizeof(before)));
	for (size_t i = 0; i < 63; i++)
		CHECK(!memcmp(output + sizeof(before) + 3 * i, "\xfe\1\0", 3));
	CHECK(!memcmp(output + output_len - sizeof(after), after, sizeof(after)));
}

static void zst_golden(void)
{
	/* clang-format off */
	static const uint8_t expected[] = {
		0x28, 0xb5, 0x2f, 0xfd, 0x24, 32, 1, 1, 0,
		'E', 'M', 'i', 'L', 1, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0,
		0xff, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0xec, 0xc4, 0xce, 0xf6,
		0x28, 0xb5, 0x2f, 0xfd, 0xe4, 0, 0x10, 0, 0, 0, 0, 0, 0,
		3, 0x80, 0, 0, 0xdb, 0xbb, 0xd8, 0x32,
		0x5e, 0x2a, 0x4d, 0x18, 33, 0, 0, 0,
		45, 0, 0, 0, 32, 0, 0, 0, 0xec, 0xc4, 0xce, 0xf6,
		21, 0, 0, 0, 0, 0x10, 0, 0, 0xdb, 0xbb, 0xd8, 0x32,
		2, 0, 0, 0, 0x80, 0xb1, 0xea, 0x92, 0x8f,
	};
	/* clang-format on */

	fill_zero(0x1000, 0x1000);
	one_range(0x1000, 0x1000);
	CHECK(encode(&encoder_zst, CHUNK, false) == 0);
	CHECK(output_len == sizeof(expected));
	CHECK(!memcmp(output, expected, sizeof(expected)));
	check_image(IMAGE_ZST);
}

/* Lengths around the edges of pages, snappy's blocks and chunks. */
static void round_trips(void)
{
	static const size_t lens[] = { 2 * KIB,	       4 * KIB,	     64 * KIB - 1,
				       64 * KIB,       64 * KIB + 1, 3 * CHUNK - 9,
				       20 * MIB + 4096 };

	for (size_t i = 0; i < FILLS * sizeof(lens) / sizeof(lens[0]); i++) {
		size_t len = lens[i / FILLS];
		void (*fill)(uint64_t, size_t) = fills[i % FILLS];

		fill(0x5000, len);
		one_range(0x5000, len);
		for (int seek = 0; seek < 2; seek++) {
			int rc = encode(&encoder_avml, i % 2 ? CHUNK : 64 * KIB, seek);

			CHECK(rc == (fill == fill_random ? -1 : 0));
			CHECK(encoder_avml_did_not_fit(&state, NULL) == (rc < 0));
			if (rc == 0)
				check_image(IMAGE_AVML);
		}
		CHECK(encode(&encoder_zst, i % 2 ? CHUNK : 64 * KIB, false) == 0);
		check_image(IMAGE_ZST);
	}
}

static void ranges_from_zero_and_of_a_byte(void)
{
	ranges.count = 3;
	ranges.at[0] = (struct range){ 0, 0x9fbff };
	ranges.at[1] = (struct range){ 0x100000, 0x5fffff };
	ranges.at[2] = (struct range){ 0x600001, 0x600001 };
	fill_mixed(0, 0x9fc00);
	fill_text(0, 0x1000);
	fill_text(0x100000, 0x500000);
	memory[0x600001] = 0;
	for (int seek = 0; seek < 2; seek++) {
		CHECK(encode(&encoder_avml, CHUNK, seek) == 0);
		check_image(IMAGE_AVML);
		CHECK(encoder_avml_complete_bytes(&state) == output_len);
	}
	/* No stream is shorter than nothing. */
	memory[0x600001] = 1;
	for (int seek = 0; seek < 2; seek++) {
		CHECK(encode(&encoder_avml, CHUNK, seek) < 0);
		CHECK(encoder_avml_did_not_fit(&state, NULL));
	}
	CHECK(encode(&encoder_zst, CHUNK, true) == 0);
	check_image(IMAGE_ZST);
}

/* Random memory with something before or behind it that leaves room. */
static void avml_merges(void)
{
	uint64_t phys;

	/* Behind it. */
	one_range(MIB, 16 * MIB);
	fill_random(MIB, 12 * MIB);
	fill_text(13 * MIB, 4 * MIB);
	for (int seek = 0; seek < 2; seek++) {
		CHECK(encode(&encoder_avml, CHUNK, seek) == 0);
		check_image(IMAGE_AVML);
	}
	/* Zeros behind it: enough of them are stored. */
	fill_zero(13 * MIB, 4 * MIB);
	for (int seek = 0; seek < 2; seek++) {
		CHECK(encode(&encoder_avml, CHUNK, seek) == 0);
		check_image(IMAGE_AVML);
	}
	/* Only before it: data, then zeros that were left out already. */
	fill_text(MIB, 6 * MIB);
	fill_random(7 * MIB, 10 * MIB);
	CHECK(encode(&encoder_avml, CHUNK, true) == 0);
	check_image(IMAGE_AVML);
	fill_zero(MIB, 6 * MIB);
	for (int seek = 0; seek < 2; seek++) {
		CHECK(encode(&encoder_avml, CHUNK, seek) == 0);
		check_image(IMAGE_AVML);
		CHECK(output_len < 10 * MIB + 64 * KIB);
	}
	/* A block is 16 MiB at most, so random memory around the first page of text can
	 * be 32 MiB less a chunk on either side of it at most. */
	one_range(MIB, 48 * MIB);
	fill_random(MIB, 48 * MIB);
	fill_text(16 * MIB, CHUNK);
	CHECK(encode(&encoder_avml, CHUNK, true) < 0);
	CHECK(encoder_avml_did_not_fit(&state, &phys) && phys > 16 * MIB);
}

static void avml_refuses_64_mib_of_random(void)
{
	char address[64];
	uint64_t phys;

	one_range(MIB, 66 * MIB);
	fill_text(MIB, MIB);
	fill_random(2 * MIB, 64 * MIB);
	fill_text(66 * MIB, MIB);
	for (int seek = 0; seek < 2; seek++) {
		memset(&err, 0, sizeof(err));
		CHECK(encode(&encoder_avml, CHUNK, seek) < 0);
		CHECK(err.kind == ERR_FAILED);
		CHECK(encoder_avml_did_not_fit(&state, &phys));
		CHECK(phys >= 2 * MIB && phys < 34 * MIB);
		snprintf(address, sizeof(address), "incompressible at 0x%llx",
			 (unsigned long long)phys);
		CHECK(strstr(err.text, address) == err.text);
		/* What is complete opens, and is all that stands before the address. */
		output_len = encoder_avml_complete_bytes(&state);
		one_range(MIB, phys - MIB);
		check_image(IMAGE_AVML);
		one_range(MIB, 66 * MIB);
	}
	CHECK(encode(&encoder_zst, CHUNK, false) == 0);
	check_image(IMAGE_ZST);
}

/* A write that fails is an error of its own and no reason to take another format. */
static void full_output(void)
{
	one_range(MIB, 4 * MIB);
	fill_mixed(MIB, 4 * MIB);
	for (output_room = 0; output_room < 3 * MIB; output_room += 99999) {
		CHECK(encode(&encoder_avml, CHUNK, true) < 0 || output_len < output_room);
		CHECK(!encoder_avml_did_not_fit(&state, NULL));
		CHECK(encoder_avml_complete_bytes(&state) <= output_len);
		CHECK(encode(&encoder_zst, CHUNK, true) < 0 || output_len < output_room);
	}
	output_room = sizeof(output);
}

/* The reader must see what Volatility would not survive. */
static void reader_refuses_a_long_stream(void)
{
	struct image image;

	one_range(MIB, MIB);
	fill_random(MIB, MIB);
	CHECK(encode(&encoder_avml, CHUNK, true) < 0);
	/* The block as it was left, with the end and the length that it would have had.
	 */
	memcpy(output + 16, (const uint64_t[]){ 2 * MIB - 1 }, 8);
	memcpy(output + output_len, (const uint64_t[]){ output_len - 32 }, 8);
	CHECK(image_open(&image, output, output_len + 8) < 0);
	CHECK(strstr(image.why, "longer than it") != NULL);
	image_close(&image);
}

int main(void)
{
	RUN(crc_is_castagnoli);
	RUN(snappy_round_trip);
	RUN(snappy_zeros_are_zeros);
	RUN(avml_golden);
	RUN(zst_golden);
	RUN(round_trips);
	RUN(ranges_from_zero_and_of_a_byte);
	RUN(avml_merges);
	RUN(avml_refuses_64_mib_of_random);
	RUN(full_output);
	RUN(reader_refuses_a_long_stream);
	return DONE();
}
