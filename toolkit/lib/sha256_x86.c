/* SHA-256 by the SHA extensions of x86 (Intel SDM volume 2, SHA256RNDS2 and on). */
#include "toolkit/lib/sha256_x86.h"

#ifdef __x86_64__

static bool usable(void)
{
	/* libgcc asks cpuid once, before main: in a guest each cpuid is an exit. */
	return __builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1");
}

/* The sixteen words of a block. */
SHA256_X86_STEP void words(const unsigned char *data, __m128i w[4])
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);

#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)data + i),
					big_endian);
}

/*
 * Sixteen words of the schedule stand in four registers; each step of the loop does four
 * rounds and makes the four words that are needed four steps later. two: other's blocks
 * go into a second state meanwhile; where they are the same, by the same schedule. Three
 * times in the program, once for each case.
 */
SHA256_X86_STEP void run(uint32_t first[8], const unsigned char *data, uint32_t second[8],
			 const unsigned char *other, size_t count, const bool two,
			 const bool same)
{
	const __m128i *k = (const __m128i *)sha256_k;
	__m128i abef, cdgh, abef2, cdgh2;

	sha256_x86_load(first, &abef, &cdgh);
	sha256_x86_load(second, &abef2, &cdgh2);
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

			sha256_x86_rounds(&abef, &cdgh, wk);
			if (two)
				sha256_x86_rounds(&abef2, &cdgh2, wk2);
			if (i < 12)
				sha256_x86_words(w, i);
			if (i < 12 && two && !same)
				sha256_x86_words(w2, i);
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
		abef2 = _mm_add_epi32(abef2, abef2_before);
		cdgh2 = _mm_add_epi32(cdgh2, cdgh2_before);
	}
	sha256_x86_store(first, abef, cdgh);
	if (two)
		sha256_x86_store(second, abef2, cdgh2);
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
