/* The contents of a littered page, which agent writes and limecheck recognises. */
#ifndef FVOL_VM_LITTER_H
#define FVOL_VM_LITTER_H

#include <stdint.h>
#include <string.h>

#define LITTER_PAGE 4096
#define LITTER_MARK_LEN 16

static inline const char *litter_mark(void)
{
	return "\x7f"
	       "fvol-litter-\x01\x02\x03";
}

static inline void litter_fill(unsigned char *page, uint32_t number)
{
	uint64_t x = 0x9e3779b97f4a7c15ull * (number + 1ull);

	memcpy(page, litter_mark(), LITTER_MARK_LEN);
	memcpy(page + LITTER_MARK_LEN, &number, sizeof(number));
	for (size_t i = LITTER_MARK_LEN + sizeof(number); i < LITTER_PAGE; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		page[i] = (unsigned char)x;
	}
}

/* Returns whether the page is, whole, one that litter_fill wrote. */
static inline int litter_is(const unsigned char *page)
{
	unsigned char want[LITTER_PAGE];
	uint32_t number;

	if (memcmp(page, litter_mark(), LITTER_MARK_LEN))
		return 0;
	memcpy(&number, page + LITTER_MARK_LEN, sizeof(number));
	litter_fill(want, number);
	return !memcmp(page, want, LITTER_PAGE);
}

#endif
