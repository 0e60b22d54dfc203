/*
 * AES-GCM of the TLS library: the known answers of the algorithm's authors (McGrew and
 * Viega, test cases 1, 2, 4 and 16) on both kernels, and the kernels against each other
 * for every length that TLS may use.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/gcm.h>
#ifdef MBEDTLS_GCM_ALT
#include <mbedtls/gcm_own.h>
#endif

#include "tests/unit/check.h"

static size_t unhex(const char *hex, unsigned char *out)
{
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len; i++) {
		char digits[3] = { hex[2 * i], hex[2 * i + 1], 0 };

		out[i] = (unsigned char)strtoul(digits, NULL, 16);
	}
	return len;
}

static const struct {
	const char *key, *iv, *add, *plain, *cipher, *tag;
} cases[] = {
	{ "00000000000000000000000000000000", "000000000000000000000000", "", "", "",
	  "58e2fccefa7e3061367f1d57a4e7455a" },
	{ "00000000000000000000000000000000", "000000000000000000000000", "",
	  "00000000000000000000000000000000", "0388dace60b6a392f328c2b971b2fe78",
	  "ab6e47d42cec13bdf53a67b21257bddf" },
	{ "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
	  "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	  "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
	  "5bc94fbc3221a5db94fae95ae7121a47" },
	{ "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	  "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	  "76fc6ece0f4e1768cddf8853bb2d551b" },
};

static void known_answers(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned char key[32], iv[12], add[64], plain[64], cipher[64], tag[16];
		unsigned char out[64], got[16];
		unsigned int bits = (unsigned int)unhex(cases[i].key, key) * 8;
		size_t add_len = unhex(cases[i].add, add);
		size_t len = unhex(cases[i].plain, plain);
		mbedtls_gcm_context ctx;

		unhex(cases[i].iv, iv);
		unhex(cases[i].cipher, cipher);
		unhex(cases[i].tag, tag);
		mbedtls_gcm_init(&ctx);
		CHECK(mbedtls_gcm_setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key, bits) == 0);
		CHECK(mbedtls_gcm_crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, len, iv, 12,
						add, add_len, plain, out, 16, got) == 0);
		CHECK(memcmp(out, cipher, len) == 0);
		CHECK(memcmp(got, tag, 16) == 0);
		CHECK(mbedtls_gcm_auth_decrypt(&ctx, len, iv, 12, add, add_len, tag, 16,
					       cipher, out) == 0);
		CHECK(memcmp(out, plain, len) == 0);
		tag[15] ^= 1;
		CHECK(mbedtls_gcm_auth_decrypt(&ctx, len, iv, 12, add, add_len, tag, 16,
					       cipher,
					       out) == MBEDTLS_ERR_GCM_AUTH_FAILED);
		/* What did not authenticate is not handed out. */
		for (size_t k = 0; k < len; k++)
			CHECK(out[k] == 0);
		tag[15] ^= 1;
#ifdef MBEDTLS_GCM_ALT
		CHECK(mbedtls_gcm_own_crypt_and_tag(ctx.own, MBEDTLS_GCM_ENCRYPT, len, iv,
						    12, add, add_len, plain, out, 16,
						    got) == 0);
		CHECK(memcmp(out, cipher, len) == 0);
		CHECK(memcmp(got, tag, 16) == 0);
#endif
		mbedtls_gcm_free(&ctx);
	}
}

#ifdef MBEDTLS_GCM_ALT
static unsigned char in[40000], fast[40000], own[40000];

static void compare(mbedtls_gcm_context *ctx, size_t len, size_t add_len)
{
	unsigned char iv[12], fast_tag[16], own_tag[16];

	for (size_t i = 0; i < sizeof(iv); i++)
		iv[i] = (unsigned char)(len * 7 + i);
	CHECK(mbedtls_gcm_crypt_and_tag(ctx, MBEDTLS_GCM_ENCRYPT, len, iv, 12, in,
					add_len, in, fast, 16, fast_tag) == 0);
	CHECK(mbedtls_gcm_own_crypt_and_tag(ctx->own, MBEDTLS_GCM_ENCRYPT, len, iv, 12,
					    in, add_len, in, own, 16, own_tag) == 0);
	CHECK(memcmp(fast, own, len) == 0);
	CHECK(memcmp(fast_tag, own_tag, 16) == 0);
	/* In place, and back. */
	CHECK(mbedtls_gcm_auth_decrypt(ctx, len, iv, 12, in, add_len, own_tag, 16, fast,
				       fast) == 0);
	CHECK(memcmp(fast, in, len) == 0);
}

static void kernels_agree(void)
{
	static const unsigned int bits[] = { 128, 192, 256 };

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)(i * i >> 3);
	for (size_t k = 0; k < sizeof(bits) / sizeof(bits[0]); k++) {
		mbedtls_gcm_context ctx;

		mbedtls_gcm_init(&ctx);
		CHECK(mbedtls_gcm_setkey(&ctx, MBEDTLS_CIPHER_ID_AES, in + 100,
					 bits[k]) == 0);
		for (size_t len = 0; len <= 300; len++)
			compare(&ctx, len, len % 37);
		for (size_t len = 8100; len <= 8300; len++)
			compare(&ctx, len, 13);
		compare(&ctx, 16384, 5);
		compare(&ctx, sizeof(in), 13);
		mbedtls_gcm_free(&ctx);
	}
}

/* A processor without the instructions runs mbedTLS's own code, so say which ran. */
static void kernel_is_chosen_by_processor(void)
{
	unsigned char key[16] = { 0 };
	mbedtls_gcm_context ctx;

	mbedtls_gcm_init(&ctx);
	CHECK(mbedtls_gcm_setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key, 128) == 0);
	__builtin_cpu_init();
	CHECK(ctx.fast ==
	      (__builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul")));
	printf("  GCM by %s\n", ctx.fast ? "AES-NI and PCLMULQDQ" : "portable code");
	mbedtls_gcm_free(&ctx);
}

/* Odd nonces and the streaming calls are mbedTLS's own on every processor. */
static void other_calls(void)
{
	unsigned char key[16] = { 1 }, iv[16] = { 2 }, out[64], tag[16], again[16];
	mbedtls_gcm_context ctx;
	size_t len;

	mbedtls_gcm_init(&ctx);
	CHECK(mbedtls_gcm_setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key, 128) == 0);
	CHECK(mbedtls_gcm_crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, 33, iv, 12, key, 5, in,
					out, 16, tag) == 0);
	CHECK(mbedtls_gcm_starts(&ctx, MBEDTLS_GCM_ENCRYPT, iv, 12) == 0);
	CHECK(mbedtls_gcm_update_ad(&ctx, key, 5) == 0);
	CHECK(mbedtls_gcm_update(&ctx, in, 7, out, sizeof(out), &len) == 0);
	CHECK(mbedtls_gcm_update(&ctx, in + 7, 26, out, sizeof(out), &len) == 0);
	CHECK(mbedtls_gcm_finish(&ctx, out, sizeof(out), &len, again, 16) == 0);
	CHECK(memcmp(tag, again, 16) == 0);
	CHECK(mbedtls_gcm_crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, 33, iv, 16, key, 5, in,
					out, 16, tag) == 0);
	CHECK(mbedtls_gcm_crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, 33, iv, 0, key, 5, in,
					out, 16, tag) != 0);
	CHECK(mbedtls_gcm_crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, 33, iv, 12, key, 5, in,
					out, 3, tag) != 0);
	mbedtls_gcm_free(&ctx);
}
#endif

int main(void)
{
	RUN(known_answers);
#ifdef MBEDTLS_GCM_ALT
	RUN(kernels_agree);
	RUN(kernel_is_chosen_by_processor);
	RUN(other_calls);
#endif
	return DONE();
}
