/* SHA-256 by the cryptographic extension of ARMv8 (Arm ARM, SHA256H and on). */
#include "toolkit/lib/sha256_impl.h"

#ifdef __aarch64__

#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>

static bool usable(void)
{
	return getauxval(AT_HWCAP) & HWCAP_SHA2;
}

#define SHA __attribute__((target("+crypto"), always_inline)) static inline

SHA void words(const unsigned char *data, uint32x4_t w[4])
{
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
}

SHA void next_words(uint32x4_t w[4], int i)
{
	w[i % 4] = vsha256su1q_u32(vsha256su0q_u32(w[i % 4], w[(i + 1) % 4]),
				   w[(i + 2) % 4], w[(i + 3) % 4]);
}

/* As in sha256_x86.c: four rounds a step, and the four words of four steps later. */
SHA void run(uint32_t first[8], const unsigned char *data, uint32_t second[8],
	     const unsigned char *other, size_t count, const bool two, const bool same)
{
	uint32x4_t abcd = vld1q_u32(first), efgh = vld1q_u32(first + 4);
	uint32x4_t abcd2 = vld1q_u32(second), efgh2 = vld1q_u32(second + 4);

	for (; count; count--, data += SHA256_BLOCK, other += SHA256_BLOCK) {
		const uint32x4_t abcd_before = abcd, efgh_before = efgh;
		const uint32x4_t abcd2_before = abcd2, efgh2_before = efgh2;
		uint32x4_t w[4], w2[4];

		words(data, w);
		if (two && !same)
			words(other, w2);
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) {
			uint32x4_t k = vld1q_u32(sha256_k + 4 * i);
			uint32x4_t wk = vaddq_u32(w[i % 4], k);
			uint32x4_t wk2 = same ? wk : vaddq_u32(w2[i % 4], k);
			uint32x4_t abcd_old = abcd, abcd2_old = abcd2;

			if (i < 12)
				next_words(w, i);
			if (i < 12 && two && !same)
				next_words(w2, i);
			abcd = vsha256hq_u32(abcd, efgh, wk);
			efgh = vsha256h2q_u32(efgh, abcd_old, wk);
			if (two) {
				abcd2 = vsha256hq_u32(abcd2, efgh2, wk2);
				efgh2 = vsha256h2q_u32(efgh2, abcd2_old, wk2);
			}
		}
		abcd = vaddq_u32(abcd, abcd_before);
		efgh = vaddq_u32(efgh, efgh_before);
		abcd2 = vaddq_u32(abcd2, abcd2_before);
		efgh2 = vaddq_u32(efgh2, efgh2_before);
	}
	vst1q_u32(first, abcd);
	vst1q_u32(first + 4, efgh);
	if (two) {
		vst1q_u32(second, abcd2);
		vst1q_u32(second + 4, efgh2);
	}
}

__attribute__((target("+crypto"))) static void
blocks(uint32_t state[8], const unsigned char *data, size_t count)
{
	run(state, data, state, data, count, false, true);
}

__attribute__((target("+crypto"))) static void
pair(uint32_t first[8], const unsigned char *data, uint32_t second[8],
     const unsigned char *other, size_t count)
{
	if (data == other)
		run(first, data, second, other, count, true, true);
	else
		run(first, data, second, other, count, true, false);
}

const struct sha256_impl sha256_arm = { "ARMv8 SHA-256 instructions", usable, blocks,
					pair };

#endif
