/*
 * Every implementation that this machine has, chosen by force; and which one is chosen
 * when nobody does, which the first argument may name.
 */
#include "tests/unit/check.h"
#include "toolkit/lib/sha256_impl.h"

#define LENGTHS 601

static unsigned char data[LENGTHS];
static const struct sha256_impl *impl;
static const char *expected;

static void digest_of(size_t len, size_t first, size_t second, uint8_t out[SHA256_LEN])
{
	struct sha256 ctx;

	sha256_init_with(&ctx, impl);
	sha256_update(&ctx, data, first);
	sha256_update(&ctx, data + first, second - first);
	sha256_update(&ctx, data + second, len - second);
	sha256_final(&ctx, out);
}

static void fips_examples(void)
{
	static const struct {
		const char *text, *hex;
	} known[] = {
		{ "",
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc",
		  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];
	struct sha256 ctx;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		sha256_init_with(&ctx, impl);
		sha256_update(&ctx, known[i].text, strlen(known[i].text));
		sha256_final(&ctx, digest);
		sha256_to_hex(digest, hex);
		CHECK_STR(hex, known[i].hex);
	}
}

/* The digests of all lengths, hashed; the answer is Python's hashlib's. */
static void every_length(void)
{
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX_SIZE];
	struct sha256 all;

	sha256_init_with(&all, impl);
	for (size_t len = 0; len < LENGTHS; len++) {
		digest_of(len, 0, 0, digest);
		sha256_update(&all, digest, sizeof(digest));
	}
	sha256_final(&all, digest);
	sha256_to_hex(digest, hex);
	CHECK_STR(hex,
		  "bdff285571cc1cf31da3e88de1adea061383c17d24a3c531dd7e6bf4715bf3f1");
}

static void every_split(void)
{
	static const size_t lengths[] = { 55, 56, 63, 64, 65, 119, 120, 128, 200, 333 };
	uint8_t whole[SHA256_LEN], parts[SHA256_LEN];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t len = lengths[i];

		digest_of(len, 0, 0, whole);
		for (size_t first = 0; first <= len; first++) {
			for (size_t second = first; second <= len;
			     second += 1 + len / 9) {
				digest_of(len, first, second, parts);
				CHECK(memcmp(whole, parts, sizeof(whole)) == 0);
			}
		}
	}
}

/* Many blocks in one call, from every alignment, equal to the portable code. */
static void agrees_with_portable(void)
{
	static unsigned char many[64 * 1024 + 16];
	uint8_t one[SHA256_LEN], other[SHA256_LEN];
	struct sha256 ctx;

	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = (unsigned char)(i * i >> 5);
	for (size_t at = 0; at < 16; at++) {
		sha256_init_with(&ctx, impl);
		sha256_update(&ctx, many + at, sizeof(many) - 16);
		sha256_final(&ctx, one);
		sha256_init_with(&ctx, &sha256_portable);
		sha256_update(&ctx, many + at, sizeof(many) - 16);
		sha256_final(&ctx, other);
		CHECK(memcmp(one, other, sizeof(one)) == 0);
	}
}

/* Two hashes that stand at any two places of a block, fed together: as two would be. */
static void two_at_once(size_t before, size_t other, size_t len, size_t other_len,
			size_t at)
{
	uint8_t got[SHA256_LEN], want[SHA256_LEN];
	struct sha256 first, second, alone, alone2;

	sha256_init_with(&first, impl);
	sha256_init_with(&second, impl);
	sha256_update(&first, data, before);
	sha256_update(&second, data + 1, other);
	alone = first;
	alone2 = second;
	sha256_update_two(&first, data + 2, len, &second, data + at, other_len);
	sha256_update_two(&first, data + 3, 64, &second, data + 3, 64);
	sha256_update(&alone, data + 2, len);
	sha256_update(&alone2, data + at, other_len);
	sha256_update(&alone, data + 3, 64);
	sha256_update(&alone2, data + 3, 64);
	sha256_final(&first, got);
	sha256_final(&alone, want);
	CHECK(memcmp(got, want, sizeof(got)) == 0);
	sha256_final(&second, got);
	sha256_final(&alone2, want);
	CHECK(memcmp(got, want, sizeof(got)) == 0);
}

static void two_everywhere(void)
{
	for (size_t before = 0; before < 130; before += 13)
		for (size_t other = 0; other < 130; other += 26)
			for (size_t len = 0; len < LENGTHS - 130; len += 47) {
				two_at_once(before, other, len, len, 2);
				two_at_once(before, other, len, LENGTHS - 130 - len, 65);
			}
}

static void the_best_is_chosen(void)
{
	CHECK(sha256_chosen()->usable());
	CHECK(sizeof(struct sha256) <= 128);
	if (expected)
		CHECK_STR(sha256_chosen()->name, expected);
}

int main(int argc, char **argv)
{
	expected = argc > 1 ? argv[1] : NULL;
	/* The answer to every_length() was made of this pattern. */
	for (size_t i = 0; i < LENGTHS; i++)
		data[i] = (unsigned char)(i * 7 + i / 256 * 13 + 3);
	for (size_t i = 0; sha256_impls[i]; i++) {
		impl = sha256_impls[i];
		if (!impl->usable())
			continue;
		printf("%s:\n", impl->name);
		RUN(fips_examples);
		RUN(every_length);
		RUN(every_split);
		RUN(agrees_with_portable);
		RUN(two_everywhere);
	}
	RUN(the_best_is_chosen);
	return DONE();
}
