/* SHA-1 by the processor's instructions, where it has them, and by the portable code. */
#include "tests/unit/check.h"
#include "toolkit/lib/sha1_impl.h"

#define LENGTHS 601

static unsigned char data[LENGTHS];
static const struct sha1_impl *impl;

static void digest_of(size_t len, size_t first, uint8_t out[SHA1_LEN])
{
	struct sha1 ctx;

	sha1_init_with(&ctx, impl);
	sha1_update(&ctx, data, first);
	sha1_update(&ctx, data + first, len - first);
	sha1_final(&ctx, out);
}

static void fips_examples(void)
{
	static const char *const known[][2] = {
		{ "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
		{ "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
	};
	uint8_t digest[SHA1_LEN];
	char hex[SHA1_HEX_SIZE];
	struct sha1 ctx;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		sha1_init_with(&ctx, impl);
		sha1_update(&ctx, known[i][0], strlen(known[i][0]));
		sha1_final(&ctx, digest);
		sha1_to_hex(digest, hex);
		CHECK_STR(hex, known[i][1]);
	}
}

/* The digests of all lengths, hashed; the answer is Python's hashlib's. */
static void every_length(void)
{
	uint8_t digest[SHA1_LEN];
	char hex[SHA1_HEX_SIZE];
	struct sha1 all;

	sha1_init_with(&all, impl);
	for (size_t len = 0; len < LENGTHS; len++) {
		digest_of(len, 0, digest);
		sha1_update(&all, digest, sizeof(digest));
	}
	sha1_final(&all, digest);
	sha1_to_hex(digest, hex);
	CHECK_STR(hex, "785a051a108d842631188dc65c136f1fe7fdd141");
}

static void every_split(void)
{
	static const size_t lengths[] = { 55, 56, 63, 64, 65, 119, 120, 128, 200, 333 };
	uint8_t whole[SHA1_LEN], parts[SHA1_LEN];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		digest_of(lengths[i], 0, whole);
		for (size_t first = 0; first <= lengths[i]; first++) {
			digest_of(lengths[i], first, parts);
			CHECK(memcmp(whole, parts, sizeof(whole)) == 0);
		}
	}
}

/* Many blocks in one call, from every alignment, equal to the portable code. */
static void agrees_with_portable(void)
{
	static unsigned char many[64 * 1024 + 16];
	uint8_t one[SHA1_LEN], other[SHA1_LEN];
	struct sha1 ctx;

	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = (unsigned char)(i * i >> 5);
	for (size_t at = 0; at < 16; at++) {
		sha1_init_with(&ctx, impl);
		sha1_update(&ctx, many + at, sizeof(many) - 16);
		sha1_final(&ctx, one);
		sha1_init_with(&ctx, &sha1_portable);
		sha1_update(&ctx, many + at, sizeof(many) - 16);
		sha1_final(&ctx, other);
		CHECK(memcmp(one, other, sizeof(one)) == 0);
	}
}

/* Both hashes that stand at any two places of a block, fed together. */
static void both_at_once(void)
{
	uint8_t one[SHA256_LEN], want[SHA256_LEN];
	struct sha256 wide, wide_alone;
	struct sha1 first, alone;

	for (size_t before = 0; before < 130; before += 13)
		for (size_t other = 0; other < 130; other += 26)
			for (size_t len = 0; len < LENGTHS - 130; len += 47) {
				sha1_init_with(&first, impl);
				sha256_init(&wide);
				sha1_update(&first, data, before);
				sha256_update(&wide, data + 1, other);
				sha1_update_both(&first, &wide, data + 2, len);
				sha1_update_both(&first, &wide, data + 3, 64);
				sha1_final(&first, one);
				sha1_init_with(&alone, &sha1_portable);
				sha1_update(&alone, data, before);
				sha1_update(&alone, data + 2, len);
				sha1_update(&alone, data + 3, 64);
				sha1_final(&alone, want);
				CHECK(memcmp(one, want, SHA1_LEN) == 0);
				sha256_final(&wide, one);
				sha256_init_with(&wide_alone, &sha256_portable);
				sha256_update(&wide_alone, data + 1, other);
				sha256_update(&wide_alone, data + 2, len);
				sha256_update(&wide_alone, data + 3, 64);
				sha256_final(&wide_alone, want);
				CHECK(memcmp(one, want, SHA256_LEN) == 0);
			}
}

static void run(const struct sha1_impl *with)
{
	impl = with;
	RUN(fips_examples);
	RUN(every_length);
	RUN(every_split);
	RUN(agrees_with_portable);
	RUN(both_at_once);
}

int main(void)
{
	/* The answer to every_length() was made of this pattern. */
	for (size_t i = 0; i < LENGTHS; i++)
		data[i] = (unsigned char)(i * 7 + i / 256 * 13 + 3);
#ifdef __x86_64__
	if (sha1_x86.usable())
		run(&sha1_x86);
#endif
	run(&sha1_portable);
	return DONE();
}
