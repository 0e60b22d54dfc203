#include "toolkit/lib/lz4_legacy.h"

#include <lz4.h>

#include "toolkit/lib/le.h"

#define BLOCK_PLAIN (8u << 20)
#define BLOCK_PACKED_MAX ((uint32_t)LZ4_COMPRESSBOUND(BLOCK_PLAIN))

int lz4_legacy_unpack(const void *data, size_t len, void *out, size_t room, size_t *got,
		      struct err *err)
{
	const unsigned char *bytes = data;
	size_t at = 4;

	*got = 0;
	if (len < 4 || get_le(bytes, 4) != LZ4_LEGACY_MAGIC)
		return err_set(err, ERR_FAILED, "not lz4");
	while (len - at >= 4) {
		uint32_t packed = (uint32_t)get_le(bytes + at, 4);
		size_t left = room - *got;
		int plain;

		/* Behind the last block Linux appends the length of the whole. */
		if (len - at == 4 || packed == 0 || packed > BLOCK_PACKED_MAX)
			break;
		at += 4;
		if (packed > len - at)
			return err_set(err, ERR_FAILED, "lz4 data that end too early");
		if (left > BLOCK_PLAIN)
			left = BLOCK_PLAIN;
		plain = LZ4_decompress_safe((const char *)bytes + at, (char *)out + *got,
					    (int)packed, (int)left);
		if (plain < 0)
			return err_set(err, ERR_FAILED,
				       "damaged lz4 data, or more than %zu bytes of them",
				       room);
		*got += (size_t)plain;
		at += packed;
		if (plain < (int)BLOCK_PLAIN)
			break;
	}
	return 0;
}
