/* SHA-1 by the SHA extensions of x86 (Intel SDM volume 2, SHA1RNDS4 and on). */
#include "toolkit/lib/sha1_impl.h"

#ifdef __x86_64__

#include "toolkit/lib/sha256_x86.h"

#define STEP SHA256_X86_STEP

static bool usable(void)
{
	return __builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1");
}

/* Four rounds of each of the four functions of FIPS 180-4, 4.1.1, twenty rounds each:
 * which one is a part of the instruction. */
STEP __m128i rounds(__m128i abcd, __m128i e, int function)
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

/* The state while it runs: the fifth word comes from what the first one was a step
 * before. */
struct lanes {
	__m128i abcd, e, before;
};

STEP void load(const uint32_t state[5], struct lanes *lanes)
{
	lanes->abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0x1b);
	lanes->e = _mm_set_epi32((int)state[4], 0, 0, 0);
	lanes->before = lanes->abcd;
}

STEP void store(uint32_t state[5], const struct lanes *lanes)
{
	_mm_storeu_si128((__m128i *)state, _mm_shuffle_epi32(lanes->abcd, 0x1b));
	state[4] = (uint32_t)_mm_extract_epi16(lanes->e, 6) |
		   (uint32_t)_mm_extract_epi16(lanes->e, 7) << 16;
}

/*
 * Step i of twenty: four rounds, and the four words of the schedule that are needed four
 * steps later. Sixteen words stand in w, the first one of each register highest.
 */
STEP void advance(struct lanes *lanes, __m128i w[4], int i)
{
	lanes->e = i ? _mm_sha1nexte_epu32(lanes->before, w[i % 4])
		     : _mm_add_epi32(lanes->e, w[0]);
	lanes->before = lanes->abcd;
	lanes->abcd = rounds(lanes->abcd, lanes->e, i / 5);
	if (i >= 16)
		return;
	w[i % 4] = _mm_sha1msg1_epu32(w[i % 4], w[(i + 1) % 4]);
	w[i % 4] = _mm_xor_si128(w[i % 4], w[(i + 2) % 4]);
	w[i % 4] = _mm_sha1msg2_epu32(w[i % 4], w[(i + 3) % 4]);
}

/* The end of a block: what the state was before it is added. */
STEP void add(struct lanes *lanes, const struct lanes *old)
{
	lanes->e = _mm_sha1nexte_epu32(lanes->before, old->e);
	lanes->abcd = _mm_add_epi32(lanes->abcd, old->abcd);
}

/* wide: the state of SHA-256, or NULL. Twice in the program, once for each case. */
STEP void run(uint32_t state[5], uint32_t *wide, const unsigned char *data, size_t count)
{
	const __m128i reversed = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
	const __m128i *k = (const __m128i *)sha256_k;
	__m128i abef = _mm_setzero_si128(), cdgh = abef;
	struct lanes lanes;

	load(state, &lanes);
	if (wide)
		sha256_x86_load(wide, &abef, &cdgh);
	for (; count; count--, data += SHA1_BLOCK) {
		const struct lanes old = lanes;
		const __m128i abef_old = abef, cdgh_old = cdgh;
		__m128i w[4], v[4];

#pragma GCC unroll 4
		for (int i = 0; i < 4; i++) {
			w[i] = _mm_shuffle_epi8(
				_mm_loadu_si128((const __m128i *)data + i), reversed);
			/* The same words, the first one lowest. */
			v[i] = _mm_shuffle_epi32(w[i], 0x1b);
		}
#pragma GCC unroll 20
		for (int i = 0; i < 20; i++) {
			advance(&lanes, w, i);
			if (!wide || i >= 16)
				continue;
			sha256_x86_rounds(&abef, &cdgh, _mm_add_epi32(v[i % 4], k[i]));
			if (i < 12)
				sha256_x86_words(v, i);
		}
		add(&lanes, &old);
		abef = _mm_add_epi32(abef, abef_old);
		cdgh = _mm_add_epi32(cdgh, cdgh_old);
	}
	store(state, &lanes);
	if (wide)
		sha256_x86_store(wide, abef, cdgh);
}

__attribute__((target("sha,sse4.1,ssse3"))) static void
blocks(uint32_t state[5], const unsigned char *data, size_t count)
{
	run(state, NULL, data, count);
}

__attribute__((target("sha,sse4.1,ssse3"))) static void
both(uint32_t state[5], uint32_t wide[8], const unsigned char *data, size_t count)
{
	run(state, wide, data, count);
}

const struct sha1_impl sha1_x86 = { usable, blocks, both, &sha256_x86 };

#endif
