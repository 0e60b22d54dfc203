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

#define SHA __attribute__((target("sha,sse4.1,ssse3"), always_inline)) static inline

/* The sixteen words of a block. */
SHA void words(const unsigned char *data, __m128i w[4])
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);

#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)data + i),
					big_endian);
}

/* The four words of the schedule that are needed four steps after step i. */
SHA void next_words(__m128i w[4], int i)
{
	__m128i next = _mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]);

	next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4));
	w[i % 4] = _mm_sha256msg2_epu32(next, w[(i + 3) % 4]);
}

/*
 * Sixteen words of the schedule stand in four registers; each step of the loop does four
 * rounds and makes the four words that are needed four steps later. two: other's blocks
 * go into a second state meanwhile; where they are the same, by the same schedule. Three
 * times in the program, once for each case.
 */
SHA void run(uint32_t first[8], const unsigned char *data, uint32_t second[8],
	     const unsigned char *other, size_t count, const bool two, const bool same)
{
	const __m128i *k = (const __m128i *)sha256_k;
	__m128i abef, cdgh, abef2, cdgh2;

	load(first, &abef, &cdgh);
	load(second, &abef2, &cdgh2);
	for (; count; count--, data += SHA256_BLOCK, other += SHA256_BLOCK) {
		const __m128i abef_before = abef, cdgh_before = cdgh;
		const __m128i abef2_before = abef2, cdgh2_before = cdgh2;
		__m128i w[4], w2[4];

		words(data, w);
		if (two && !same)
			words(other, w2);
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) {
			__m128i wk = _mm_add_epi32(w[i % 4], k[i]);
			__m128i wk2 = same ? wk : _mm_add_epi32(w2[i % 4], k[i]);

			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
			if (two)
				cdgh2 = _mm_sha256rnds2_epu32(cdgh2, abef2, wk2);
			wk = _mm_shuffle_epi32(wk, 0x0e);
			wk2 = same ? wk : _mm_shuffle_epi32(wk2, 0x0e);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, wk);
			if (two)
				abef2 = _mm_sha256rnds2_epu32(abef2, cdgh2, wk2);
			if (i < 12)
				next_words(w, i);
			if (i < 12 && two && !same)
				next_words(w2, i);
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
	run(state, data, state, data, count, false, true);
}

__attribute__((target("sha,sse4.1,ssse3"))) static void
pair(uint32_t first[8], const unsigned char *data, uint32_t second[8],
     const unsigned char *other, size_t count)
{
	if (data == other)
		run(first, data, second, other, count, true, true);
	else
		run(first, data, second, other, count, true, false);
}

const struct sha256_impl sha256_x86 = { "x86 SHA extensions", usable, blocks, pair };

#endif
