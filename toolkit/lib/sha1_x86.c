/* SHA-1 by the SHA extensions of x86 (Intel SDM volume 2, SHA1RNDS4 and on). */
#include "toolkit/lib/sha1_impl.h"

#ifdef __x86_64__

#include <immintrin.h>

static bool usable(void)
{
	return __builtin_cpu_supports("sha") && __builtin_cpu_supports("ssse3");
}

/* Four rounds of each of the four functions of FIPS 180-4, 4.1.1, twenty rounds each:
 * which one is a part of the instruction. */
__attribute__((target("sha,ssse3"), always_inline)) static inline __m128i
rounds(__m128i abcd, __m128i e, int function)
{
	switch (function) {
	case 0:
		return _mm_sha1rnds4_epu32(abcd, e, 0);
	case 1:
		return _mm_sha1rnds4_epu32(abcd, e, 1);
	case 2:
		return _mm_sha1rnds4_epu32(abcd, e, 2);
	default:
		return _mm_sha1rnds4_epu32(abcd, e, 3);
	}
}

/*
 * Sixteen words of the schedule stand in four registers, the first one of each highest;
 * each step does four rounds and makes the four words that are needed four steps later.
 * The fifth word of the state comes from what the other four were a step before.
 */
__attribute__((target("sha,ssse3"))) static void
blocks(uint32_t state[5], const unsigned char *data, size_t count)
{
	const __m128i reversed = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
	__m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0x1b);
	__m128i e = _mm_set_epi32((int)state[4], 0, 0, 0);

	for (; count; count--, data += SHA1_BLOCK) {
		const __m128i abcd_before = abcd, e_before = e;
		__m128i before = abcd, w[4];

#pragma GCC unroll 4
		for (int i = 0; i < 4; i++)
			w[i] = _mm_shuffle_epi8(
				_mm_loadu_si128((const __m128i *)data + i), reversed);
#pragma GCC unroll 20
		for (int i = 0; i < 20; i++) {
			e = i ? _mm_sha1nexte_epu32(before, w[i % 4])
			      : _mm_add_epi32(e, w[0]);
			before = abcd;
			abcd = rounds(abcd, e, i / 5);
			if (i >= 16)
				continue;
			w[i % 4] = _mm_sha1msg1_epu32(w[i % 4], w[(i + 1) % 4]);
			w[i % 4] = _mm_xor_si128(w[i % 4], w[(i + 2) % 4]);
			w[i % 4] = _mm_sha1msg2_epu32(w[i % 4], w[(i + 3) % 4]);
		}
		e = _mm_sha1nexte_epu32(before, e_before);
		abcd = _mm_add_epi32(abcd, abcd_before);
	}
	_mm_storeu_si128((__m128i *)state, _mm_shuffle_epi32(abcd, 0x1b));
	state[4] = (uint32_t)_mm_extract_epi16(e, 6) | (uint32_t)_mm_extract_epi16(e, 7)
							       << 16;
}

const struct sha1_impl sha1_x86 = { usable, blocks };

#endif
