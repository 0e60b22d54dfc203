#include "toolkit/lib/lime.h"

#include <string.h>

static void put_le(unsigned char *to, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (unsigned char)(value >> 8 * i);
}

void lime_header(const struct range *range, unsigned char out[LIME_HEADER_BYTES])
{
	memset(out, 0, LIME_HEADER_BYTES);
	put_le(out, LIME_MAGIC, 4);
	put_le(out + 4, LIME_VERSION, 4);
	put_le(out + 8, range->start, 8);
	put_le(out + 16, range->end, 8);
}

uint64_t lime_image_bytes(const struct ranges *ranges)
{
	return ranges_bytes(ranges) + (uint64_t)ranges->count * LIME_HEADER_BYTES;
}
