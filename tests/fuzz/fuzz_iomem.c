#include "tests/fuzz/scratch.h"
#include "toolkit/lib/ranges.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct ranges ranges;
	struct err err;

	scratch_write("iomem", data, len);
	if (ranges_read_iomem(scratch_dir(), &ranges, &err) < 0)
		return 0;
	/* What was taken is ascending and does not overlap: the image relies on it. */
	for (size_t i = 0; i < ranges.count; i++)
		if (ranges.at[i].start > ranges.at[i].end ||
		    (i && ranges.at[i].start <= ranges.at[i - 1].end))
			abort();
	return 0;
}
