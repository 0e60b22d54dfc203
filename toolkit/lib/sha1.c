#include "toolkit/lib/sha1.h"

#include <endian.h>
#include <string.h>

#include "toolkit/lib/sha1_impl.h"

struct running {
	uint32_t state[5];
	uint64_t len_bytes;
	const struct sha1_impl *impl;
	unsigned char rest[SHA1_BLOCK]; /* of a block that is not whole yet */
};

_Static_assert(sizeof(struct running) <= sizeof(struct sha1),
	       "struct sha1 must hold the running hash");

static struct running *inner(struct sha1 *ctx)
{
	return (struct running *)ctx->opaque;
}

void sha1_init_with(struct sha1 *ctx, const struct sha1_impl *impl)
{
	*inner(ctx) = (struct running){
		.state = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 },
		.impl = impl,
	};
}

void sha1_init(struct sha1 *ctx)
{
#ifdef __x86_64__
	if (sha1_x86.usable()) {
		sha1_init_with(ctx, &sha1_x86);
		return;
	}
#endif
	sha1_init_with(ctx, &sha1_portable);
}

void sha1_update(struct sha1 *ctx, const void *data, size_t len_bytes)
{
	struct running *hash = inner(ctx);
	const unsigned char *from = data;
	size_t filled = (size_t)(hash->len_bytes % SHA1_BLOCK);
	size_t take = SHA1_BLOCK - filled;

	hash->len_bytes += len_bytes;
	if (filled && len_bytes >= take) {
		memcpy(hash->rest + filled, from, take);
		hash->impl->blocks(hash->state, hash->rest, 1);
		from += take;
		len_bytes -= take;
		filled = 0;
	}
	if (len_bytes >= SHA1_BLOCK) {
		hash->impl->blocks(hash->state, from, len_bytes / SHA1_BLOCK);
		from += len_bytes / SHA1_BLOCK * SHA1_BLOCK;
		len_bytes %= SHA1_BLOCK;
	}
	if (len_bytes)
		memcpy(hash->rest + filled, from, len_bytes);
}

void sha1_update_both(struct sha1 *sha1, struct sha256 *sha256, const void *data,
		      size_t len_bytes)
{
	struct running *hash = inner(sha1);
	struct sha256_running *wide = (struct sha256_running *)sha256->opaque;
	const unsigned char *from = data;
	size_t filled = (size_t)(hash->len_bytes % SHA1_BLOCK);
	size_t head = filled ? SHA1_BLOCK - filled : 0, whole;

	if (!hash->impl->both || hash->impl->beside != wide->impl ||
	    wide->len_bytes % SHA1_BLOCK != filled || len_bytes < head + SHA1_BLOCK) {
		sha1_update(sha1, data, len_bytes);
		sha256_update(sha256, data, len_bytes);
		return;
	}
	sha1_update(sha1, from, head);
	sha256_update(sha256, from, head);
	from += head;
	whole = (len_bytes - head) / SHA1_BLOCK;
	hash->impl->both(hash->state, wide->state, from, whole);
	hash->len_bytes += whole * SHA1_BLOCK;
	wide->len_bytes += whole * SHA1_BLOCK;
	from += whole * SHA1_BLOCK;
	len_bytes -= head + whole * SHA1_BLOCK;
	sha1_update(sha1, from, len_bytes);
	sha256_update(sha256, from, len_bytes);
}

void sha1_final(struct sha1 *ctx, uint8_t digest[SHA1_LEN])
{
	struct running *hash = inner(ctx);
	uint64_t bits = htobe64(hash->len_bytes * 8);
	static const unsigned char padding[SHA1_BLOCK] = { 0x80 };
	size_t filled = (size_t)(hash->len_bytes % SHA1_BLOCK);
	size_t room = (filled < 56 ? 56 : 120) - filled;

	sha1_update(ctx, padding, room);
	sha1_update(ctx, &bits, sizeof(bits));
	for (int i = 0; i < 5; i++) {
		uint32_t word = htobe32(hash->state[i]);

		memcpy(digest + 4 * i, &word, sizeof(word));
	}
}

void sha1_to_hex(const uint8_t digest[SHA1_LEN], char hex[SHA1_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA1_LEN; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * SHA1_LEN] = '\0';
}
