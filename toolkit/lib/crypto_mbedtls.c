/* The room of mbedTLS's cryptography: the portable SHA-256, ECDSA on P-256, and PEM. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS /* to the state of a running hash */
#include <mbedtls/base64.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/sha1.h>
#include <mbedtls/sha256.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "toolkit/lib/base64.h"
#include "toolkit/lib/sha1_impl.h"
#include "toolkit/lib/sha256_impl.h"
#include "toolkit/lib/signature.h"

static bool always(void)
{
	return true;
}

static void portable_blocks(uint32_t state[8], const unsigned char *data, size_t blocks)
{
	mbedtls_sha256_context ctx;

	mbedtls_sha256_init(&ctx);
	memcpy(ctx.state, state, sizeof(ctx.state));
	/* Fails only for an accelerator that is not built. */
	for (; blocks; blocks--, data += SHA256_BLOCK)
		mbedtls_internal_sha256_process(&ctx, data);
	memcpy(state, ctx.state, sizeof(ctx.state));
}

const struct sha256_impl sha256_portable = { "portable", always, portable_blocks, NULL };

static void portable_sha1_blocks(uint32_t state[5], const unsigned char *data,
				 size_t blocks)
{
	mbedtls_sha1_context ctx;

	mbedtls_sha1_init(&ctx);
	memcpy(ctx.state, state, sizeof(ctx.state));
	for (; blocks; blocks--, data += SHA1_BLOCK)
		mbedtls_internal_sha1_process(&ctx, data);
	memcpy(state, ctx.state, sizeof(ctx.state));
}

const struct sha1_impl sha1_portable = { always, portable_sha1_blocks, NULL, NULL };

/* The kernel's, which the library would otherwise read from /dev. */
static int random_bytes(void *arg, unsigned char *out, size_t len)
{
	(void)arg;
	while (len) {
		ssize_t n = getrandom(out, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		out += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Takes what is wanted of a key that was read, if it is one on P-256. */
static bool take_key(const mbedtls_pk_context *pk, uint8_t *scalar,
		     uint8_t point[KEY_POINT_LEN])
{
	const mbedtls_ecp_keypair *pair;
	size_t len;

	if (mbedtls_pk_get_type(pk) != MBEDTLS_PK_ECKEY)
		return false;
	pair = mbedtls_pk_ec(*pk);
	if (mbedtls_ecp_keypair_get_group_id(pair) != MBEDTLS_ECP_DP_SECP256R1)
		return false;
	if (scalar && mbedtls_ecp_write_key_ext(pair, &len, scalar, 32) != 0)
		return false;
	return mbedtls_ecp_write_public_key(pair, MBEDTLS_ECP_PF_UNCOMPRESSED, &len,
					    point, KEY_POINT_LEN) == 0 &&
	       len == KEY_POINT_LEN;
}

bool crypto_public_parse(const char *pem, size_t len_bytes, uint8_t point[KEY_POINT_LEN])
{
	mbedtls_pk_context pk;
	bool done;

	mbedtls_pk_init(&pk);
	done = mbedtls_pk_parse_public_key(&pk, (const unsigned char *)pem,
					   len_bytes + 1) == 0 &&
	       take_key(&pk, NULL, point);
	mbedtls_pk_free(&pk);
	return done;
}

bool crypto_private_parse(const char *pem, size_t len_bytes, uint8_t scalar[32],
			  uint8_t point[KEY_POINT_LEN])
{
	mbedtls_pk_context pk;
	bool done;

	mbedtls_pk_init(&pk);
	done = mbedtls_pk_parse_key(&pk, (const unsigned char *)pem, len_bytes + 1, NULL,
				    0, random_bytes, NULL) == 0 &&
	       take_key(&pk, scalar, point) &&
	       /* A key whose public half is that of another is refused. */
	       mbedtls_ecp_check_pub_priv(mbedtls_pk_ec(pk), mbedtls_pk_ec(pk),
					  random_bytes, NULL) == 0;
	mbedtls_pk_free(&pk);
	return done;
}

bool crypto_private_make(uint8_t scalar[32], uint8_t point[KEY_POINT_LEN])
{
	mbedtls_ecp_keypair pair;
	size_t len;
	bool done;

	mbedtls_ecp_keypair_init(&pair);
	done = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, &pair, random_bytes, NULL) ==
		       0 &&
	       mbedtls_ecp_write_key_ext(&pair, &len, scalar, 32) == 0 &&
	       mbedtls_ecp_write_public_key(&pair, MBEDTLS_ECP_PF_UNCOMPRESSED, &len,
					    point, KEY_POINT_LEN) == 0 &&
	       len == KEY_POINT_LEN;
	mbedtls_ecp_keypair_free(&pair);
	return done;
}

bool crypto_pem(const char *label, const uint8_t *der, size_t len_bytes,
		char pem[KEY_PEM_MAX])
{
	char begin[64], end[64];
	size_t len;

	snprintf(begin, sizeof(begin), "-----BEGIN %s-----\n", label);
	snprintf(end, sizeof(end), "-----END %s-----\n", label);
	return mbedtls_pem_write_buffer(begin, end, der, len_bytes, (unsigned char *)pem,
					KEY_PEM_MAX, &len) == 0;
}

bool crypto_sign(const uint8_t scalar[32], const uint8_t digest[SHA256_LEN],
		 uint8_t der[SIGNATURE_MAX], size_t *len_bytes)
{
	mbedtls_ecp_keypair pair;
	bool done;

	mbedtls_ecp_keypair_init(&pair);
	/* MBEDTLS_ECDSA_DETERMINISTIC: the random numbers only blind the computation. */
	done = mbedtls_ecp_read_key(MBEDTLS_ECP_DP_SECP256R1, &pair, scalar, 32) == 0 &&
	       mbedtls_ecdsa_write_signature(&pair, MBEDTLS_MD_SHA256, digest, SHA256_LEN,
					     der, SIGNATURE_MAX, len_bytes, random_bytes,
					     NULL) == 0;
	mbedtls_ecp_keypair_free(&pair);
	return done;
}

bool crypto_verify(const uint8_t point[KEY_POINT_LEN], const uint8_t digest[SHA256_LEN],
		   const uint8_t *der, size_t len_bytes)
{
	mbedtls_ecp_keypair pair;
	mbedtls_ecp_point q;
	mbedtls_ecp_group group;
	bool good;

	mbedtls_ecp_keypair_init(&pair);
	mbedtls_ecp_point_init(&q);
	mbedtls_ecp_group_init(&group);
	good = mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1) == 0 &&
	       mbedtls_ecp_point_read_binary(&group, &q, point, KEY_POINT_LEN) == 0 &&
	       mbedtls_ecp_check_pubkey(&group, &q) == 0 &&
	       mbedtls_ecp_set_public_key(MBEDTLS_ECP_DP_SECP256R1, &pair, &q) == 0 &&
	       mbedtls_ecdsa_read_signature(&pair, digest, SHA256_LEN, der, len_bytes) ==
		       0;
	mbedtls_ecp_group_free(&group);
	mbedtls_ecp_point_free(&q);
	mbedtls_ecp_keypair_free(&pair);
	return good;
}

size_t base64_encode(const void *data, size_t len_bytes, char *out)
{
	size_t len = 0;

	mbedtls_base64_encode((unsigned char *)out, BASE64_SIZE(len_bytes), &len, data,
			      len_bytes);
	return len;
}

ssize_t base64_decode(const char *text, size_t text_len, void *out, size_t room)
{
	size_t len = 0;

	if (mbedtls_base64_decode(out, room, &len, (const unsigned char *)text,
				  text_len) != 0)
		return -1;
	return (ssize_t)len;
}
