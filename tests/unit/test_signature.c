#include <fcntl.h>
#include <stdlib.h>

#include "tests/unit/check.h"
#include "toolkit/lib/signature.h"

static void unhex(const char *hex, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned byte;

		CHECK(sscanf(hex + 2 * i, "%2x", &byte) == 1);
		out[i] = (uint8_t)byte;
	}
}

/* RFC 6979, A.2.5. */
static const char scalar_hex[] =
	"c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
static const char point_hex[] =
	"0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
	"7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";

static void rfc6979_key(struct private_key *key)
{
	char pem[KEY_PEM_MAX];
	struct err err = { 0 };

	memset(key, 0, sizeof(*key));
	unhex(scalar_hex, key->scalar, 32);
	unhex(point_hex, key->public.point, KEY_POINT_LEN);
	/* Through PEM and back: the id is made, the halves are compared. */
	CHECK(private_key_pem(key, pem, &err) == 0);
	CHECK(private_key_parse(pem, strlen(pem), key, &err) == 0);
}

/* DER of the integers r and s in hex. */
static size_t der_of(const char *r, const char *s, uint8_t *der)
{
	size_t at = 2;

	for (int i = 0; i < 2; i++) {
		uint8_t number[32];
		const char *hex = i ? s : r;

		unhex(hex, number, 32);
		der[at++] = 2;
		der[at++] = (uint8_t)(32 + (number[0] >> 7));
		if (number[0] >> 7)
			der[at++] = 0;
		memcpy(der + at, number, 32);
		at += 32;
	}
	der[0] = 0x30;
	der[1] = (uint8_t)(at - 2);
	return at;
}

static void rfc6979_vectors(void)
{
	static const struct {
		const char *message, *r, *s;
	} vectors[] = {
		{ "sample",
		  "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
		  "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8" },
		{ "test",
		  "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
		  "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083" },
	};
	struct private_key key;

	rfc6979_key(&key);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		uint8_t digest[SHA256_LEN], der[SIGNATURE_MAX], expected[SIGNATURE_MAX];
		struct err err = { 0 };
		size_t len, want = der_of(vectors[i].r, vectors[i].s, expected);

		sha256(vectors[i].message, strlen(vectors[i].message), digest);
		CHECK(signature_make(&key, digest, der, &len, &err) == 0);
		CHECK(len == want && memcmp(der, expected, want) == 0);
	}
	private_key_wipe(&key);
}

/* n - s is as good as s: "sample" above has the large one, its other half is small. */
static void both_halves_of_s(void)
{
	struct private_key key;
	uint8_t digest[SHA256_LEN], der[SIGNATURE_MAX];
	struct err err = { 0 };
	size_t len;

	rfc6979_key(&key);
	sha256("sample", 6, digest);
	len = der_of("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
		     "0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9",
		     der);
	CHECK(signature_check(&key.public, digest, der, len, &err) == 0);
}

static void every_change_is_refused(void)
{
	struct private_key key, other;
	uint8_t digest[SHA256_LEN], der[SIGNATURE_MAX + 1] = { 0 },
							bad[SIGNATURE_MAX + 1];
	struct err err = { 0 };
	size_t len;

	rfc6979_key(&key);
	CHECK(private_key_make(&other, &err) == 0);
	sha256("test", 4, digest);
	CHECK(signature_make(&key, digest, der, &len, &err) == 0);
	CHECK(signature_check(&key.public, digest, der, len, &err) == 0);
	for (size_t i = 0; i < len; i++) {
		CHECK(signature_check(&key.public, digest, der, i, &err) < 0);
		memcpy(bad, der, len);
		bad[i] ^= 1;
		CHECK(signature_check(&key.public, digest, bad, len, &err) < 0);
		CHECK(err.kind == ERR_NO);
	}
	CHECK(signature_check(&key.public, digest, der, len + 1, &err) < 0);
	CHECK(signature_check(&other.public, digest, der, len, &err) < 0);
	digest[31] ^= 1;
	CHECK(signature_check(&key.public, digest, der, len, &err) < 0);
}

static void other_spellings_are_refused(void)
{
	static const struct {
		size_t len;
		uint8_t der[12];
	} cases[] = {
		{ 8, { 0x30, 6, 2, 1, 1, 2, 1, 1 } }, /* the good one */
		{ 9, { 0x30, 7, 2, 2, 0, 1, 2, 1, 1 } },
		{ 9, { 0x30, 0x81, 6, 2, 1, 1, 2, 1, 1 } },
		{ 8, { 0x30, 6, 2, 1, 0, 2, 1, 1 } },
		{ 8, { 0x30, 6, 2, 1, 0x81, 2, 1, 1 } },
		{ 9, { 0x30, 6, 2, 1, 1, 2, 1, 1, 0 } },
		{ 9, { 0x30, 7, 2, 1, 1, 2, 1, 1, 0 } },
		{ 8, { 0x31, 6, 2, 1, 1, 2, 1, 1 } },
		{ 8, { 0x30, 6, 2, 1, 1, 3, 1, 1 } },
		{ 8, { 0x30, 6, 2, 1, 1, 2, 2, 1 } },
		{ 7, { 0x30, 5, 2, 1, 1, 2, 0 } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK(signature_is_der(cases[i].der, cases[i].len) == (i == 0));
}

static void keys_go_round(void)
{
	struct private_key key, again;
	struct public_key public;
	char pem[KEY_PEM_MAX];
	struct err err = { 0 };

	CHECK(private_key_make(&key, &err) == 0);
	CHECK(private_key_pem(&key, pem, &err) == 0);
	CHECK(strncmp(pem, "-----BEGIN PRIVATE KEY-----\n", 28) == 0);
	CHECK(private_key_parse(pem, strlen(pem), &again, &err) == 0);
	CHECK(memcmp(&key, &again, sizeof(key)) == 0);
	CHECK(public_key_parse(pem, strlen(pem), &public, &err) < 0);
	CHECK(public_key_pem(&key.public, pem, &err) == 0);
	CHECK(public_key_parse(pem, strlen(pem), &public, &err) == 0);
	CHECK(memcmp(&key.public, &public, sizeof(public)) == 0);
	CHECK(private_key_parse(pem, strlen(pem), &again, &err) < 0);
	/* The public half of another key. */
	key.public.point[64] ^= 1;
	CHECK(private_key_pem(&key, pem, &err) == 0);
	CHECK(private_key_parse(pem, strlen(pem), &again, &err) < 0);
	CHECK(public_key_pem(&key.public, pem, &err) == 0);
	CHECK(public_key_parse(pem, strlen(pem), &public, &err) < 0);
}

int main(void)
{
	RUN(rfc6979_vectors);
	RUN(both_halves_of_s);
	RUN(every_change_is_refused);
	RUN(other_spellings_are_refused);
	RUN(keys_go_round);
	return DONE();
}
