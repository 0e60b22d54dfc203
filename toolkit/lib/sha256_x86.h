/*
 * The steps of SHA-256 by the SHA extensions of x86 (Intel SDM volume 2, SHA256RNDS2 and
 * on), for the loops that put them together: alone, for two states, and beside SHA-1.
 */
#ifndef FVOL_SHA256_X86_H
#define FVOL_SHA256_X86_H

#include "toolkit/lib/sha256_impl.h"

#ifdef __x86_64__

#include <immintrin.h>

#define SHA256_X86_STEP                                                                  \
	__attribute__((target("sha,sse4.1,ssse3"), always_inline)) static inline

/* Between the order of the words in memory and that of the instructions. */
SHA256_X86_STEP void sha256_x86_load(const uint32_t state[8], __m128i *abef,
				     __m128i *cdgh)
{
	__m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
	__m128i efgh =
		_mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);

	*abef = _mm_alignr_epi8(cdab, efgh, 8);
	*cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

SHA256_X86_STEP void sha256_x86_store(uint32_t state[8], __m128i abef, __m128i cdgh)
{
	__m128i feba = _mm_shuffle_epi32(abef, 0x1b);
	__m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);

	_mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* Four rounds by four words of the schedule, the constants added to them. */
SHA256_X86_STEP void sha256_x86_rounds(__m128i *abef, __m128i *cdgh, __m128i wk)
{
	*cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, wk);
	*abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(wk, 0x0e));
}

/* Sixteen words stand in w; after step i its four are those that are needed in step i
 * + 4. */
SHA256_X86_STEP void sha256_x86_words(__m128i w[4], int i)
{
	__m128i sum = _mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]);

	sum = _mm_add_epi32(sum, _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4));
	w[i % 4] = _mm_sha256msg2_epu32(sum, w[(i + 3) % 4]);
}

#endif
#endif
