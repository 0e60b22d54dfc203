#include "toolkit/lib/sha256.h"

#include <endian.h>
#include <string.h>

#include "toolkit/lib/sha256_impl.h"

_Static_assert(sizeof(struct sha256_running) <= sizeof(struct sha256),
	       "struct sha256 must hold the running hash");

_Alignas(16) const uint32_t sha256_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

const struct sha256_impl *const sha256_impls[] = {
#ifdef __x86_64__
	&sha256_x86,
#endif
#ifdef __aarch64__
	&sha256_arm,
#endif
	&sha256_portable, NULL
};

const struct sha256_impl *sha256_chosen(void)
{
	size_t i = 0;

	while (!sha256_impls[i]->usable())
		i++;
	return sha256_impls[i];
}

static struct sha256_running *inner(struct sha256 *ctx)
{
	return (struct sha256_running *)ctx->opaque;
}

void sha256_init_with(struct sha256 *ctx, const struct sha256_impl *impl)
{
	*inner(ctx) = (struct sha256_running){
		.state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
			   0x9b05688c, 0x1f83d9ab, 0x5be0cd19 },
		.impl = impl,
	};
}

void sha256_init(struct sha256 *ctx)
{
	sha256_init_with(ctx, sha256_chosen());
}

void sha256_update(struct sha256 *ctx, const void *data, size_t len_bytes)
{
	struct sha256_running *hash = inner(ctx);
	const unsigned char *from = data;
	size_t filled = (size_t)(hash->len_bytes % SHA256_BLOCK);
	size_t take = SHA256_BLOCK - filled;

	hash->len_bytes += len_bytes;
	if (filled && len_bytes >= take) {
		memcpy(hash->rest + filled, from, take);
		hash->impl->blocks(hash->state, hash->rest, 1);
		from += take;
		len_bytes -= take;
		filled = 0;
	}
	if (len_bytes >= SHA256_BLOCK) {
		hash->impl->blocks(hash->state, from, len_bytes / SHA256_BLOCK);
		from += len_bytes / SHA256_BLOCK * SHA256_BLOCK;
		len_bytes %= SHA256_BLOCK;
	}
	if (len_bytes)
		memcpy(hash->rest + filled, from, len_bytes);
}

/* Fills the block that is not whole yet; returns how many bytes that took, at most len.
 */
static size_t fill_block(struct sha256 *ctx, const void *data, size_t len_bytes)
{
	size_t take =
		(SHA256_BLOCK - inner(ctx)->len_bytes % SHA256_BLOCK) % SHA256_BLOCK;

	if (take > len_bytes)
		take = len_bytes;
	sha256_update(ctx, data, take);
	return take;
}

void sha256_update_two(struct sha256 *first, const void *data, size_t len_bytes,
		       struct sha256 *second, const void *other, size_t other_bytes)
{
	struct sha256_running *a = inner(first), *b = inner(second);
	const unsigned char *from = data, *from2 = other;
	size_t off = 0, off2 = 0;

	if (a->impl->pair && a->impl == b->impl) {
		size_t blocks, blocks2;

		off = fill_block(first, from, len_bytes);
		off2 = fill_block(second, from2, other_bytes);
		blocks = (len_bytes - off) / SHA256_BLOCK;
		blocks2 = (other_bytes - off2) / SHA256_BLOCK;
		blocks = blocks < blocks2 ? blocks : blocks2;
		a->impl->pair(a->state, from + off, b->state, from2 + off2, blocks);
		blocks *= SHA256_BLOCK;
		a->len_bytes += blocks;
		b->len_bytes += blocks;
		off += blocks;
		off2 += blocks;
	}
	sha256_update(first, from + off, len_bytes - off);
	sha256_update(second, from2 + off2, other_bytes - off2);
}

bool sha256_two_are_cheap(void)
{
	return sha256_chosen()->pair != NULL;
}

void sha256_final(struct sha256 *ctx, uint8_t digest[SHA256_LEN])
{
	struct sha256_running *hash = inner(ctx);
	uint64_t bits = htobe64(hash->len_bytes * 8);
	size_t filled = (size_t)(hash->len_bytes % SHA256_BLOCK);

	hash->rest[filled++] = 0x80;
	memset(hash->rest + filled, 0, SHA256_BLOCK - filled);
	if (filled > SHA256_BLOCK - sizeof(bits)) {
		hash->impl->blocks(hash->state, hash->rest, 1);
		memset(hash->rest, 0, SHA256_BLOCK);
	}
	memcpy(hash->rest + SHA256_BLOCK - sizeof(bits), &bits, sizeof(bits));
	hash->impl->blocks(hash->state, hash->rest, 1);
	for (int i = 0; i < 8; i++) {
		uint32_t word = htobe32(hash->state[i]);

		memcpy(digest + 4 * i, &word, sizeof(word));
	}
}

void sha256(const void *data, size_t len_bytes, uint8_t digest[SHA256_LEN])
{
	struct sha256 ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, data, len_bytes);
	sha256_final(&ctx, digest);
}

void sha256_to_hex(const uint8_t digest[SHA256_LEN], char hex[SHA256_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA256_LEN; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * SHA256_LEN] = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool sha256_from_hex(const char *hex, uint8_t digest[SHA256_LEN])
{
	for (size_t i = 0; i < SHA256_LEN; i++) {
		int high = nibble(hex[2 * i]);
		int low = high < 0 ? -1 : nibble(hex[2 * i + 1]);

		if (low < 0)
			return false;
		digest[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}
