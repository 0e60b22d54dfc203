#include "toolkit/lib/lime.h"

#include <string.h>

#include "toolkit/lib/le.h"

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
