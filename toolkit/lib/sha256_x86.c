/* SHA-256 by the SHA extensions of x86 (Intel SDM volume 2, SHA256RNDS2 and on). */
#include "toolkit/lib/sha256_impl.h"

#ifdef __x86_64__

#include <immintrin.h>

static bool usable(void)
{
	/* libgcc asks cpuid once, before main: in a guest each cpuid is an exit. */
	return __builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1");
}

/* Between the order of the words in memory and that of the instructions. */
__attribute__((target("sse4.1,ssse3"))) static void load(const uint32_t state[8],
							 __m128i *abef, __m128i *cdgh)
{
	__m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
	__m128i efgh =
		_mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);

	*abef = _mm_alignr_epi8(cdab, efgh, 8);
	*cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

__attribute__((target("sse4.1,ssse3"))) static void store(uint32_t state[8], __m128i abef,
							  __m128i cdgh)
{
	__m128i feba = _mm_shuffle_epi32(abef, 0x1b);
	__m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);

	_mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/*
 * Sixteen words of the schedule stand in four registers; each step of the loop does four
 * rounds and makes the four words that are needed four steps later. two: the same blocks
 * go into a second state, by the same schedule. Twice in the program, once for each case.
 */
__attribute__((target("sha,sse4.1,ssse3"), always_inline)) static inline void
run(uint32_t first[8], uint32_t second[8], const unsigned char *data, size_t count,
    const bool two)
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	const __m128i *k = (const __m128i *)sha256_k;
	__m128i abef, cdgh, abef2, cdgh2;

	load(first, &abef, &cdgh);
	load(second, &abef2, &cdgh2);
	for (; count; count--, data += SHA256_BLOCK) {
		const __m128i abef_before = abef, cdgh_before = cdgh;
		const __m128i abef2_before = abef2, cdgh2_before = cdgh2;
		__m128i w[4];

#pragma GCC unroll 4
		for (int i = 0; i < 4; i++)
			w[i] = _mm_shuffle_epi8(
				_mm_loadu_si128((const __m128i *)data + i), big_endian);
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) {
			__m128i wk = _mm_add_epi32(w[i % 4], k[i]);
			__m128i wk_high = _mm_shuffle_epi32(wk, 0x0e);

			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
			if (two)
				cdgh2 = _mm_sha256rnds2_epu32(cdgh2, abef2, wk);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, wk_high);
			if (two)
				abef2 = _mm_sha256rnds2_epu32(abef2, cdgh2, wk_high);
			if (i >= 12)
				continue;
			wk = _mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]);
			wk = _mm_add_epi32(
				wk, _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4));
			w[i % 4] = _mm_sha256msg2_epu32(wk, w[(i + 3) % 4]);
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
		abef2 = _mm_add_epi32(abef2, abef2_before);
		cdgh2 = _mm_add_epi32(cdgh2, cdgh2_before);
	}
	store(first, abef, cdgh);
	if (two)
		store(second, abef2, cdgh2);
}

__attribute__((target("sha,sse4.1,ssse3"))) static void
blocks(uint32_t state[8], const unsigned char *data, size_t count)
{
	run(state, state, data, count, false);
}

__attribute__((target("sha,sse4.1,ssse3"))) static void
pair(uint32_t first[8], uint32_t second[8], const unsigned char *data, size_t count)
{
	run(first, second, data, count, true);
}

const struct sha256_impl sha256_x86 = { "x86 SHA extensions", usable, blocks, pair };

#endif
