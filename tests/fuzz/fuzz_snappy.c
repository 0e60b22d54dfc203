#include <stdlib.h>
#include <string.h>

#include "tests/readers/unsnappy.h"
#include "toolkit/lib/snappy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Both decoders say the same of any block, in a buffer that is just long enough. */
static void same_as_reader(const uint8_t *data, size_t len)
{
	static uint8_t plain[SNAPPY_BLOCK_BYTES];
	size_t claimed = snappy_plain_bytes(data, len);
	uint8_t *out = malloc(claimed ? claimed : 1);
	long expected = unsnappy(data, len, plain, sizeof(plain));
	size_t n = snappy_decode(data, len, out, claimed);

	if (expected > 0 ? n != (size_t)expected || memcmp(out, plain, n) != 0 : n != 0)
		abort();
	free(out);
}

/*
 * What is compressed decodes to the same bytes, into a buffer that allows no byte too
 * many; a block that is damaged is refused or decodes to something, but ends.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t plain[SNAPPY_BLOCK_BYTES];
	static struct snappy_table table;
	size_t n = len < SNAPPY_BLOCK_BYTES ? len : SNAPPY_BLOCK_BYTES;
	/* Also a room that is just, or just not, enough. */
	size_t room = len && data[0] & 1 ? n / 2 : n;
	uint8_t *packed = malloc(room ? room : 1);
	size_t packed_len = n ? snappy_encode(data, n, packed, room, &table) : 0;

	if (packed_len >= (room ? room : 1))
		abort();
	if (packed_len && (unsnappy(packed, packed_len, plain, n) != (long)n ||
			   memcmp(plain, data, n) != 0))
		abort();
	if (packed_len)
		same_as_reader(packed, packed_len);
	free(packed);
	same_as_reader(data, len);
	return 0;
}
